// SPDX-License-Identifier: Apache-2.0
// The records of the threads are a list that only grows; a thread that ends leaves its record to
// the next. After a fork the child has only the thread that forked: the others' sections are ended.

#include "libtrace/sdk/metrics/guard.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libtrace/base/clock.h"

_Atomic bool guard_fences;
_Thread_local struct guard_thread *guard_own __attribute__((tls_model("initial-exec")));

static _Atomic(struct guard_thread *) threads;
static pthread_key_t end_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool has_key;

static void thread_ends(void *self)
{
    struct guard_thread *own = self;

    guard_own = NULL;
    atomic_store_explicit(&own->is_taken, false, memory_order_release);
}

static void child_begins(void)
{
    struct guard_thread *each = atomic_load(&threads);

    for (; each; each = each->next) {
        if (each == guard_own)
            continue;
        atomic_store(&each->section, (atomic_load(&each->section) | 1) + 1);
        atomic_store(&each->is_taken, false);
    }
}

static void begin(void)
{
    has_key = pthread_key_create(&end_key, thread_ends) == 0;
    pthread_atfork(NULL, NULL, child_begins);
}

static struct guard_thread *record_take(void)
{
    struct guard_thread *each = atomic_load_explicit(&threads, memory_order_acquire);
    bool is_taken;

    for (; each; each = each->next) {
        is_taken = false;
        if (atomic_compare_exchange_strong(&each->is_taken, &is_taken, true))
            return each;
    }
    // A line of its own: its thread writes to it at every measurement.
    if (posix_memalign((void **)&each, 128, 128) != 0)
        return NULL;
    atomic_init(&each->section, 2);
    atomic_init(&each->is_taken, true);
    each->next = atomic_load_explicit(&threads, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&threads, &each->next, each)) {
    }
    return each;
}

struct guard_thread *guard_join(void)
{
    const int saved = errno;
    struct guard_thread *own = NULL;

    pthread_once(&once, begin);
    if (has_key)
        own = record_take();
    if (own && pthread_setspecific(end_key, own) != 0) {
        atomic_store(&own->is_taken, false);
        own = NULL;
    }
    guard_own = own;
    errno = saved;
    return own;
}

// Every thread of the process passes a full fence before this returns true.
static bool fence_all(void)
{
#ifdef __SANITIZE_THREAD__
    return true;
#else
    if (atomic_load(&guard_fences)) {
        atomic_thread_fence(memory_order_seq_cst);
        return true;
    }
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)
        return true;
    // Not registered yet, in this process or in the parent that it was forked from.
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 &&
        syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)
        return true;
    // Sections open now were opened without a fence: nothing can be said of them.
    atomic_store(&guard_fences, true);
    return false;
#endif
}

static bool section_ended(struct guard_thread *thread, uint64_t seen, uint64_t deadline_ns)
{
    unsigned turns = 0;

    while (atomic_load_explicit(&thread->section, memory_order_acquire) == seen) {
        if (++turns % 64 == 0 && clock_mono_ns() >= deadline_ns)
            return false;
        sched_yield();
    }
    return true;
}

bool guard_synchronize(uint64_t deadline_ns)
{
    const int saved = errno;
    struct guard_thread *each;
    bool is_done;

    if (guard_own && atomic_load_explicit(&guard_own->section, memory_order_relaxed) & 1)
        return false;
    is_done = fence_all();
    for (each = atomic_load(&threads); is_done && each; each = each->next) {
#ifdef __SANITIZE_THREAD__
        const uint64_t seen = atomic_fetch_add(&each->section, 0);
#else
        const uint64_t seen = atomic_load_explicit(&each->section, memory_order_acquire);
#endif

        if (seen & 1)
            is_done = section_ended(each, seen, deadline_ns);
    }
    errno = saved;
    return is_done;
}
