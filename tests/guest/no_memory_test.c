// SPDX-License-Identifier: Apache-2.0
// Memory that is not there: the nth allocation fails, for every n of a program that sets up and
// uses every signal. Nothing crashes, and what is lost is counted.
//
// Each n is a process of its own, because much is made only once. The SDK's calls of malloc are
// linked to ours (--wrap); the C library's own are not.

#include "tests/support/check.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <throughline/sdk.h>
#include <unistd.h>

enum { SPANS = 40, LOGS = 40, TRIES_MAX = 20000 };

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *former, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *former, size_t bytes);

static atomic_long allocations;
static atomic_long failing;  // the one that fails; 0: none
static atomic_bool fails_on; // and all that follow

static bool may_allocate(void)
{
    const long number = atomic_fetch_add(&allocations, 1) + 1;
    const long fails = atomic_load(&failing);

    return fails == 0 || (atomic_load(&fails_on) ? number < fails : number != fails);
}

void *__wrap_malloc(size_t bytes)
{
    return may_allocate() ? __real_malloc(bytes) : NULL;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return may_allocate() ? __real_calloc(count, bytes) : NULL;
}

void *__wrap_realloc(void *former, size_t bytes)
{
    return may_allocate() ? __real_realloc(former, bytes) : NULL;
}

// What a child found, in memory shared with the test.
struct found {
    long allocations;
    bool is_set_up;
    uint64_t spans_arrived, spans_dropped;
    uint64_t logs_arrived, logs_dropped;
};

static struct found *found;
static uint64_t wait_ms;
static _Atomic uint64_t arrived[3];

static void take(void *self, const struct tl_request *request, struct tl_answer *out_answer)
{
    (void)self;
    atomic_fetch_add(&arrived[request->signal], request->records);
    out_answer->result = TL_RESULT_DONE;
}

static struct tl_exporter_v1 exporter(void)
{
    return (struct tl_exporter_v1){
        .size = sizeof(struct tl_exporter_v1), .type = "none", .send = take};
}

// False when there is no tracer: the default one has these spans then, in the agent's ring.
static bool spans_make(struct tl_tracer_provider *provider)
{
    const struct tl_attribute scope_attribute = TL_STR("zone", "a");
    struct tl_tracer *tracer = tl_tracer_get(
        provider,
        &(struct tl_scope){
            .name = "lib", .version = "1", .attributes = &scope_attribute, .attribute_count = 1});
    char large[4000];

    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    for (int i = 0; i < SPANS; i++) {
        struct tl_span *span =
            tl_span_start_with(tracer, &(struct tl_span_options){.name = "one", .kind = TL_SERVER});
        struct tl_context *context = tl_context_with_span(NULL, span);
        struct tl_context_token token = tl_context_attach(context);
        struct tl_span *child =
            tl_span_start_with(tracer, &(struct tl_span_options){.name = "child"});

        TL_SET(span, TL_STR("large", i % 4 ? "small" : large), TL_INT("n", i));
        tl_span_event(span, "retry", &scope_attribute, 1);
        tl_span_link(span, &(struct tl_span_context){.trace_id = {1}, .span_id = {2}});
        tl_span_status(span, TL_STATUS_ERROR, "no");
        tl_span_end(child);
        tl_context_detach(token);
        tl_context_unref(context);
        tl_span_end(span);
    }
    return tracer != NULL;
}

static bool logs_make(struct tl_logger_provider *provider)
{
    struct tl_logger *logger = tl_logger_get(provider, &(struct tl_scope){.name = "lib"});
    char large[4000];

    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    for (int i = 0; i < LOGS; i++)
        tl_log_emit(logger, &(struct tl_log_record){.severity = TL_INFO,
                                                    .body = TL_BODY(i % 4 ? "small" : large)});
    return logger != NULL;
}

static void points_make(struct tl_meter_provider *provider)
{
    struct tl_meter *meter = tl_meter_get(provider, &(struct tl_scope){.name = "lib"});
    struct tl_instrument *counter = tl_counter(meter, "requests", "1", "all of them");
    struct tl_instrument *histogram = tl_histogram(meter, "latency", "s", NULL);
    struct tl_bound *bound = tl_bound_new(counter, NULL, 0);

    for (int i = 0; i < 40; i++) {
        const struct tl_attribute attribute = TL_INT("n", i);

        tl_measure(counter, 1, &attribute, 1);
        tl_measure_double(histogram, i, &attribute, 1);
        tl_bound_measure(bound, 1);
    }
    tl_bound_free(bound);
}

static void propagation_use(void)
{
    struct tl_propagator *propagator = tl_propagator_new("tracecontext,baggage,b3,jaeger");
    const struct tl_baggage_entry entry = {
        .name = "a", .name_len = 1, .value = "b", .value_len = 1};
    struct tl_context *context = tl_context_with_baggage(NULL, &entry);
    char *const environment[] = {
        "TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "BAGGAGE=a=b", NULL};
    struct tl_context *extracted =
        tl_extract(propagator, context, &tl_environment_getter, (void *)environment);
    char **made = tl_environment_new(propagator, extracted, environment);

    tl_environment_free(made);
    tl_context_unref(extracted);
    tl_context_unref(context);
    tl_propagator_unref(propagator);
}

static struct tl_resource *resource_make(void)
{
    const struct tl_attribute attributes[] = {TL_STR("service.name", "shop"),
                                              TL_STRS("list", ((const char *[]){"a", "b"}), 2)};

    return tl_resource_merge(tl_resource_default(),
                             tl_resource_new(attributes, 2, "https://example.org/1"));
}

// A program's whole life.
static void scenario(void)
{
    const struct tl_exporter_v1 to_spans = exporter();
    const struct tl_exporter_v1 to_logs = exporter();
    const struct tl_exporter_v1 to_points = exporter();
    const struct tl_span_processor span_processor = tl_span_processor_batch(&to_spans, NULL);
    const struct tl_log_processor log_processors[] = {tl_log_processor_batch(&to_logs, NULL)};
    struct tl_tracer_provider *tracers =
        tl_tracer_provider_new(&(struct tl_tracer_provider_options){
            .resource = resource_make(), .processors = &span_processor, .processor_count = 1});
    struct tl_logger_provider *loggers =
        tl_logger_provider_new(&(struct tl_logger_provider_options){
            .resource = resource_make(), .processors = log_processors, .processor_count = 1});
    struct tl_metric_reader *reader = tl_reader_periodic(&to_points, NULL);
    struct tl_meter_provider *meters = tl_meter_provider_new(&(struct tl_meter_provider_options){
        .resource = resource_make(), .readers = &reader, .reader_count = 1});

    found->is_set_up = tracers && spans_make(tracers);
    found->is_set_up &= loggers && logs_make(loggers);
    if (meters)
        points_make(meters);
    propagation_use();
    tl_logf(TL_INFO, "into the agent's ring");
    tl_tracer_provider_shutdown(tracers, wait_ms);
    tl_logger_provider_shutdown(loggers, wait_ms);
    tl_meter_provider_shutdown(meters, wait_ms);
    found->spans_arrived = atomic_load(&arrived[TL_TRACES]);
    found->spans_dropped = tl_dropped(TL_TRACES);
    found->logs_arrived = atomic_load(&arrived[TL_LOGS]);
    found->logs_dropped = tl_dropped(TL_LOGS);
    tl_tracer_provider_free(tracers);
    tl_logger_provider_free(loggers);
    tl_meter_provider_free(meters);
    found->allocations = atomic_load(&allocations);
}

// One process in which that allocation fails; false: it made fewer.
static bool nth_fails(long number, bool and_all_that_follow)
{
    int status = -1;
    const pid_t child = fork();

    if (child == 0) {
        alarm(60);
        atomic_store(&allocations, 0);
        atomic_store(&failing, number);
        atomic_store(&fails_on, and_all_that_follow);
        scenario();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0)
        fail_msg("allocation %ld: status %x", number, status);
    return found->allocations >= number;
}

static void whichever_fails_nothing_crashes_and_losses_are_counted(void **state)
{
    long number = 1;
    uint64_t counted = 0;

    (void)state;
    wait_ms = 5000;
    memset(found, 0, sizeof *found);
    while (nth_fails(number, false)) {
        // Every span is exported or counted; a logger that could not be made has no counter.
        if (found->is_set_up && found->spans_arrived + found->spans_dropped != 2 * SPANS)
            fail_msg("allocation %ld: %d spans made, %ju arrived, %ju dropped", number, 2 * SPANS,
                     (uintmax_t)found->spans_arrived, (uintmax_t)found->spans_dropped);
        if (found->is_set_up && found->logs_arrived + found->logs_dropped < LOGS)
            fail_msg("allocation %ld: %d records made, %ju arrived, %ju dropped", number, LOGS,
                     (uintmax_t)found->logs_arrived, (uintmax_t)found->logs_dropped);
        counted += found->spans_dropped + found->logs_dropped;
        number++;
        assert_in_range(number, 1, TRIES_MAX);
        memset(found, 0, sizeof *found);
    }
    printf("%ld allocations, %ju records lost in all of them together\n", number - 1,
           (uintmax_t)counted);
    assert_in_range(number, 20, TRIES_MAX);
}

static void from_some_point_on_there_is_no_memory_at_all(void **state)
{
    long number = 1;

    (void)state;
    wait_ms = 20; // a sender without memory delivers nothing, however long
    memset(found, 0, sizeof *found);
    while (nth_fails(number, true)) {
        number++;
        assert_in_range(number, 1, TRIES_MAX);
        memset(found, 0, sizeof *found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whichever_fails_nothing_crashes_and_losses_are_counted),
        cmocka_unit_test(from_some_point_on_there_is_no_memory_at_all),
    };

    setenv("THROUGHLINE_SOCKET", "/nonexistent/agent.sock", 1);
    found = mmap(NULL, sizeof *found, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
