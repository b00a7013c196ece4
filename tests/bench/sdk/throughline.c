// SPDX-License-Identifier: Apache-2.0
// Our SDK in the cases that the peers' programs beside this one measure, with the same attributes
// and the same output: sdk case threads run wall_ns_per_op cpu_ns_per_op dropped_share
// allocs_per_op bytes_per_op. Only the public API is used, and the agent's side of the ring
// (drain.h). usage: bench_sdk CASE THREADS OPS RUNS [QUEUE]   SINK=http://host:port/v1/traces for
// h, hp
//
// Spans and log records come in bursts of 500 into a batch processor whose exporter counts, the
// next burst when fewer than 512 wait; only the bursts are timed. With QUEUE: one flood.

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <throughline/sdk.h>

#include "tests/bench/sdk/drain.h"

enum { BURST = 500, WAITING_MAX = 511, WARM_UP = 300000, THREADS_MAX = 64, SERIES = 100 };

struct bench_case {
    const char *name;
    void (*run)(size_t ops);
    enum { COUNTS_NOTHING, COUNTS_SPANS, COUNTS_LOGS } counts;
    enum { TO_COUNTER, TO_AGENT, TO_SINK } destination;
    bool is_sampled;
};

static const struct bench_case *chosen;
static size_t queue = 2048;
static bool in_bursts = true;
static struct tl_tracer_provider *tracers;
static struct tl_meter_provider *meters;
static struct tl_logger_provider *loggers;
static struct tl_tracer *tracer;
static struct tl_logger *logger;
static struct tl_instrument *counter;
static struct tl_instrument *histogram;
static struct tl_bound *bound_counter;
static struct tl_bound *bound_histogram;
static struct tl_propagator *propagator;
static struct tl_span_context parent;
static struct tl_context *parent_context;
static _Atomic uint64_t *got; // records that arrived; shared with whoever drains the ring
static _Atomic uint64_t made;

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#define SERVICE                                                                                    \
    (const struct tl_attribute[])                                                                  \
    {                                                                                              \
        TL_STR("service.name", "bench")                                                            \
    }

// Neither the call nor its result may be left out by the compiler.
#define KEEP(value) __asm__ volatile("" : : "r"(value) : "memory")

static void pause_us(long microseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = microseconds * 1000}, NULL);
}

static void attributes_set(struct tl_span *span)
{
    TL_SET(span, TL_INT("http.response.status_code", 200), TL_INT("server.port", 8080),
           TL_STR("http.request.method", "GET"), TL_STR("url.path", "/api/users/42"),
           TL_STR("server.address", "backend.example.com"));
}

static struct tl_span *start(const struct tl_span_context *below)
{
    return tl_span_start_with(
        tracer, &(struct tl_span_options){
                    .name = "GET /api/users", .name_len = 14, .is_root = !below, .parent = below});
}

static void span_with_attributes(size_t ops)
{
    for (size_t i = 0; i < ops; i++) {
        struct tl_span *span = start(NULL);

        attributes_set(span);
        tl_span_end(span);
    }
}

static void span_bare(size_t ops)
{
    for (size_t i = 0; i < ops; i++)
        tl_span_end(start(NULL));
}

static void span_child(size_t ops)
{
    for (size_t i = 0; i < ops; i++) {
        struct tl_span *span = start(&parent);

        attributes_set(span);
        tl_span_end(span);
    }
}

static void span_with_event(size_t ops)
{
    for (size_t i = 0; i < ops; i++) {
        struct tl_span *span = start(NULL);

        attributes_set(span);
        tl_span_event(span, "retry", (const struct tl_attribute[]){TL_INT("attempt", 1)}, 1);
        tl_span_status(span, TL_STATUS_ERROR, "upstream timed out");
        tl_span_end(span);
    }
}

// Held back while more than three quarters of the queue wait, so that nothing drops.
static void span_paced(size_t ops)
{
    for (size_t i = 0; i < ops; i++) {
        struct tl_span *span;

        if (i % 64 == 0) {
            while (atomic_load_explicit(&made, memory_order_relaxed) >
                   atomic_load_explicit(got, memory_order_relaxed) + queue * 3 / 4)
                pause_us(chosen->destination == TO_AGENT ? 500 : 50);
        }
        span = start(NULL);
        attributes_set(span);
        tl_span_end(span);
        if (i % 64 == 63)
            atomic_fetch_add_explicit(&made, 64, memory_order_relaxed);
    }
}

struct carrier {
    char traceparent[64];
    size_t len;
};

static void carrier_set(void *self, const char *key, size_t key_len, const char *value, size_t len)
{
    struct carrier *carrier = self;

    if (key_len != 11 || memcmp(key, "traceparent", 11) != 0 || len >= sizeof carrier->traceparent)
        return;
    memcpy(carrier->traceparent, value, len);
    carrier->len = len;
}

static bool carrier_get(void *self, const char *key, size_t key_len, size_t index,
                        const char **out_value, size_t *out_len)
{
    struct carrier *carrier = self;

    if (index != 0 || key_len != 11 || memcmp(key, "traceparent", 11) != 0)
        return false;
    *out_value = carrier->traceparent;
    *out_len = carrier->len;
    return true;
}

static void inject(size_t ops)
{
    struct carrier carrier;

    for (size_t i = 0; i < ops; i++) {
        tl_inject(propagator, parent_context, carrier_set, &carrier);
        KEEP(&carrier);
    }
}

static void inject_span(size_t ops)
{
    struct carrier carrier;

    for (size_t i = 0; i < ops; i++) {
        tl_inject_span(&parent, carrier_set, &carrier);
        KEEP(&carrier);
    }
}

static void extract(size_t ops)
{
    const struct tl_getter getter = {carrier_get, NULL};
    struct carrier carrier = {"", 0};

    tl_inject(propagator, parent_context, carrier_set, &carrier);
    for (size_t i = 0; i < ops; i++) {
        struct tl_context *context = tl_extract(propagator, NULL, &getter, &carrier);

        KEEP(context);
        tl_context_unref(context);
    }
}

#define MEASURED(status)                                                                           \
    (const struct tl_attribute[])                                                                  \
    {                                                                                              \
        TL_STR("http.request.method", "GET"), TL_STR("http.route", "/api/users/:id"),              \
            TL_INT("http.response.status_code", (status))                                          \
    }

static void counter_add(size_t ops)
{
    for (size_t i = 0; i < ops; i++)
        tl_measure(counter, 1, MEASURED(200), 3);
}

static void counter_add_series(size_t ops)
{
    for (size_t i = 0; i < ops; i++)
        tl_measure(counter, 1, MEASURED(200 + i % SERIES), 3);
}

static void counter_add_bound(size_t ops)
{
    for (size_t i = 0; i < ops; i++)
        tl_bound_measure(bound_counter, 1);
}

static void histogram_record(size_t ops)
{
    for (size_t i = 0; i < ops; i++)
        tl_measure_double(histogram, (double)(i & 1023), MEASURED(200), 3);
}

static void histogram_record_bound(size_t ops)
{
    for (size_t i = 0; i < ops; i++)
        tl_bound_measure_double(bound_histogram, (double)(i & 1023));
}

static void log_record(size_t ops)
{
    for (size_t i = 0; i < ops; i++) {
        const struct tl_attribute attributes[] = {
            TL_INT("user.id", 42),
            TL_STR("client.address", "10.1.2.3"),
            TL_STR("session.id", "f00dfeedbeef"),
        };

        struct tl_log_record record = tl_log_record_of(TL_INFO, TL_BODY("user logged in"));

        record.time_ns = clock_ns(CLOCK_REALTIME);
        record.attributes = attributes;
        record.attribute_count = 3;
        tl_log_emit(logger, &record);
    }
}

static const struct bench_case cases[] = {
    {"a", span_with_attributes, COUNTS_SPANS, TO_COUNTER, true},
    {"ar", span_with_attributes, COUNTS_SPANS, TO_AGENT, true},
    {"a0", span_bare, COUNTS_SPANS, TO_COUNTER, true},
    {"b", span_with_attributes, COUNTS_NOTHING, TO_COUNTER, false},
    {"c", span_child, COUNTS_SPANS, TO_COUNTER, true},
    {"d", span_with_event, COUNTS_SPANS, TO_COUNTER, true},
    {"e1", inject, COUNTS_NOTHING, TO_COUNTER, true},
    {"e1s", inject_span, COUNTS_NOTHING, TO_COUNTER, true},
    {"e2", extract, COUNTS_NOTHING, TO_COUNTER, true},
    {"f1", counter_add, COUNTS_NOTHING, TO_COUNTER, true},
    {"f1b", counter_add_bound, COUNTS_NOTHING, TO_COUNTER, true},
    {"fN", counter_add_series, COUNTS_NOTHING, TO_COUNTER, true},
    {"f2", histogram_record, COUNTS_NOTHING, TO_COUNTER, true},
    {"f2b", histogram_record_bound, COUNTS_NOTHING, TO_COUNTER, true},
    {"g", log_record, COUNTS_LOGS, TO_COUNTER, true},
    {"gr", log_record, COUNTS_LOGS, TO_AGENT, true},
    {"h", span_with_attributes, COUNTS_SPANS, TO_SINK, true},
    {"hp", span_paced, COUNTS_SPANS, TO_SINK, true},
    {"hr", span_paced, COUNTS_SPANS, TO_AGENT, true},
};

// ---- Exporters: one that counts, and one that counts what another one sent.
struct counting {
    struct tl_exporter_v1 inner;
};

static void count_alone(void *self, const struct tl_request *request, struct tl_answer *out_answer)
{
    (void)self;
    atomic_fetch_add_explicit(got, request->records, memory_order_relaxed);
    out_answer->result = TL_RESULT_DONE;
}

static void count_sent(void *self, const struct tl_request *request, struct tl_answer *out_answer)
{
    struct counting *counting = self;

    counting->inner.send(counting->inner.self, request, out_answer);
    if (out_answer->result == TL_RESULT_DONE)
        atomic_fetch_add_explicit(got, request->records - out_answer->rejected,
                                  memory_order_relaxed);
}

static struct tl_exporter_v1 counter_exporter(void)
{
    return (struct tl_exporter_v1){
        .size = sizeof(struct tl_exporter_v1), .type = "counter", .send = count_alone};
}

static struct tl_exporter_v1 sink_exporter(void)
{
    static struct counting counting;
    const char *url = getenv("SINK");
    char why[256] = "";

    if (tl_exporter_otlp_http(&(struct tl_otlp_options){.traces_endpoint = url}, &counting.inner,
                              why) != 0) {
        fprintf(stderr, "no exporter: %s\n", why);
        exit(1);
    }
    return (struct tl_exporter_v1){.size = sizeof(struct tl_exporter_v1),
                                   .type = "otlp_http_exporter",
                                   .self = &counting,
                                   .send = count_sent};
}

static void tracers_make(void)
{
    const struct tl_batch_options batch = {.max_queue_records = queue,
                                           .max_queue_bytes = queue > 2048 ? queue * 512 : 0};
    const struct tl_exporter_v1 exporter =
        chosen->destination == TO_SINK ? sink_exporter() : counter_exporter();
    const struct tl_span_processor processor = chosen->destination == TO_AGENT
                                                   ? tl_span_processor_ring()
                                                   : tl_span_processor_batch(&exporter, &batch);

    tracers = tl_tracer_provider_new(&(struct tl_tracer_provider_options){
        .resource = tl_resource_new(SERVICE, 1, NULL),
        .sampler = chosen->is_sampled ? tl_sampler_always_on() : tl_sampler_always_off(),
        .processors = &processor,
        .processor_count = 1});
    tracer = tl_tracer_get(tracers, &(struct tl_scope){.name = "bench"});
    parent = tl_span_context(start(NULL)); // never ended: it is not counted
    parent_context = tl_context_with_remote(NULL, &parent);
    propagator = tl_propagator_new("tracecontext");
}

static void loggers_make(void)
{
    const struct tl_batch_options batch = {.max_queue_records = queue,
                                           .max_queue_bytes = queue > 2048 ? queue * 512 : 0};
    const struct tl_exporter_v1 exporter = counter_exporter();
    const struct tl_log_processor processor = chosen->destination == TO_AGENT
                                                  ? tl_log_processor_ring()
                                                  : tl_log_processor_batch(&exporter, &batch);

    loggers = tl_logger_provider_new(
        &(struct tl_logger_provider_options){.resource = tl_resource_new(SERVICE, 1, NULL),
                                             .processors = &processor,
                                             .processor_count = 1});
    logger = tl_logger_get(loggers, &(struct tl_scope){.name = "bench"});
}

static void meters_make(void)
{
    struct tl_metric_reader *reader = tl_reader_pull(&(struct tl_reader_options){0});
    struct tl_meter *meter;

    meters = tl_meter_provider_new(&(struct tl_meter_provider_options){
        .resource = tl_resource_new(SERVICE, 1, NULL), .readers = &reader, .reader_count = 1});
    meter = tl_meter_get(meters, &(struct tl_scope){.name = "bench"});
    counter = tl_counter(meter, "requests", NULL, NULL);
    histogram = tl_histogram(meter, "latency", NULL, NULL);
    bound_counter = tl_bound_new(counter, MEASURED(200), 3);
    bound_histogram = tl_bound_new(histogram, MEASURED(200), 3);
}

static void flush(void)
{
    if (chosen->counts == COUNTS_SPANS)
        tl_tracer_provider_flush(tracers, 60000);
    if (chosen->counts == COUNTS_LOGS)
        tl_logger_provider_flush(loggers, 60000);
    // What drains the ring looks by itself.
    for (int i = 0;
         chosen->destination == TO_AGENT && atomic_load(got) < atomic_load(&made) && i < 2000; i++)
        pause_us(1000);
}

// ---- One run
static uint64_t timed(size_t ops)
{
    const uint64_t start_ns = clock_ns(CLOCK_MONOTONIC);

    chosen->run(ops);
    return clock_ns(CLOCK_MONOTONIC) - start_ns;
}

// Nanoseconds spent in the work itself.
static uint64_t work(size_t ops)
{
    uint64_t inside_ns = 0;

    if (!in_bursts)
        return timed(ops);
    for (size_t i = 0; i < ops; i += BURST) {
        const size_t count = ops - i < BURST ? ops - i : BURST;

        while (atomic_load_explicit(&made, memory_order_relaxed) >
               atomic_load_explicit(got, memory_order_relaxed) + WAITING_MAX)
            pause_us(20);
        inside_ns += timed(count);
        atomic_fetch_add_explicit(&made, count, memory_order_relaxed);
    }
    return inside_ns;
}

static void *work_thread(void *self)
{
    size_t *const inout = self;

    *inout = work(*inout);
    return NULL;
}

static void allocations_get(uint64_t out_counts[4])
{
    static void (*get)(uint64_t *);

    if (!get)
        *(void **)&get = dlsym(RTLD_DEFAULT, "mcount_get");
    memset(out_counts, 0, 4 * sizeof out_counts[0]);
    if (get)
        get(out_counts);
}

static void print_end_to_end(int threads, int run, size_t total, const double *seconds)
{
    const double arrived = (double)atomic_load(got);
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    printf("throughline\t%s\t%d\t%d\tqueue=%zu\tdelivered=%.0f\tdropped=%.0f\tproduce_s=%.3f\t"
           "total_s=%.3f\tdelivered_per_s=%.0f\tcpu_s_per_M_delivered=%.3f\t"
           "cpu_s_per_M_made=%.3f\tpeak_rss_MiB=%.1f\n",
           chosen->name, threads, run, queue, arrived, (double)total - arrived, seconds[0],
           seconds[1], arrived / seconds[1], seconds[2] / (arrived / 1e6),
           seconds[2] / ((double)total / 1e6), (double)usage.ru_maxrss / 1024);
}

static void run_once(int threads, int run, size_t ops_each)
{
    pthread_t others[THREADS_MAX];
    size_t inside[THREADS_MAX];
    uint64_t before[4], after[4];
    uint64_t start_ns, produced_ns, end_ns, cpu_ns;
    uint64_t inside_ns = 0;
    const size_t total = ops_each * (size_t)threads;
    double lost = 0;

    atomic_store(got, 0);
    atomic_store(&made, 0);
    allocations_get(before);
    cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    start_ns = clock_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < threads; i++) {
        inside[i] = ops_each;
        if (i > 0 && pthread_create(&others[i], NULL, work_thread, &inside[i]) != 0)
            exit(1);
    }
    work_thread(&inside[0]);
    for (int i = 0; i < threads; i++) {
        if (i > 0)
            pthread_join(others[i], NULL);
        inside_ns += inside[i];
    }
    produced_ns = clock_ns(CLOCK_MONOTONIC);
    flush();
    end_ns = clock_ns(CLOCK_MONOTONIC);
    cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
    allocations_get(after);
    if (run < 0)
        return;
    if (chosen->name[0] == 'h') {
        print_end_to_end(threads, run, total,
                         (double[]){(double)(produced_ns - start_ns) / 1e9,
                                    (double)(end_ns - start_ns) / 1e9, (double)cpu_ns / 1e9});
        return;
    }
    if (chosen->counts != COUNTS_NOTHING)
        lost = 1 - (double)atomic_load(got) / (double)total;
    printf("throughline\t%s\t%d\t%d\t%.1f\t%.1f\t%.4f\t%.4f\t%.1f\n", chosen->name, threads, run,
           (double)inside_ns / (double)total, (double)cpu_ns / (double)total, lost,
           (double)(after[0] - before[0]) / (double)total,
           (double)(after[1] - before[1]) / (double)total);
}

int main(int argc, char **argv)
{
    const char *const name = argc > 4 ? argv[1] : "";
    const int threads = argc > 4 ? (int)strtol(argv[2], NULL, 10) : 0;
    const size_t ops = argc > 4 ? strtoull(argv[3], NULL, 10) : 0;
    const int runs = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 0;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (strcmp(cases[i].name, name) == 0)
            chosen = &cases[i];
    }
    if (!chosen || threads < 1 || threads > THREADS_MAX) {
        fprintf(stderr, "usage: bench_sdk CASE THREADS OPS RUNS [QUEUE]\n");
        return 2;
    }
    if (argc > 5) {
        queue = strtoull(argv[5], NULL, 10);
        in_bursts = false;
    }
    in_bursts = in_bursts && chosen->counts != COUNTS_NOTHING && name[0] != 'h';
    got = drain_start(chosen->destination == TO_AGENT);
    if (!got)
        return 1;
    tracers_make();
    loggers_make();
    meters_make();
    for (int run = name[0] == 'h' ? 0 : -1; run < runs; run++)
        run_once(threads, run, (run < 0 && ops < WARM_UP ? WARM_UP : ops) / (size_t)threads);
    return 0;
}
