// SPDX-License-Identifier: Apache-2.0
// A ring of batch references under one lock. A taker waits on a condition with a monotonic clock.

#include "libtrace/flow/queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "libtrace/flow/stats.h"

enum { MERGE_MAX = 4096 };

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_cond_t emptied; // for those who wait for room
    size_t room_waiters;
    struct queue_limits limits;
    struct batch **slots;
    size_t capacity; // a power of two
    size_t head;
    size_t count;
    size_t bytes;
    size_t records;
    size_t reserved_bytes; // promised to those who push later
    size_t reserved_slots;
    // What a waiting taker waits for. Below that a push wakes nobody: a wake costs more than the
    // push.
    size_t waiters;
    size_t wake_count;
    size_t wake_records;
    size_t wake_bytes;
    bool is_closed;
};

struct queue *queue_new(const struct queue_limits *limits)
{
    struct queue *queue = calloc(1, sizeof *queue);
    pthread_condattr_t attributes;

    if (!queue)
        return NULL;
    queue->limits = *limits;
    queue->capacity = 64;
    queue->slots = calloc(queue->capacity, sizeof queue->slots[0]);
    if (!queue->slots) {
        free(queue);
        return NULL;
    }
    pthread_mutex_init(&queue->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&queue->changed, &attributes);
    pthread_cond_init(&queue->emptied, &attributes);
    pthread_condattr_destroy(&attributes);
    return queue;
}

static struct batch *slot_at(const struct queue *queue, size_t index)
{
    return queue->slots[(queue->head + index) & (queue->capacity - 1)];
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    for (size_t i = 0; i < queue->count; i++) {
        batch_mark_dropped(slot_at(queue, i));
        batch_unref(slot_at(queue, i));
    }
    pthread_cond_destroy(&queue->changed);
    pthread_cond_destroy(&queue->emptied);
    pthread_mutex_destroy(&queue->lock);
    free(queue->slots);
    free(queue);
}

static bool grow(struct queue *queue)
{
    struct batch **grown;

    if (queue->count + queue->reserved_slots < queue->capacity)
        return true;
    grown = calloc(queue->capacity * 2, sizeof grown[0]);
    if (!grown)
        return false;
    for (size_t i = 0; i < queue->count; i++)
        grown[i] = slot_at(queue, i);
    free(queue->slots);
    queue->slots = grown;
    queue->head = 0;
    queue->capacity *= 2;
    return true;
}

// True when a taker that waits has reason to look again.
static bool should_wake(const struct queue *queue, const struct batch *newest)
{
    return queue->waiters &&
           (queue->count >= queue->wake_count || queue->records >= queue->wake_records ||
            queue->bytes >= queue->wake_bytes ||
            batch_signal(newest) != batch_signal(slot_at(queue, 0)));
}

// One batch larger than the limit may still pass an empty queue: else it never could.
static bool has_room(const struct queue *queue, size_t bytes)
{
    return queue->count + queue->reserved_slots == 0 ||
           queue->bytes + queue->reserved_bytes + bytes <= queue->limits.max_bytes;
}

static void add(struct queue *queue, struct batch *batch)
{
    queue->slots[(queue->head + queue->count) & (queue->capacity - 1)] = batch;
    queue->count++;
    queue->bytes += batch_bytes(batch);
    queue->records += batch_records(batch);
    if (should_wake(queue, batch))
        pthread_cond_broadcast(&queue->changed);
}

int queue_push(struct queue *queue, struct batch *batch)
{
    int failed = queue_reserve(queue, batch_bytes(batch));

    if (failed)
        batch_unref(batch);
    else
        queue_push_reserved(queue, batch);
    return failed;
}

int queue_reserve(struct queue *queue, size_t bytes)
{
    int failed = 0;

    pthread_mutex_lock(&queue->lock);
    if (queue->is_closed)
        failed = -ESHUTDOWN;
    else if (!has_room(queue, bytes) || !grow(queue))
        failed = -EAGAIN;
    if (!failed) {
        queue->reserved_bytes += bytes;
        queue->reserved_slots++;
    }
    pthread_mutex_unlock(&queue->lock);
    if (failed)
        stats_add(&flow_stats, FLOW_queue_refused, 1);
    return failed;
}

void queue_push_reserved(struct queue *queue, struct batch *batch)
{
    pthread_mutex_lock(&queue->lock);
    queue->reserved_bytes -= batch_bytes(batch);
    queue->reserved_slots--;
    add(queue, batch);
    pthread_mutex_unlock(&queue->lock);
}

void queue_release(struct queue *queue, size_t bytes)
{
    pthread_mutex_lock(&queue->lock);
    queue->reserved_bytes -= bytes;
    queue->reserved_slots--;
    if (queue->room_waiters)
        pthread_cond_broadcast(&queue->emptied);
    pthread_mutex_unlock(&queue->lock);
}

static struct timespec time_of(uint64_t mono_ns)
{
    return (struct timespec){(time_t)(mono_ns / NS_PER_SECOND), (long)(mono_ns % NS_PER_SECOND)};
}

int queue_await_room(struct queue *queue, size_t bytes, uint64_t deadline_mono_ns)
{
    const struct timespec until = time_of(deadline_mono_ns);
    bool is_late = false;
    bool can_push;

    pthread_mutex_lock(&queue->lock);
    queue->room_waiters++;
    while (!queue->is_closed && !has_room(queue, bytes) && !is_late)
        is_late = pthread_cond_timedwait(&queue->emptied, &queue->lock, &until) == ETIMEDOUT;
    queue->room_waiters--;
    can_push = queue->is_closed || has_room(queue, bytes);
    pthread_mutex_unlock(&queue->lock);
    return can_push ? 0 : -EAGAIN;
}

// How many of the oldest batches one result may hold: one signal, within the limits.
static size_t mergeable(const struct queue *queue, const struct take_limits *limits,
                        bool *out_is_full)
{
    size_t records = 0;
    size_t bytes = 0;
    size_t count = 0;

    *out_is_full = false;
    while (count < queue->count && count < MERGE_MAX) {
        const struct batch *next = slot_at(queue, count);

        if (count && batch_signal(next) != batch_signal(slot_at(queue, 0))) {
            *out_is_full = true;
            break;
        }
        records += batch_records(next);
        bytes += batch_bytes(next);
        if (count && ((limits->max_records && records > limits->max_records) ||
                      (limits->max_bytes && bytes > limits->max_bytes))) {
            *out_is_full = true;
            break;
        }
        count++;
    }
    if ((limits->max_records && records >= limits->max_records) ||
        (limits->max_bytes && bytes >= limits->max_bytes) || count == MERGE_MAX)
        *out_is_full = true;
    return count;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

// Waits until the time (0: none), for one batch when the queue is empty, else for a full result;
// false when that time has come.
static bool wait_until(struct queue *queue, const struct take_limits *limits, uint64_t mono_ns)
{
    const struct timespec until = time_of(mono_ns);
    const size_t records = limits->max_records ? limits->max_records : SIZE_MAX;
    const size_t bytes = limits->max_bytes ? limits->max_bytes : SIZE_MAX;
    const bool is_first = queue->waiters++ == 0;
    int result = 0;

    // Several takers: the one that needs least decides.
    queue->wake_count =
        smaller(queue->count ? MERGE_MAX : 1, is_first ? SIZE_MAX : queue->wake_count);
    queue->wake_records = smaller(records, is_first ? SIZE_MAX : queue->wake_records);
    queue->wake_bytes = smaller(bytes, is_first ? SIZE_MAX : queue->wake_bytes);
    if (mono_ns == 0)
        pthread_cond_wait(&queue->changed, &queue->lock);
    else
        result = pthread_cond_timedwait(&queue->changed, &queue->lock, &until);
    queue->waiters--;
    return result != ETIMEDOUT;
}

static struct batch *take_parts(struct queue *queue, size_t count)
{
    struct batch **parts = calloc(count, sizeof parts[0]);
    struct batch *alone;

    if (!parts)
        count = 1; // memory is short: the oldest alone needs none
    for (size_t i = 0; i < count; i++) {
        struct batch *part = slot_at(queue, i);

        queue->bytes -= batch_bytes(part);
        queue->records -= batch_records(part);
        if (parts)
            parts[i] = part;
    }
    alone = slot_at(queue, 0);
    queue->head = (queue->head + count) & (queue->capacity - 1);
    queue->count -= count;
    if (queue->room_waiters)
        pthread_cond_broadcast(&queue->emptied);
    if (parts) {
        alone = batch_merge(parts, count);
        free(parts);
    }
    return alone;
}

struct batch *queue_take(struct queue *queue, const struct take_limits *limits,
                         uint64_t deadline_mono_ns)
{
    struct batch *taken = NULL;
    uint64_t first_seen_ns = 0;

    pthread_mutex_lock(&queue->lock);
    for (;;) {
        uint64_t until = deadline_mono_ns;
        bool is_full = false;
        size_t count;

        if (queue->count == 0) {
            first_seen_ns = 0;
            if (queue->is_closed || !wait_until(queue, limits, deadline_mono_ns))
                break;
            continue;
        }
        count = mergeable(queue, limits, &is_full);
        if (first_seen_ns == 0)
            first_seen_ns = clock_mono_ns();
        if (limits->max_age_ms && !is_full && !queue->is_closed) {
            const uint64_t ripe_ns = first_seen_ns + limits->max_age_ms * NS_PER_MS;

            if (until == 0 || ripe_ns < until)
                until = ripe_ns;
            if (clock_mono_ns() < ripe_ns) {
                if (!wait_until(queue, limits, until) && deadline_mono_ns &&
                    clock_mono_ns() >= deadline_mono_ns && clock_mono_ns() < ripe_ns)
                    break;
                continue;
            }
        }
        taken = take_parts(queue, count);
        break;
    }
    pthread_mutex_unlock(&queue->lock);
    return taken;
}

void queue_close(struct queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->is_closed = true;
    pthread_cond_broadcast(&queue->changed);
    pthread_cond_broadcast(&queue->emptied);
    pthread_mutex_unlock(&queue->lock);
}

bool queue_is_closed(struct queue *queue)
{
    bool is_closed;

    pthread_mutex_lock(&queue->lock);
    is_closed = queue->is_closed;
    pthread_mutex_unlock(&queue->lock);
    return is_closed;
}

size_t queue_bytes(struct queue *queue)
{
    size_t bytes;

    pthread_mutex_lock(&queue->lock);
    bytes = queue->bytes;
    pthread_mutex_unlock(&queue->lock);
    return bytes;
}

size_t queue_records(struct queue *queue)
{
    size_t records;

    pthread_mutex_lock(&queue->lock);
    records = queue->records;
    pthread_mutex_unlock(&queue->lock);
    return records;
}
