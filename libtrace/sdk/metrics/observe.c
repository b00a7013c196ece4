// SPDX-License-Identifier: Apache-2.0
// The instruments of the self-observation. They are made by tl_self_observe and go with it; what
// they tell is read where it is counted when somebody collects.

#include "libtrace/sdk/metrics/observe.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "libtrace/sdk/export/pipe.h"
#include "libtrace/sdk/metrics/meter.h"
#include "libtrace/sdk/metrics/observe_cause.h"
#include "libtrace/sdk/metrics/reader.h"
#include "libtrace/sdk/thread.h"

enum figure {
    SPAN_LIVE,
    SPAN_STARTED,
    SPAN_QUEUE_SIZE,
    SPAN_QUEUE_CAPACITY,
    SPAN_PROCESSED,
    SPAN_IN_FLIGHT,
    SPAN_EXPORTED,
    LOG_CREATED,
    LOG_QUEUE_SIZE,
    LOG_QUEUE_CAPACITY,
    LOG_PROCESSED,
    LOG_IN_FLIGHT,
    LOG_EXPORTED,
    POINT_IN_FLIGHT,
    POINT_EXPORTED,
    OBSERVED_FIGURES,
    COLLECTION_DURATION = OBSERVED_FIGURES,
    OPERATION_DURATION,
    FIGURES,
};

static const struct {
    const char *name;
    const char *unit;
    enum tl_instrument_kind kind;
    const char *description;
} rows[FIGURES] = {
    [SPAN_LIVE] = {"otel.sdk.span.live", "{span}", TL_OBSERVABLE_UP_DOWN_COUNTER,
                   "Recording spans that have not ended."},
    [SPAN_STARTED] = {"otel.sdk.span.started", "{span}", TL_OBSERVABLE_COUNTER,
                      "Spans that were started."},
    [SPAN_QUEUE_SIZE] = {"otel.sdk.processor.span.queue.size", "{span}",
                         TL_OBSERVABLE_UP_DOWN_COUNTER, "Spans that wait in a processor's queue."},
    [SPAN_QUEUE_CAPACITY] = {"otel.sdk.processor.span.queue.capacity", "{span}",
                             TL_OBSERVABLE_UP_DOWN_COUNTER, "Spans that a queue can hold."},
    [SPAN_PROCESSED] = {"otel.sdk.processor.span.processed", "{span}", TL_OBSERVABLE_COUNTER,
                        "Spans that a processor is done with."},
    [SPAN_IN_FLIGHT] = {"otel.sdk.exporter.span.inflight", "{span}", TL_OBSERVABLE_UP_DOWN_COUNTER,
                        "Spans handed to an exporter that has not answered."},
    [SPAN_EXPORTED] = {"otel.sdk.exporter.span.exported", "{span}", TL_OBSERVABLE_COUNTER,
                       "Spans whose export has ended, well or not."},
    [LOG_CREATED] = {"otel.sdk.log.created", "{log_record}", TL_OBSERVABLE_COUNTER,
                     "Log records given to an enabled logger."},
    [LOG_QUEUE_SIZE] = {"otel.sdk.processor.log.queue.size", "{log_record}",
                        TL_OBSERVABLE_UP_DOWN_COUNTER,
                        "Log records that wait in a processor's queue."},
    [LOG_QUEUE_CAPACITY] = {"otel.sdk.processor.log.queue.capacity", "{log_record}",
                            TL_OBSERVABLE_UP_DOWN_COUNTER, "Log records that a queue can hold."},
    [LOG_PROCESSED] = {"otel.sdk.processor.log.processed", "{log_record}", TL_OBSERVABLE_COUNTER,
                       "Log records that a processor is done with."},
    [LOG_IN_FLIGHT] = {"otel.sdk.exporter.log.inflight", "{log_record}",
                       TL_OBSERVABLE_UP_DOWN_COUNTER,
                       "Log records handed to an exporter that has not answered."},
    [LOG_EXPORTED] = {"otel.sdk.exporter.log.exported", "{log_record}", TL_OBSERVABLE_COUNTER,
                      "Log records whose export has ended, well or not."},
    [POINT_IN_FLIGHT] = {"otel.sdk.exporter.metric_data_point.inflight", "{data_point}",
                         TL_OBSERVABLE_UP_DOWN_COUNTER,
                         "Data points handed to an exporter that has not answered."},
    [POINT_EXPORTED] = {"otel.sdk.exporter.metric_data_point.exported", "{data_point}",
                        TL_OBSERVABLE_COUNTER, "Data points whose export has ended, well or not."},
    [COLLECTION_DURATION] = {"otel.sdk.metric_reader.collection.duration", "s", TL_HISTOGRAM,
                             "How long a metric reader collected."},
    [OPERATION_DURATION] = {"otel.sdk.exporter.operation.duration", "s", TL_HISTOGRAM,
                            "How long an export took, with all its attempts."},
};

enum { ATTRIBUTES_MAX = 8, PIPES_MAX = 64, NAME_MAX_BYTES = OBSERVE_TYPE_MAX + 16 };

// Held while it is recorded with the provider, so that it is not freed meanwhile.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tl_meter_provider *provider;
static struct tl_instrument *instruments[FIGURES];
static struct tl_callback *callback;

// Attributes of a component, and the text of its name.
struct component {
    struct tl_attribute attributes[ATTRIBUTES_MAX];
    size_t count;
    char type[OBSERVE_TYPE_MAX];
    char name[NAME_MAX_BYTES];
};

static void component_init(struct component *component, const char *type, unsigned number)
{
    component->count = 0;
    if (type != component->type && snprintf(component->type, OBSERVE_TYPE_MAX, "%s", type) < 0)
        component->type[0] = '\0';
    if (snprintf(component->name, sizeof component->name, "%s/%u", component->type, number) < 0)
        component->name[0] = '\0';
    component->attributes[component->count++] = TL_STR("otel.component.name", component->name);
    component->attributes[component->count++] = TL_STR("otel.component.type", component->type);
}

static void component_server(struct component *component, const char *address, uint16_t port)
{
    if (!address)
        return;
    component->attributes[component->count++] = TL_STR("server.address", address);
    if (port)
        component->attributes[component->count++] = TL_INT("server.port", port);
}

static void tell(struct tl_observer *observer, enum figure figure, uint64_t value,
                 const struct component *component)
{
    tl_observe(observer, instruments[figure], (int64_t)value, component->attributes,
               component->count);
}

static void tell_failed(struct tl_observer *observer, enum figure figure, uint64_t value,
                        const struct component *component, const char *cause)
{
    struct component failed = *component; // its texts stay the other's

    if (value == 0)
        return;
    failed.attributes[failed.count++] = TL_STR("error.type", cause);
    tell(observer, figure, value, &failed);
}

struct span_counts {
    uint64_t started[SPAN_ORIGINS * SPAN_DECISIONS];
    uint64_t recording_ended;
    uint64_t logs;
};

static void thread_add(void *self, struct thread *thread)
{
    struct span_counts *counts = self;

    for (size_t i = 0; i < SPAN_ORIGINS * SPAN_DECISIONS; i++)
        counts->started[i] += atomic_load_explicit(&thread->started[i], memory_order_relaxed);
    counts->recording_ended += atomic_load_explicit(&thread->ended, memory_order_relaxed);
    counts->logs += atomic_load_explicit(&thread->logs, memory_order_relaxed);
}

static void spans_tell(struct tl_observer *observer)
{
    static const char *const origins[] = {"none", "local", "remote"};
    static const char *const decisions[] = {"DROP", "RECORD_ONLY", "RECORD_AND_SAMPLE"};
    struct span_counts counts = {0};
    uint64_t recording = 0;

    thread_each(thread_add, &counts);
    for (size_t i = 0; i < SPAN_ORIGINS * SPAN_DECISIONS; i++) {
        const struct tl_attribute attributes[] = {
            TL_STR("otel.span.parent.origin", origins[i / SPAN_DECISIONS]),
            TL_STR("otel.span.sampling_result", decisions[i % SPAN_DECISIONS])};

        if (i % SPAN_DECISIONS != TL_DROP)
            recording += counts.started[i];
        if (counts.started[i])
            tl_observe(observer, instruments[SPAN_STARTED], (int64_t)counts.started[i], attributes,
                       2);
    }
    // Counted by several threads at different moments: never below nothing.
    tl_observe(observer, instruments[SPAN_LIVE],
               recording > counts.recording_ended ? (int64_t)(recording - counts.recording_ended)
                                                  : 0,
               NULL, 0);
    tl_observe(observer, instruments[LOG_CREATED], (int64_t)counts.logs, NULL, 0);
}

struct pipes {
    size_t count;
    struct pipe_figures figures[PIPES_MAX];
};

static void pipe_add(void *self, const struct pipe_figures *figures)
{
    struct pipes *pipes = self;

    if (pipes->count < PIPES_MAX)
        pipes->figures[pipes->count++] = *figures;
}

// A batch processor and the exporter behind it.
static void pipe_tell(struct tl_observer *observer, const struct pipe_figures *figures)
{
    const bool is_log = figures->signal == TL_LOGS;
    // The figures of logs stand in the order of those of spans.
    const int shift = is_log ? LOG_QUEUE_SIZE - SPAN_QUEUE_SIZE : 0;
    struct component processor;
    struct component exporter;

    if (figures->signal == TL_METRICS)
        return;
    component_init(&processor,
                   !figures->exporter_type ? "throughline_ring"
                   : is_log                ? "batching_log_processor"
                                           : "batching_span_processor",
                   figures->number);
    tell(observer, (enum figure)(SPAN_QUEUE_SIZE + shift), figures->queued_records, &processor);
    tell(observer, (enum figure)(SPAN_QUEUE_CAPACITY + shift), figures->capacity_records,
         &processor);
    tell(observer, (enum figure)(SPAN_PROCESSED + shift), figures->processed, &processor);
    tell_failed(observer, (enum figure)(SPAN_PROCESSED + shift), figures->queue_full, &processor,
                "queue_full");
    if (!figures->exporter_type)
        return;
    observe_type_write(exporter.type, figures->exporter_type, figures->signal);
    component_init(&exporter, exporter.type, figures->number);
    component_server(&exporter, figures->server_address, figures->server_port);
    tell(observer, (enum figure)(SPAN_IN_FLIGHT + shift), figures->in_flight, &exporter);
    tell(observer, (enum figure)(SPAN_EXPORTED + shift), figures->exported, &exporter);
    tell_failed(observer, (enum figure)(SPAN_EXPORTED + shift), figures->failed, &exporter,
                "_OTHER");
}

static void points_tell(void *self, const struct observed_figures *figures)
{
    struct component exporter;

    component_init(&exporter, figures->type, figures->number);
    component_server(&exporter, figures->server_address, figures->server_port);
    tell(self, POINT_IN_FLIGHT, figures->in_flight, &exporter);
    tell(self, POINT_EXPORTED, figures->exported, &exporter);
    for (size_t i = 0; i < figures->cause_count; i++)
        tell_failed(self, POINT_EXPORTED, figures->causes[i].records, &exporter,
                    figures->causes[i].text);
}

static void figures_tell(void *self, struct tl_observer *observer)
{
    struct pipes pipes = {.count = 0};

    (void)self;
    spans_tell(observer);
    pipe_each(pipe_add, &pipes);
    for (size_t i = 0; i < pipes.count; i++)
        pipe_tell(observer, &pipes.figures[i]);
    observed_each(points_tell, observer);
}

static void begin_locked(struct tl_meter_provider *wanted)
{
    static const struct tl_scope scope = {.name = "throughline"};
    struct tl_meter *meter = tl_meter_get(wanted, &scope);

    for (int i = 0; meter && i < FIGURES; i++) {
        const bool is_duration = i >= OBSERVED_FIGURES;
        const struct tl_instrument_options options = {.kind = rows[i].kind,
                                                      .is_double = is_duration,
                                                      .name = rows[i].name,
                                                      .unit = rows[i].unit,
                                                      .description = rows[i].description,
                                                      // One bucket: count and sum are enough.
                                                      .has_boundaries = is_duration};

        instruments[i] = tl_instrument_get(meter, &options);
    }
    provider = wanted;
    callback = callback_new(instruments, OBSERVED_FIGURES, figures_tell, NULL);
}

static void end_locked(void)
{
    tl_callback_free(callback);
    callback = NULL;
    provider = NULL;
    memset(instruments, 0, sizeof instruments);
}

void tl_self_observe(struct tl_meter_provider *wanted)
{
    const int saved = errno;

    pthread_mutex_lock(&lock);
    if (provider != wanted) {
        end_locked();
        if (wanted)
            begin_locked(wanted);
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
}

void observe_forget(const struct tl_meter_provider *gone)
{
    pthread_mutex_lock(&lock);
    if (provider == gone)
        end_locked();
    pthread_mutex_unlock(&lock);
}

void observe_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    observed_forked();
}

static void duration_record(enum figure figure, uint64_t took_ns, const struct component *component)
{
    pthread_mutex_lock(&lock);
    tl_measure_double(instruments[figure], (double)took_ns / 1e9, component->attributes,
                      component->count);
    pthread_mutex_unlock(&lock);
}

void observe_collection(const struct tl_metric_reader *reader, uint64_t took_ns, int result)
{
    struct component component;

    component_init(&component, reader->type, reader->number);
    if (result != 0)
        component.attributes[component.count++] =
            TL_STR("error.type", result == -ETIMEDOUT ? "timeout" : "_OTHER");
    duration_record(COLLECTION_DURATION, took_ns, &component);
}

// gRPC's names for its codes (grpc.io, "Status codes and their use in gRPC").
static const char *grpc_name(int32_t status)
{
    static const char *const names[] = {"OK",
                                        "CANCELLED",
                                        "UNKNOWN",
                                        "INVALID_ARGUMENT",
                                        "DEADLINE_EXCEEDED",
                                        "NOT_FOUND",
                                        "ALREADY_EXISTS",
                                        "PERMISSION_DENIED",
                                        "RESOURCE_EXHAUSTED",
                                        "FAILED_PRECONDITION",
                                        "ABORTED",
                                        "OUT_OF_RANGE",
                                        "UNIMPLEMENTED",
                                        "INTERNAL",
                                        "UNAVAILABLE",
                                        "DATA_LOSS",
                                        "UNAUTHENTICATED"};

    return status >= 0 && (size_t)status < sizeof names / sizeof names[0] ? names[status] : NULL;
}

void observe_operation(const struct observed_operation *operation)
{
    const struct tl_answer *answer = operation->answer;
    const bool is_grpc = operation->type && strstr(operation->type, "grpc");
    struct component component;
    char cause[24];

    observe_type_write(component.type, operation->type ? operation->type : "custom_exporter",
                       operation->signal);
    component_init(&component, component.type, operation->number);
    component_server(&component, operation->server_address, operation->server_port);
    if (is_grpc && grpc_name(answer->status))
        component.attributes[component.count++] =
            TL_STR("rpc.status_code", grpc_name(answer->status));
    else if (answer->status)
        component.attributes[component.count++] =
            TL_INT("http.response.status_code", answer->status);
    if (operation->lost || answer->result != TL_RESULT_DONE)
        component.attributes[component.count++] = TL_STR("error.type", answer_cause(answer, cause));
    duration_record(OPERATION_DURATION, operation->took_ns, &component);
}
