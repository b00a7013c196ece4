// SPDX-License-Identifier: Apache-2.0
// A measurement: which series, and one addition to its cell. The attribute set is hashed once for
// all streams; a set that was seen before is found without a lock and without an allocation.

#include <errno.h>

#include "libtrace/sdk/metrics/instrument.h"
#include "libtrace/sdk/metrics/measure.h"
#include "libtrace/sdk/stats.h"

// One measurement on its way.
struct measurement {
    struct offer offer;
    uint64_t hash;
    bool is_plain; // the hash is that of the set
    bool is_offered;
    bool is_counted; // what cannot be in it was counted
};

// By the set that the list means for this stream: filtered, without what cannot be or comes twice.
static __attribute__((noinline)) struct series *normal_find(struct stream *stream,
                                                            struct measurement *measurement)
{
    struct tl_attribute set[SET_ATTRIBUTES_MAX];
    size_t invalid = 0;
    const size_t count = set_normal(&stream->filter, measurement->offer.attributes,
                                    measurement->offer.count, set, &invalid);
    struct series *series;

    if (invalid && !measurement->is_counted) {
        measurement->is_counted = true;
        stats_add(&sdk_stats, SDK_invalid_values, invalid);
    }
    series = table_find(atomic_load_explicit(&stream->table, memory_order_acquire),
                        set_hash(set, count), set, count);
    // At its limit the stream makes no more: no lock is needed to know where it goes.
    if (!series && atomic_load_explicit(&stream->is_full, memory_order_relaxed))
        return stream->overflow;
    return series;
}

static inline struct series *series_find(struct stream *stream, struct measurement *measurement)
{
    struct series *series = NULL;

    if (measurement->is_plain && !stream->is_filtered)
        series =
            table_find(atomic_load_explicit(&stream->table, memory_order_acquire),
                       measurement->hash, measurement->offer.attributes, measurement->offer.count);
    return __builtin_expect(series != NULL, 1) ? series : normal_find(stream, measurement);
}

// False: the stream's lock is needed.
static inline bool stream_measure(struct stream *stream, struct measurement *measurement)
{
    struct series *series = series_find(stream, measurement);

    if (!series)
        return false;
    series_record(stream, series, measurement->offer.value);
    if (__builtin_expect(measurement->is_offered, 0))
        exemplar_offer(stream, series, &measurement->offer);
    return true;
}

static __attribute__((noinline)) void measure_slowly(struct stream_list *list, uint64_t missed,
                                                     struct measurement *measurement)
{
    for (size_t i = 0; i < list->count; i++) {
        if (missed >> i & 1)
            stream_record_slowly(list->streams[i], measurement->offer.value, &measurement->offer);
    }
    atomic_fetch_sub(&list->under_way, 1);
}

static inline bool is_offered(const struct tl_instrument *instrument, struct offer *offer,
                              const struct measure_from *from)
{
    if (instrument->exemplars == TL_EXEMPLARS_ALWAYS_OFF)
        return false;
    if (from->has_context) {
        offer->context = from->context;
        offer->span = tl_context_span_context(from->context);
    } else if (thread_has_span()) {
        offer->context = thread_context();
        offer->span = thread_span_context();
    } else if (instrument->exemplars == TL_EXEMPLARS_ALWAYS_ON) {
        offer->span = (struct tl_span_context){0};
    }
    return instrument->exemplars == TL_EXEMPLARS_ALWAYS_ON || offer->span.flags & TL_FLAG_SAMPLED;
}

static inline __attribute__((always_inline)) void
measure(struct tl_instrument *instrument, union number value, const struct tl_attribute *attributes,
        size_t count, const struct measure_from *from)
{
    struct measurement measurement;
    struct stream_list *list;
    uint64_t missed = 0;
    uint64_t ticket;

    measurement.offer.value = value;
    measurement.offer.attributes = attributes;
    measurement.offer.count = attributes ? count : 0;
    measurement.offer.context = NULL;
    measurement.offer.span.flags = 0;
    measurement.is_counted = false;
    measurement.is_offered = is_offered(instrument, &measurement.offer, from);
    measurement.is_plain = set_hash_plain(attributes, measurement.offer.count, &measurement.hash);
    ticket = guard_enter();
    list = atomic_load_explicit(&instrument->streams, memory_order_acquire);
    for (size_t i = 0; i < list->count; i++) {
        if (__builtin_expect(!ticket || !stream_measure(list->streams[i], &measurement), 0))
            missed |= UINT64_C(1) << i;
    }
    if (__builtin_expect(missed != 0, 0))
        atomic_fetch_add(&list->under_way, 1);
    guard_leave(ticket);
    if (__builtin_expect(missed != 0, 0))
        measure_slowly(list, missed, &measurement);
}

static __attribute__((noinline)) void refuse(const struct tl_instrument *instrument)
{
    if (instrument)
        stats_add(&sdk_stats, instrument->is_observed ? SDK_misuses : SDK_invalid_values, 1);
}

static const struct measure_from FROM_THREAD = {NULL, false};

void tl_measure(struct tl_instrument *instrument, int64_t value,
                const struct tl_attribute *attributes, size_t count)
{
    union number number;

    if (!instrument || !value_of_integer(instrument, value, &number)) {
        refuse(instrument);
        return;
    }
    measure(instrument, number, attributes, count, &FROM_THREAD);
}

void tl_measure_double(struct tl_instrument *instrument, double value,
                       const struct tl_attribute *attributes, size_t count)
{
    union number number;

    if (!instrument || !value_of_double(instrument, value, &number)) {
        refuse(instrument);
        return;
    }
    measure(instrument, number, attributes, count, &FROM_THREAD);
}

void tl_measure_in(struct tl_instrument *instrument, double value,
                   const struct tl_attribute *attributes, size_t count,
                   const struct tl_context *context)
{
    const struct measure_from from = {context, true};
    union number number;

    if (!instrument || !value_of_double(instrument, value, &number)) {
        refuse(instrument);
        return;
    }
    measure(instrument, number, attributes, count, &from);
}
