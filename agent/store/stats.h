// SPDX-License-Identifier: Apache-2.0
// The counters of the store.

#pragma once

#include "libtrace/base/stats.h"

enum store_stat {
#define STAT(name, unit, help) STORE_##name,
#include "agent/store/stats.def"
#undef STAT
    STORE_STATS
};

extern const struct stats store_stats;
