// SPDX-License-Identifier: Apache-2.0
// Counters of this room: the kernel side's, in the order of enum tap_counter, and our own.

#pragma once

#include "libtrace/base/stats.h"

enum probe_stat {
#define STAT(name, unit, help) PROBE_##name,
#include "ebpf/probe/stats.def"
#undef STAT
    PROBE_STATS
};

extern const struct stats probe_stats;
