// SPDX-License-Identifier: Apache-2.0
// The bytes of a data point are written once; lengths of what stands around them are put in when
// they are known. What finds no memory is dropped and counted as so many points.

#include "libtrace/sdk/metrics/metric_write.h"

#include <stdlib.h>

#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/stats.h"
#include "throughline/sdk.h"

unsigned point_attributes_number(enum cell cell)
{
    switch (cell) {
    case CELL_EXPLICIT:
        return 9;
    case CELL_EXPONENTIAL:
        return 1;
    default:
        return 7;
    }
}

size_t point_begin(struct metric_writer *writer)
{
    if (writer->count >= writer->sink->points_left ||
        (writer->count && writer->points.len >= writer->sink->bytes_max))
        metric_end(writer);
    return message_begin(&writer->points, 1);
}

void point_end(struct metric_writer *writer, size_t mark)
{
    message_end(&writer->points, mark);
    writer->count++;
}

static void head_write(struct bytes *out, const struct metric_head *head)
{
    body_write(out, 1, head->name);
    if (head->description.len)
        body_write(out, 2, head->description);
    if (head->unit.len)
        body_write(out, 3, head->unit);
}

void metric_end(struct metric_writer *writer)
{
    const struct metric_head *head = writer->head;
    struct bytes *body = &writer->body;
    size_t mark;

    if (writer->count == 0)
        return;
    body->len = 0;
    head_write(body, head);
    mark = message_begin(body, head->data_number);
    bytes_add(body, writer->points.at, writer->points.len);
    if (head->temporality) {
        // The protocol's numbers: delta 1, cumulative 2.
        tag_write(body, 2, WIRE_VARINT);
        varint_write(body, head->temporality == TL_DELTA ? 1 : 2);
    }
    if (head->is_monotonic) {
        tag_write(body, 3, WIRE_VARINT);
        varint_write(body, 1);
    }
    message_end(body, mark);
    if (writer->points.is_failed || body->is_failed) {
        signal_add(TL_METRICS, LOSS_NO_MEMORY, writer->count);
        writer->points.is_failed = body->is_failed = false;
    } else {
        writer->sink->take(writer->sink, writer->scope, bytes_str(body), writer->count);
    }
    writer->points.len = 0;
    writer->count = 0;
}

void metric_writer_done(struct metric_writer *writer)
{
    bytes_done(&writer->points);
    bytes_done(&writer->body);
}

static void scope_close(struct request_builder *builder)
{
    if (builder->has_scope)
        message_end(&builder->requests[builder->count - 1].bytes, builder->scope_mark);
    builder->has_scope = false;
}

static bool scope_is_open(const struct request_builder *builder, const struct bytes *out,
                          struct str scope)
{
    // What failed is lost as a whole.
    return out->is_failed ||
           str_equal((struct str){(const char *)out->at + builder->scope_mark, builder->scope_len},
                     scope);
}

static void request_close(struct request_builder *builder)
{
    struct metric_request *last;

    if (!builder->is_open)
        return;
    last = &builder->requests[builder->count - 1];
    scope_close(builder);
    message_end(&last->bytes, builder->resource_mark);
    builder->is_open = false;
    if (!last->bytes.is_failed)
        return;
    signal_add(TL_METRICS, LOSS_NO_MEMORY, last->points);
    bytes_done(&last->bytes);
    builder->count--;
}

static bool request_open(struct request_builder *builder)
{
    struct metric_request *grown;

    if (builder->is_open)
        return true;
    grown = realloc(builder->requests, (builder->count + 1) * sizeof *grown);
    if (!grown)
        return false;
    builder->requests = grown;
    grown[builder->count] = (struct metric_request){0};
    builder->count++;
    builder->is_open = true;
    builder->resource_mark = message_begin(&grown[builder->count - 1].bytes, 1);
    bytes_add_str(&grown[builder->count - 1].bytes, builder->resource);
    return true;
}

static void builder_take(struct metric_sink *sink, struct str scope, struct str metric,
                         uint32_t points)
{
    struct request_builder *builder = (struct request_builder *)(void *)sink;
    struct metric_request *last;

    if (!request_open(builder)) {
        signal_add(TL_METRICS, LOSS_NO_MEMORY, points);
        return;
    }
    last = &builder->requests[builder->count - 1];
    if (builder->has_scope && !scope_is_open(builder, &last->bytes, scope))
        scope_close(builder);
    if (!builder->has_scope) {
        builder->has_scope = true;
        builder->scope_mark = message_begin(&last->bytes, 2);
        builder->scope_len = scope.len;
        bytes_add_str(&last->bytes, scope);
    }
    body_write(&last->bytes, 2, metric);
    last->points += points;
    sink->points_left = sink->points_left > points ? sink->points_left - points : 0;
    if (sink->points_left == 0) {
        request_close(builder);
        sink->points_left = builder->points_max ? builder->points_max : UINT32_MAX;
    }
}

void request_builder_init(struct request_builder *builder, struct str resource, uint32_t points_max)
{
    *builder = (struct request_builder){
        .sink = {.take = builder_take,
                 .points_left = points_max ? points_max : UINT32_MAX,
                 .bytes_max = SIZE_MAX},
        .resource = resource,
        .points_max = points_max,
    };
}

void request_builder_end(struct request_builder *builder, bool is_empty_wanted)
{
    if (is_empty_wanted && builder->count == 0)
        request_open(builder);
    request_close(builder);
}

void request_builder_done(struct request_builder *builder)
{
    for (size_t i = 0; i < builder->count; i++)
        bytes_done(&builder->requests[i].bytes);
    free(builder->requests);
    *builder = (struct request_builder){0};
}

// The next field with its tag as it stands there. False at the end.
static bool whole_next(struct reader *reader, struct wire_field *field, struct str *out_whole)
{
    const char *start = (const char *)reader->at;

    if (!wire_next(reader, field))
        return false;
    *out_whole = (struct str){start, (size_t)((const char *)reader->at - start)};
    return true;
}

// gauge 5, sum 7, histogram 9, exponential_histogram 10, summary 11
static bool is_data(const struct wire_field *field)
{
    return field->type == WIRE_BYTES && (field->number == 5 || field->number == 7 ||
                                         (field->number >= 9 && field->number <= 11));
}

// A metric on its way through: what stands before the points, and behind them in its data.
struct passing {
    struct metric_sink *sink;
    struct str scope;
    struct bytes head;
    struct bytes points;
    struct bytes rest;
    struct bytes body;
    uint32_t count;
};

static void passing_take(struct passing *passing, uint32_t number)
{
    struct bytes *body = &passing->body;

    body->len = 0;
    bytes_add(body, passing->head.at, passing->head.len);
    tag_write(body, number, WIRE_BYTES);
    varint_write(body, passing->points.len + passing->rest.len);
    bytes_add(body, passing->points.at, passing->points.len);
    bytes_add(body, passing->rest.at, passing->rest.len);
    if (passing->head.is_failed || passing->points.is_failed || passing->rest.is_failed ||
        body->is_failed) {
        signal_add(TL_METRICS, LOSS_NO_MEMORY, passing->count);
        passing->points.is_failed = body->is_failed = false;
    } else {
        passing->sink->take(passing->sink, passing->scope, bytes_str(body), passing->count);
    }
    passing->points.len = 0;
    passing->count = 0;
}

// The points of one data message, as many at a time as there is room for.
static void data_split(struct passing *passing, uint32_t number, struct str data)
{
    struct reader reader = reader_of(data);
    struct wire_field field;
    struct str whole;

    passing->rest.len = 0;
    while (whole_next(&reader, &field, &whole)) {
        if (field.number != 1)
            bytes_add_str(&passing->rest, whole);
    }
    reader = reader_of(data);
    while (whole_next(&reader, &field, &whole)) {
        if (field.number != 1)
            continue;
        bytes_add_str(&passing->points, whole);
        passing->count++;
        if (passing->count >= passing->sink->points_left ||
            passing->points.len >= passing->sink->bytes_max)
            passing_take(passing, number);
    }
    if (passing->count)
        passing_take(passing, number);
}

// A Metric whose points may have to go into several: what is not a point is repeated in each.
static void metric_split(struct metric_sink *sink, struct str scope, struct str metric)
{
    struct passing passing = {.sink = sink, .scope = scope};
    struct reader reader = reader_of(metric);
    struct wire_field field;
    struct str whole;

    while (whole_next(&reader, &field, &whole)) {
        if (!is_data(&field))
            bytes_add_str(&passing.head, whole);
    }
    reader = reader_of(metric);
    while (whole_next(&reader, &field, &whole)) {
        if (is_data(&field))
            data_split(&passing, (uint32_t)field.number, field.body);
    }
    bytes_done(&passing.head);
    bytes_done(&passing.points);
    bytes_done(&passing.rest);
    bytes_done(&passing.body);
}

void scope_metrics_split(struct metric_sink *sink, struct str scope_metrics)
{
    struct reader reader = reader_of(scope_metrics);
    struct bytes scope = {0};
    struct wire_field field;
    struct str whole;

    while (whole_next(&reader, &field, &whole)) {
        if (field.number != 2)
            bytes_add_str(&scope, whole);
    }
    reader = reader_of(scope_metrics);
    while (!scope.is_failed && whole_next(&reader, &field, &whole)) {
        if (field.number == 2 && field.type == WIRE_BYTES)
            metric_split(sink, bytes_str(&scope), field.body);
    }
    bytes_done(&scope);
}
