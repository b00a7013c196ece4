// SPDX-License-Identifier: Apache-2.0
// What the machine itself costs, in nanoseconds: a line per primitive, the median of seven rounds.
// A figure of the bench beside it says how much of it is the machine's.

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum { ROUNDS = 7, STEPS = 2000000, BYTES = 1 << 20 };

// Keeps the compiler from leaving the work out.
#define KEEP(value) __asm__ volatile("" : : "r"(value) : "memory")

static char from[BYTES], to[BYTES];
static _Atomic uint64_t cell;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static double now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void realtime(size_t step)
{
    struct timespec now;

    (void)step;
    clock_gettime(CLOCK_REALTIME, &now);
    KEEP(now.tv_nsec);
}

static void realtime_coarse(size_t step)
{
    struct timespec now;

    (void)step;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    KEEP(now.tv_nsec);
}

static void atomic_add(size_t step)
{
    KEEP(atomic_fetch_add_explicit(&cell, step, memory_order_relaxed));
}

static void mutex_both(size_t step)
{
    pthread_mutex_lock(&lock);
    KEEP(step);
    pthread_mutex_unlock(&lock);
}

static void copy_400(size_t step)
{
    const size_t at = (step * 448) & (BYTES - 512);

    memcpy(to + at, from + at, 400);
    KEEP(to);
}

static void random_16(size_t step)
{
    char id[16];

    // A hundredth of the steps: it is a system call.
    if (step % 100 == 0 && getrandom(id, sizeof id, 0) != sizeof id)
        exit(1);
    KEEP(id);
}

static void malloc_free_64(size_t step)
{
    void *memory = malloc(64);

    (void)step;
    KEEP(memory);
    free(memory);
}

static int by_value(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static void row(const char *name, void (*work)(size_t step), double share)
{
    double ns[ROUNDS];

    for (int round = 0; round < ROUNDS; round++) {
        const double start_ns = now_ns();

        for (size_t step = 0; step < STEPS; step++)
            work(step);
        ns[round] = (now_ns() - start_ns) / STEPS / share;
    }
    qsort(ns, ROUNDS, sizeof ns[0], by_value);
    printf("%s\t%.1f\n", name, ns[ROUNDS / 2]);
}

int main(void)
{
    memset(from, 7, sizeof from);
    memset(to, 1, sizeof to);
    row("clock_realtime", realtime, 1);
    row("clock_realtime_coarse", realtime_coarse, 1);
    row("atomic_add", atomic_add, 1);
    row("mutex_lock_unlock", mutex_both, 1);
    row("copy_400_bytes", copy_400, 1);
    row("getrandom_16", random_16, 0.01);
    row("malloc_free_64", malloc_free_64, 1);
    return 0;
}
