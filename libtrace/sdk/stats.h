// SPDX-License-Identifier: Apache-2.0
// The counters of the SDK. The first twelve rows are four for each signal, in the order of enum
// tl_signal.

#pragma once

#include "libtrace/base/stats.h"

enum sdk_stat {
#define STAT(name, unit, help) SDK_##name,
#include "libtrace/sdk/stats.def"
#undef STAT
    SDK_STATS
};

enum sdk_loss { LOSS_QUEUE_FULL, LOSS_NO_MEMORY, LOSS_UNDELIVERED, EXPORTED };

extern const struct stats sdk_stats;

static inline void signal_add(unsigned signal, enum sdk_loss what, uint64_t more)
{
    stats_add(&sdk_stats, signal * 4 + (unsigned)what, more);
}

static inline uint64_t signal_get(unsigned signal, enum sdk_loss what)
{
    return stats_get(&sdk_stats, signal * 4 + (unsigned)what);
}
