// SPDX-License-Identifier: Apache-2.0
// One thread: take, send, wait and try again. It alone calls the exporter.

#include "libtrace/flow/sender.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "libtrace/flow/stats.h"

struct sender {
    struct sender_plan plan;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t stop_ns; // deadline once stopping; 0 before
    uint64_t flush_wanted;
    uint64_t flush_done;
    uint64_t random;
};

static uint64_t random_next(struct sender *sender)
{
    // xorshift64*: jitter only.
    sender->random ^= sender->random >> 12;
    sender->random ^= sender->random << 25;
    sender->random ^= sender->random >> 27;
    return sender->random * UINT64_C(0x2545F4914F6CDD1D);
}

static void tell(struct sender *sender, const char *event, const struct batch *batch,
                 uint32_t wait_ms, const struct why *why)
{
    if (sender->plan.tell)
        sender->plan.tell(sender->plan.tell_self, event, batch, wait_ms, why);
}

// Sleeps until the time or until a stop makes the deadline earlier. False: the deadline has come.
static bool pause_until(struct sender *sender, uint64_t until_ns)
{
    bool goes_on = true;

    pthread_mutex_lock(&sender->lock);
    for (;;) {
        const uint64_t now_ns = clock_mono_ns();
        uint64_t next_ns = until_ns;
        struct timespec at;

        if (sender->stop_ns && now_ns >= sender->stop_ns) {
            goes_on = false;
            break;
        }
        if (now_ns >= until_ns)
            break;
        if (sender->stop_ns && sender->stop_ns < next_ns)
            next_ns = sender->stop_ns;
        at = (struct timespec){(time_t)(next_ns / NS_PER_SECOND), (long)(next_ns % NS_PER_SECOND)};
        pthread_cond_timedwait(&sender->changed, &sender->lock, &at);
    }
    pthread_mutex_unlock(&sender->lock);
    return goes_on;
}

static void give_up(struct sender *sender, struct batch *batch, enum flow_stat stat,
                    const char *event, const struct why *why)
{
    stats_add(&flow_stats, stat, batch_records(batch));
    batch_mark_dropped(batch);
    tell(sender, event, batch, 0, why);
}

static void deliver(struct sender *sender, struct batch *batch)
{
    const struct retry_policy *retry = &sender->plan.retry;
    const uint64_t began_ns = clock_mono_ns();

    for (unsigned attempt = 0;; attempt++) {
        struct why why = {""};
        uint32_t wait_ms = 0;
        const enum send_result result =
            sender->plan.exporter->send(sender->plan.exporter_self, batch, &wait_ms, &why);

        if (result == SEND_DONE) {
            stats_add(&flow_stats, FLOW_send_delivered, batch_records(batch));
            break;
        }
        if (result == SEND_REFUSED) {
            give_up(sender, batch, FLOW_send_refused, "refused", &why);
            break;
        }
        if (wait_ms == 0)
            wait_ms = retry_wait_ms(retry, attempt, random_next(sender));
        stats_add(&flow_stats, FLOW_send_retried, 1);
        tell(sender, "retry", batch, wait_ms, &why);
        if ((retry->max_elapsed_ms && clock_mono_ns() + wait_ms * NS_PER_MS - began_ns >
                                          retry->max_elapsed_ms * NS_PER_MS) ||
            !pause_until(sender, clock_mono_ns() + wait_ms * NS_PER_MS)) {
            give_up(sender, batch, FLOW_send_expired, "expired", &why);
            break;
        }
    }
    batch_unref(batch);
}

static uint64_t flush_ticket(struct sender *sender)
{
    uint64_t ticket;

    pthread_mutex_lock(&sender->lock);
    ticket = sender->flush_wanted;
    pthread_mutex_unlock(&sender->lock);
    return ticket;
}

static void flush_reached(struct sender *sender, uint64_t ticket)
{
    pthread_mutex_lock(&sender->lock);
    sender->flush_done = ticket;
    pthread_cond_broadcast(&sender->changed);
    pthread_mutex_unlock(&sender->lock);
}

static void *run(void *self)
{
    struct sender *sender = self;

    for (;;) {
        // Read before the take: an empty queue afterwards means that all pushed before it was sent.
        const uint64_t ticket = flush_ticket(sender);
        struct batch *batch =
            queue_take(sender->plan.queue, &sender->plan.take, clock_mono_ns() + 200 * NS_PER_MS);

        if (batch)
            deliver(sender, batch);
        if (queue_records(sender->plan.queue) == 0) {
            flush_reached(sender, ticket);
            if (!batch && queue_is_closed(sender->plan.queue))
                return NULL;
        }
    }
}

struct sender *sender_start(const struct sender_plan *plan, struct why *why)
{
    struct sender *sender = calloc(1, sizeof *sender);
    pthread_condattr_t attributes;

    if (!sender) {
        why_fail(why, -ENOMEM, "out of memory");
        return NULL;
    }
    sender->plan = *plan;
    sender->random = clock_mono_ns() | 1;
    pthread_mutex_init(&sender->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&sender->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (pthread_create(&sender->thread, NULL, run, sender) != 0) {
        free(sender);
        why_fail(why, -EAGAIN, "no thread to send with");
        return NULL;
    }
    return sender;
}

void sender_stop(struct sender *sender, uint64_t deadline_mono_ns)
{
    if (!sender)
        return;
    pthread_mutex_lock(&sender->lock);
    sender->stop_ns = deadline_mono_ns ? deadline_mono_ns : 1;
    pthread_cond_broadcast(&sender->changed);
    pthread_mutex_unlock(&sender->lock);
    queue_close(sender->plan.queue);
    pthread_join(sender->thread, NULL);
    pthread_cond_destroy(&sender->changed);
    pthread_mutex_destroy(&sender->lock);
    free(sender);
}

int sender_flush(struct sender *sender, uint64_t deadline_mono_ns)
{
    const struct timespec until = {(time_t)(deadline_mono_ns / NS_PER_SECOND),
                                   (long)(deadline_mono_ns % NS_PER_SECOND)};
    uint64_t ticket;
    int failed = 0;

    pthread_mutex_lock(&sender->lock);
    ticket = ++sender->flush_wanted;
    while (sender->flush_done < ticket && !failed)
        failed = pthread_cond_timedwait(&sender->changed, &sender->lock, &until);
    failed = sender->flush_done < ticket ? -ETIMEDOUT : 0;
    pthread_mutex_unlock(&sender->lock);
    return failed;
}
