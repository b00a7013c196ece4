// SPDX-License-Identifier: Apache-2.0
// The table of the agent's counters.

#include "agent/stats.h"

static const struct stat_row rows[] = {
#define STAT(name, unit, help) {#name, unit, help},
#include "agent/stats.def"
#undef STAT
};

static _Atomic uint64_t values[AGENT_STATS];

const struct stats agent_stats = {"agent", rows, values, AGENT_STATS};
