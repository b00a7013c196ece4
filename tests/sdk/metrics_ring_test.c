// SPDX-License-Identifier: Apache-2.0
// Metrics in the ring that the node agent drains, and a reader without a thread of ours.

#include "tests/support/check.h"

#include <poll.h>

#include "libtrace/base/clock.h"
#include "libtrace/sdk/export/pipe_own.h"
#include "tests/sdk/metrics_text.h"

static struct {
    size_t records;
    size_t points;
    bool has_name;
} drained;

static void see(void *self, const struct ring_record *record)
{
    (void)self;
    if (record->mark.signal != TL_METRICS)
        return;
    drained.records++;
    drained.points += record->mark.count;
    drained.has_name |= memmem(record->bytes.at, record->bytes.len, "in.the.ring", 11) != NULL;
}

static void metrics_go_into_the_ring_in_parts_that_fit(void **state)
{
    struct tl_metric_reader *reader =
        tl_reader_ring(&(struct tl_reader_options){.interval_ms = 10});
    struct tl_meter_provider *provider = tl_meter_provider_new(
        &(struct tl_meter_provider_options){.readers = &reader, .reader_count = 1});
    struct tl_instrument *counter = tl_counter(
        tl_meter_get(provider, &(struct tl_scope){.name = "test"}), "in.the.ring", NULL, NULL);
    struct pipe *pipe = pipe_shared();
    struct ring_reader *ring_reader = NULL;

    (void)state;
    assert_non_null(pipe);
    for (int i = 0; i < 1500; i++) {
        const struct tl_attribute attributes[] = {TL_INT("number", i)};

        tl_measure(counter, 1, attributes, 1);
    }
    // Nobody drains it: the test does.
    for (int i = 0; i < 2000 && drained.points < 1500; i++) {
        struct ring *ring = atomic_load(&pipe->ring);

        if (ring && !ring_reader)
            ring_reader = ring_reader_own(ring);
        if (ring_reader) {
            ring_reader_read(ring_reader, 1 << 20, false, see, NULL);
            ring_reader_release(ring_reader);
        }
        poll(NULL, 0, 5);
    }
    assert_true(drained.points >= 1500);
    assert_true(drained.records > 1);
    assert_true(drained.has_name);
    ring_reader_free(ring_reader);
    tl_meter_provider_free(provider);
}

// ---- An exporter that answers later.
static struct {
    const struct tl_request *request;
    void *ticket;
    size_t begun;
    size_t ended;
    size_t points;
} later;

static void send_now(void *self, const struct tl_request *request, struct tl_answer *out_answer)
{
    (void)self;
    later.points += request->records;
    *out_answer = (struct tl_answer){.result = TL_RESULT_DONE};
}

static int begin(void *self, const struct tl_request *request, void *ticket)
{
    (void)self;
    assert_null(later.ticket);
    later.ticket = ticket;
    later.begun++;
    later.points += request->records;
    return 0;
}

static bool next(void *self, uint32_t wait_ms, void **out_ticket, struct tl_answer *out_answer)
{
    static int asked;

    (void)self;
    assert_int_equal(wait_ms, 0);
    // Not at the first time.
    if (!later.ticket || ++asked % 2)
        return false;
    *out_ticket = later.ticket;
    *out_answer = (struct tl_answer){.result = TL_RESULT_DONE};
    later.ticket = NULL;
    later.ended++;
    return true;
}

static int no_fd(void *self)
{
    (void)self;
    return -1;
}

static void a_programs_own_loop_exports_without_waiting(void **state)
{
    const struct tl_exporter_v1 exporter = {.size = sizeof exporter,
                                            .type = "later",
                                            .send = send_now,
                                            .begin = begin,
                                            .next = next,
                                            .fd = no_fd};
    struct tl_metric_reader *reader;
    struct tl_meter_provider *provider;
    const uint64_t until = clock_mono_ns() + 20 * NS_PER_SECOND;

    (void)state;
    assert_int_equal(tl_loop_begin(), 0);
    reader = tl_reader_periodic(
        &exporter, &(struct tl_reader_options){.interval_ms = 5, .max_export_records = 2});
    provider = tl_meter_provider_new(
        &(struct tl_meter_provider_options){.readers = &reader, .reader_count = 1});
    for (int i = 0; i < 5; i++) {
        const struct tl_attribute attributes[] = {TL_INT("number", i)};

        tl_measure(tl_counter(tl_meter_get(provider, NULL), "c", NULL, NULL), 1, attributes, 1);
    }
    while (later.ended < 3 && clock_mono_ns() < until) {
        const uint64_t wait_ms = tl_loop_run();
        struct pollfd fd = {tl_loop_fd(), POLLIN, 0};

        poll(&fd, 1, wait_ms < 100 ? (int)wait_ms : 100);
    }
    assert_true(later.begun >= 3 && later.ended >= 3);
    assert_true(later.points >= 5);
    tl_meter_provider_free(provider);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_go_into_the_ring_in_parts_that_fit),
        cmocka_unit_test(a_programs_own_loop_exports_without_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
