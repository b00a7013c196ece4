// SPDX-License-Identifier: Apache-2.0
// A reservoir is made when a series is offered its first measurement, in one piece, so that
// sampling allocates nothing afterwards.

#include "libtrace/sdk/metrics/exemplar.h"

#include <errno.h>
#include <stdlib.h>

#include "libtrace/base/clock.h"
#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/encode.h"
#include "libtrace/sdk/metrics/stream.h"
#include "libtrace/sdk/thread.h"

struct exemplar {
    bool is_set;
    bool has_span;
    uint16_t rest_len;
    uint64_t time_ns;
    union number value;
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t rest[]; // encoded attributes
};

struct reservoir {
    size_t size;
    size_t stride;
    uint64_t seen;    // since the last collection
    void *own_series; // of a reservoir of the caller's
    _Alignas(16) uint8_t places[];
};

static struct exemplar *place_at(struct reservoir *reservoir, size_t index)
{
    return (struct exemplar *)(void *)(reservoir->places + index * reservoir->stride);
}

static size_t default_size(const struct stream *stream)
{
    if (stream->cell == CELL_EXPLICIT && stream->boundary_count > 0)
        return stream->boundary_count + 1;
    if (stream->cell == CELL_EXPONENTIAL)
        return stream->max_size < EXEMPLARS_EXPONENTIAL ? stream->max_size : EXEMPLARS_EXPONENTIAL;
    return EXEMPLARS_SIMPLE;
}

static bool leaves_out(const struct stream *stream, const struct series *series)
{
    return stream->is_filtered || series == stream->overflow;
}

static struct reservoir *reservoir_new(const struct stream *stream, const struct series *series)
{
    const struct tl_reservoir *own = stream->has_reservoir ? &stream->reservoir : NULL;
    const size_t size = own ? own->size : default_size(stream);
    const size_t rest = leaves_out(stream, series) ? EXEMPLAR_REST_BYTES : 0;
    const size_t stride = (sizeof(struct exemplar) + rest + 15) & ~(size_t)15;
    const int saved = errno;
    struct reservoir *made = calloc(1, sizeof *made + size * stride);

    errno = saved;
    if (!made)
        return NULL;
    made->size = size;
    made->stride = stride;
    if (own && own->make)
        made->own_series = own->make(own->self);
    return made;
}

void reservoir_free(const struct stream *stream, struct reservoir *reservoir)
{
    if (!reservoir)
        return;
    if (stream->has_reservoir && stream->reservoir.drop)
        stream->reservoir.drop(reservoir->own_series);
    free(reservoir);
}

// The series' reservoir, made when there is none.
static struct reservoir *reservoir_of(struct stream *stream, struct series *series)
{
    struct reservoir *reservoir = atomic_load_explicit(&series->reservoir, memory_order_acquire);
    struct reservoir *made;

    if (reservoir)
        return reservoir;
    made = reservoir_new(stream, series);
    if (made && !atomic_compare_exchange_strong(&series->reservoir, &reservoir, made)) {
        reservoir_free(stream, made);
        return reservoir;
    }
    return made;
}

// Attributes that are not those of the series, as fields 7 of an Exemplar.
static size_t rest_write(const struct stream *stream, const struct series *series,
                         const struct offer *offer, uint8_t out[static EXEMPLAR_REST_BYTES])
{
    uint8_t *to = out;

    if (!leaves_out(stream, series))
        return 0;
    for (size_t i = 0; i < offer->count; i++) {
        const struct tl_attribute *each = &offer->attributes[i];

        if (!set_pair_is_valid(each) ||
            (series != stream->overflow &&
             key_filter_keeps(&stream->filter, (struct str){each->key, each->key_len})))
            continue;
        if (attribute_room(each) <= EXEMPLAR_REST_BYTES - (size_t)(to - out))
            to = attribute_put(to, 7, each, ENCODE_UNLIMITED);
    }
    return (size_t)(to - out);
}

// Where the built-in reservoirs put it; -1: nowhere.
static int place_of(const struct stream *stream, struct reservoir *reservoir, double value)
{
    uint64_t at;

    if (stream->cell == CELL_EXPLICIT && reservoir->size > 1)
        return (int)bucket_of(stream, value);
    at = reservoir->seen < reservoir->size ? reservoir->seen
                                           : thread_random() % (reservoir->seen + 1);
    reservoir->seen++;
    return at < reservoir->size ? (int)at : -1;
}

void exemplar_offer(struct stream *stream, struct series *series, const struct offer *offer)
{
    struct reservoir *reservoir = reservoir_of(stream, series);
    uint8_t rest[EXEMPLAR_REST_BYTES];
    size_t rest_len;
    struct tl_measurement measurement = {
        .value = stream->is_double ? offer->value.real : (double)offer->value.integer,
        .integer = stream->is_double ? 0 : offer->value.integer,
        .is_double = stream->is_double,
        .attributes = offer->attributes,
        .attribute_count = offer->count,
        .span = offer->span,
        .context = offer->context,
    };
    struct exemplar *place;
    int at;

    if (!reservoir)
        return;
    rest_len = rest_write(stream, series, offer, rest);
    measurement.time_ns = clock_unix_ns();
    series_lock(series);
    if (stream->has_reservoir)
        at = stream->reservoir.offer ? stream->reservoir.offer(reservoir->own_series, &measurement)
                                     : -1;
    else
        at = place_of(stream, reservoir, measurement.value);
    if (at >= 0 && (size_t)at < reservoir->size) {
        place = place_at(reservoir, (size_t)at);
        place->is_set = true;
        place->time_ns = measurement.time_ns;
        place->value = offer->value;
        place->has_span = tl_span_context_is_valid(&offer->span);
        memcpy(place->trace_id, offer->span.trace_id, 16);
        memcpy(place->span_id, offer->span.span_id, 8);
        memcpy(place->rest, rest, rest_len);
        place->rest_len = (uint16_t)rest_len;
    }
    series_unlock(series);
}

static void exemplar_write(const struct stream *stream, const struct exemplar *place,
                           unsigned number, struct bytes *out)
{
    uint8_t body[EXEMPLAR_REST_BYTES + 64];
    struct bytes inner = {.at = body, .capacity = sizeof body, .limit = sizeof body};

    // Exemplar: time_unix_nano 2, as_double 3, span_id 4, trace_id 5, as_int 6, attributes 7.
    fixed64_write(&inner, 2, place->time_ns);
    fixed64_write(&inner, stream->is_double ? 3 : 6, place->value.bits);
    if (place->has_span) {
        body_write(&inner, 4, (struct str){(const char *)place->span_id, 8});
        body_write(&inner, 5, (struct str){(const char *)place->trace_id, 16});
    }
    bytes_add(&inner, place->rest, place->rest_len);
    body_write(out, number, bytes_str(&inner));
}

void exemplars_collect(const struct stream *stream, struct series *series, unsigned number,
                       struct bytes *out)
{
    struct reservoir *reservoir = atomic_load_explicit(&series->reservoir, memory_order_acquire);

    if (!reservoir)
        return;
    series_lock(series);
    for (size_t i = 0; i < reservoir->size; i++) {
        struct exemplar *place = place_at(reservoir, i);

        if (place->is_set)
            exemplar_write(stream, place, number, out);
        if (stream->temporality == TL_DELTA)
            place->is_set = false;
    }
    reservoir->seen = 0;
    if (stream->has_reservoir && stream->reservoir.reset)
        stream->reservoir.reset(reservoir->own_series);
    series_unlock(series);
}
