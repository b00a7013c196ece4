// SPDX-License-Identifier: Apache-2.0
// The pace of the counter is measured once, between the first reading and one at least 20 ms later;
// until then, and where the counter cannot be trusted, every reading is the clock's.

#include "libtrace/sdk/tick.h"

#include <stdatomic.h>
#include <stdbool.h>

#if defined(__x86_64__)
#include <cpuid.h>

enum { MEASURE_MS = 20, ANCHOR_MS = 10 };

// Measured by whichever thread comes first; 0: not yet.
static _Atomic uint64_t scale;
static _Atomic uint64_t limit;
static _Atomic uint64_t first_ticks;
static _Atomic uint64_t first_mono_ns;

// Intel SDM 18.17.4, AMD APM: "invariant TSC" is bit 8 of EDX at leaf 0x80000007.
static bool is_invariant(void)
{
    static _Atomic int known; // 1: no, 2: yes
    unsigned a, b, c, d;
    int now = atomic_load_explicit(&known, memory_order_relaxed);

    if (!now) {
        now = __get_cpuid(0x80000007, &a, &b, &c, &d) && d >> 8 & 1 ? 2 : 1;
        atomic_store(&known, now);
    }
    return now == 2;
}

// Against the clock that is never stepped.
static void measure(uint64_t ticks, uint64_t mono_ns)
{
    uint64_t none = 0;
    const uint64_t from_ns = atomic_load(&first_mono_ns);
    const uint64_t from = atomic_load(&first_ticks);

    if (!from_ns) {
        if (atomic_compare_exchange_strong(&first_ticks, &none, ticks))
            atomic_store(&first_mono_ns, mono_ns);
        return;
    }
    if (mono_ns < from_ns + MEASURE_MS * NS_PER_MS || ticks <= from ||
        mono_ns - from_ns > 3600 * NS_PER_SECOND)
        return;
    // Up to an hour times 2^32 needs more than 64 bits.
    const uint64_t measured =
        (uint64_t)(((unsigned __int128)(mono_ns - from_ns) << 32) / (ticks - from));

    // Slower than 100 MHz or faster than 100 GHz is no processor's pace.
    if (measured < UINT64_C(1) << 32 >> 7 || measured > UINT64_C(10) << 32)
        return;
    atomic_store(&limit, (ANCHOR_MS * NS_PER_MS << 32 >> 16) / (measured >> 16));
    atomic_store(&scale, measured);
}

uint64_t tick_anchor(struct tick *tick)
{
    const uint64_t ns = clock_unix_ns();

    if (!is_invariant())
        return ns;
    tick->ticks = __builtin_ia32_rdtsc();
    tick->ns = ns;
    tick->scale = atomic_load_explicit(&scale, memory_order_relaxed);
    tick->limit = tick->scale ? atomic_load_explicit(&limit, memory_order_relaxed) : 0;
    if (!tick->scale)
        measure(tick->ticks, clock_mono_ns());
    return ns;
}
#else
uint64_t tick_anchor(struct tick *tick)
{
    (void)tick;
    return clock_unix_ns();
}
#endif
