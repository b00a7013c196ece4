// SPDX-License-Identifier: Apache-2.0
// Values that are not text become text by the specification's rules for protocols other than OTLP
// ("AnyValue representation").

#include "libtrace/sdk/metrics/prometheus_label.h"

#include <stdlib.h>

#include "libtrace/base/decimal.h"
#include "libtrace/otlp/json_text.h"
#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/metrics/prometheus_name.h"

enum { VALUE_NESTING_MAX = 16 };

static void base64_write(struct bytes *out, struct str raw)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < raw.len; i += 3) {
        const size_t left = raw.len - i;
        const uint32_t three = (uint32_t)(uint8_t)raw.at[i] << 16 |
                               (left > 1 ? (uint32_t)(uint8_t)raw.at[i + 1] << 8 : 0) |
                               (left > 2 ? (uint8_t)raw.at[i + 2] : 0);

        bytes_add_byte(out, (uint8_t)digits[three >> 18]);
        bytes_add_byte(out, (uint8_t)digits[three >> 12 & 63]);
        bytes_add_byte(out, left > 1 ? (uint8_t)digits[three >> 6 & 63] : '=');
        bytes_add_byte(out, left > 2 ? (uint8_t)digits[three & 63] : '=');
    }
}

static void value_write(struct bytes *out, struct str wire, unsigned depth);

// ArrayValue or KeyValueList as JSON.
static void list_write(struct bytes *out, struct str wire, bool is_map, unsigned depth)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;
    bool is_first = true;

    bytes_add_byte(out, is_map ? '{' : '[');
    while (wire_next(&reader, &field)) {
        struct reader pair;
        struct wire_field part;

        if (field.number != 1 || !field.body.at)
            continue;
        if (!is_first)
            bytes_add_byte(out, ',');
        is_first = false;
        if (!is_map) {
            value_write(out, field.body, depth + 1);
            continue;
        }
        pair = reader_of(field.body);
        while (wire_next(&pair, &part)) {
            if (part.number == 1 && part.body.at) {
                json_text_write(out, part.body);
                bytes_add_byte(out, ':');
            } else if (part.number == 2 && part.body.at) {
                value_write(out, part.body, depth + 1);
            }
        }
    }
    bytes_add_byte(out, is_map ? '}' : ']');
}

// AnyValue: 1 string, 2 bool, 3 int, 4 double, 5 array, 6 kvlist, 7 bytes. Depth 0: a text stands
// without quotes.
static void value_write(struct bytes *out, struct str wire, unsigned depth)
{
    struct reader reader = reader_of(wire);
    struct wire_field last = {0};
    struct wire_field field;
    double number;
    char text[DECIMAL_TEXT_MAX];

    while (wire_next(&reader, &field))
        last = field;
    if (depth > VALUE_NESTING_MAX)
        last.number = 0;
    switch (last.number) {
    case 1:
        if (depth)
            json_text_write(out, last.body);
        else
            bytes_add_str(out, last.body);
        break;
    case 2:
        bytes_add_str(out, last.value ? STR("true") : STR("false"));
        break;
    case 3:
        bytes_format(out, "%lld", (long long)last.value);
        break;
    case 4:
        memcpy(&number, &last.value, 8);
        decimal_write(text, number);
        bytes_add_str(out, str_of(text));
        break;
    case 5:
    case 6:
        list_write(out, last.body, last.number == 6, depth);
        break;
    case 7:
        if (depth)
            bytes_add_byte(out, '"');
        base64_write(out, last.body);
        if (depth)
            bytes_add_byte(out, '"');
        break;
    default:
        if (depth)
            bytes_add_str(out, STR("null"));
    }
}

void label_value_write(struct bytes *out, struct str any_value)
{
    value_write(out, any_value, 0);
}

void labels_add(struct labels *labels, const char *prefix, struct str key, struct str value)
{
    struct bytes clean = {0};
    struct label *label;

    if (labels->count == LABELS_MAX) {
        labels->lost++;
        return;
    }
    bytes_add_str(&clean, str_of(prefix));
    bytes_add_str(&clean, key);
    label = &labels->list[labels->count];
    label->original = arena_copy(labels->arena, bytes_str(&clean));
    clean.len = 0;
    prometheus_label_write(&clean, label->original.at ? label->original : key);
    label->key = arena_copy(labels->arena, bytes_str(&clean));
    label->value = arena_copy(labels->arena, value);
    bytes_done(&clean);
    if (label->original.at && label->key.at && label->value.at)
        labels->count++;
    else
        labels->lost++;
}

void labels_add_pair(struct labels *labels, const char *prefix, struct str pair)
{
    struct reader reader = reader_of(pair);
    struct wire_field field;
    struct str key = {"", 0};
    struct bytes value = {0};

    while (wire_next(&reader, &field)) {
        if (field.number == 1 && field.body.at)
            key = field.body;
        else if (field.number == 2 && field.body.at)
            label_value_write(&value, field.body);
    }
    labels_add(labels, prefix, key, bytes_str(&value));
    bytes_done(&value);
}

bool labels_has(const struct labels *labels, struct str key)
{
    for (size_t i = 0; i < labels->count; i++) {
        if (str_equal(labels->list[i].key, key))
            return true;
    }
    return false;
}

static int text_order(struct str a, struct str b)
{
    const size_t common = a.len < b.len ? a.len : b.len;
    const int order = common ? memcmp(a.at, b.at, common) : 0;

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int label_order(const void *a, const void *b)
{
    const struct label *x = a;
    const struct label *y = b;
    const int order = text_order(x->key, y->key);

    return order ? order : text_order(x->original, y->original);
}

void labels_end(struct labels *labels)
{
    size_t kept = 0;

    qsort(labels->list, labels->count, sizeof labels->list[0], label_order);
    for (size_t i = 0; i < labels->count; i++) {
        struct label *last = kept ? &labels->list[kept - 1] : NULL;

        if (!last || !str_equal(last->key, labels->list[i].key)) {
            labels->list[kept++] = labels->list[i];
            continue;
        }
        last->value = arena_format(labels->arena, "%.*s;%.*s", STR_ARGS(last->value),
                                   STR_ARGS(labels->list[i].value));
        if (!last->value.at)
            last->value = (struct str){"", 0};
    }
    labels->count = kept;
}

void labels_write(struct bytes *out, const struct labels *labels)
{
    for (size_t i = 0; i < labels->count; i++) {
        if (i)
            bytes_add_byte(out, ',');
        bytes_add_str(out, labels->list[i].key);
        bytes_add_str(out, STR("=\""));
        prometheus_text_write(out, labels->list[i].value);
        bytes_add_byte(out, '"');
    }
}
