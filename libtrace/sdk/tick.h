// SPDX-License-Identifier: Apache-2.0
// The time of day for spans, at a third of clock_gettime's price where the processor has a counter
// that never changes its pace: the clock is read every ANCHOR ticks (about 10 ms), and between two
// readings the counter is scaled. Off by less than a microsecond; a step of the clock is seen 10 ms
// late at most. Elsewhere it is clock_gettime. (docs/adr/0016)

#pragma once

#include "libtrace/base/clock.h"

struct tick {
    uint64_t ticks; // at the last reading
    uint64_t ns;    // the clock then
    uint64_t limit; // ticks until the next reading; 0: none was made
    uint64_t scale; // nanoseconds a tick, times 2^32
};

// Reads the clock and starts anew from there.
uint64_t tick_anchor(struct tick *tick);

// Nanoseconds since 1970. `tick` belongs to the calling thread.
static inline uint64_t tick_now(struct tick *tick)
{
#if defined(__x86_64__)
    const uint64_t passed = __builtin_ia32_rdtsc() - tick->ticks;

    // A counter that went back has passed very much.
    if (__builtin_expect(passed < tick->limit, 1))
        return tick->ns + (passed * tick->scale >> 32);
#endif
    return tick_anchor(tick);
}
