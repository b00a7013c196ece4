// SPDX-License-Identifier: Apache-2.0
// The processors that come with the SDK: batch and ring put encoded records into a pipe, simple
// hands each one to its exporter before it returns, on the caller's thread. Any thread.

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "libtrace/base/clock.h"
#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/encode.h"
#include "libtrace/sdk/export/pipe.h"
#include "libtrace/sdk/logs/logger.h"
#include "libtrace/sdk/resource/resource.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"

enum { REQUEST_BYTES_MAX = 1 << 20 };

#define EXPORT_TIMEOUT_NS (30 * NS_PER_SECOND)

struct log_sink {
    struct pipe *pipe; // NULL: simple
    // Of a simple one.
    struct tl_exporter_v1 exporter;
    pthread_mutex_t lock; // held while the exporter sends: never two at once
    struct bytes request; // under the lock
    _Atomic bool is_shut;
    struct log_sink *next; // under simples_lock
};

static pthread_mutex_t simples_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct log_sink *simples;

static _Thread_local const struct log_call *current_call __attribute__((tls_model("initial-exec")));
static _Thread_local bool is_sending __attribute__((tls_model("initial-exec")));

const struct log_call *log_call_swap(const struct log_call *call)
{
    const struct log_call *former = current_call;

    current_call = call;
    return former;
}

// ---- Simple: locks that another thread held at a fork are free in the child.
static void before_fork(void)
{
    pthread_mutex_lock(&simples_lock);
}

static void after_fork_parent(void)
{
    pthread_mutex_unlock(&simples_lock);
}

static void after_fork_child(void)
{
    for (struct log_sink *sink = simples; sink; sink = sink->next)
        pthread_mutex_init(&sink->lock, NULL);
    pthread_mutex_init(&simples_lock, NULL);
}

static void first_use(void)
{
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static void simple_list(struct log_sink *sink)
{
    pthread_once(&once, first_use);
    pthread_mutex_lock(&simples_lock);
    sink->next = simples;
    simples = sink;
    pthread_mutex_unlock(&simples_lock);
}

static void simple_unlist(const struct log_sink *sink)
{
    pthread_mutex_lock(&simples_lock);
    for (struct log_sink **at = &simples; *at; at = &(*at)->next) {
        if (*at == sink) {
            *at = sink->next;
            break;
        }
    }
    pthread_mutex_unlock(&simples_lock);
}

// opentelemetry-proto: ExportLogsServiceRequest has resource_logs 1, ResourceLogs scope_logs 2,
// ScopeLogs log_records 2. False: no memory.
static bool request_write(struct bytes *out, const struct log_call *call,
                          const struct log_writing *writing, size_t len)
{
    const struct tl_logger *logger = call->logger;
    size_t resource_mark, scope_mark;
    uint8_t *to;

    out->len = 0;
    out->is_failed = false;
    resource_mark = message_begin(out, 1);
    resource_group_write(out, logger->provider->resource);
    scope_mark = message_begin(out, 2);
    bytes_add_str(out, logger->scope.encoded);
    tag_write(out, 2, WIRE_BYTES);
    varint_write(out, len);
    to = bytes_reserve(out, len);
    if (!to)
        return false;
    log_record_put(to, writing);
    out->len += len;
    message_end(out, scope_mark);
    message_end(out, resource_mark);
    return !out->is_failed;
}

static void answer_count(const struct tl_answer *answer)
{
    if (answer->result == TL_RESULT_DONE && answer->rejected == 0) {
        signal_add(TL_LOGS, EXPORTED, 1);
        return;
    }
    signal_add(TL_LOGS, LOSS_UNDELIVERED, 1);
    say(TL_WARN, "a log record was not delivered: %.255s", answer->message);
}

static void simple_emit(struct log_sink *sink, const struct log_call *call,
                        struct log_writing *writing)
{
    struct tl_request request = {.signal = TL_LOGS, .records = 1};
    struct tl_answer answer = {.result = TL_RESULT_REFUSED};
    bool is_made;

    // An exporter that logs while it sends would wait for itself.
    if (is_sending || atomic_load_explicit(&sink->is_shut, memory_order_relaxed)) {
        signal_add(TL_LOGS, LOSS_UNDELIVERED, 1);
        return;
    }
    pthread_mutex_lock(&sink->lock);
    is_made = request_write(&sink->request, call, writing, log_record_fit(writing));
    if (is_made) {
        request.bytes = sink->request.at;
        request.len = sink->request.len;
        request.deadline_ns = clock_mono_ns() + EXPORT_TIMEOUT_NS;
        is_sending = true;
        sink->exporter.send(sink->exporter.self, &request, &answer);
        is_sending = false;
    }
    pthread_mutex_unlock(&sink->lock);
    if (is_made)
        answer_count(&answer);
    else
        signal_add(TL_LOGS, LOSS_NO_MEMORY, 1);
}

// ---- Pipes
static void pipe_emit(struct pipe *pipe, struct log_writing *writing, uint32_t entry)
{
    const struct ring_mark mark = {entry, TL_LOGS, 1};
    uint8_t scratch[LOG_SHORT_ROOM];
    const uint8_t *end = log_record_short_put(scratch, writing);
    struct ring_slot slot;
    size_t len;

    // The usual record is written once and copied: that takes less time than to add up its exact
    // length first, for which every text is looked at.
    if (end) {
        len = (size_t)(end - scratch);
        if (!pipe_reserve(pipe, &mark, (uint32_t)len, &slot))
            return;
        memcpy(slot.at, scratch, len);
        pipe_commit(pipe, &slot);
        return;
    }
    len = log_record_fit(writing);
    // What has no room in a ring is refused there, and counted.
    if (!pipe_reserve(pipe, &mark, len > UINT32_MAX ? UINT32_MAX : (uint32_t)len, &slot))
        return;
    log_record_put(slot.at, writing);
    pipe_commit(pipe, &slot);
}

void log_sink_emit(struct log_sink *sink, const struct log_call *call, uint32_t entry)
{
    struct log_writing writing;

    writing.record = call->record;
    writing.limits = &call->logger->provider->limits;
    writing.span = call->span;
    writing.observed_ns = call->observed_ns;
    log_writing_init(&writing);
    if (sink->pipe)
        pipe_emit(sink->pipe, &writing, entry);
    else
        simple_emit(sink, call, &writing);
}

uint32_t log_sink_entry(struct log_sink *sink, struct str resource, struct str scope)
{
    return sink->pipe ? pipe_entry(sink->pipe, resource, scope) : UINT32_MAX;
}

// ---- As a processor that is called by another one of the same provider.
static void sink_on_emit(void *self, struct tl_log_record *record, const struct tl_scope *scope)
{
    const struct log_call *call = current_call;
    struct bytes resource = {.limit = 64 * 1024};
    struct log_sink *sink = self;
    struct log_call own;

    // Outside of tl_log_emit nobody says whose resource and limits these are.
    if (!record || !call || scope != &call->logger->scope.as) {
        stats_add(&sdk_stats, SDK_misuses, 1);
        return;
    }
    own = (struct log_call){.logger = call->logger,
                            .record = record,
                            .span = record->span,
                            .observed_ns = record->observed_ns};
    resource_group_write(&resource, call->logger->provider->resource);
    log_sink_emit(sink, &own,
                  resource.is_failed
                      ? UINT32_MAX
                      : log_sink_entry(sink, bytes_str(&resource), call->logger->scope.encoded));
    bytes_done(&resource);
}

static int sink_flush(void *self, uint64_t timeout_ms)
{
    struct log_sink *sink = self;

    if (sink->pipe)
        return pipe_flush(sink->pipe, timeout_ms);
    return sink->exporter.flush ? sink->exporter.flush(sink->exporter.self, timeout_ms) : 0;
}

static int sink_shutdown(void *self, uint64_t timeout_ms)
{
    struct log_sink *sink = self;

    if (sink->pipe)
        return pipe_shutdown(sink->pipe, timeout_ms);
    if (atomic_exchange(&sink->is_shut, true))
        return -EALREADY;
    return sink->exporter.shutdown ? sink->exporter.shutdown(sink->exporter.self, timeout_ms) : 0;
}

static void sink_free(void *self)
{
    struct log_sink *sink = self;

    if (!sink)
        return;
    if (sink->pipe) {
        pipe_free(sink->pipe);
    } else {
        simple_unlist(sink);
        if (sink->exporter.free)
            sink->exporter.free(sink->exporter.self);
        pthread_mutex_destroy(&sink->lock);
        bytes_done(&sink->request);
    }
    free(sink);
}

// Stands where there was no memory for a processor.
static void lost_on_emit(void *self, struct tl_log_record *record, const struct tl_scope *scope)
{
    (void)self, (void)record, (void)scope;
    signal_add(TL_LOGS, LOSS_NO_MEMORY, 1);
}

static struct tl_log_processor processor_of(struct log_sink *sink, const char *type)
{
    if (!sink) {
        say(TL_ERROR, "%s: no memory or no descriptor for it, its records are dropped", type);
        return (struct tl_log_processor){.on_emit = lost_on_emit, .type = type};
    }
    return (struct tl_log_processor){.self = sink,
                                     .on_emit = sink_on_emit,
                                     .flush = sink_flush,
                                     .shutdown = sink_shutdown,
                                     .free = sink_free,
                                     .type = type};
}

struct log_sink *log_processor_sink(const struct tl_log_processor *processor)
{
    return processor->on_emit == sink_on_emit ? processor->self : NULL;
}

// Takes the pipe; NULL without memory or without a pipe.
static struct log_sink *pipe_sink(struct pipe *pipe)
{
    struct log_sink *sink = pipe ? calloc(1, sizeof *sink) : NULL;

    if (sink)
        sink->pipe = pipe;
    else
        pipe_free(pipe);
    return sink;
}

struct tl_log_processor tl_log_processor_batch(const struct tl_exporter_v1 *exporter,
                                               const struct tl_batch_options *options)
{
    const int saved = errno;
    struct log_sink *sink = NULL;

    if (exporter && exporter->send)
        sink = pipe_sink(pipe_new(
            &(struct pipe_plan){.signal = TL_LOGS,
                                .exporter = *exporter,
                                .batch = options ? *options : (struct tl_batch_options){0}}));
    errno = saved;
    return processor_of(sink, "batching_log_processor");
}

struct tl_log_processor tl_log_processor_ring(void)
{
    const int saved = errno;
    struct log_sink *sink = pipe_sink(pipe_shared());

    errno = saved;
    return processor_of(sink, "ring_log_processor");
}

struct tl_log_processor tl_log_processor_simple(const struct tl_exporter_v1 *exporter)
{
    const int saved = errno;
    struct log_sink *sink = exporter && exporter->send ? calloc(1, sizeof *sink) : NULL;

    if (sink) {
        sink->exporter = *exporter;
        sink->request.limit = REQUEST_BYTES_MAX;
        pthread_mutex_init(&sink->lock, NULL);
        simple_list(sink);
    } else if (exporter && exporter->free) {
        exporter->free(exporter->self);
    }
    errno = saved;
    return processor_of(sink, "simple_log_processor");
}
