// SPDX-License-Identifier: Apache-2.0
// One at a time, without a lock held over what is called meanwhile: who comes in between waits, at
// most until a deadline, and who comes from within is told so. Any thread.

#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct turn {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_taken;
    pthread_t owner;
};

void turn_init(struct turn *turn);
void turn_done(struct turn *turn);
// 0, -ETIMEDOUT, or -EDEADLK when this thread has it already. deadline_ns: CLOCK_MONOTONIC.
int turn_take(struct turn *turn, uint64_t deadline_ns);
void turn_end(struct turn *turn);
