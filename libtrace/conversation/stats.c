// SPDX-License-Identifier: Apache-2.0
// The table of conversation's counters.

#include "libtrace/conversation/stats.h"

static const struct stat_row rows[] = {
#define STAT(name, unit, help) {#name, unit, help},
#include "libtrace/conversation/stats.def"
#undef STAT
};

static _Atomic uint64_t values[CONVERSATION_STATS];

const struct stats conversation_stats = {"conversation", rows, values, CONVERSATION_STATS};
