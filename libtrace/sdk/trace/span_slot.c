// SPDX-License-Identifier: Apache-2.0
// Slots for spans: made by the slab, kept by the thread that ended one, passed between threads
// through one list when a thread has too many. None is ever freed.

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "libtrace/sdk/stats.h"
#include "libtrace/sdk/thread.h"
#include "libtrace/sdk/trace/span.h"

enum { SLAB_SPANS = 8, KEEP_MAX = 64, TRACE_STATE_FIRST = 64 };

struct old_text {
    uint8_t *former;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct span *others; // free, of no thread

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork_parent(void)
{
    pthread_mutex_unlock(&lock);
}

static void after_fork_child(void)
{
    pthread_mutex_init(&lock, NULL);
}

static void first_use(void)
{
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static inline void breathe(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void span_lock_wait(struct span *span)
{
    unsigned tries = 0;

    do {
        // Whoever has it does a few hundred nanoseconds of work, or was put off its CPU in it.
        if (++tries % 64 == 0)
            sched_yield();
        while (atomic_load_explicit(&span->lock, memory_order_relaxed) && ++tries % 64)
            breathe();
    } while (atomic_exchange_explicit(&span->lock, 1, memory_order_acquire));
}

// Under the lock.
static struct span *slab_make(void)
{
    struct span *slab = aligned_alloc(64, SLAB_SPANS * sizeof *slab);

    if (!slab)
        return NULL;
    memset(slab, 0, SLAB_SPANS * sizeof *slab);
    for (int i = 0; i < SLAB_SPANS; i++) {
        slab[i].body.limit = BODY_BYTES_MAX;
        slab[i].message.limit = 4 * STATUS_BYTES_MAX;
        slab[i].next = i + 1 < SLAB_SPANS ? &slab[i + 1] : NULL;
    }
    return slab;
}

static struct span *slot_refill(void)
{
    const int saved = errno;
    struct span *span;

    pthread_once(&once, first_use);
    pthread_mutex_lock(&lock);
    if (!others)
        others = slab_make();
    span = others;
    if (span)
        others = span->next;
    pthread_mutex_unlock(&lock);
    errno = saved;
    return span;
}

// From here on a handle of the span that was here is too old. Before anything of it is changed: a
// reader looks at the generation again when it has read.
static void generation_next(struct span *span)
{
    const uint32_t tag = atomic_load_explicit(&span->tag, memory_order_relaxed);

    atomic_store_explicit(&span->tag, span_tag((uint16_t)((tag >> 8) + 1), SPAN_FREE),
                          memory_order_relaxed);
    SPAN_FENCE(memory_order_release);
}

struct span *span_take(void)
{
    const unsigned forks = atomic_load_explicit(&thread_forks, memory_order_relaxed);
    struct thread *thread = thread_get();
    struct span *span = thread ? thread->kept : NULL;

    if (span) {
        thread->kept = span->next;
        thread->kept_count--;
    } else {
        span = slot_refill();
    }
    if (span && !span_is_of_process(span)) {
        // Whoever had an old handle's lock when the process was forked is not here.
        atomic_store_explicit(&span->lock, 0, memory_order_relaxed);
        atomic_store_explicit(&span->forks, forks, memory_order_relaxed);
    }
    if (span)
        generation_next(span);
    return span;
}

// What a reader that is late may still look at: the text that was here is given up, not freed. As
// each is twice the last, a slot never holds more than twice what its longest one took.
bool span_trace_state_room(struct span *span, size_t len)
{
    struct old_text *text;
    size_t capacity = TRACE_STATE_FIRST;

    if (len <= span->trace_state.capacity)
        return true;
    if (len > UINT16_MAX)
        return false;
    while (capacity < len)
        capacity *= 2;
    text = malloc(sizeof *text + capacity);
    if (!text)
        return false;
    // A chain, so that all of it can be reached from its slot.
    text->former = span->trace_state.at;
    span->trace_state.at = (uint8_t *)(text + 1);
    span->trace_state.capacity = capacity;
    return true;
}

void span_open(struct span *span, enum span_state state)
{
    const uint32_t tag = atomic_load_explicit(&span->tag, memory_order_relaxed);

    atomic_store_explicit(&span->tag, span_tag((uint16_t)(tag >> 8), state), memory_order_release);
}

void span_give(struct span *span)
{
    struct thread *thread = thread_block;

    // One span with very much in it must not hold its memory for ever.
    if (span->body.capacity > BODY_BYTES_KEPT)
        bytes_done(&span->body);
    if (thread && thread->kept_count < KEEP_MAX) {
        span->next = thread->kept;
        thread->kept = span;
        thread->kept_count++;
        return;
    }
    pthread_mutex_lock(&lock);
    span->next = others;
    others = span;
    pthread_mutex_unlock(&lock);
}
