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

// No wait is longer: "for ever" in any type must not wrap around.
#define WAIT_MS_MAX (UINT64_C(3650) * 24 * 3600 * 1000)

// So many milliseconds after a time.
static inline uint64_t clock_after_ms(uint64_t from_ns, uint64_t wait_ms)
{
    return from_ns + (wait_ms < WAIT_MS_MAX ? wait_ms : WAIT_MS_MAX) * NS_PER_MS;
}

// Milliseconds until a deadline of clock_mono_ns; 0 when it has passed.
static inline uint64_t clock_left_ms(uint64_t deadline_ns)
{
    const uint64_t now_ns = clock_mono_ns();

    return deadline_ns > now_ns ? (deadline_ns - now_ns) / NS_PER_MS : 0;
}
