// SPDX-License-Identifier: Apache-2.0
// What the SDK keeps for each thread that uses it: random numbers, the current span and context,
// spans to use again, counts. A thread's block is taken from those left behind by threads that
// ended, or made; it is given back, not freed, so counts add up for ever. Only its thread writes
// it.

#pragma once

#include <stdatomic.h>

#include <throughline/context.h>

#include "libtrace/sdk/context/thread_context.h"
#include "libtrace/sdk/tick.h"

// otel.sdk.span.started by where the parent is and what the sampler said: origin * 3 + decision.
enum { SPAN_ORIGINS = 3, SPAN_DECISIONS = 3 };

struct thread {
    uint64_t random[4];
    struct tick tick;
    unsigned random_forks; // the count of forks at the last seed; 0: never seeded
    uint32_t context_depth;
    struct tl_span *span;       // current
    struct tl_context *context; // current, when one was attached: a reference
    struct span *kept;          // ready to be used again
    unsigned kept_count;
    struct tl_context *kept_contexts;
    unsigned kept_context_count;
    struct thread_record record; // what is current, for readers from outside
    // Written by this thread alone, read by whoever collects: relaxed.
    _Atomic uint64_t started[SPAN_ORIGINS * SPAN_DECISIONS];
    _Atomic uint64_t ended; // that recorded
    _Atomic uint64_t logs;
    struct thread *next; // all blocks ever made
    struct thread *next_free;
};

// One word, so that the library can be opened with dlopen(3) wherever static TLS is scarce.
extern _Thread_local struct thread *thread_block __attribute__((tls_model("initial-exec")));

// Fork handlers take their locks in the opposite order of registration: who takes a lock while
// holding one of its own sees to it that the other's handlers stand first. The order from the
// lowest is thread, resource, task, pipe, meter.
void thread_forks_watch(void);

// Makes one; NULL without memory.
struct thread *thread_make(void);

static inline struct thread *thread_get(void)
{
    struct thread *thread = thread_block;

    return __builtin_expect(thread != NULL, 1) ? thread : thread_make();
}

// Calls visit for every block.
void thread_each(void (*visit)(void *self, struct thread *thread), void *self);

static inline void thread_count(_Atomic uint64_t *counter)
{
    // One writer: no locked instruction is needed.
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

// The identity of the thread's current span (of tl_current, else of the current context); all zero
// when there is none.
struct tl_span_context thread_span_context(void);

// 64 random bits, never zero. Seeded by the kernel for each thread and after each fork.
uint64_t thread_random(void);

// How often the process was forked into this one, from 1 on: what was made before is another's.
extern _Atomic unsigned thread_forks;

// Fresh numbers from the kernel.
void thread_seed(struct thread *thread);

// xoshiro256++ (Blackman, Vigna 2019). Zero is no id; it comes once in 2^64.
static inline uint64_t random_step(uint64_t *s)
{
    const uint64_t sum = s[0] + s[3];
    const uint64_t result = (sum << 23 | sum >> 41) + s[0];
    const uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3] << 45 | s[3] >> 19;
    return result | (result == 0);
}

// The generator of this thread, seeded; for random_step.
static inline uint64_t *thread_generator(struct thread *thread)
{
    if (__builtin_expect(
            thread->random_forks != atomic_load_explicit(&thread_forks, memory_order_relaxed), 0))
        thread_seed(thread);
    return thread->random;
}

// The context object current in this thread, borrowed (not the one implied by tl_current); NULL.
struct tl_context *thread_context(void);
// Exchanges it; the reference goes over both ways.
struct tl_context *thread_context_swap(struct tl_context *context);
