// SPDX-License-Identifier: Apache-2.0
// Bodies come and go by the megabyte, taken by one thread and freed by another. By default glibc
// unmaps the end of a heap as soon as 128 KiB of it are free, and the next body pays for every page
// again: a tenth of the CPU time of pass-through.

#include "agent/memory.h"

#include <malloc.h>

enum { TRIM_BYTES = 16 << 20, MMAP_BYTES = 4 << 20, REST_TICKS = 5 };

void memory_keep(void)
{
    mallopt(M_TRIM_THRESHOLD, TRIM_BYTES);
    mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
}

void memory_rest(struct memory_rest *rest, uint64_t progress)
{
    if (rest->progress != progress)
        *rest = (struct memory_rest){.progress = progress};
    else if (progress && rest->ticks <= REST_TICKS && rest->ticks++ == REST_TICKS)
        malloc_trim(0);
}
