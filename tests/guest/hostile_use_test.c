// SPDX-License-Identifier: Apache-2.0
// Whatever a program does with the API, the library stays a guest: no crash, no output, no signal
// handler, errno as it was; and a documented outcome, counted.

#include "tests/support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <throughline/sdk.h>
#include <unistd.h>

#include "libtrace/base/clock.h"

enum { THREADS = 10000, THREADS_AT_ONCE = 500 };

static struct tl_memory_exporter *memory;
static struct tl_tracer_provider *tracers;
static struct tl_meter_provider *meters;
static struct tl_logger_provider *loggers;
static struct tl_tracer *tracer;
static struct tl_logger *logger;
static struct tl_instrument *counter;

static int set_up(void **state)
{
    const struct tl_batch_options large = {.max_queue_bytes = 64 << 20};
    struct tl_exporter_v1 exporter;
    struct tl_span_processor spans;
    struct tl_log_processor logs;
    struct tl_metric_reader *reader;

    (void)state;
    memory = tl_memory_exporter_new();
    exporter = tl_memory_exporter_as(memory);
    spans = tl_span_processor_batch(&exporter, &large);
    logs = tl_log_processor_batch(&exporter, &large);
    reader = tl_reader_periodic(&exporter, NULL);
    tracers = tl_tracer_provider_new(
        &(struct tl_tracer_provider_options){.processors = &spans, .processor_count = 1});
    loggers = tl_logger_provider_new(
        &(struct tl_logger_provider_options){.processors = &logs, .processor_count = 1});
    meters = tl_meter_provider_new(
        &(struct tl_meter_provider_options){.readers = &reader, .reader_count = 1});
    tl_tracer_provider_global_set(tracers);
    tl_logger_provider_global_set(loggers);
    tl_meter_provider_global_set(meters);
    tracer = tl_tracer_get(tracers, NULL);
    logger = tl_logger_get(loggers, NULL);
    counter = tl_counter(tl_meter_get(meters, NULL), "requests", NULL, NULL);
    return tracer && logger && counter ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tl_tracer_provider_global_set(NULL);
    tl_logger_provider_global_set(NULL);
    tl_meter_provider_global_set(NULL);
    tl_tracer_provider_free(tracers);
    tl_logger_provider_free(loggers);
    tl_meter_provider_free(meters);
    tl_memory_exporter_free(memory);
    return 0;
}

static uint64_t misuses(void)
{
    struct tl_stats stats;

    tl_stats_read(&stats);
    return stats.misuses;
}

static size_t exported(enum tl_signal signal)
{
    return tl_memory_exporter_records(memory, signal);
}

static bool is_exported(enum tl_signal signal, const char *text)
{
    char *json = tl_memory_exporter_json(memory, signal);
    const bool is_there = json && strstr(json, text);

    free(json);
    return is_there;
}

static void nothing_is_taken_everywhere(void **state)
{
    struct tl_span *span = tl_span_start(NULL, (enum tl_kind)99, NULL);

    (void)state;
    tl_span_set(span, NULL, 5);
    tl_span_set_one(span, TL_STR(NULL, NULL));
    tl_span_set_one(span, (struct tl_attribute){"a", 1, {TL_TYPE_STRINGS, 9, {NULL}}});
    tl_span_set_one(span, (struct tl_attribute){"a", 1, {(enum tl_type)77, 9, {NULL}}});
    tl_span_set_one(span, (struct tl_attribute){NULL, 9, {TL_TYPE_INT, 0, {NULL}}});
    tl_span_name(span, NULL);
    tl_span_event(span, NULL, NULL, 9);
    tl_span_event_at(span, NULL, 0, NULL, 9);
    tl_span_link(span, NULL);
    tl_span_link_with(span, NULL);
    tl_span_status(span, (enum tl_status)44, NULL);
    tl_span_exception(span, NULL, NULL, 9);
    tl_span_exception(span, &(struct tl_exception){0}, NULL, 0);
    tl_span_end(span);
    tl_span_end(NULL);
    tl_span_end_at(NULL, 5);
    tl_span_end(tl_span_start_with(NULL, NULL));
    tl_span_end(tl_span_start_with(
        tracer, &(struct tl_span_options){.attribute_count = 5, .link_count = 5}));
    tl_span_end(tl_span_wrap(NULL));
    assert_false(tl_span_is_recording(NULL));
    tl_current_set(NULL);
    tl_tracer_enabled(NULL);
    tl_tracer_get(NULL, &(struct tl_scope){.attribute_count = 5});
    tl_tracer_provider_flush(NULL, 0);
    tl_tracer_provider_shutdown(NULL, 0);
    tl_tracer_provider_free(NULL);
    tl_context_unref(tl_context_with_span(NULL, NULL));
    tl_context_unref(tl_context_with_remote(NULL, NULL));
    tl_context_unref(tl_context_with_baggage(NULL, NULL));
    tl_context_unref(tl_context_without_baggage(NULL, NULL));
    tl_context_unref(tl_context_with_value(NULL, NULL, NULL, NULL));
    tl_context_detach(tl_context_attach(NULL));
    tl_context_unref(tl_extract(NULL, NULL, NULL, NULL));
    tl_inject(NULL, NULL, NULL, NULL);
    tl_inject_span(NULL, NULL, NULL);
    tl_log_emit(NULL, NULL);
    tl_logger_get(NULL, NULL);
    tl_log_enabled(NULL, (enum tl_severity) - 4, NULL, NULL);
    tl_measure(NULL, 1, NULL, 9);
    tl_measure(counter, -1, NULL, 9);
    tl_measure_double(counter, 0.0 / 1e-300, NULL, 0);
    tl_bound_measure(NULL, 1);
    tl_bound_free(NULL);
    tl_bound_free(tl_bound_new(NULL, NULL, 3));
    tl_instrument_get(NULL, NULL);
    tl_callback_free(tl_callback_new(NULL, 3, NULL, NULL));
    tl_observe(NULL, NULL, 1, NULL, 0);
    tl_meter_provider_flush(NULL, 0);
    tl_stats_read(NULL);
    tl_dropped((enum tl_signal)9);
}

static void an_ended_span_takes_everything_and_counts(void **state)
{
    struct tl_span *span = tl_span_start("once", TL_SERVER, NULL);
    const uint64_t before = misuses();

    (void)state;
    tl_span_end(span);
    TL_SET(span, TL_INT("late", 1));
    tl_span_event(span, "late", NULL, 0);
    tl_span_name(span, "late");
    tl_span_status(span, TL_STATUS_ERROR, "late");
    tl_span_end(span);
    assert_false(tl_span_is_recording(span));
    assert_true(misuses() - before >= 5);
    // The same memory may serve another span by now: the old handle does not reach it.
    tl_span_end(tl_span_start("other", TL_SERVER, NULL));
    tl_span_name(span, "late");
    tl_span_end(span);
    assert_int_equal(tl_tracer_provider_flush(tracers, 10000), 0);
    assert_int_equal(exported(TL_TRACES), 2);
    assert_false(is_exported(TL_TRACES, "late"));
}

static void after_shutdown_everything_is_taken(void **state)
{
    struct tl_span *span = tl_span_start("open", TL_SERVER, NULL);

    (void)state;
    assert_int_equal(tl_tracer_provider_shutdown(tracers, 10000), 0);
    assert_int_equal(tl_logger_provider_shutdown(loggers, 10000), 0);
    tl_meter_provider_shutdown(meters, 10000);
    tl_span_end(span);
    tl_span_end(tl_span_start("late", TL_SERVER, NULL));
    tl_log(TL_INFO, "late", NULL, 0);
    tl_measure(counter, 1, NULL, 0);
    tl_bound_free(tl_bound_new(counter, NULL, 0));
    assert_int_equal(tl_tracer_provider_shutdown(tracers, 10000), -EALREADY);
    assert_int_equal(tl_logger_provider_shutdown(loggers, 10000), -EALREADY);
    assert_int_equal(exported(TL_TRACES), 0);
    assert_int_equal(exported(TL_LOGS), 0);
}

static void *one_of_many(void *self)
{
    struct tl_span *span = tl_span_start("thread", TL_INTERNAL, NULL);
    struct tl_span *former = tl_current_set(span);

    (void)self;
    tl_log(TL_INFO, "thread", NULL, 0);
    tl_measure(counter, 1, NULL, 0);
    tl_current_set(former);
    tl_span_end(span);
    return NULL;
}

static void ten_thousand_threads_lose_nothing_uncounted(void **state)
{
    const uint64_t spans_dropped = tl_dropped(TL_TRACES);
    const uint64_t logs_dropped = tl_dropped(TL_LOGS);
    static pthread_t running[THREADS_AT_ONCE];
    pthread_attr_t attributes;

    (void)state;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    for (int done = 0; done < THREADS; done += THREADS_AT_ONCE) {
        for (int i = 0; i < THREADS_AT_ONCE; i++)
            assert_int_equal(pthread_create(&running[i], &attributes, one_of_many, NULL), 0);
        for (int i = 0; i < THREADS_AT_ONCE; i++)
            pthread_join(running[i], NULL);
    }
    pthread_attr_destroy(&attributes);
    assert_int_equal(tl_tracer_provider_flush(tracers, 30000), 0);
    assert_int_equal(tl_logger_provider_flush(loggers, 30000), 0);
    assert_int_equal(exported(TL_TRACES) + tl_dropped(TL_TRACES) - spans_dropped, THREADS);
    assert_int_equal(exported(TL_LOGS) + tl_dropped(TL_LOGS) - logs_dropped, THREADS);
}

// A span that was started before fork belongs to the parent.
static void a_fork_in_the_middle_of_a_span_leaves_it_to_the_parent(void **state)
{
    struct tl_span *span = tl_span_start("before the fork", TL_SERVER, NULL);
    int status = -1;
    pid_t child;

    (void)state;
    tl_current_set(span);
    child = fork();
    if (child == 0) {
        const uint64_t before = misuses();
        bool is_good;

        alarm(30);
        tl_span_name(span, "the child's");
        tl_span_end(span);
        is_good = misuses() - before >= 2;
        tl_current_set(NULL);
        tl_span_end(tl_span_start("in the child", TL_SERVER, NULL));
        tl_log(TL_INFO, "in the child", NULL, 0);
        is_good &= tl_tracer_provider_flush(tracers, 10000) == 0;
        is_good &= tl_logger_provider_flush(loggers, 10000) == 0;
        is_good &= is_exported(TL_TRACES, "in the child");
        is_good &= is_exported(TL_LOGS, "in the child");
        is_good &= !is_exported(TL_TRACES, "before the fork");
        _exit(is_good ? 0 : 1);
    }
    tl_current_set(NULL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    tl_span_end(span);
    assert_int_equal(tl_tracer_provider_flush(tracers, 10000), 0);
    assert_true(is_exported(TL_TRACES, "before the fork"));
    assert_int_equal(exported(TL_TRACES), 1);
}

static void a_clock_that_jumps_gives_no_negative_duration(void **state)
{
    const uint64_t now = clock_unix_ns();
    struct tl_span *future = tl_span_start_with(
        tracer,
        &(struct tl_span_options){.name = "future", .start_ns = now + 3600 * NS_PER_SECOND});
    struct tl_span *past = tl_span_start_with(tracer, &(struct tl_span_options){.name = "past"});
    char expected[128];

    (void)state;
    tl_span_end(future);
    tl_span_end_at(past, 1);
    assert_int_equal(tl_tracer_provider_flush(tracers, 10000), 0);
    assert_true(snprintf(expected, sizeof expected,
                         "\"startTimeUnixNano\":\"%ju\",\"endTimeUnixNano\":\"%ju\"",
                         (uintmax_t)(now + 3600 * NS_PER_SECOND),
                         (uintmax_t)(now + 3600 * NS_PER_SECOND)) > 0);
    assert_true(is_exported(TL_TRACES, expected));
    assert_false(is_exported(TL_TRACES, "\"endTimeUnixNano\":\"1\""));
}

static void a_megabyte_and_bytes_that_are_no_text_are_survived(void **state)
{
    const size_t len = 1 << 20;
    char *large = malloc(len + 1);
    struct tl_span *span = tl_span_start("ab\xff\xfe", TL_SERVER, NULL);
    const uint64_t dropped = tl_dropped(TL_LOGS);

    (void)state;
    assert_non_null(large);
    memset(large, 0xff, len);
    large[len] = 0;
    TL_SET(span, TL_STR("large", large), TL_STR(large, "key"), TL_STR_N("nul", "a\0b", 3),
           TL_BYTES("bytes", large, len), TL_STR("\xc3", "\xf0\x28\x8c\x28"));
    tl_span_event(span, large, (struct tl_attribute[]){TL_STR("large", large)}, 1);
    tl_span_status(span, TL_STATUS_ERROR, large);
    tl_span_end(span);
    tl_span_end(tl_span_start(large, TL_SERVER, NULL));
    tl_log(TL_INFO, large, (struct tl_attribute[]){TL_STR("large", large)}, 1);
    tl_log(TL_INFO, "small", (struct tl_attribute[]){TL_STR("small", "\xff")}, 1);
    tl_measure(counter, 1, (struct tl_attribute[]){TL_STR("large", large)}, 1);
    assert_int_equal(tl_tracer_provider_flush(tracers, 10000), 0);
    assert_int_equal(tl_logger_provider_flush(loggers, 10000), 0);
    tl_meter_provider_flush(meters, 10000);
    assert_int_equal(exported(TL_TRACES), 2);
    assert_true(is_exported(TL_TRACES, "\"ab\xef\xbf\xbd\xef\xbf\xbd\""));
    assert_true(is_exported(TL_TRACES, "a\\u0000b"));
    assert_true(is_exported(TL_TRACES, "droppedAttributesCount"));
    // The record with the large attribute finds no room, and is counted.
    assert_int_equal(exported(TL_LOGS) + tl_dropped(TL_LOGS) - dropped, 2);
    free(large);
}

static void errno_set(void *self, const struct tl_span *span)
{
    (void)self;
    (void)span;
    errno = EMFILE;
}

static void errno_set_at_start(void *self, struct tl_span *span, struct tl_context *parent)
{
    (void)parent;
    errno_set(self, span);
}

static void a_processor_of_the_programs_leaves_no_errno_behind(void **state)
{
    const struct tl_span_processor processor = {.on_start = errno_set_at_start,
                                                .on_end = errno_set};
    struct tl_tracer_provider *provider = tl_tracer_provider_new(
        &(struct tl_tracer_provider_options){.processors = &processor, .processor_count = 1});
    struct tl_tracer *own = tl_tracer_get(provider, NULL);
    struct tl_span *span;

    (void)state;
    errno = 99;
    span = tl_span_start_with(own, &(struct tl_span_options){.name = "one"});
    assert_int_equal(errno, 99);
    tl_span_end(span);
    assert_int_equal(errno, 99);
    tl_tracer_provider_free(provider);
}

static void use_everything(void)
{
    struct tl_span *span = tl_span_start("one", TL_SERVER, NULL);

    TL_SET(span, TL_INT("n", 1));
    tl_span_end(span);
    tl_span_end(span);
    tl_log(TL_INFO, "one", NULL, 0);
    tl_logf(TL_INFO, "%d", 1);
    tl_measure(counter, 1, NULL, 0);
    tl_measure(counter, -1, NULL, 0);
    tl_tracer_provider_flush(tracers, 10000);
    tl_logger_provider_flush(loggers, 10000);
    tl_meter_provider_flush(meters, 10000);
    tl_resource_unref(tl_resource_detect("host"));
    tl_resource_unref(tl_resource_detect("no such"));
    tl_propagator_unref(tl_propagator_new("no such"));
}

static void nothing_is_printed_and_no_signal_is_handled(void **state)
{
    const int file = memfd_create("output", MFD_CLOEXEC);
    int status = -1;
    pid_t child;

    (void)state;
    child = fork();
    if (child == 0) {
        struct sigaction before[65], after;
        struct stat output;
        bool is_good = true;

        alarm(30);
        dup2(file, 1);
        dup2(file, 2);
        for (int number = 1; number < 65; number++)
            sigaction(number, NULL, &before[number]);
        errno = 99;
        use_everything();
        is_good &= errno == 99;
        for (int number = 1; number < 65; number++) {
            if (sigaction(number, NULL, &after) == 0)
                is_good &= after.sa_handler == before[number].sa_handler;
        }
        is_good &= fstat(file, &output) == 0 && output.st_size == 0;
        _exit(is_good ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(file);
}

static int streamless_child(void)
{
    struct tl_span_processor ring = tl_span_processor_ring();
    struct tl_tracer_provider *provider = tl_tracer_provider_new(
        &(struct tl_tracer_provider_options){.processors = &ring, .processor_count = 1});

    tl_span_end(tl_span_start_with(tl_tracer_get(provider, NULL),
                                   &(struct tl_span_options){.name = "one"}));
    use_everything();
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            return 1 + fd;
    }
    return 0;
}

// What such a program prints would else be written over records, or into a connection.
static void closed_standard_streams_stay_closed(void **state)
{
    int status = -1;
    const pid_t child = fork();

    (void)state;
    if (child == 0) {
        alarm(30);
        for (int fd = 0; fd < 3; fd++)
            close(fd);
        _exit(streamless_child());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

#define guest_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        guest_test(nothing_is_taken_everywhere),
        guest_test(an_ended_span_takes_everything_and_counts),
        guest_test(after_shutdown_everything_is_taken),
        guest_test(ten_thousand_threads_lose_nothing_uncounted),
        guest_test(a_fork_in_the_middle_of_a_span_leaves_it_to_the_parent),
        guest_test(a_clock_that_jumps_gives_no_negative_duration),
        guest_test(a_megabyte_and_bytes_that_are_no_text_are_survived),
        guest_test(a_processor_of_the_programs_leaves_no_errno_behind),
        guest_test(nothing_is_printed_and_no_signal_is_handled),
        guest_test(closed_standard_streams_stay_closed),
    };

    setenv("THROUGHLINE_SOCKET", "/nonexistent/agent.sock", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
