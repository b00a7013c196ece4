// SPDX-License-Identifier: Apache-2.0
// The table of the exporters' counters.

#include "exporters/stats.h"

static const struct stat_row rows[] = {
#define STAT(name, unit, help) {#name, unit, help},
#include "exporters/stats.def"
#undef STAT
};

static _Atomic uint64_t values[EXPORTERS_STATS];

const struct stats exporters_stats = {"exporters", rows, values, EXPORTERS_STATS};
