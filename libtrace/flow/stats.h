// SPDX-License-Identifier: Apache-2.0
// The counters of flow.

#pragma once

#include "libtrace/base/stats.h"

enum flow_stat {
#define STAT(name, unit, help) FLOW_##name,
#include "libtrace/flow/stats.def"
#undef STAT
    FLOW_STATS
};

extern const struct stats flow_stats;
