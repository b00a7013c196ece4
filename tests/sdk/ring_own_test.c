// SPDX-License-Identifier: Apache-2.0
// The reader of a ring of its own process: exactly as many records as it asks for; and a sender
// that is told of each whole batch.

#include "tests/support/check.h"

#include <stdatomic.h>
#include <throughline/sdk.h>
#include <time.h>
#include <unistd.h>

#include "libtrace/base/clock.h"
#include "libtrace/base/ring.h"

static void count(void *self, const struct ring_record *record)
{
    assert_int_equal(record->bytes.len, 1000);
    ++*(size_t *)self;
}

static void the_end_of_a_lap_is_no_record(void **state)
{
    struct ring *ring = ring_new(1, 64 * 1024, -1);
    struct ring_reader *reader = ring_reader_own(ring);
    const struct ring_mark mark = {0, 0, 1};
    struct ring_slot slot;

    (void)state;
    assert_non_null(reader);
    ring_reader_limit(reader, 4);
    for (int turn = 0; turn < 200; turn++) {
        size_t records = 0;

        for (int i = 0; i < 4; i++) {
            assert_true(ring_reserve(ring, &mark, 1000, &slot));
            memset(slot.at, 0, 1000);
            ring_commit(ring, &slot);
        }
        ring_reader_read(reader, SIZE_MAX, false, count, &records);
        assert_int_equal(records, 4);
        ring_reader_release(reader);
    }
    ring_reader_free(reader);
    ring_free(ring);
}

static _Atomic size_t arrived;

static void take(void *self, const struct tl_request *request, struct tl_answer *out_answer)
{
    (void)self;
    atomic_fetch_add(&arrived, request->records);
    out_answer->result = TL_RESULT_DONE;
}

// In bursts with which the sender is often just about to sleep when a batch becomes full. The delay
// is far beyond the test's time: nothing leaves because of its age.
static void every_whole_batch_leaves_at_once(void **state)
{
    const struct tl_exporter_v1 exporter = {.size = sizeof exporter, .type = "none", .send = take};
    const struct tl_batch_options options = {
        .delay_ms = 600000, .max_queue_records = 2048, .max_batch_records = 512};
    struct tl_span_processor processor = tl_span_processor_batch(&exporter, &options);
    struct tl_tracer_provider *provider = tl_tracer_provider_new(
        &(struct tl_tracer_provider_options){.processors = &processor, .processor_count = 1});
    struct tl_tracer *tracer = tl_tracer_get(provider, NULL);
    size_t made = 0;

    (void)state;
    for (int burst = 0; burst < 400; burst++) {
        const uint64_t give_up_ns = clock_mono_ns() + 20 * NS_PER_SECOND;

        for (int i = 0; i < 500; i++)
            tl_span_end(tl_span_start_with(tracer, &(struct tl_span_options){.name = "one"}));
        made += 500;
        while (made > atomic_load(&arrived) + 511) {
            if (clock_mono_ns() > give_up_ns)
                fail_msg("%zu of %zu arrived", atomic_load(&arrived), made);
            usleep(20);
        }
    }
    assert_int_equal(tl_tracer_provider_shutdown(provider, 10000), 0);
    assert_int_equal(atomic_load(&arrived), made);
    tl_tracer_provider_free(provider);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_of_a_lap_is_no_record),
        cmocka_unit_test(every_whole_batch_leaves_at_once),
    };

    setenv("THROUGHLINE_SOCKET", "/nonexistent/agent.sock", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
