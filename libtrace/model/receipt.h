// SPDX-License-Identifier: Apache-2.0
// A receipt says what became of what a source handed in. It ends when the last batch that carries
// it is gone; the source then finds it in its receipt queue, so nobody is ever called back.

#pragma once

#include <stdint.h>

enum receipt_end { RECEIPT_DELIVERED, RECEIPT_DROPPED };

struct receipt;
struct receipt_queue;

struct receipt_queue *receipt_queue_new(void);
// Receipts still out keep working; their ends are then forgotten.
void receipt_queue_free(struct receipt_queue *queue);

// One reference for the caller. NULL without memory. `position` is the source's own word.
struct receipt *receipt_new(struct receipt_queue *queue, uint64_t position);
struct receipt *receipt_ref(struct receipt *receipt);
void receipt_unref(struct receipt *receipt);

// A record under this receipt was given up: it will end as RECEIPT_DROPPED.
void receipt_mark_dropped(struct receipt *receipt);

// The oldest ended receipt, or -EAGAIN. Any thread.
int receipt_queue_take(struct receipt_queue *queue, uint64_t *out_position,
                       enum receipt_end *out_end);

// Readable (poll) while ended receipts wait. Owned by the queue.
int receipt_queue_fd(const struct receipt_queue *queue);
