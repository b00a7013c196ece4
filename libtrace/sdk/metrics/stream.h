// SPDX-License-Identifier: Apache-2.0
// A metric stream: what one view makes of one instrument for one reader, and its time series. Any
// thread records; one at a time collects. A stream is never freed before its provider.

#pragma once

#include <pthread.h>

#include "libtrace/base/arena.h"
#include "libtrace/sdk/metrics/exemplar.h"
#include "libtrace/sdk/metrics/exponential.h"
#include "libtrace/sdk/metrics/series.h"
#include "throughline/sdk.h"

struct tl_metric_reader;
struct metric_writer;

// What a stream is made of; texts and lists are copied.
struct stream_plan {
    struct tl_metric_reader *reader;
    const struct tl_scope *scope;
    enum tl_instrument_kind kind;
    bool is_double;
    const char *name;
    const char *unit;
    const char *description;
    struct tl_aggregation aggregation; // resolved: neither default nor drop
    enum tl_temporality temporality;
    struct key_filter filter;
    uint32_t limit; // attribute sets beside the overflow set
    enum tl_exemplar_filter exemplars;
    const struct tl_reservoir *reservoir;
    uint64_t created_ns;
};

struct stream {
    // What a measurement looks at.
    _Atomic(struct table *) table;
    _Atomic bool is_full;
    bool is_filtered;
    bool is_double;
    bool no_min_max;
    enum cell cell;
    enum tl_exemplar_filter exemplars;
    uint32_t boundary_count;
    const double *boundaries;
    struct series *overflow;
    struct key_filter filter;

    struct tl_metric_reader *reader;
    const struct tl_scope *scope;
    enum tl_instrument_kind kind;
    bool is_monotonic;
    bool has_sum; // of a histogram
    bool is_observed;
    bool has_reservoir;
    struct tl_reservoir reservoir;
    enum tl_temporality temporality;
    uint32_t max_size;
    int32_t max_scale;
    uint32_t limit;
    struct str name;
    struct str unit;
    struct str description;
    struct arena arena; // of the texts and lists above
    uint64_t created_ns;

    pthread_mutex_t *lock; // the reader's, of what follows
    uint32_t count;
    uint64_t last_ns; // of the former collection; 0: none yet
    struct series *first;
    struct series **last;
    struct series *inherited; // the parent's, after a fork: they only wait to be freed
    struct table *inherited_tables;
    _Atomic bool is_settled; // retired, and nobody measures in it any more
    bool is_over;            // and collected a last time
    struct stream *retired;  // the instrument's next one that a change of views took out of use
};

// Made by an equal plan.
bool stream_is(const struct stream *stream, const struct stream_plan *plan);

// NULL without memory.
struct stream *stream_new(const struct stream_plan *plan);
void stream_free(struct stream *stream);

static inline bool kind_is_observed(enum tl_instrument_kind kind)
{
    return kind >= TL_OBSERVABLE_COUNTER;
}

// The number of the bucket with the smallest boundary that is not below the value.
static inline uint32_t bucket_of(const struct stream *stream, double value)
{
    const double *base = stream->boundaries;
    uint32_t left = stream->boundary_count;

    // Without branches: which way it goes is what a processor cannot guess.
    while (left > 1) {
        const uint32_t half = left / 2;

        base += base[half - 1] < value ? half : 0;
        left -= half;
    }
    return (uint32_t)(base - stream->boundaries) + (left && *base < value);
}

static inline void series_touch(struct series *series)
{
    if (!atomic_load_explicit(&series->is_touched, memory_order_relaxed))
        atomic_store_explicit(&series->is_touched, true, memory_order_release);
}

static inline void histogram_record(struct stream *stream, struct series *series, double value)
{
    const uint32_t bucket = bucket_of(stream, value);
    struct histogram *cell = series->cell;

    series_lock(series);
    cell->counts[bucket]++;
    cell->sum += value;
    if (value < cell->min)
        cell->min = value;
    if (value > cell->max)
        cell->max = value;
    series_unlock(series);
}

void series_record_exponential(struct series *series, double value);

static inline void series_add_double(struct series *series, double value)
{
    union number sum;
    uint64_t seen = atomic_load_explicit(&series->value, memory_order_relaxed);

    do {
        sum.bits = seen;
        sum.real += value;
    } while (!atomic_compare_exchange_weak_explicit(&series->value, &seen, sum.bits,
                                                    memory_order_relaxed, memory_order_relaxed));
}

// Adds, sets or counts the value. Within a section, or under the stream's lock.
static inline void series_record(struct stream *stream, struct series *series, union number value)
{
    switch (stream->cell) {
    case CELL_SUM:
        atomic_fetch_add_explicit(&series->value, value.bits, memory_order_relaxed);
        break;
    case CELL_SUM_DOUBLE:
        series_add_double(series, value.real);
        break;
    case CELL_LAST:
        // Ordered before the look at is_touched, else a collection between could miss it.
        atomic_exchange(&series->value, value.bits);
        break;
    case CELL_EXPLICIT:
        histogram_record(stream, series, stream->is_double ? value.real : (double)value.integer);
        break;
    case CELL_EXPONENTIAL:
        series_record_exponential(series, stream->is_double ? value.real : (double)value.integer);
        break;
    }
    series_touch(series);
}

// The series of a set, made when there is none, else the overflow series. The lock is held.
struct series *stream_series(struct stream *stream, const struct tl_attribute *attributes,
                             size_t count);

// Records under the lock, for a set that the table does not have (yet).
void stream_record_slowly(struct stream *stream, union number value, const struct offer *offer);

// What a callback observed: the value replaces, or is added to another of the same set where the
// filter or the limit made one set of several.
void stream_observe(struct stream *stream, union number value,
                    const struct tl_attribute *attributes, size_t count);

// Before the callbacks of a collection: nothing is observed yet.
void stream_observe_begin(struct stream *stream);

// Writes the points; with delta temporality the next interval begins.
void stream_collect(struct stream *stream, const struct tl_metric_filter *filter, uint64_t now_ns,
                    struct metric_writer *writer);

// Takes the series out that no measurement touched since the former collection, or all that are not
// bound; nobody can record in them any more. The lock is held. stream_series_free takes the list.
struct series *stream_sweep(struct stream *stream);
void stream_series_free(const struct stream *stream, struct series *list);
// The cell as it is before the first measurement.
void stream_cell_reset(const struct stream *stream, struct series *series);

// A bound handle's hold of a series.
void stream_unbind(struct stream *stream, struct series *series);

// After a fork, in the child, with the lock held since before it: what the parent measured is the
// parent's.
void stream_forked(struct stream *stream, uint64_t now_ns);
