// SPDX-License-Identifier: Apache-2.0
// The reader that puts metrics into the ring that the node agent drains, every interval. One record
// is one Metric with as many points as fit.

#include <errno.h>
#include <stdlib.h>

#include "libtrace/base/clock.h"
#include "libtrace/sdk/export/pipe.h"
#include "libtrace/sdk/export/task.h"
#include "libtrace/sdk/metrics/reader.h"

enum { RING_INTERVAL_MS = 60000, RING_METRIC_BYTES = 32 * 1024, RING_COLLECT_MS = 30000 };

struct ring_reader_own {
    struct tl_metric_reader *reader;
    struct task *task;
    uint64_t interval_ns;
    uint64_t due_ns;
    _Atomic bool is_shut;
};

// Metrics on their way into the ring.
struct ring_sink {
    struct metric_sink sink; // first: take gets it back
    struct pipe *pipe;
    struct str resource;
};

static void own_take(struct metric_sink *sink, struct str scope, struct str metric, uint32_t points)
{
    struct ring_sink *to = (struct ring_sink *)(void *)sink;
    struct ring_mark mark = {.entry = pipe_entry(to->pipe, to->resource, scope),
                             .signal = TL_METRICS,
                             .count = (uint16_t)points};
    struct ring_slot slot;

    if (!pipe_reserve(to->pipe, &mark, (uint32_t)metric.len, &slot))
        return; // counted there
    memcpy(slot.at, metric.at, metric.len);
    pipe_commit(to->pipe, &slot);
}

static int own_collect(struct ring_reader_own *own, uint64_t deadline_ns)
{
    struct bytes resource = {0};
    struct ring_sink to = {
        .sink = {.take = own_take, .points_left = UINT16_MAX, .bytes_max = RING_METRIC_BYTES},
        .pipe = pipe_shared(),
    };
    int result = to.pipe ? reader_resource(own->reader, &resource) : -ENOMEM;

    to.resource = bytes_str(&resource);
    if (result == 0)
        result = reader_collect(own->reader, &to.sink, deadline_ns);
    bytes_done(&resource);
    return result;
}

static uint64_t own_run(void *self, uint64_t now_ns, bool may_wait)
{
    struct ring_reader_own *own = self;

    (void)may_wait; // the ring never blocks
    if (atomic_load(&own->is_shut))
        return UINT64_MAX;
    if (now_ns < own->due_ns)
        return own->due_ns;
    own->due_ns = now_ns + own->interval_ns;
    own_collect(own, now_ns + RING_COLLECT_MS * NS_PER_MS);
    return own->due_ns;
}

static void own_start(void *self)
{
    struct ring_reader_own *own = self;

    own->due_ns = clock_mono_ns() + own->interval_ns;
    task_start(own->task, own->due_ns);
}

static int own_flush(void *self, uint64_t timeout_ms)
{
    struct ring_reader_own *own = self;
    const uint64_t deadline_ns = clock_after_ms(clock_mono_ns(), timeout_ms);
    const int result = own_collect(own, deadline_ns);
    const uint64_t now_ns = clock_mono_ns();
    struct pipe *pipe = pipe_shared();
    int flushed = -ENOMEM;

    if (pipe)
        flushed = pipe_flush(pipe, deadline_ns > now_ns ? (deadline_ns - now_ns) / NS_PER_MS : 0);
    return result ? result : flushed;
}

static int own_shutdown(void *self, uint64_t timeout_ms)
{
    struct ring_reader_own *own = self;
    const int result = own_flush(own, timeout_ms);

    atomic_store(&own->is_shut, true);
    return result;
}

static void own_free(void *self)
{
    struct ring_reader_own *own = self;

    if (task_free(own->task, clock_mono_ns() + NS_PER_SECOND))
        free(own);
}

static const struct reader_functions functions = {own_start, own_flush, own_shutdown, own_free,
                                                  NULL};

struct tl_metric_reader *tl_reader_ring(const struct tl_reader_options *options)
{
    static const struct tl_reader_options none;
    const int saved = errno;
    struct ring_reader_own *own = calloc(1, sizeof *own);

    options = options ? options : &none;
    if (own) {
        own->interval_ns =
            (options->interval_ms ? options->interval_ms : RING_INTERVAL_MS) * NS_PER_MS;
        own->task =
            task_new(&(struct task_plan){.name = "tl-metrics", .run = own_run, .self = own});
    }
    if (own && own->task)
        own->reader = reader_new("ring_metric_reader", options, &functions, own);
    if (own && own->reader)
        own->reader->is_lazy = true;
    if (own && !own->reader) {
        task_free(own->task, clock_mono_ns());
        free(own);
        own = NULL;
    }
    errno = saved;
    return own ? own->reader : NULL;
}
