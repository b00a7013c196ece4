// SPDX-License-Identifier: Apache-2.0
// The counters of conversation.

#pragma once

#include "libtrace/base/stats.h"

enum conversation_stat {
#define STAT(name, unit, help) CONVERSATION_##name,
#include "libtrace/conversation/stats.def"
#undef STAT
    CONVERSATION_STATS
};

extern const struct stats conversation_stats;
