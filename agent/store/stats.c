// SPDX-License-Identifier: Apache-2.0
// The table of the store's counters.

#include "agent/store/stats.h"

static const struct stat_row rows[] = {
#define STAT(name, unit, help) {#name, unit, help},
#include "agent/store/stats.def"
#undef STAT
};

static _Atomic uint64_t values[STORE_STATS];

const struct stats store_stats = {"store", rows, values, STORE_STATS};
