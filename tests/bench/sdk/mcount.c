// SPDX-License-Identifier: Apache-2.0
// Counts what is allocated: preloaded, it stands before glibc's malloc, and a bench program finds
// mcount_get with dlsym(3). Any thread.

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *former, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);
extern void __libc_free(void *memory);

static _Atomic uint64_t allocations;
static _Atomic uint64_t allocated_bytes;
static _Atomic uint64_t frees;
static _Thread_local uint64_t own_allocations __attribute__((tls_model("initial-exec")));

static void count(size_t bytes)
{
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&allocated_bytes, bytes, memory_order_relaxed);
    own_allocations++;
}

void *malloc(size_t bytes)
{
    count(bytes);
    return __libc_malloc(bytes);
}

void *calloc(size_t count_, size_t bytes)
{
    count(count_ * bytes);
    return __libc_calloc(count_, bytes);
}

void *realloc(void *former, size_t bytes)
{
    count(bytes);
    return __libc_realloc(former, bytes);
}

void *memalign(size_t alignment, size_t bytes)
{
    count(bytes);
    return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    count(bytes);
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **out_memory, size_t alignment, size_t bytes)
{
    void *memory = __libc_memalign(alignment, bytes);

    count(bytes);
    if (!memory)
        return ENOMEM;
    *out_memory = memory;
    return 0;
}

void free(void *memory)
{
    if (memory)
        atomic_fetch_add_explicit(&frees, 1, memory_order_relaxed);
    __libc_free(memory);
}

// Of all threads: allocations, bytes asked for, frees; of this thread: allocations.
void mcount_get(uint64_t out_counts[4])
{
    out_counts[0] = atomic_load_explicit(&allocations, memory_order_relaxed);
    out_counts[1] = atomic_load_explicit(&allocated_bytes, memory_order_relaxed);
    out_counts[2] = atomic_load_explicit(&frees, memory_order_relaxed);
    out_counts[3] = own_allocations;
}
