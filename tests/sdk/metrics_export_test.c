// SPDX-License-Identifier: Apache-2.0
// What the periodic reader gives its exporter and when; producers and filters.

#include "tests/support/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "libtrace/base/clock.h"
#include "libtrace/otlp/varint.h"
#include "tests/sdk/metrics_text.h"

static const struct tl_attribute a1[] = {{"a", 1, {TL_TYPE_INT, 0, {.integer = 1}}}};
static const struct tl_attribute a2[] = {{"a", 1, {TL_TYPE_INT, 0, {.integer = 2}}}};

static void measure_many(struct tl_instrument *instrument, int count, int rounds)
{
    for (int i = 0; i < count * rounds; i++) {
        const struct tl_attribute attributes[] = {TL_INT("n", i % count)};

        tl_measure(instrument, 1, attributes, 1);
    }
}

// An exporter that remembers.
struct sink {
    pthread_mutex_t lock;
    pthread_cond_t came;
    size_t requests;
    size_t points[64];
    char *last;
    _Atomic int inside;
    bool was_concurrent;
    size_t flushes;
    size_t shutdowns;
    struct tl_answer answers[8];
    size_t answer_count;
    uint64_t deadline_ns;
    _Atomic uint64_t wait_ns; // how long a send takes
    size_t slow;              // sends of 100 ms or more that began
};

static void sink_send(void *self, const struct tl_request *request, struct tl_answer *out_answer)
{
    struct sink *sink = self;
    struct seen *seen;
    const struct timespec pause = {0, (long)atomic_load(&sink->wait_ns)};

    if (atomic_fetch_add(&sink->inside, 1))
        sink->was_concurrent = true;
    if (pause.tv_nsec >= 100000000) {
        pthread_mutex_lock(&sink->lock);
        sink->slow++;
        pthread_cond_broadcast(&sink->came);
        pthread_mutex_unlock(&sink->lock);
    }
    if (pause.tv_nsec)
        nanosleep(&pause, NULL);
    assert_int_equal(request->signal, TL_METRICS);
    seen = seen_of((struct str){(const char *)request->bytes, request->len});
    assert_int_equal(request->records, seen->points);
    pthread_mutex_lock(&sink->lock);
    if (sink->requests < 64)
        sink->points[sink->requests] = seen->points;
    *out_answer = sink->requests < sink->answer_count
                      ? sink->answers[sink->requests]
                      : (struct tl_answer){.result = TL_RESULT_DONE};
    sink->requests++;
    sink->deadline_ns = request->deadline_ns;
    free(sink->last);
    sink->last = strdup(seen->text);
    pthread_cond_broadcast(&sink->came);
    pthread_mutex_unlock(&sink->lock);
    seen_free(seen);
    atomic_fetch_sub(&sink->inside, 1);
}

static int sink_flush(void *self, uint64_t timeout_ms)
{
    (void)timeout_ms;
    ((struct sink *)self)->flushes++;
    return 0;
}

static int sink_shutdown(void *self, uint64_t timeout_ms)
{
    (void)timeout_ms;
    ((struct sink *)self)->shutdowns++;
    return 0;
}

static struct tl_exporter_v1 sink_begin(struct sink *sink)
{
    memset(sink, 0, sizeof *sink);
    pthread_mutex_init(&sink->lock, NULL);
    pthread_cond_init(&sink->came, NULL);
    return (struct tl_exporter_v1){.size = sizeof(struct tl_exporter_v1),
                                   .type = "test_exporter",
                                   .self = sink,
                                   .send = sink_send,
                                   .flush = sink_flush,
                                   .shutdown = sink_shutdown};
}

static void sink_wait(struct sink *sink, size_t requests)
{
    const uint64_t until = clock_unix_ns() + 20 * NS_PER_SECOND;
    const struct timespec at = {(time_t)(until / NS_PER_SECOND), 0};

    pthread_mutex_lock(&sink->lock);
    while (sink->requests < requests)
        assert_int_equal(pthread_cond_timedwait(&sink->came, &sink->lock, &at), 0);
    pthread_mutex_unlock(&sink->lock);
}

static struct tl_meter_provider *provider_of(struct tl_metric_reader *reader)
{
    return tl_meter_provider_new(
        &(struct tl_meter_provider_options){.readers = &reader, .reader_count = 1});
}

static struct tl_meter *meter_of(struct tl_meter_provider *provider)
{
    return tl_meter_get(provider, &(struct tl_scope){.name = "test"});
}

static void the_interval_exports_what_was_aggregated(void **state)
{
    struct sink sink;
    const struct tl_exporter_v1 exporter = sink_begin(&sink);
    struct tl_meter_provider *provider =
        provider_of(tl_reader_periodic(&exporter, &(struct tl_reader_options){.interval_ms = 20}));

    (void)state;
    measure_many(tl_counter(meter_of(provider), "c", NULL, NULL), 2, 50);
    sink_wait(&sink, 2);
    assert_int_equal(tl_meter_provider_shutdown(provider, 5000), 0);
    // Points, not measurements.
    assert_int_equal(sink.points[sink.requests - 1], 2);
    assert_string_equal(sink.last, "scope test   {}\nmetric c [] \"\" sum cumulative monotonic\n"
                                   "point {n=0} 50\npoint {n=1} 50\n");
    assert_false(sink.was_concurrent);
    assert_int_equal(sink.shutdowns, 1);
    tl_meter_provider_free(provider);
    free(sink.last);
}

static void a_flush_collects_exports_and_flushes_the_exporter(void **state)
{
    struct sink sink;
    const struct tl_exporter_v1 exporter = sink_begin(&sink);
    struct tl_meter_provider *provider = provider_of(tl_reader_periodic(&exporter, NULL));
    struct tl_stats before;
    struct tl_stats after;

    (void)state;
    tl_stats_read(&before);
    // Nothing to tell: nothing is sent.
    assert_int_equal(tl_meter_provider_flush(provider, 1000), 0);
    assert_int_equal(sink.requests, 0);
    assert_int_equal(sink.flushes, 1);
    tl_measure(tl_counter(meter_of(provider), "c", NULL, NULL), 1, NULL, 0);
    assert_int_equal(tl_meter_provider_flush(provider, 1000), 0);
    assert_int_equal(sink.requests, 1);
    assert_int_equal(sink.flushes, 2);
    assert_true(sink.deadline_ns <= clock_mono_ns() + NS_PER_SECOND);
    tl_stats_read(&after);
    assert_int_equal(after.exported[TL_METRICS] - before.exported[TL_METRICS], 1);
    tl_meter_provider_free(provider);
    assert_int_equal(sink.shutdowns, 1);
    free(sink.last);
}

static void an_export_that_fails_is_counted_and_told(void **state)
{
    struct sink sink;
    const struct tl_exporter_v1 exporter = sink_begin(&sink);
    struct tl_meter_provider *provider = provider_of(tl_reader_periodic(&exporter, NULL));
    struct tl_stats before;
    struct tl_stats after;

    (void)state;
    sink.answers[0] = (struct tl_answer){.result = TL_RESULT_REFUSED, .message = "no"};
    sink.answers[1] = (struct tl_answer){.result = TL_RESULT_RETRY, .wait_ms = 10};
    sink.answers[2] = (struct tl_answer){.result = TL_RESULT_DONE};
    sink.answers[3] = (struct tl_answer){.result = TL_RESULT_DONE, .rejected = 1};
    sink.answers[4] = (struct tl_answer){.result = TL_RESULT_RETRY, .wait_ms = 60000};
    sink.answer_count = 5;
    measure_many(tl_counter(meter_of(provider), "c", NULL, NULL), 3, 1);
    tl_stats_read(&before);
    said_watch();
    assert_int_equal(tl_meter_provider_flush(provider, 1000), -EIO);
    assert_int_equal(said_count(), 1);
    // The second attempt is taken.
    assert_int_equal(tl_meter_provider_flush(provider, 1000), 0);
    assert_int_equal(sink.requests, 3);
    assert_int_equal(tl_meter_provider_flush(provider, 1000), 0);
    // It asks for more time than there is.
    assert_int_not_equal(tl_meter_provider_flush(provider, 1000), 0);
    tl_stats_read(&after);
    assert_int_equal(after.exported[TL_METRICS] - before.exported[TL_METRICS], 3 + 2);
    assert_int_equal(after.dropped_export[TL_METRICS] - before.dropped_export[TL_METRICS],
                     3 + 1 + 3);
    tl_meter_provider_free(provider);
    free(sink.last);
}

static void *flush_often(void *provider)
{
    for (int i = 0; i < 20; i++)
        tl_meter_provider_flush(provider, 5000);
    return NULL;
}

static void exports_are_never_concurrent_and_end_by_the_deadline(void **state)
{
    struct sink sink;
    const struct tl_exporter_v1 exporter = sink_begin(&sink);
    struct tl_meter_provider *provider =
        provider_of(tl_reader_periodic(&exporter, &(struct tl_reader_options){.interval_ms = 1}));
    pthread_t threads[3];
    uint64_t start;

    (void)state;
    sink.wait_ns = 500000;
    tl_measure(tl_counter(meter_of(provider), "c", NULL, NULL), 1, NULL, 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, flush_often, provider), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_false(sink.was_concurrent);
    assert_true(sink.requests >= 60);
    // Somebody else is sending: who flushes waits no longer than it said.
    atomic_store(&sink.wait_ns, 400000000);
    pthread_mutex_lock(&sink.lock);
    while (sink.slow == 0)
        pthread_cond_wait(&sink.came, &sink.lock);
    pthread_mutex_unlock(&sink.lock);
    start = clock_mono_ns();
    assert_int_equal(tl_meter_provider_flush(provider, 50), -ETIMEDOUT);
    assert_true(clock_mono_ns() - start < 350 * NS_PER_MS);
    tl_meter_provider_free(provider);
    free(sink.last);
}

static void a_shutdown_ends_by_its_deadline(void **state)
{
    struct sink sink;
    const struct tl_exporter_v1 exporter = sink_begin(&sink);
    struct tl_meter_provider *provider =
        provider_of(tl_reader_periodic(&exporter, &(struct tl_reader_options){.interval_ms = 1}));
    uint64_t start;

    (void)state;
    atomic_store(&sink.wait_ns, 400000000);
    tl_measure(tl_counter(meter_of(provider), "c", NULL, NULL), 1, NULL, 0);
    pthread_mutex_lock(&sink.lock);
    while (sink.slow == 0)
        pthread_cond_wait(&sink.came, &sink.lock);
    pthread_mutex_unlock(&sink.lock);
    start = clock_mono_ns();
    assert_int_equal(tl_meter_provider_shutdown(provider, 50), -ETIMEDOUT);
    assert_true(clock_mono_ns() - start < 350 * NS_PER_MS);
    tl_meter_provider_free(provider);
    free(sink.last);
}

static void a_batch_has_at_most_so_many_points(void **state)
{
    struct sink sink;
    const struct tl_exporter_v1 exporter = sink_begin(&sink);
    struct tl_meter_provider *provider = provider_of(
        tl_reader_periodic(&exporter, &(struct tl_reader_options){.max_export_records = 10}));

    (void)state;
    measure_many(tl_counter(meter_of(provider), "c", NULL, NULL), 14, 1);
    measure_many(tl_counter(meter_of(provider), "d", NULL, NULL), 9, 1);
    assert_int_equal(tl_meter_provider_flush(provider, 5000), 0);
    assert_int_equal(sink.requests, 3);
    assert_int_equal(sink.points[0], 10);
    assert_int_equal(sink.points[1], 10);
    assert_int_equal(sink.points[2], 3);
    tl_meter_provider_free(provider);
    free(sink.last);
}

static void produced_metric(struct bytes *out, const char *name, size_t points)
{
    const size_t metric = message_begin(out, 2);
    size_t sum;

    body_write(out, 1, str_of(name));
    sum = message_begin(out, 7);
    for (size_t i = 0; i < points; i++) {
        const size_t point = message_begin(out, 1);

        fixed64_write(out, 6, i);
        message_end(out, point);
    }
    tag_write(out, 2, WIRE_VARINT);
    varint_write(out, 2);
    message_end(out, sum);
    message_end(out, metric);
}

struct produced {
    const struct tl_metric_filter *filter;
    int result;
    bool is_broken;
};

static int produce(void *self, const struct tl_metric_filter *filter,
                   void (*add)(void *to, const uint8_t *bytes, size_t len), void *to)
{
    struct produced *produced = self;
    struct bytes out = {0};
    const size_t scope = message_begin(&out, 2);
    const size_t inner = message_begin(&out, 1);

    produced->filter = filter;
    body_write(&out, 1, STR("bridge"));
    message_end(&out, inner);
    if (!filter || filter->test_metric(filter->self, &(struct tl_scope){.name = "bridge"},
                                       "dropped", TL_COUNTER, "") != TL_METRIC_DROP)
        produced_metric(&out, "dropped", 1);
    produced_metric(&out, "foreign", 7);
    body_write(&out, 3, STR("http://bridge"));
    message_end(&out, scope);
    add(to, out.at, produced->is_broken ? out.len - 3 : out.len);
    bytes_done(&out);
    return produced->result;
}

static enum tl_metric_filter_result test_metric(void *self, const struct tl_scope *scope,
                                                const char *name, enum tl_instrument_kind kind,
                                                const char *unit)
{
    (void)self;
    assert_true(kind >= TL_COUNTER && kind <= TL_OBSERVABLE_GAUGE);
    assert_non_null(scope->name);
    assert_non_null(unit);
    if (strcmp(name, "dropped") == 0)
        return TL_METRIC_DROP;
    return strcmp(name, "partial") == 0 ? TL_METRIC_ACCEPT_PARTIAL : TL_METRIC_ACCEPT;
}

static bool test_attributes(void *self, const struct tl_scope *scope, const char *name,
                            enum tl_instrument_kind kind, const char *unit,
                            const struct tl_attribute *attributes, size_t count)
{
    (void)self;
    (void)scope;
    (void)kind;
    (void)unit;
    assert_string_equal(name, "partial");
    return count == 1 && attributes[0].value.as.integer == 1;
}

static void filters_are_used_by_the_sdk_and_given_to_producers(void **state)
{
    const struct tl_metric_filter filter = {NULL, test_metric, test_attributes};
    struct produced produced = {0};
    const struct tl_metric_producer producer = {&produced, produce};
    const struct tl_reader_options options = {
        .filter = &filter, .producers = &producer, .producer_count = 1};
    struct rig rig = rig_new(&options, NULL);

    (void)state;
    tl_measure(tl_counter(rig.meter, "dropped", NULL, NULL), 1, a1, 1);
    tl_measure(tl_counter(rig.meter, "partial", NULL, NULL), 1, a1, 1);
    tl_measure(tl_counter(rig.meter, "partial", NULL, NULL), 1, a2, 1);
    tl_measure(tl_counter(rig.meter, "whole", NULL, NULL), 1, a2, 1);
    assert_seen(rig.reader,
                "scope test   {}\nmetric partial [] \"\" sum cumulative monotonic\npoint {a=1} 1\n"
                "metric whole [] \"\" sum cumulative monotonic\npoint {a=2} 1\n"
                "scope bridge  http://bridge {}\nmetric foreign [] \"\" sum cumulative\n"
                "point {} 0\npoint {} 1\npoint {} 2\npoint {} 3\npoint {} 4\npoint {} 5\n"
                "point {} 6\n");
    assert_non_null(produced.filter);
    rig_free(&rig);
}

static void producers_are_split_checked_and_told_of(void **state)
{
    struct produced produced = {0};
    const struct tl_metric_producer producer = {&produced, produce};
    struct sink sink;
    const struct tl_exporter_v1 exporter = sink_begin(&sink);
    struct tl_stats before;
    struct tl_stats after;
    struct tl_meter_provider *provider = provider_of(tl_reader_periodic(
        &exporter, &(struct tl_reader_options){
                       .producers = &producer, .producer_count = 1, .max_export_records = 3}));

    (void)state;
    assert_int_equal(tl_meter_provider_flush(provider, 5000), 0);
    assert_int_equal(sink.requests, 3);
    assert_int_equal(sink.points[0], 3);
    assert_int_equal(sink.points[1], 3);
    assert_int_equal(sink.points[2], 2);
    produced.result = -1;
    assert_int_equal(tl_meter_provider_flush(provider, 5000), -EIO);
    // What is no protocol is not passed on.
    produced.is_broken = true;
    tl_stats_read(&before);
    tl_meter_provider_flush(provider, 5000);
    tl_stats_read(&after);
    assert_int_equal(sink.requests, 6);
    assert_int_equal(after.invalid_values - before.invalid_values, 1);
    tl_meter_provider_free(provider);
    free(sink.last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_interval_exports_what_was_aggregated),
        cmocka_unit_test(a_flush_collects_exports_and_flushes_the_exporter),
        cmocka_unit_test(an_export_that_fails_is_counted_and_told),
        cmocka_unit_test(exports_are_never_concurrent_and_end_by_the_deadline),
        cmocka_unit_test(a_shutdown_ends_by_its_deadline),
        cmocka_unit_test(a_batch_has_at_most_so_many_points),
        cmocka_unit_test(filters_are_used_by_the_sdk_and_given_to_producers),
        cmocka_unit_test(producers_are_split_checked_and_told_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
