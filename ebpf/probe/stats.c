// SPDX-License-Identifier: Apache-2.0
// The table behind stats.def.

#include "ebpf/probe/stats.h"

#include "ebpf/shared/sockets.h"

static const struct stat_row rows[] = {
#define STAT(name, unit, help) {#name, unit, help},
#include "ebpf/probe/stats.def"
#undef STAT
};

static _Atomic uint64_t values[PROBE_STATS];

const struct stats probe_stats = {"probe", rows, values, PROBE_STATS};

_Static_assert((int)PROBE_records == (int)TAP_RECORDS, "same order");
_Static_assert((int)PROBE_requests == (int)TAP_REQUESTS, "same order");
_Static_assert((int)PROBE_malformed == (int)TAP_COUNTERS, "the kernel side's rows come first");
