// SPDX-License-Identifier: Apache-2.0
// The processors of ours: batch and ring are pipes, which the span's end knows and writes into
// itself; simple sends each span by itself.

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "libtrace/base/clock.h"
#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/export/pipe.h"
#include "libtrace/sdk/resource/resource.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"
#include "libtrace/sdk/trace/span.h"

static int batch_flush(void *self, uint64_t timeout_ms)
{
    return pipe_flush(self, timeout_ms);
}

static int batch_shutdown(void *self, uint64_t timeout_ms)
{
    return pipe_shutdown(self, timeout_ms);
}

static void batch_free(void *self)
{
    pipe_free(self);
}

struct pipe *span_processor_pipe(const struct tl_span_processor *processor)
{
    return processor->free == batch_free ? processor->self : NULL;
}

// Stands where there was no memory for a processor, or no exporter.
static void lost_on_end(void *self, const struct tl_span *handle)
{
    (void)self;
    if (span_of(handle)->context.flags & TL_FLAG_SAMPLED)
        signal_add(TL_TRACES, LOSS_NO_MEMORY, 1);
}

static struct tl_span_processor of_pipe(struct pipe *pipe, const char *type)
{
    struct tl_span_processor processor = {.type = type};

    if (!pipe) {
        processor.on_end = lost_on_end;
        say(TL_ERROR, "%s: no memory or no descriptor for it, its spans are dropped", type);
        return processor;
    }
    processor.self = pipe;
    processor.flush = batch_flush;
    processor.shutdown = batch_shutdown;
    processor.free = batch_free;
    return processor;
}

struct tl_span_processor tl_span_processor_batch(const struct tl_exporter_v1 *exporter,
                                                 const struct tl_batch_options *options)
{
    struct pipe_plan plan = {.signal = TL_TRACES};

    if (!exporter)
        return of_pipe(NULL, "batching_span_processor");
    plan.exporter = *exporter;
    if (options)
        plan.batch = *options;
    return of_pipe(pipe_new(&plan), "batching_span_processor");
}

struct tl_span_processor tl_span_processor_ring(void)
{
    return of_pipe(pipe_shared(), "ring_span_processor");
}

// One span at a time, on the thread that ends it (specification, "Simple processor").
struct simple {
    struct tl_exporter_v1 exporter;
    pthread_mutex_t lock; // held while the exporter sends: never two at once
    _Atomic bool is_shut;
    struct simple *next; // under simples_lock
};

static pthread_mutex_t simples_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct simple *simples;

static _Thread_local bool is_sending __attribute__((tls_model("initial-exec")));

// Locks that another thread held at a fork are free in the child.
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
    for (struct simple *simple = simples; simple; simple = simple->next)
        pthread_mutex_init(&simple->lock, NULL);
    pthread_mutex_init(&simples_lock, NULL);
}

static void first_use(void)
{
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

static void simple_list(struct simple *simple)
{
    pthread_once(&once, first_use);
    pthread_mutex_lock(&simples_lock);
    simple->next = simples;
    simples = simple;
    pthread_mutex_unlock(&simples_lock);
}

static void simple_unlist(const struct simple *simple)
{
    pthread_mutex_lock(&simples_lock);
    for (struct simple **at = &simples; *at; at = &(*at)->next) {
        if (*at == simple) {
            *at = simple->next;
            break;
        }
    }
    pthread_mutex_unlock(&simples_lock);
}

static size_t field_size(size_t len)
{
    return 1 + varint_size(len) + len;
}

// ExportTraceServiceRequest{resource_spans{resource, scope_spans{scope, span}}}.
static bool request_write(struct bytes *out, const struct span *span)
{
    struct bytes group = {.limit = 64 * 1024};
    const struct str scope = span->tracer->scope.encoded;
    const size_t span_len = span_size(span);
    const size_t scope_len = scope.len + field_size(span_len);
    uint8_t *to;

    resource_group_write(&group, span->tracer->provider->resource);
    to = group.is_failed ? NULL : bytes_reserve(out, scope_len + group.len + 64);
    if (to) {
        *to++ = 1 << 3 | WIRE_BYTES;
        to += varint_put(to, group.len + field_size(scope_len));
        if (group.len)
            memcpy(to, group.at, group.len);
        to += group.len;
        *to++ = 2 << 3 | WIRE_BYTES;
        to += varint_put(to, scope_len);
        if (scope.len)
            memcpy(to, scope.at, scope.len);
        to += scope.len;
        *to++ = 2 << 3 | WIRE_BYTES;
        to += varint_put(to, span_len);
        to = span_put(to, span);
        out->len = (size_t)(to - out->at);
    }
    bytes_done(&group);
    return to != NULL;
}

static void simple_send(struct simple *simple, const struct bytes *request)
{
    const struct tl_request call = {
        .signal = TL_TRACES,
        .bytes = request->at,
        .len = request->len,
        .records = 1,
        .deadline_ns = clock_mono_ns() + 30 * NS_PER_SECOND,
    };
    struct tl_answer answer = {.result = TL_RESULT_REFUSED};

    pthread_mutex_lock(&simple->lock);
    if (!atomic_load(&simple->is_shut)) {
        is_sending = true;
        simple->exporter.send(simple->exporter.self, &call, &answer);
        is_sending = false;
    }
    pthread_mutex_unlock(&simple->lock);
    if (answer.result == TL_RESULT_DONE && answer.rejected == 0) {
        signal_add(TL_TRACES, EXPORTED, 1);
        return;
    }
    signal_add(TL_TRACES, LOSS_UNDELIVERED, 1);
    say(TL_ERROR, "%s: a span dropped: %s", simple->exporter.type, answer.message);
}

static void simple_on_end(void *self, const struct tl_span *handle)
{
    const struct span *span = span_of(handle);
    struct bytes request = {.limit = 4 * BODY_BYTES_MAX};

    if (!(span->context.flags & TL_FLAG_SAMPLED))
        return;
    // An exporter that traces itself would wait for itself.
    if (is_sending) {
        signal_add(TL_TRACES, LOSS_UNDELIVERED, 1);
        return;
    }
    if (request_write(&request, span))
        simple_send(self, &request);
    else
        signal_add(TL_TRACES, LOSS_NO_MEMORY, 1);
    bytes_done(&request);
}

static int simple_flush(void *self, uint64_t timeout_ms)
{
    struct simple *simple = self;

    return simple->exporter.flush ? simple->exporter.flush(simple->exporter.self, timeout_ms) : 0;
}

static int simple_shutdown(void *self, uint64_t timeout_ms)
{
    struct simple *simple = self;
    const uint64_t deadline_ns = clock_after_ms(clock_mono_ns(), timeout_ms);
    const uint64_t until = clock_after_ms(clock_unix_ns(), timeout_ms);
    const struct timespec at = {(time_t)(until / NS_PER_SECOND), (long)(until % NS_PER_SECOND)};
    uint64_t now_ns;
    int failed = 0;

    atomic_store(&simple->is_shut, true);
    // What is on its way is waited for, but no longer than was said.
    if (!is_sending) {
        failed = pthread_mutex_timedlock(&simple->lock, &at);
        if (!failed)
            pthread_mutex_unlock(&simple->lock);
    }
    now_ns = clock_mono_ns();
    if (simple->exporter.shutdown) {
        const int result = simple->exporter.shutdown(
            simple->exporter.self, deadline_ns > now_ns ? (deadline_ns - now_ns) / NS_PER_MS : 0);

        return failed ? -failed : result;
    }
    return -failed;
}

static void simple_free(void *self)
{
    struct simple *simple = self;

    simple_unlist(simple);
    if (simple->exporter.free)
        simple->exporter.free(simple->exporter.self);
    pthread_mutex_destroy(&simple->lock);
    free(simple);
}

struct tl_span_processor tl_span_processor_simple(const struct tl_exporter_v1 *exporter)
{
    struct tl_span_processor processor = {.on_end = lost_on_end, .type = "simple_span_processor"};
    const int saved = errno;
    struct simple *simple = exporter && exporter->send ? calloc(1, sizeof *simple) : NULL;

    errno = saved;
    if (!simple) {
        if (exporter && exporter->free)
            exporter->free(exporter->self);
        return processor;
    }
    simple->exporter = *exporter;
    pthread_mutex_init(&simple->lock, NULL);
    simple_list(simple);
    processor.self = simple;
    processor.on_end = simple_on_end;
    processor.flush = simple_flush;
    processor.shutdown = simple_shutdown;
    processor.free = simple_free;
    return processor;
}
