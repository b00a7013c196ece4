// SPDX-License-Identifier: Apache-2.0
// What every metric reader has: its defaults, its producers and filter, the provider it belongs to,
// and one collection at a time.

#pragma once

#include "libtrace/sdk/metrics/metric_write.h"
#include "libtrace/sdk/metrics/turn.h"
#include "libtrace/sdk/metrics/view.h"

struct observed;
struct point_sums;

struct reader_functions {
    // The provider is there: periodic work may begin. May be NULL, as the others.
    void (*start)(void *self);
    int (*flush)(void *self, uint64_t timeout_ms);
    int (*shutdown)(void *self, uint64_t timeout_ms);
    void (*free)(void *self);
    // In the child of a fork: what other threads of the parent held is let go.
    void (*forked)(void *self);
};

struct tl_metric_reader {
    const struct reader_functions *functions;
    void *self;
    const char *type; // otel.component.type
    unsigned number;  // of that type in the process
    struct reader_defaults defaults[8];
    const struct tl_metric_filter *filter;
    struct tl_metric_filter filter_copy;
    struct tl_metric_producer *producers;
    size_t producer_count;
    double *boundaries[8];
    _Atomic(struct tl_meter_provider *) provider;
    _Atomic bool is_shut;
    bool is_lazy;                 // no thread for a program that measures nothing
    _Atomic bool is_asleep;       // when lazy, and after a fork: until something is measured
    pthread_mutex_t streams_lock; // of the series of its streams
    struct turn turn;             // who collects; what follows is theirs
    struct point_sums *sums;      // of deltas, for Prometheus
};

// Copies the options. NULL without memory: then `self` is not taken.
struct tl_metric_reader *reader_new(const char *type, const struct tl_reader_options *options,
                                    const struct reader_functions *functions, void *self);
void reader_free(struct tl_metric_reader *reader);

// Belongs to the provider from now on; false when it has one.
bool reader_attach(struct tl_metric_reader *reader, struct tl_meter_provider *provider);

const struct reader_defaults *reader_defaults_of(const struct tl_metric_reader *reader,
                                                 enum tl_instrument_kind kind);

// Collects into the sink: callbacks, streams, producers. `resource` is what the sink's owner needs
// beforehand: see reader_resource. -EAGAIN: no provider; -ESHUTDOWN; -ETIMEDOUT: another collection
// took too long; -EDEADLK: from within a callback; -EIO: a producer failed, the rest is there.
int reader_collect(struct tl_metric_reader *reader, struct metric_sink *sink, uint64_t deadline_ns);

// Body of ResourceMetrics with the resource alone; to free with bytes_done. -EAGAIN as above.
int reader_resource(struct tl_metric_reader *reader, struct bytes *out);

// The public flush and shutdown of one reader.
int reader_flush(struct tl_metric_reader *reader, uint64_t timeout_ms);
int reader_shutdown(struct tl_metric_reader *reader, uint64_t timeout_ms);

// After a fork, in the child: no thread is started before something is measured there.
void reader_forked(struct tl_metric_reader *reader);
void reader_start(struct tl_metric_reader *reader);

static inline void reader_wake(struct tl_metric_reader *reader)
{
    if (atomic_load_explicit(&reader->is_asleep, memory_order_relaxed))
        reader_start(reader);
}
