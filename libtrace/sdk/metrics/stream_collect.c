// SPDX-License-Identifier: Apache-2.0
// What a collection does with a stream: copies each cell, writes its data point, and for delta
// temporality begins the next interval. No measurement is lost or counted twice: a cell is taken in
// one step, and a series is taken away only when nobody can record in it any more.

#include <stdlib.h>

#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/metrics/metric_write.h"
#include "libtrace/sdk/metrics/stream.h"

struct collection {
    struct stream *stream;
    const struct tl_metric_filter *filter;
    struct metric_writer *writer;
    bool is_partial; // the filter wants to see each set
    uint64_t start_ns;
    uint64_t now_ns;
    void *copy; // of a histogram's cell
};

static void double_write(struct bytes *out, unsigned number, double value)
{
    union number bits = {.real = value};

    fixed64_write(out, number, bits.bits);
}

// start_time_unix_nano 2 and time_unix_nano 3 stand alike in every kind of point.
static void times_write(struct bytes *out, const struct collection *by, const struct series *series)
{
    const uint64_t start = by->stream->temporality == TL_DELTA ? by->start_ns : series->start_ns;

    // The clock may have been set back in between.
    fixed64_write(out, 2, start < by->now_ns ? start : by->now_ns);
    fixed64_write(out, 3, by->now_ns);
}

static void number_write(struct collection *by, struct series *series, union number value)
{
    struct bytes *out = &by->writer->points;
    const size_t mark = point_begin(by->writer);

    // NumberDataPoint: as_double 4, as_int 6, exemplars 5, attributes 7.
    bytes_add_str(out, series->encoded);
    times_write(out, by, series);
    fixed64_write(out, by->stream->is_double ? 4 : 6, value.bits);
    exemplars_collect(by->stream, series, 5, out);
    point_end(by->writer, mark);
}

static void histogram_write(struct collection *by, struct series *series,
                            const struct histogram *cell, uint64_t count)
{
    const struct stream *stream = by->stream;
    struct bytes *out = &by->writer->points;
    const size_t mark = point_begin(by->writer);

    // HistogramDataPoint: count 4, sum 5, bucket_counts 6, explicit_bounds 7, exemplars 8,
    // attributes 9, min 11, max 12.
    bytes_add_str(out, series->encoded);
    times_write(out, by, series);
    fixed64_write(out, 4, count);
    if (stream->has_sum)
        double_write(out, 5, cell->sum);
    tag_write(out, 6, WIRE_BYTES);
    varint_write(out, (stream->boundary_count + 1) * 8);
    bytes_add(out, cell->counts, (stream->boundary_count + 1) * 8);
    if (stream->boundary_count) {
        tag_write(out, 7, WIRE_BYTES);
        varint_write(out, stream->boundary_count * 8);
        bytes_add(out, stream->boundaries, stream->boundary_count * 8);
    }
    exemplars_collect(stream, series, 8, out);
    if (!stream->no_min_max && count) {
        double_write(out, 11, cell->min);
        double_write(out, 12, cell->max);
    }
    point_end(by->writer, mark);
}

static void side_write(struct bytes *out, unsigned number, const struct exponential_side *side)
{
    size_t mark;
    size_t counts;

    if (side->len == 0)
        return;
    // Buckets: offset 1 (zigzag), bucket_counts 2 (packed varints).
    mark = message_begin(out, number);
    tag_write(out, 1, WIRE_VARINT);
    varint_write(out, (uint32_t)side->start << 1 ^ (uint32_t)(side->start >> 31));
    counts = message_begin(out, 2);
    for (uint32_t i = 0; i < side->len; i++)
        varint_write(out, side->counts[i]);
    message_end(out, counts);
    message_end(out, mark);
}

static void exponential_write(struct collection *by, struct series *series,
                              const struct exponential *cell)
{
    const struct stream *stream = by->stream;
    struct bytes *out = &by->writer->points;
    const size_t mark = point_begin(by->writer);

    // ExponentialHistogramDataPoint: attributes 1, count 4, sum 5, scale 6, zero_count 7,
    // positive 8, negative 9, exemplars 11, min 12, max 13.
    bytes_add_str(out, series->encoded);
    times_write(out, by, series);
    fixed64_write(out, 4, cell->count);
    if (stream->has_sum)
        double_write(out, 5, cell->sum);
    tag_write(out, 6, WIRE_VARINT);
    varint_write(out, (uint32_t)cell->scale << 1 ^ (uint32_t)(cell->scale >> 31));
    fixed64_write(out, 7, cell->zero_count);
    side_write(out, 8, &cell->positive);
    side_write(out, 9, &cell->negative);
    exemplars_collect(stream, series, 11, out);
    if (!stream->no_min_max && cell->count) {
        double_write(out, 12, cell->min);
        double_write(out, 13, cell->max);
    }
    point_end(by->writer, mark);
}

static bool is_wanted(const struct collection *by, const struct series *series)
{
    const struct stream *stream = by->stream;

    if (!by->is_partial)
        return true;
    return by->filter->test_attributes(by->filter->self, stream->scope, stream->name.at,
                                       stream->kind, stream->unit.at, series->attributes,
                                       series->attribute_count);
}

static void histogram_collect(struct collection *by, struct series *series, bool takes)
{
    const struct stream *stream = by->stream;
    const size_t bytes = sizeof(struct histogram) + (stream->boundary_count + 1) * sizeof(uint64_t);
    struct histogram *copy = by->copy;
    uint64_t count = 0;

    series_lock(series);
    memcpy(copy, series->cell, bytes);
    if (takes)
        stream_cell_reset(stream, series);
    series_unlock(series);
    for (uint32_t i = 0; i <= stream->boundary_count; i++)
        count += copy->counts[i];
    if (count && is_wanted(by, series))
        histogram_write(by, series, copy, count);
}

static void exponential_collect(struct collection *by, struct series *series, bool takes)
{
    struct exponential *copy = by->copy;

    series_lock(series);
    memcpy(copy, series->cell, exponential_bytes(by->stream->max_size));
    if (takes)
        stream_cell_reset(by->stream, series);
    series_unlock(series);
    copy->positive.counts = copy->counts;
    copy->negative.counts = copy->counts + copy->size;
    if (copy->count && is_wanted(by, series))
        exponential_write(by, series, copy);
}

// What an asynchronous sum grew by since the former collection.
static union number grown(const struct stream *stream, struct series *series, union number value)
{
    union number more = value;

    if (stream->is_double)
        more.real -= series->previous.real;
    else
        more.bits -= series->previous.bits;
    series->previous = value;
    return more;
}

static void number_collect(struct collection *by, struct series *series, bool takes)
{
    struct stream *stream = by->stream;
    union number value;
    bool is_touched;

    if (stream->is_observed) {
        value.bits = atomic_load(&series->value);
        if (!atomic_load(&series->is_touched))
            return;
        if (stream->temporality == TL_DELTA && stream->cell != CELL_LAST)
            value = grown(stream, series, value);
    } else if (takes) {
        is_touched = atomic_exchange(&series->is_touched, false);
        value.bits = stream->cell == CELL_LAST ? atomic_load(&series->value)
                                               : atomic_exchange(&series->value, 0);
        // Added, and the mark not set yet: the value is here, the mark comes with the next one.
        if (!is_touched && (stream->cell == CELL_LAST || value.bits == 0))
            return;
    } else {
        // Bound and never measured: it is not there yet.
        if (!atomic_load_explicit(&series->is_touched, memory_order_acquire))
            return;
        value.bits = atomic_load(&series->value);
    }
    if (is_wanted(by, series))
        number_write(by, series, value);
}

static void series_collect(struct collection *by, struct series *series)
{
    struct stream *stream = by->stream;
    // Sums and histograms of measurements begin anew; what is observed is told anew each time.
    const bool takes = stream->temporality == TL_DELTA && !stream->is_observed;

    switch (stream->cell) {
    case CELL_EXPLICIT:
        if (takes)
            atomic_store(&series->is_touched, false);
        histogram_collect(by, series, takes);
        break;
    case CELL_EXPONENTIAL:
        if (takes)
            atomic_store(&series->is_touched, false);
        exponential_collect(by, series, takes);
        break;
    default:
        number_collect(by, series, takes);
    }
}

static struct metric_head head_of(const struct stream *stream)
{
    struct metric_head head = {.name = stream->name,
                               .unit = stream->unit,
                               .description = stream->description,
                               .temporality = (int)stream->temporality};

    switch (stream->cell) {
    case CELL_LAST:
        head.data_number = 5;
        head.temporality = 0;
        break;
    case CELL_EXPLICIT:
        head.data_number = 9;
        break;
    case CELL_EXPONENTIAL:
        head.data_number = 10;
        break;
    default:
        head.data_number = 7;
        head.is_monotonic = stream->is_monotonic;
    }
    return head;
}

static size_t copy_bytes(const struct stream *stream)
{
    if (stream->cell == CELL_EXPONENTIAL)
        return exponential_bytes(stream->max_size);
    if (stream->cell == CELL_EXPLICIT)
        return sizeof(struct histogram) + (stream->boundary_count + 1) * sizeof(uint64_t);
    return 1;
}

static void stream_write(struct collection *by)
{
    struct stream *stream = by->stream;
    const struct metric_head head = head_of(stream);
    const bool sweeps = stream->is_observed || stream->temporality == TL_DELTA;
    struct series *swept;

    by->writer->head = &head;
    pthread_mutex_lock(stream->lock);
    swept = sweeps ? stream_sweep(stream) : NULL;
    by->start_ns = stream->last_ns ? stream->last_ns : stream->created_ns;
    for (struct series *each = swept; each; each = each->next)
        series_collect(by, each);
    for (struct series *each = stream->first; each; each = each->next)
        series_collect(by, each);
    series_collect(by, stream->overflow);
    metric_end(by->writer);
    stream->last_ns = by->now_ns;
    pthread_mutex_unlock(stream->lock);
    stream_series_free(stream, swept);
}

void stream_collect(struct stream *stream, const struct tl_metric_filter *filter, uint64_t now_ns,
                    struct metric_writer *writer)
{
    enum tl_metric_filter_result result = TL_METRIC_ACCEPT;
    struct collection by = {stream, filter, writer, false, 0, now_ns, NULL};

    if (filter && filter->test_metric)
        result = filter->test_metric(filter->self, stream->scope, stream->name.at, stream->kind,
                                     stream->unit.at);
    if (result == TL_METRIC_DROP)
        return;
    by.is_partial = result == TL_METRIC_ACCEPT_PARTIAL && filter->test_attributes;
    by.copy = malloc(copy_bytes(stream));
    if (!by.copy)
        return; // nothing is taken: the next collection has it
    stream_write(&by);
    free(by.copy);
}
