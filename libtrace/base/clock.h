// SPDX-License-Identifier: Apache-2.0
// Time in nanoseconds. Any thread.

#pragma once

#include <stdint.h>
#include <time.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

static inline uint64_t clock_read_ns(clockid_t clock)
{
    struct timespec now;

    if (clock_gettime(clock, &now) != 0)
        return 0;
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

// Since 1970: what telemetry carries.
static inline uint64_t clock_unix_ns(void)
{
    return clock_read_ns(CLOCK_REALTIME);
}

// Never steps back: what deadlines use.
static inline uint64_t clock_mono_ns(void)
{
    return clock_read_ns(CLOCK_MONOTONIC);
}
