// SPDX-License-Identifier: Apache-2.0
// Fields of NumberDataPoint, HistogramDataPoint and ExponentialHistogramDataPoint
// (opentelemetry-proto metrics.proto); their numbers differ from kind to kind.

#include "libtrace/sdk/metrics/prometheus_point.h"

#include <stdlib.h>

#include "libtrace/otlp/varint.h"

static double double_of(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, 8);
    return value;
}

// Packed or not, a list of 64-bit values (fixed or varint) grows by one field.
static void list_read(const struct wire_field *field, bool is_fixed, uint64_t *to, size_t *count)
{
    struct reader reader = reader_of(field->body);

    if (field->type != WIRE_BYTES) {
        if (*count < POINT_BUCKETS_MAX)
            to[(*count)++] = field->value;
        return;
    }
    while (reader_left(&reader) && !reader.is_failed && *count < POINT_BUCKETS_MAX)
        to[(*count)++] = is_fixed ? reader_le64(&reader) : varint_read(&reader);
}

static void exemplar_read(struct point *point, struct str wire)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;
    struct point_exemplar *to;

    if (point->exemplar_count == POINT_EXEMPLARS_MAX)
        return;
    to = &point->exemplars[point->exemplar_count++];
    *to = (struct point_exemplar){.whole = wire};
    // time_unix_nano 2, as_double 3, span_id 4, trace_id 5, as_int 6, filtered_attributes 7.
    while (wire_next(&reader, &field)) {
        switch (field.number) {
        case 2:
            to->time_ns = field.value;
            break;
        case 3:
            to->value = double_of(field.value);
            break;
        case 4:
            to->span_id = field.body;
            break;
        case 5:
            to->trace_id = field.body;
            break;
        case 6:
            to->value = (double)(int64_t)field.value;
            break;
        default:
            break;
        }
    }
}

static void number_read(struct point *point, struct reader *reader)
{
    struct wire_field field;

    while (wire_next(reader, &field)) {
        switch (field.number) {
        case 2:
            point->start_ns = field.value;
            break;
        case 3:
            point->time_ns = field.value;
            break;
        case 4:
            point->value = double_of(field.value);
            break;
        case 5:
            exemplar_read(point, field.body);
            break;
        case 6:
            point->value = (double)(int64_t)field.value;
            break;
        case 8:
            point->has_no_value = field.value & 1;
            break;
        default:
            break;
        }
    }
}

static bool histogram_read(struct point *point, struct reader *reader)
{
    struct wire_field field;
    size_t boundary_count = 0;

    while (wire_next(reader, &field)) {
        switch (field.number) {
        case 2:
            point->start_ns = field.value;
            break;
        case 3:
            point->time_ns = field.value;
            break;
        case 4:
            point->count = field.value;
            break;
        case 5:
            point->sum = double_of(field.value);
            point->has_sum = true;
            break;
        case 6:
            list_read(&field, true, point->buckets, &point->bucket_count);
            break;
        case 7:
            list_read(&field, true, (uint64_t *)(void *)point->boundaries, &boundary_count);
            break;
        case 8:
            exemplar_read(point, field.body);
            break;
        case 10:
            point->has_no_value = field.value & 1;
            break;
        default:
            break;
        }
    }
    // Without buckets there is still the count.
    if (point->bucket_count == 0 && boundary_count == 0) {
        point->buckets[0] = point->count;
        point->bucket_count = 1;
    }
    return point->bucket_count == boundary_count + 1;
}

// One side of an exponential histogram.
struct side {
    int32_t offset;
    size_t count;
    uint64_t *counts;
};

static int32_t zigzag(uint64_t value)
{
    return (int32_t)((uint32_t)value >> 1 ^ (0 - ((uint32_t)value & 1)));
}

static void side_read(struct side *side, struct str wire)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        if (field.number == 1)
            side->offset = zigzag(field.value);
        else if (field.number == 2)
            list_read(&field, false, side->counts, &side->count);
    }
}

// 2^(index / 8), exactly where it is a power of two.
static double eighth_power(int32_t index)
{
    static const double parts[8] = {1.0,
                                    1.0905077326652577,
                                    1.1892071150027210,
                                    1.2968395546510096,
                                    1.4142135623730951,
                                    1.5422108254079407,
                                    1.6817928305074290,
                                    1.8340080864093424};
    const int32_t exponent = index >> 3;
    double power = 1;
    uint64_t bits;

    if (exponent > 1023)
        return __builtin_inf();
    if (exponent < -1022)
        return 0;
    bits = (uint64_t)(exponent + 1023) << 52;
    memcpy(&power, &bits, 8);
    return parts[index & 7] * power;
}

// Upper boundaries of the positive side, at scale 3 or less; all that is not above zero goes first.
static void buckets_make(struct point *point, int32_t scale, const struct side *positive,
                         uint64_t below)
{
    const int32_t by = scale > 3 ? scale - 3 : 0;
    const int32_t to_eighths = scale < 3 ? 3 - scale : 0;
    size_t made = 0;

    point->boundaries[made] = 0;
    point->buckets[made++] = below;
    for (size_t i = 0; i < positive->count && made < POINT_BUCKETS_MAX - 1; i++) {
        const int64_t index = (int64_t)positive->offset + (int64_t)i;
        const int64_t next =
            ((index >> by) + 1) * (INT64_C(1) << (to_eighths < 20 ? to_eighths : 20));
        const double boundary = next > 8 * 1024    ? __builtin_inf()
                                : next < -8 * 1024 ? 0
                                                   : eighth_power((int32_t)next);

        if (boundary > point->boundaries[made - 1] && boundary <= __DBL_MAX__) {
            point->boundaries[made] = boundary;
            point->buckets[made++] = 0;
        }
        point->buckets[made - 1] += positive->counts[i];
    }
    point->buckets[made++] = 0;
    point->bucket_count = made;
}

static bool exponential_read(struct point *point, struct reader *reader, struct arena *arena)
{
    struct side positive = {0, 0, arena_take(arena, POINT_BUCKETS_MAX * sizeof(uint64_t))};
    struct side negative = {0, 0, arena_take(arena, POINT_BUCKETS_MAX * sizeof(uint64_t))};
    struct wire_field field;
    int32_t scale = 0;
    uint64_t below = 0;

    if (!positive.counts || !negative.counts)
        return false;
    while (wire_next(reader, &field)) {
        switch (field.number) {
        case 2:
            point->start_ns = field.value;
            break;
        case 3:
            point->time_ns = field.value;
            break;
        case 4:
            point->count = field.value;
            break;
        case 5:
            point->sum = double_of(field.value);
            point->has_sum = true;
            break;
        case 6:
            scale = zigzag(field.value);
            break;
        case 7:
            below += field.value;
            break;
        case 8:
            side_read(&positive, field.body);
            break;
        case 9:
            side_read(&negative, field.body);
            break;
        case 10:
            point->has_no_value = field.value & 1;
            break;
        case 11:
            exemplar_read(point, field.body);
            break;
        default:
            break;
        }
    }
    for (size_t i = 0; i < negative.count; i++)
        below += negative.counts[i];
    buckets_make(point, scale, &positive, below);
    return scale >= -20 && scale <= 30;
}

bool point_read(struct point *out, enum point_kind kind, struct str wire, struct arena *arena)
{
    struct reader reader = reader_of(wire);

    out->start_ns = out->time_ns = out->count = 0;
    out->has_no_value = out->has_sum = false;
    out->value = out->sum = 0;
    out->bucket_count = out->exemplar_count = 0;
    out->wire = wire;
    if (kind == POINT_NUMBER) {
        out->attributes_number = 7;
        number_read(out, &reader);
        return true;
    }
    out->boundaries = arena_take(arena, POINT_BUCKETS_MAX * sizeof(double));
    out->buckets = arena_take(arena, POINT_BUCKETS_MAX * sizeof(uint64_t));
    if (!out->boundaries || !out->buckets)
        return false;
    out->attributes_number = kind == POINT_HISTOGRAM ? 9 : 1;
    return kind == POINT_HISTOGRAM ? histogram_read(out, &reader)
                                   : exponential_read(out, &reader, arena);
}

struct sum {
    struct sum *next;
    struct str series;
    uint64_t start_ns;
    double value;
    double total;
    uint64_t count;
    size_t bucket_count;
    double *boundaries;
    uint64_t *buckets;
};

enum { SUM_CHAINS = 1024 };

struct point_sums {
    size_t count;
    struct sum *chains[SUM_CHAINS];
};

struct point_sums *point_sums_new(void)
{
    return calloc(1, sizeof(struct point_sums));
}

static void sum_free(struct sum *sum)
{
    free(sum->boundaries);
    free(sum->buckets);
    free(sum);
}

void point_sums_free(struct point_sums *sums)
{
    for (size_t i = 0; sums && i < SUM_CHAINS; i++) {
        while (sums->chains[i]) {
            struct sum *next = sums->chains[i]->next;

            sum_free(sums->chains[i]);
            sums->chains[i] = next;
        }
    }
    free(sums);
}

static struct sum *sum_find(struct point_sums *sums, struct str series)
{
    uint32_t hash = 2166136261u;
    struct sum **chain;
    struct sum *sum;

    for (size_t i = 0; i < series.len; i++)
        hash = (hash ^ (uint8_t)series.at[i]) * 16777619u;
    chain = &sums->chains[hash % SUM_CHAINS];
    for (sum = *chain; sum; sum = sum->next) {
        if (str_equal(sum->series, series))
            return sum;
    }
    if (sums->count >= POINT_SUMS_MAX)
        return NULL;
    sum = calloc(1, sizeof *sum + series.len);
    if (!sum)
        return NULL;
    memcpy(sum + 1, series.at, series.len);
    sum->series = (struct str){(const char *)(sum + 1), series.len};
    sum->next = *chain;
    *chain = sum;
    sums->count++;
    return sum;
}

// The buckets that were summed up, begun anew when the boundaries are others.
static bool buckets_fit(struct sum *sum, const struct point *point)
{
    const size_t boundary_bytes = point->bucket_count * sizeof(double);
    const size_t bucket_bytes = point->bucket_count * sizeof(uint64_t);

    if (sum->bucket_count == point->bucket_count &&
        memcmp(sum->boundaries, point->boundaries, boundary_bytes - sizeof(double)) == 0)
        return true;
    free(sum->boundaries);
    free(sum->buckets);
    sum->boundaries = malloc(boundary_bytes);
    sum->buckets = calloc(1, bucket_bytes);
    sum->bucket_count = sum->boundaries && sum->buckets ? point->bucket_count : 0;
    sum->start_ns = point->start_ns;
    sum->total = 0;
    sum->count = 0;
    if (sum->bucket_count == 0)
        return false;
    memcpy(sum->boundaries, point->boundaries, boundary_bytes);
    return true;
}

bool point_sum(struct point_sums *sums, struct str series, struct point *point)
{
    struct sum *sum = sum_find(sums, series);

    if (!sum || (point->bucket_count && !buckets_fit(sum, point)))
        return false;
    if (!sum->start_ns)
        sum->start_ns = point->start_ns;
    sum->value += point->value;
    sum->total += point->sum;
    sum->count += point->count;
    for (size_t i = 0; i < point->bucket_count; i++)
        point->buckets[i] = sum->buckets[i] += point->buckets[i];
    point->start_ns = sum->start_ns;
    point->value = sum->value;
    point->sum = sum->total;
    point->count = sum->count;
    return true;
}
