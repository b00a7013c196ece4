// SPDX-License-Identifier: Apache-2.0
// The table of the SDK's counters.

#include "libtrace/sdk/stats.h"

static const struct stat_row rows[] = {
#define STAT(name, unit, help) {#name, unit, help},
#include "libtrace/sdk/stats.def"
#undef STAT
};

static _Atomic uint64_t values[SDK_STATS];

const struct stats sdk_stats = {"sdk", rows, values, SDK_STATS};
