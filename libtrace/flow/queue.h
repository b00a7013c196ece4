// SPDX-License-Identifier: Apache-2.0
// A bounded queue of batches between threads that fill and one that sends. It owns a reference to
// each batch in it. Bounded in bytes; full refuses the newest, so the sender is told. Taking
// merges. Any thread may call any function.

#pragma once

#include "libtrace/base/clock.h"
#include "libtrace/model/batch.h"

struct queue;

struct queue_limits {
    size_t max_bytes; // of all batches inside
};

struct take_limits {
    size_t max_records;  // 0: no limit
    size_t max_bytes;    // 0: no limit
    uint64_t max_age_ms; // how long the oldest may wait for company; 0: take at once
};

struct queue *queue_new(const struct queue_limits *limits);
void queue_free(struct queue *queue);

// 0, -EAGAIN (full) or -ESHUTDOWN (closed). Takes the reference whatever it returns.
int queue_push(struct queue *queue, struct batch *batch);

// A place for a batch of that many bytes, so that a batch goes into all of several queues or into
// none. As queue_push; then either of the next two must follow.
int queue_reserve(struct queue *queue, size_t bytes);
// Never fails; takes the reference. A queue closed meanwhile still gives it out.
void queue_push_reserved(struct queue *queue, struct batch *batch);
void queue_release(struct queue *queue, size_t bytes);

// Waits until that many more bytes have room, or the queue is closed: 0; -EAGAIN when the time
// comes first. Between this and a push another thread may fill the queue again.
int queue_await_room(struct queue *queue, size_t bytes, uint64_t deadline_mono_ns);

// Blocks until a merged batch is ready by the limits, or the queue is closed (then what is left, as
// long as there is any), or `deadline_mono_ns` has come (0: none). NULL: nothing came.
// All parts of one result have the same signal.
struct batch *queue_take(struct queue *queue, const struct take_limits *limits,
                         uint64_t deadline_mono_ns);

// No more pushes; takers get what is left without waiting, then NULL.
void queue_close(struct queue *queue);
bool queue_is_closed(struct queue *queue);

size_t queue_bytes(struct queue *queue);
size_t queue_records(struct queue *queue);
