// SPDX-License-Identifier: Apache-2.0
// The counters of the agent itself.

#pragma once

#include "libtrace/base/stats.h"

enum agent_stat {
#define STAT(name, unit, help) AGENT_##name,
#include "agent/stats.def"
#undef STAT
    AGENT_STATS
};

extern const struct stats agent_stats;
