// SPDX-License-Identifier: Apache-2.0
// A flag behind a lock, and a condition with a clock that does not jump.

#include "libtrace/sdk/metrics/turn.h"

#include <errno.h>

#include "libtrace/base/clock.h"

void turn_init(struct turn *turn)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&turn->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&turn->ended, &attributes);
    pthread_condattr_destroy(&attributes);
    turn->is_taken = false;
}

void turn_done(struct turn *turn)
{
    pthread_cond_destroy(&turn->ended);
    pthread_mutex_destroy(&turn->lock);
}

int turn_take(struct turn *turn, uint64_t deadline_ns)
{
    const struct timespec at = {(time_t)(deadline_ns / NS_PER_SECOND),
                                (long)(deadline_ns % NS_PER_SECOND)};
    int failed = 0;

    pthread_mutex_lock(&turn->lock);
    if (turn->is_taken && pthread_equal(turn->owner, pthread_self()))
        failed = EDEADLK;
    while (turn->is_taken && !failed)
        failed = pthread_cond_timedwait(&turn->ended, &turn->lock, &at);
    if (!turn->is_taken) {
        turn->is_taken = true;
        turn->owner = pthread_self();
        failed = 0;
    }
    pthread_mutex_unlock(&turn->lock);
    return -failed;
}

void turn_end(struct turn *turn)
{
    pthread_mutex_lock(&turn->lock);
    turn->is_taken = false;
    pthread_cond_signal(&turn->ended);
    pthread_mutex_unlock(&turn->lock);
}
