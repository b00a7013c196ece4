// SPDX-License-Identifier: Apache-2.0
// Ended receipts wait in a list behind an eventfd. The queue lives until its owner frees it and the
// last receipt is gone.

#include "libtrace/model/receipt.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct receipt {
    _Atomic unsigned references;
    _Atomic bool is_dropped;
    uint64_t position;
    struct receipt_queue *queue;
    struct receipt *next;
};

struct receipt_queue {
    pthread_mutex_t lock;
    unsigned references; // the owner and each receipt that has not ended
    struct receipt *oldest;
    struct receipt *newest;
    int fd;
};

struct receipt_queue *receipt_queue_new(void)
{
    struct receipt_queue *queue = calloc(1, sizeof *queue);

    if (!queue)
        return NULL;
    queue->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->fd < 0 || pthread_mutex_init(&queue->lock, NULL) != 0) {
        if (queue->fd >= 0)
            close(queue->fd);
        free(queue);
        return NULL;
    }
    queue->references = 1;
    return queue;
}

static void queue_release(struct receipt_queue *queue)
{
    bool is_last;

    pthread_mutex_lock(&queue->lock);
    is_last = --queue->references == 0;
    pthread_mutex_unlock(&queue->lock);
    if (!is_last)
        return;
    while (queue->oldest) {
        struct receipt *next = queue->oldest->next;

        free(queue->oldest);
        queue->oldest = next;
    }
    pthread_mutex_destroy(&queue->lock);
    close(queue->fd);
    free(queue);
}

void receipt_queue_free(struct receipt_queue *queue)
{
    if (queue)
        queue_release(queue);
}

struct receipt *receipt_new(struct receipt_queue *queue, uint64_t position)
{
    struct receipt *receipt = calloc(1, sizeof *receipt);

    if (!receipt)
        return NULL;
    atomic_init(&receipt->references, 1);
    receipt->position = position;
    receipt->queue = queue;
    pthread_mutex_lock(&queue->lock);
    queue->references++;
    pthread_mutex_unlock(&queue->lock);
    return receipt;
}

struct receipt *receipt_ref(struct receipt *receipt)
{
    atomic_fetch_add_explicit(&receipt->references, 1, memory_order_relaxed);
    return receipt;
}

void receipt_unref(struct receipt *receipt)
{
    struct receipt_queue *queue;
    const uint64_t one = 1;

    if (!receipt || atomic_fetch_sub_explicit(&receipt->references, 1, memory_order_acq_rel) != 1)
        return;
    queue = receipt->queue;
    pthread_mutex_lock(&queue->lock);
    if (queue->newest)
        queue->newest->next = receipt;
    else
        queue->oldest = receipt;
    queue->newest = receipt;
    // The count saturates far beyond what fits memory; a failed write leaves it readable.
    if (write(queue->fd, &one, sizeof one) < 0)
        errno = 0;
    pthread_mutex_unlock(&queue->lock);
    queue_release(queue);
}

void receipt_mark_dropped(struct receipt *receipt)
{
    atomic_store_explicit(&receipt->is_dropped, true, memory_order_relaxed);
}

int receipt_queue_take(struct receipt_queue *queue, uint64_t *out_position,
                       enum receipt_end *out_end)
{
    struct receipt *receipt;
    uint64_t ended;

    pthread_mutex_lock(&queue->lock);
    receipt = queue->oldest;
    if (receipt) {
        queue->oldest = receipt->next;
        if (!queue->oldest) {
            queue->newest = NULL;
            if (read(queue->fd, &ended, sizeof ended) < 0)
                errno = 0;
        }
    }
    pthread_mutex_unlock(&queue->lock);
    if (!receipt)
        return -EAGAIN;
    *out_position = receipt->position;
    *out_end = receipt->is_dropped ? RECEIPT_DROPPED : RECEIPT_DELIVERED;
    free(receipt);
    return 0;
}

int receipt_queue_fd(const struct receipt_queue *queue)
{
    return queue->fd;
}
