// SPDX-License-Identifier: Apache-2.0
// The counters of the API and the page.

#pragma once

#include "libtrace/base/stats.h"

enum api_stat {
#define STAT(name, unit, help) API_##name,
#include "agent/api/stats.def"
#undef STAT
    API_STATS
};

extern const struct stats api_stats;
