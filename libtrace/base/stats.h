// SPDX-License-Identifier: Apache-2.0
// Counters of a room: rows STAT(name, unit, "help") in its stats.def, one enum and one table made
// of them (the pattern is at the end). The agent gathers the tables. Any thread, relaxed.

#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct stat_row {
    const char *name; // "queue_refused": the agent prints throughline_ROOM_NAME_total
    const char *unit; // "batch", "record", "byte", ...
    const char *help; // one sentence
};

struct stats {
    const char *room;
    const struct stat_row *rows;
    _Atomic uint64_t *values;
    size_t count;
};

static inline void stats_add(const struct stats *stats, size_t row, uint64_t more)
{
    atomic_fetch_add_explicit(&stats->values[row], more, memory_order_relaxed);
}

static inline uint64_t stats_get(const struct stats *stats, size_t row)
{
    return atomic_load_explicit(&stats->values[row], memory_order_relaxed);
}

// The usual three lines of a room's stats.h:
//   enum flow_stat {
//   #define STAT(name, unit, help) FLOW_##name,
//   #include "libtrace/flow/stats.def"
//   #undef STAT
//   FLOW_STATS };
//   extern const struct stats flow_stats;
// and of its stats.c:
//   static const struct stat_row rows[] = {
//   #define STAT(name, unit, help) {#name, unit, help},
//   #include "libtrace/flow/stats.def"
//   #undef STAT
//   };
//   static _Atomic uint64_t values[FLOW_STATS];
//   const struct stats flow_stats = {"flow", rows, values, FLOW_STATS};
