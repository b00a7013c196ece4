// SPDX-License-Identifier: Apache-2.0
// Short sections in which a thread looks at memory that another may take away. A section costs two
// plain stores; whoever takes memory away unlinks it first, then waits with guard_synchronize until
// every section that could have seen it has ended. Sections never block. Any thread.

#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct guard_thread {
    _Atomic uint64_t section; // odd: inside
    _Atomic bool is_taken;
    struct guard_thread *next;
};

// Set once membarrier(2) is known to be missing: then a section pays for a fence of its own.
extern _Atomic bool guard_fences;

// initial-exec: one load instead of a call, and eight bytes of the room that glibc keeps for
// libraries loaded later.
extern _Thread_local struct guard_thread *guard_own __attribute__((tls_model("initial-exec")));

// The thread's record, made on first use; NULL without memory.
struct guard_thread *guard_join(void);

// A ticket for guard_leave; 0: no section could be opened, and nothing unlinked may be looked at.
static inline uint64_t guard_enter(void)
{
    struct guard_thread *own = guard_own ? guard_own : guard_join();
    uint64_t section;

    if (!own)
        return 0;
    section = atomic_load_explicit(&own->section, memory_order_relaxed);
    // Within a section already: a reservoir of the caller's measures, or a signal handler.
    if (section & 1)
        return 1;
#ifdef __SANITIZE_THREAD__
    atomic_exchange(&own->section, section + 1);
#else
    atomic_store_explicit(&own->section, section + 1, memory_order_relaxed);
    // The other half of this fence is membarrier(2) in guard_synchronize.
    if (__builtin_expect(atomic_load_explicit(&guard_fences, memory_order_relaxed), 0))
        atomic_thread_fence(memory_order_seq_cst);
    else
        atomic_signal_fence(memory_order_seq_cst);
#endif
    return section + 1;
}

static inline void guard_leave(uint64_t ticket)
{
    if (ticket > 1)
        atomic_store_explicit(&guard_own->section, ticket + 1, memory_order_release);
}

// True when no section is open any more that was open at the call. False at the deadline
// (CLOCK_MONOTONIC), from within a section, and once when the kernel has no membarrier.
bool guard_synchronize(uint64_t deadline_ns);
