// SPDX-License-Identifier: Apache-2.0
// How the agent's allocator keeps what is freed for the next request, and gives it back when none
// comes.

#pragma once

#include <stdint.h>

// Once, before the first thread.
void memory_keep(void);

// What one caller saw last; begins as zeroes.
struct memory_rest {
    uint64_t progress;
    unsigned ticks;
};

// Call it about once a second with a count that grows with work. After five calls without work, and
// not again before the next work, what is free goes back to the kernel.
void memory_rest(struct memory_rest *rest, uint64_t progress);
