// SPDX-License-Identifier: Apache-2.0
// Reads the protocol by its field numbers, with nothing of the code that writes it.

#include "tests/sdk/metrics_text.h"

#include "tests/support/check.h"

#include "libtrace/base/decimal.h"
#include "libtrace/otlp/index.h"
#include "libtrace/otlp/varint.h"

struct line {
    struct bytes text;
    uint64_t start_ns;
    uint64_t time_ns;
};

static void number_put(struct bytes *out, uint64_t bits)
{
    char text[DECIMAL_TEXT_MAX];
    double value;

    memcpy(&value, &bits, 8);
    if (value > -1e15 && value < 1e15 && value == (double)(int64_t)value) {
        bytes_format(out, "%lld", (long long)value);
        return;
    }
    decimal_write(text, value);
    bytes_add_str(out, str_of(text));
}

static void value_put(struct bytes *out, struct str wire)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;
    bool is_first = true;

    while (wire_next(&reader, &field)) {
        if (field.number == 1)
            bytes_add_str(out, field.body);
        else if (field.number == 2)
            bytes_add_str(out, field.value ? STR("true") : STR("false"));
        else if (field.number == 3)
            bytes_format(out, "%lld", (long long)field.value);
        else if (field.number == 4)
            number_put(out, field.value);
        else if (field.number == 5) {
            struct reader list = reader_of(field.body);
            struct wire_field element;

            bytes_add_byte(out, '[');
            while (wire_next(&list, &element)) {
                if (!is_first)
                    bytes_add_byte(out, ' ');
                is_first = false;
                value_put(out, element.body);
            }
            bytes_add_byte(out, ']');
        }
    }
}

static void attributes_put(struct bytes *out, struct str message, uint64_t number)
{
    struct reader reader = reader_of(message);
    struct wire_field field;
    bool is_first = true;

    bytes_add_byte(out, '{');
    while (wire_next(&reader, &field)) {
        struct reader pair = reader_of(field.body);
        struct wire_field part;

        if (field.number != number || !field.body.at)
            continue;
        if (!is_first)
            bytes_add_byte(out, ' ');
        is_first = false;
        while (wire_next(&pair, &part)) {
            if (part.number == 1) {
                bytes_add_str(out, part.body);
                bytes_add_byte(out, '=');
            } else {
                value_put(out, part.body);
            }
        }
    }
    bytes_add_byte(out, '}');
}

static void id_put(struct bytes *out, struct str id)
{
    for (size_t i = 0; i < id.len; i++)
        bytes_format(out, "%02x", (unsigned)(uint8_t)id.at[i]);
    if (id.len == 0)
        bytes_add_byte(out, '-');
}

static void exemplar_put(struct bytes *out, struct str wire, struct seen *seen)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;
    struct str trace = {"", 0};
    struct str span = {"", 0};

    bytes_add_str(out, STR("exemplar "));
    while (wire_next(&reader, &field)) {
        if (field.number == 2)
            seen->exemplar_ns = field.value;
        else if (field.number == 3)
            number_put(out, field.value);
        else if (field.number == 6)
            bytes_format(out, "%lld", (long long)field.value);
        else if (field.number == 4)
            span = field.body;
        else if (field.number == 5)
            trace = field.body;
    }
    bytes_add_byte(out, ' ');
    id_put(out, trace);
    bytes_add_byte(out, ' ');
    id_put(out, span);
    bytes_add_byte(out, ' ');
    attributes_put(out, wire, 7);
    bytes_add_byte(out, '\n');
}

// Packed values, each as text.
static void list_put(struct bytes *out, const char *name, struct str wire, char kind)
{
    struct reader reader = reader_of(wire);

    bytes_format(out, name[0] ? " %s" : "%s", name);
    while (reader_left(&reader)) {
        bytes_add_byte(out, ' ');
        if (kind == 'd')
            number_put(out, reader_le64(&reader));
        else
            bytes_format(
                out, "%llu",
                (unsigned long long)(kind == 'f' ? reader_le64(&reader) : varint_read(&reader)));
    }
}

static int zigzag(uint64_t value)
{
    return (int)((uint32_t)value >> 1 ^ (0 - ((uint32_t)value & 1)));
}

static void side_put(struct bytes *out, const char *name, struct str wire)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;

    bytes_format(out, " %s", name);
    while (wire_next(&reader, &field)) {
        if (field.number == 1)
            bytes_format(out, " %d:", zigzag(field.value));
        else
            list_put(out, "", field.body, 'v');
    }
}

// data: 5 gauge, 7 sum, 9 histogram, 10 exponential histogram.
static void point_put(struct line *line, uint64_t data, struct str wire, struct seen *seen)
{
    struct bytes *out = &line->text;
    struct reader reader = reader_of(wire);
    struct bytes exemplars = {0};
    struct bytes range = {0};
    struct wire_field field;
    const uint64_t exemplar = data == 9 ? 8 : data == 10 ? 11 : 5;

    bytes_add_str(out, STR("point "));
    attributes_put(out, wire, data == 9 ? 9 : data == 10 ? 1 : 7);
    while (wire_next(&reader, &field)) {
        const uint64_t n = field.number;

        if (n == 2)
            line->start_ns = field.value;
        else if (n == 3)
            line->time_ns = field.value;
        else if (n == exemplar)
            exemplar_put(&exemplars, field.body, seen);
        else if (data < 9 && n == 4) {
            bytes_add_byte(out, ' ');
            number_put(out, field.value);
        } else if (data < 9 && n == 6)
            bytes_format(out, " %lld", (long long)field.value);
        else if (data >= 9 && n == 4)
            bytes_format(out, " count %llu", (unsigned long long)field.value);
        else if (data >= 9 && n == 5) {
            bytes_add_str(out, STR(" sum "));
            number_put(out, field.value);
        } else if (data == 9 && n == 6)
            list_put(out, "buckets", field.body, 'f');
        else if (data == 9 && n == 7)
            list_put(out, "bounds", field.body, 'd');
        else if (data == 10 && n == 6)
            bytes_format(out, " scale %d", zigzag(field.value));
        else if (data == 10 && n == 7)
            bytes_format(out, " zero %llu", (unsigned long long)field.value);
        else if (data == 10 && n == 8)
            side_put(out, "positive", field.body);
        else if (data == 10 && n == 9)
            side_put(out, "negative", field.body);
        else if ((data == 9 && n == 11) || (data == 10 && n == 12)) {
            bytes_add_str(&range, STR(" min "));
            number_put(&range, field.value);
        } else if ((data == 9 && n == 12) || (data == 10 && n == 13)) {
            bytes_add_str(&range, STR(" max "));
            number_put(&range, field.value);
        }
    }
    bytes_add(out, range.at, range.len);
    bytes_add_byte(out, '\n');
    bytes_add(out, exemplars.at, exemplars.len);
    bytes_done(&exemplars);
    bytes_done(&range);
}

static int line_order(const void *a, const void *b)
{
    const struct bytes *x = &((const struct line *)a)->text;
    const struct bytes *y = &((const struct line *)b)->text;
    const size_t common = x->len < y->len ? x->len : y->len;
    const int order = memcmp(x->at, y->at, common);

    return order ? order : (x->len > y->len) - (x->len < y->len);
}

static void data_put(struct bytes *out, uint64_t number, struct str wire, struct seen *seen)
{
    static const char *const names[] = {
        [5] = "gauge", [7] = "sum", [9] = "histogram", [10] = "exponential"};
    static _Thread_local struct line lines[SEEN_POINTS_MAX];
    struct reader reader = reader_of(wire);
    struct wire_field field;
    size_t count = 0;
    uint64_t temporality = 0;
    uint64_t monotonic = 0;

    while (wire_next(&reader, &field)) {
        if (field.number == 1) {
            assert_true(count < SEEN_POINTS_MAX);
            lines[count] = (struct line){.start_ns = 0};
            point_put(&lines[count++], number, field.body, seen);
        } else if (field.number == 2) {
            temporality = field.value;
        } else if (field.number == 3) {
            monotonic = field.value;
        }
    }
    bytes_format(out, " %s%s%s\n", names[number],
                 temporality == 1   ? " delta"
                 : temporality == 2 ? " cumulative"
                                    : "",
                 monotonic ? " monotonic" : "");
    qsort(lines, count, sizeof lines[0], line_order);
    for (size_t i = 0; i < count; i++) {
        bytes_add(out, lines[i].text.at, lines[i].text.len);
        bytes_done(&lines[i].text);
        if (seen->points < SEEN_POINTS_MAX) {
            seen->start_ns[seen->points] = lines[i].start_ns;
            seen->time_ns[seen->points] = lines[i].time_ns;
        }
        seen->points++;
    }
}

static void metric_put(struct bytes *out, struct str wire, struct seen *seen)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;
    struct str texts[4] = {{"", 0}, {"", 0}, {"", 0}, {"", 0}};
    struct str data = {"", 0};
    uint64_t number = 0;

    while (wire_next(&reader, &field)) {
        if (field.number <= 3) {
            texts[field.number] = field.body;
        } else {
            number = field.number;
            data = field.body;
        }
    }
    bytes_format(out, "metric %.*s [%.*s] \"%.*s\"", STR_ARGS(texts[1]), STR_ARGS(texts[3]),
                 STR_ARGS(texts[2]));
    data_put(out, number, data, seen);
}

static void scope_put(struct bytes *out, struct str wire)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;
    struct str scope = {"", 0};
    struct str url = {"", 0};
    struct str texts[3] = {{"", 0}, {"", 0}, {"", 0}};

    while (wire_next(&reader, &field)) {
        if (field.number == 1)
            scope = field.body;
        else if (field.number == 3)
            url = field.body;
    }
    reader = reader_of(scope);
    while (wire_next(&reader, &field)) {
        if (field.number <= 2)
            texts[field.number] = field.body;
    }
    bytes_format(out, "scope %.*s %.*s %.*s ", STR_ARGS(texts[1]), STR_ARGS(texts[2]),
                 STR_ARGS(url));
    attributes_put(out, scope, 3);
    bytes_add_byte(out, '\n');
}

static void resource_metrics_put(struct bytes *out, struct str wire, struct seen *seen)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        struct reader inner = reader_of(field.body);
        struct wire_field part;

        if (field.number != 2)
            continue;
        scope_put(out, field.body);
        while (wire_next(&inner, &part)) {
            if (part.number == 2)
                metric_put(out, part.body, seen);
        }
    }
}

struct seen *seen_of(struct str request)
{
    struct seen *seen = calloc(1, sizeof *seen);
    struct reader reader = reader_of(request);
    struct wire_field field;
    struct bytes out = {0};
    struct why why = {""};
    size_t points = 0;

    assert_non_null(seen);
    if (otlp_check(SIGNAL_METRICS, request, &points, &why) != 0)
        fail_msg("%s", why.text);
    while (wire_next(&reader, &field))
        resource_metrics_put(&out, field.body, seen);
    assert_int_equal(points, seen->points);
    bytes_add_byte(&out, '\0');
    seen->text = (char *)out.at;
    seen->len = out.len - 1;
    return seen;
}

struct seen *seen_by(struct tl_metric_reader *reader)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    struct seen *seen;

    assert_int_equal(tl_reader_collect(reader, 10000, &bytes, &len), 0);
    seen = seen_of((struct str){(const char *)bytes, len});
    free(bytes);
    return seen;
}

void seen_free(struct seen *seen)
{
    free(seen->text);
    free(seen);
}

struct rig rig_new(const struct tl_reader_options *reader_options,
                   const struct tl_meter_provider_options *provider_options)
{
    struct tl_meter_provider_options options = {0};
    struct rig rig;

    if (provider_options)
        options = *provider_options;
    rig.reader = tl_reader_pull(reader_options);
    assert_non_null(rig.reader);
    options.readers = &rig.reader;
    options.reader_count = 1;
    rig.provider = tl_meter_provider_new(&options);
    assert_non_null(rig.provider);
    rig.meter = tl_meter_get(rig.provider, &(struct tl_scope){.name = "test"});
    assert_non_null(rig.meter);
    return rig;
}

void rig_free(struct rig *rig)
{
    tl_meter_provider_free(rig->provider);
}

static size_t said;
static char said_text[512];

static void said_hook(void *self, enum tl_severity severity, const char *text)
{
    (void)self;
    (void)severity;
    said++;
    if (snprintf(said_text, sizeof said_text, "%s", text) < 0)
        said_text[0] = '\0';
}

void said_watch(void)
{
    said = 0;
    said_text[0] = '\0';
    tl_log_hook_set(said_hook, NULL);
}

size_t said_count(void)
{
    return said;
}

const char *said_last(void)
{
    return said_text;
}
