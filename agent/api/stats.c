// SPDX-License-Identifier: Apache-2.0
// The table of the API's counters.

#include "agent/api/stats.h"

static const struct stat_row rows[] = {
#define STAT(name, unit, help) {#name, unit, help},
#include "agent/api/stats.def"
#undef STAT
};

static _Atomic uint64_t values[API_STATS];

const struct stats api_stats = {"api", rows, values, API_STATS};
