// SPDX-License-Identifier: Apache-2.0
// The thread that drains one queue through one exporter, with retry. It owns neither.

#pragma once

#include "libtrace/flow/contract.h"
#include "libtrace/flow/queue.h"
#include "libtrace/flow/retry.h"

struct sender;

struct sender_plan {
    struct queue *queue;
    const struct exporter *exporter;
    void *exporter_self; // open already
    struct take_limits take;
    struct retry_policy retry;
    // Told of each retry, refusal and drop, on the sender's thread; may be NULL.
    void (*tell)(void *tell_self, const char *event, const struct batch *batch, uint32_t wait_ms,
                 const struct why *why);
    void *tell_self;
};

struct sender *sender_start(const struct sender_plan *plan, struct why *why);

// Closes the queue, sends what is left until the deadline, drops (and counts) the rest, joins.
void sender_stop(struct sender *sender, uint64_t deadline_mono_ns);

// Waits until all that was in the queue at the call is delivered or given up: 0 or -ETIMEDOUT.
int sender_flush(struct sender *sender, uint64_t deadline_mono_ns);
