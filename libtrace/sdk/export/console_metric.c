// SPDX-License-Identifier: Apache-2.0
// Metrics, a line for each point. Field numbers: opentelemetry-proto metrics/v1.

#include "libtrace/otlp/json_text.h"
#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/export/console_record.h"
#include "libtrace/sdk/export/console_text.h"

// Metric.data: gauge, sum, histogram, exponential histogram, summary.
enum data_kind { GAUGE = 5, SUM = 7, HISTOGRAM = 9, EXPONENTIAL = 10, SUMMARY = 11 };

struct metric_parts {
    struct str name, unit, data;
    enum data_kind kind;
    uint64_t temporality; // 1 delta, 2 cumulative
    bool is_monotonic;
};

static void data_read(struct metric_parts *parts)
{
    struct reader reader = reader_of(parts->data);
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        if (field.number == 2)
            parts->temporality = field.value;
        if (field.number == 3)
            parts->is_monotonic = field.value;
    }
}

static struct metric_parts metric_parts_of(struct str wire)
{
    struct reader reader = reader_of(wire);
    struct metric_parts parts = {0};
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        if (field.number == 1 && field.body.at)
            parts.name = field.body;
        else if (field.number == 3 && field.body.at)
            parts.unit = field.body;
        else if (field.number >= GAUGE && field.number <= SUMMARY && field.body.at) {
            parts.kind = (enum data_kind)field.number;
            parts.data = field.body;
        }
    }
    data_read(&parts);
    return parts;
}

// NumberDataPoint: 4 as_double, 6 as_int.
static void number_write(struct bytes *out, struct str point)
{
    struct reader reader = reader_of(point);
    struct wire_field field;

    bytes_add_byte(out, ' ');
    while (wire_next(&reader, &field)) {
        if (field.number == 4)
            console_double_write(out, field.value);
        if (field.number == 6)
            bytes_format(out, "%lld", (long long)field.value);
    }
}

static void labelled_double_write(struct bytes *out, const char *label, uint64_t bits)
{
    bytes_format(out, " %s=", label);
    console_double_write(out, bits);
}

// The next eight bytes of a packed list; false at its end.
static bool packed_next(struct reader *list, uint64_t *out_value)
{
    if (reader_left(list) < 8)
        return false;
    *out_value = reader_le64(list);
    return true;
}

// HistogramDataPoint: 4 count, 5 sum, 6 bucket_counts, 7 explicit_bounds, 11 min, 12 max.
static void histogram_write(struct bytes *out, struct str point)
{
    struct reader reader = reader_of(point);
    struct wire_field field;
    struct reader counts = {0};
    struct reader bounds = {0};
    uint64_t count;
    uint64_t bound;

    while (wire_next(&reader, &field)) {
        if (field.number == 4)
            bytes_format(out, " count=%llu", (unsigned long long)field.value);
        if (field.number == 5)
            labelled_double_write(out, "sum", field.value);
        if (field.number == 6 && field.body.at)
            counts = reader_of(field.body);
        if (field.number == 7 && field.body.at)
            bounds = reader_of(field.body);
        if (field.number == 11)
            labelled_double_write(out, "min", field.value);
        if (field.number == 12)
            labelled_double_write(out, "max", field.value);
    }
    bytes_add_str(out, STR(" buckets=["));
    for (bool is_first = true; packed_next(&counts, &count); is_first = false) {
        if (!is_first)
            bytes_add_byte(out, ' ');
        if (packed_next(&bounds, &bound))
            console_double_write(out, bound);
        else
            bytes_add_str(out, STR("inf"));
        bytes_format(out, ":%llu", (unsigned long long)count);
    }
    bytes_add_byte(out, ']');
}

// Buckets: 1 offset (zigzag), 2 counts (packed varints).
static void buckets_write(struct bytes *out, const char *label, struct str wire)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;
    struct reader counts = {0};
    uint64_t offset = 0;

    while (wire_next(&reader, &field)) {
        if (field.number == 1)
            offset = field.value;
        if (field.number == 2 && field.body.at)
            counts = reader_of(field.body);
    }
    bytes_format(out, " %s=%lld:[", label, (long long)(offset >> 1) ^ -(long long)(offset & 1));
    for (bool is_first = true; reader_left(&counts); is_first = false)
        bytes_format(out, is_first ? "%llu" : " %llu", (unsigned long long)varint_read(&counts));
    bytes_add_byte(out, ']');
}

// ExponentialHistogramDataPoint: 4 count, 5 sum, 6 scale, 7 zero_count, 8 positive, 9 negative, 12
// min, 13 max.
static void exponential_write(struct bytes *out, struct str point)
{
    struct reader reader = reader_of(point);
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        if (field.number == 4)
            bytes_format(out, " count=%llu", (unsigned long long)field.value);
        if (field.number == 5)
            labelled_double_write(out, "sum", field.value);
        if (field.number == 6)
            bytes_format(out, " scale=%lld",
                         (long long)(field.value >> 1) ^ -(long long)(field.value & 1));
        if (field.number == 7)
            bytes_format(out, " zero=%llu", (unsigned long long)field.value);
        if (field.number == 8 && field.body.at)
            buckets_write(out, "positive", field.body);
        if (field.number == 9 && field.body.at)
            buckets_write(out, "negative", field.body);
        if (field.number == 12)
            labelled_double_write(out, "min", field.value);
        if (field.number == 13)
            labelled_double_write(out, "max", field.value);
    }
}

// ValueAtQuantile: 1 quantile, 2 value.
static void quantile_write(struct bytes *out, struct str wire)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;
    uint64_t quantile = 0;
    uint64_t value = 0;

    while (wire_next(&reader, &field)) {
        if (field.number == 1)
            quantile = field.value;
        if (field.number == 2)
            value = field.value;
    }
    bytes_add_str(out, STR(" q"));
    console_double_write(out, quantile);
    bytes_add_byte(out, '=');
    console_double_write(out, value);
}

// SummaryDataPoint: 4 count, 5 sum, 6 quantile_values.
static void summary_write(struct bytes *out, struct str point)
{
    struct reader reader = reader_of(point);
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        if (field.number == 4)
            bytes_format(out, " count=%llu", (unsigned long long)field.value);
        if (field.number == 5)
            labelled_double_write(out, "sum", field.value);
        if (field.number == 6 && field.body.at)
            quantile_write(out, field.body);
    }
}

static void kind_write(struct bytes *out, const struct metric_parts *parts)
{
    static const char *const names[] = {
        [GAUGE] = "gauge",         [SUM] = "sum",
        [HISTOGRAM] = "histogram", [EXPONENTIAL] = "exponential_histogram",
        [SUMMARY] = "summary",
    };

    bytes_format(out, " metric %s ", names[parts->kind]);
    json_text_write(out, parts->name);
}

static void point_write(struct bytes *out, const struct metric_parts *parts, struct str scope,
                        struct str point)
{
    struct reader reader = reader_of(point);
    struct wire_field field;
    uint64_t time_ns = 0;
    uint64_t attributes = 7;

    while (wire_next(&reader, &field)) {
        if (field.number == 3)
            time_ns = field.value;
    }
    console_time_write(out, time_ns);
    kind_write(out, parts);
    if (parts->kind == GAUGE || parts->kind == SUM)
        number_write(out, point);
    if (parts->kind == HISTOGRAM) {
        histogram_write(out, point);
        attributes = 9;
    }
    if (parts->kind == EXPONENTIAL) {
        exponential_write(out, point);
        attributes = 1;
    }
    if (parts->kind == SUMMARY)
        summary_write(out, point);
    if (parts->unit.len) {
        bytes_add_str(out, STR(" unit="));
        json_text_write(out, parts->unit);
    }
    if (parts->temporality)
        bytes_format(out, " %s", parts->temporality == 1 ? "delta" : "cumulative");
    if (parts->is_monotonic)
        bytes_add_str(out, STR(" monotonic"));
    console_scope_write(out, scope);
    console_attributes_write(out, point, attributes);
    bytes_add_byte(out, '\n');
}

void console_metric_write(struct bytes *out, const struct otlp_record *record)
{
    const struct metric_parts parts = metric_parts_of(record->record);
    struct reader reader = reader_of(parts.data);
    struct wire_field field;

    // The points are field 1 of every kind.
    while (parts.kind && wire_next(&reader, &field)) {
        if (field.number == 1 && field.body.at)
            point_write(out, &parts, record->scope, field.body);
    }
}
