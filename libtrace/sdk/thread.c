// SPDX-License-Identifier: Apache-2.0
// Blocks are never freed: a reader may walk them at any time, and counts of ended threads count on.

#include "libtrace/sdk/thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include <throughline/trace.h>

#include "libtrace/base/clock.h"

_Thread_local struct thread *thread_block __attribute__((tls_model("initial-exec")));
_Atomic unsigned thread_forks = 1;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t end_key;
static bool has_key;
static _Atomic(struct thread *) blocks;
static struct thread *free_blocks;

static void thread_end(void *self)
{
    struct thread *thread = self;
    struct tl_context *context = thread->context;

    thread->span = NULL;
    thread->context = NULL;
    thread->context_depth = 0;
    tl_context_unref(context);
    thread_block = NULL;
    pthread_mutex_lock(&lock);
    thread->next_free = free_blocks;
    free_blocks = thread;
    pthread_mutex_unlock(&lock);
}

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork_parent(void)
{
    pthread_mutex_unlock(&lock);
}

// The blocks of the other threads stay with the parent's numbers: they are not used again.
static void after_fork_child(void)
{
    atomic_fetch_add(&thread_forks, 1);
    pthread_mutex_init(&lock, NULL);
}

static void first_use(void)
{
    has_key = pthread_key_create(&end_key, thread_end) == 0;
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

void thread_forks_watch(void)
{
    pthread_once(&once, first_use);
}

struct thread *thread_make(void)
{
    const int saved = errno;
    struct thread *thread;

    pthread_once(&once, first_use);
    pthread_mutex_lock(&lock);
    thread = free_blocks;
    if (thread)
        free_blocks = thread->next_free;
    pthread_mutex_unlock(&lock);
    if (!thread) {
        thread = calloc(1, sizeof *thread);
        if (thread) {
            pthread_mutex_lock(&lock);
            thread->next = atomic_load_explicit(&blocks, memory_order_relaxed);
            atomic_store_explicit(&blocks, thread, memory_order_release);
            pthread_mutex_unlock(&lock);
        }
    }
    if (thread) {
        thread_block = thread;
        // Without a key the block stays behind when the thread ends.
        if (has_key)
            pthread_setspecific(end_key, thread);
    }
    errno = saved;
    return thread;
}

void thread_each(void (*visit)(void *self, struct thread *thread), void *self)
{
    for (struct thread *thread = atomic_load_explicit(&blocks, memory_order_acquire); thread;
         thread = thread->next)
        visit(self, thread);
}

void thread_seed(struct thread *thread)
{
    const int saved = errno;
    uint64_t *s = thread->random;

    if (getrandom(s, sizeof thread->random, GRND_NONBLOCK) != sizeof thread->random) {
        s[0] ^= clock_unix_ns();
        s[1] ^= (uint64_t)(uintptr_t)thread;
        s[2] ^= clock_mono_ns();
        s[3] |= 1;
    }
    thread->random_forks = atomic_load_explicit(&thread_forks, memory_order_relaxed);
    errno = saved;
}

uint64_t thread_random(void)
{
    struct thread *thread = thread_get();
    uint64_t fallback[4];

    if (!thread) {
        // No memory for a block: the kernel's numbers, slowly.
        if (getrandom(fallback, sizeof fallback, GRND_NONBLOCK) != sizeof fallback)
            fallback[0] = clock_mono_ns() * UINT64_C(0x9E3779B97F4A7C15);
        return fallback[0] | (fallback[0] == 0);
    }
    return random_step(thread_generator(thread));
}

struct tl_context *thread_context(void)
{
    const struct thread *thread = thread_block;

    return thread ? thread->context : NULL;
}

struct tl_context *thread_context_swap(struct tl_context *context)
{
    struct thread *thread = thread_get();
    struct tl_context *former;

    if (!thread)
        return context; // not taken: the caller has it back
    former = thread->context;
    thread->context = context;
    return former;
}

struct tl_span_context thread_span_context(void)
{
    const struct thread *thread = thread_block;

    if (!thread)
        return (struct tl_span_context){0};
    if (thread->span)
        return tl_span_context(thread->span);
    return thread->context ? tl_context_span_context(thread->context) : (struct tl_span_context){0};
}
