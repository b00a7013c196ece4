// SPDX-License-Identifier: Apache-2.0
// The counters of the exporters.

#pragma once

#include "libtrace/base/stats.h"

enum exporters_stat {
#define STAT(name, unit, help) EXPORTERS_##name,
#include "exporters/stats.def"
#undef STAT
    EXPORTERS_STATS
};

extern const struct stats exporters_stats;
