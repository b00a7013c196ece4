// SPDX-License-Identifier: Apache-2.0
// The table of flow's counters.

#include "libtrace/flow/stats.h"

static const struct stat_row rows[] = {
#define STAT(name, unit, help) {#name, unit, help},
#include "libtrace/flow/stats.def"
#undef STAT
};

static _Atomic uint64_t values[FLOW_STATS];

const struct stats flow_stats = {"flow", rows, values, FLOW_STATS};
