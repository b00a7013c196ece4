// SPDX-License-Identifier: Apache-2.0
// Queues refuse, merge and drain; senders retry, give up with a count, and flush.

#include "tests/support/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "libtrace/flow/peers.h"
#include "libtrace/flow/sender.h"
#include "libtrace/flow/stats.h"

static struct batch *batch_of(enum signal signal, size_t bytes, size_t records)
{
    return batch_new(signal, calloc(1, bytes), bytes, records, 1);
}

static void reserved_place_is_kept_and_given_back(void **state)
{
    struct queue *queue = queue_new(&(struct queue_limits){.max_bytes = 100});
    struct batch *taken;

    (void)state;
    assert_int_equal(queue_reserve(queue, 60), 0);
    assert_int_equal(queue_push(queue, batch_of(SIGNAL_TRACES, 60, 2)), -EAGAIN);
    queue_push_reserved(queue, batch_of(SIGNAL_TRACES, 60, 1));
    assert_int_equal(queue_records(queue), 1);
    assert_int_equal(queue_reserve(queue, 40), 0);
    assert_int_equal(queue_push(queue, batch_of(SIGNAL_TRACES, 1, 3)), -EAGAIN);
    queue_release(queue, 40);
    assert_int_equal(queue_push(queue, batch_of(SIGNAL_TRACES, 40, 4)), 0);
    taken = queue_take(queue, &(struct take_limits){0}, 0);
    assert_int_equal(batch_records(taken), 5);
    batch_unref(taken);
    queue_free(queue);
}

static void queue_full_refuses_newest(void **state)
{
    struct queue *queue = queue_new(&(struct queue_limits){.max_bytes = 100});
    struct batch *taken;

    (void)state;
    assert_int_equal(queue_push(queue, batch_of(SIGNAL_TRACES, 60, 1)), 0);
    assert_int_equal(queue_push(queue, batch_of(SIGNAL_TRACES, 60, 2)), -EAGAIN);
    taken = queue_take(queue, &(struct take_limits){0}, 0);
    assert_int_equal(batch_records(taken), 1);
    batch_unref(taken);
    queue_free(queue);
}

static void queue_takes_one_oversized_batch_when_empty(void **state)
{
    struct queue *queue = queue_new(&(struct queue_limits){.max_bytes = 10});

    (void)state;
    assert_int_equal(queue_push(queue, batch_of(SIGNAL_TRACES, 60, 1)), 0);
    queue_free(queue);
}

static void taking_merges_up_to_the_limits_and_one_signal(void **state)
{
    struct queue *queue = queue_new(&(struct queue_limits){.max_bytes = 1000});
    const struct take_limits limits = {.max_records = 5};
    struct batch *taken;

    (void)state;
    for (int i = 0; i < 3; i++)
        queue_push(queue, batch_of(SIGNAL_TRACES, 10, 2));
    queue_push(queue, batch_of(SIGNAL_LOGS, 10, 1));
    taken = queue_take(queue, &limits, 0);
    assert_int_equal(batch_records(taken), 4);
    assert_int_equal(batch_pieces(taken), 2);
    batch_unref(taken);
    taken = queue_take(queue, &limits, 0);
    assert_int_equal(batch_records(taken), 2);
    batch_unref(taken);
    taken = queue_take(queue, &limits, 0);
    assert_int_equal(batch_signal(taken), SIGNAL_LOGS);
    batch_unref(taken);
    assert_int_equal(queue_bytes(queue), 0);
    queue_free(queue);
}

static void a_closed_queue_gives_what_is_left_without_waiting(void **state)
{
    struct queue *queue = queue_new(&(struct queue_limits){.max_bytes = 1000});
    const struct take_limits limits = {.max_age_ms = 3600 * 1000};
    struct batch *taken;

    (void)state;
    queue_push(queue, batch_of(SIGNAL_TRACES, 10, 1));
    queue_close(queue);
    assert_int_equal(queue_push(queue, batch_of(SIGNAL_TRACES, 10, 1)), -ESHUTDOWN);
    taken = queue_take(queue, &limits, 0);
    assert_non_null(taken);
    batch_unref(taken);
    assert_null(queue_take(queue, &limits, 0));
    queue_free(queue);
}

static void a_take_returns_at_its_deadline(void **state)
{
    struct queue *queue = queue_new(&(struct queue_limits){.max_bytes = 1000});
    const struct take_limits limits = {.max_age_ms = 3600 * 1000};

    (void)state;
    assert_null(queue_take(queue, &limits, clock_mono_ns() + NS_PER_MS));
    queue_push(queue, batch_of(SIGNAL_TRACES, 10, 1));
    assert_null(queue_take(queue, &limits, clock_mono_ns() + NS_PER_MS));
    queue_free(queue);
}

static void *take_one(void *queue)
{
    batch_unref(queue_take(queue, &(struct take_limits){.max_records = 1}, 0));
    return NULL;
}

static void waiting_for_room_ends_when_something_is_taken(void **state)
{
    struct queue *queue = queue_new(&(struct queue_limits){.max_bytes = 100});
    pthread_t taker;

    (void)state;
    queue_push(queue, batch_of(SIGNAL_TRACES, 60, 1));
    assert_int_equal(queue_await_room(queue, 40, clock_mono_ns()), 0);
    assert_int_equal(queue_await_room(queue, 41, clock_mono_ns() + NS_PER_MS), -EAGAIN);
    pthread_create(&taker, NULL, take_one, queue);
    assert_int_equal(queue_await_room(queue, 41, clock_mono_ns() + 60 * NS_PER_SECOND), 0);
    pthread_join(taker, NULL);
    queue_push(queue, batch_of(SIGNAL_TRACES, 60, 1));
    queue_close(queue);
    assert_int_equal(queue_await_room(queue, 41, clock_mono_ns() + 60 * NS_PER_SECOND), 0);
    queue_free(queue);
}

static void waits_double_stay_below_the_cap_and_never_reach_zero(void **state)
{
    const struct retry_policy policy = {.first_ms = 100, .max_ms = 1000};

    (void)state;
    for (unsigned attempt = 0; attempt < 80; attempt++) {
        for (uint64_t random = 0; random < 4000; random += 7) {
            const uint32_t wait_ms = retry_wait_ms(&policy, attempt, random);

            assert_in_range(wait_ms, 50, 1000);
            if (attempt == 0)
                assert_in_range(wait_ms, 50, 100);
        }
    }
}

struct destination {
    _Atomic int failures_left;
    _Atomic size_t records;
    enum send_result failure;
};

static enum send_result send(void *self, const struct batch *batch, uint32_t *out_wait_ms,
                             struct why *why)
{
    struct destination *destination = self;

    if (destination->failures_left > 0) {
        destination->failures_left--;
        *out_wait_ms = 1;
        why_fail(why, -EIO, "not now");
        return destination->failure;
    }
    destination->records += batch_records(batch);
    return SEND_DONE;
}

static const struct exporter test_exporter = {.name = "test", .send = send};

static struct sender_plan plan_for(struct queue *queue, struct destination *destination)
{
    return (struct sender_plan){
        .queue = queue,
        .exporter = &test_exporter,
        .exporter_self = destination,
        .retry = {.first_ms = 1, .max_ms = 2},
    };
}

static void sender_retries_until_delivered(void **state)
{
    struct queue *queue = queue_new(&(struct queue_limits){.max_bytes = 1000});
    struct destination destination = {.failures_left = 3, .failure = SEND_RETRY};
    const struct sender_plan plan = plan_for(queue, &destination);
    struct sender *sender = sender_start(&plan, NULL);

    (void)state;
    queue_push(queue, batch_of(SIGNAL_TRACES, 10, 4));
    assert_int_equal(sender_flush(sender, clock_mono_ns() + 10 * NS_PER_SECOND), 0);
    assert_int_equal(destination.records, 4);
    sender_stop(sender, clock_mono_ns() + NS_PER_SECOND);
    queue_free(queue);
}

static void what_is_refused_is_counted_not_retried(void **state)
{
    struct queue *queue = queue_new(&(struct queue_limits){.max_bytes = 1000});
    struct destination destination = {.failures_left = 1, .failure = SEND_REFUSED};
    const struct sender_plan plan = plan_for(queue, &destination);
    const uint64_t before = stats_get(&flow_stats, FLOW_send_refused);
    struct sender *sender = sender_start(&plan, NULL);

    (void)state;
    queue_push(queue, batch_of(SIGNAL_TRACES, 10, 4));
    sender_stop(sender, clock_mono_ns() + 10 * NS_PER_SECOND);
    assert_int_equal(stats_get(&flow_stats, FLOW_send_refused) - before, 4);
    assert_int_equal(destination.records, 0);
    queue_free(queue);
}

static void a_stop_gives_up_at_its_deadline_and_counts(void **state)
{
    struct queue *queue = queue_new(&(struct queue_limits){.max_bytes = 1000});
    struct destination destination = {.failures_left = 1000000, .failure = SEND_RETRY};
    const struct sender_plan plan = plan_for(queue, &destination);
    const uint64_t before = stats_get(&flow_stats, FLOW_send_expired);
    struct sender *sender = sender_start(&plan, NULL);

    (void)state;
    queue_push(queue, batch_of(SIGNAL_TRACES, 10, 4));
    sender_stop(sender, clock_mono_ns() + 20 * NS_PER_MS);
    assert_int_equal(stats_get(&flow_stats, FLOW_send_expired) - before, 4);
    queue_free(queue);
}

static void a_peer_with_two_rings_leaves_with_the_second(void **state)
{
    struct peers *peers = peers_new();
    uint32_t pids[4];

    (void)state;
    peers_add(peers, 7);
    peers_add(peers, 7);
    peers_add(peers, 8);
    peers_remove(peers, 7);
    assert_int_equal(peers_list(peers, pids, 4), 2);
    peers_remove(peers, 7);
    assert_int_equal(peers_list(peers, pids, 4), 1);
    assert_int_equal(pids[0], 8);
    peers_free(peers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reserved_place_is_kept_and_given_back),
        cmocka_unit_test(queue_full_refuses_newest),
        cmocka_unit_test(queue_takes_one_oversized_batch_when_empty),
        cmocka_unit_test(taking_merges_up_to_the_limits_and_one_signal),
        cmocka_unit_test(a_closed_queue_gives_what_is_left_without_waiting),
        cmocka_unit_test(a_take_returns_at_its_deadline),
        cmocka_unit_test(waiting_for_room_ends_when_something_is_taken),
        cmocka_unit_test(waits_double_stay_below_the_cap_and_never_reach_zero),
        cmocka_unit_test(sender_retries_until_delivered),
        cmocka_unit_test(what_is_refused_is_counted_not_retried),
        cmocka_unit_test(a_stop_gives_up_at_its_deadline_and_counts),
        cmocka_unit_test(a_peer_with_two_rings_leaves_with_the_second),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
