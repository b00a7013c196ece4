// SPDX-License-Identifier: Apache-2.0
// Text from outside is written as JSON strings, so that it cannot end a line or move a cursor.

#include "libtrace/sdk/export/console_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "libtrace/base/clock.h"
#include "libtrace/otlp/json_text.h"
#include "libtrace/otlp/varint.h"

enum { NESTING_MAX = 16 };

void console_time_write(struct bytes *out, uint64_t unix_ns)
{
    const time_t seconds = (time_t)(unix_ns / NS_PER_SECOND);
    struct tm parts;
    char text[32];

    if (!unix_ns || !gmtime_r(&seconds, &parts) ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
        bytes_add_byte(out, '-');
        return;
    }
    bytes_format(out, "%s.%09uZ", text, (unsigned)(unix_ns % NS_PER_SECOND));
}

void console_duration_write(struct bytes *out, uint64_t ns)
{
    if (ns >= NS_PER_SECOND) {
        json_number_write(out, (double)ns / 1e9, 6);
        bytes_add_str(out, STR("s"));
    } else if (ns >= NS_PER_MS) {
        json_number_write(out, (double)ns / 1e6, 6);
        bytes_add_str(out, STR("ms"));
    } else if (ns >= 1000) {
        json_number_write(out, (double)ns / 1e3, 6);
        bytes_add_str(out, STR("us"));
    } else {
        bytes_format(out, "%uns", (unsigned)ns);
    }
}

static void hex_append(struct bytes *out, struct str raw)
{
    for (size_t i = 0; i < raw.len; i++)
        bytes_format(out, "%02x", (unsigned)(unsigned char)raw.at[i]);
}

void console_id_write(struct bytes *out, const char *label, struct str id)
{
    bool is_set = false;

    for (size_t i = 0; i < id.len; i++)
        is_set |= id.at[i] != 0;
    if (!is_set)
        return;
    bytes_format(out, " %s=", label);
    hex_append(out, id);
}

void console_double_write(struct bytes *out, uint64_t bits)
{
    double number;
    int digits = 15;

    memcpy(&number, &bits, sizeof number);
    if (!isfinite(number)) {
        bytes_add_str(out, isnan(number) ? STR("nan") : number < 0 ? STR("-inf") : STR("inf"));
        return;
    }
    for (; digits < 17; digits++) {
        char text[64];
        const int len = snprintf(text, sizeof text, "%.*g", digits, number);

        if (len > 0 && (size_t)len < sizeof text && strtod(text, NULL) == number)
            break;
    }
    json_number_write(out, number, digits);
}

static void value_write(struct bytes *out, struct str wire, unsigned depth);

// Key and value of a KeyValue.
static void pair_write(struct bytes *out, struct str wire, unsigned depth)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;
    struct str key = {"", 0};
    struct str value = {"", 0};
    bool is_plain = true;

    while (wire_next(&reader, &field)) {
        if (field.number == 1 && field.body.at)
            key = field.body;
        if (field.number == 2 && field.body.at)
            value = field.body;
    }
    for (size_t i = 0; i < key.len; i++)
        is_plain &= key.at[i] > ' ' && key.at[i] < 0x7f && key.at[i] != '"' && key.at[i] != '=';
    if (is_plain && key.len)
        bytes_add_str(out, key);
    else
        json_text_write(out, key);
    bytes_add_byte(out, '=');
    value_write(out, value, depth);
}

// ArrayValue and KeyValueList: repeated field 1.
static void list_write(struct bytes *out, struct str wire, bool is_map, unsigned depth)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;
    bool is_first = true;

    bytes_add_byte(out, is_map ? '{' : '[');
    while (wire_next(&reader, &field)) {
        if (field.number != 1 || !field.body.at)
            continue;
        if (!is_first)
            bytes_add_byte(out, ' ');
        is_first = false;
        if (is_map)
            pair_write(out, field.body, depth);
        else
            value_write(out, field.body, depth);
    }
    bytes_add_byte(out, is_map ? '}' : ']');
}

// AnyValue: 1 string, 2 bool, 3 int, 4 double, 5 array, 6 kvlist, 7 bytes.
static void value_write(struct bytes *out, struct str wire, unsigned depth)
{
    struct reader reader = reader_of(wire);
    struct wire_field field = {0};
    struct wire_field last = {0};

    // Of a oneof the last one counts.
    while (wire_next(&reader, &field))
        last = field;
    if (depth == NESTING_MAX)
        last.number = 0;
    switch (last.number) {
    case 1:
        json_text_write(out, last.body);
        break;
    case 2:
        bytes_add_str(out, last.value ? STR("true") : STR("false"));
        break;
    case 3:
        bytes_format(out, "%lld", (long long)last.value);
        break;
    case 4:
        console_double_write(out, last.value);
        break;
    case 5:
    case 6:
        list_write(out, last.body, last.number == 6, depth + 1);
        break;
    case 7:
        bytes_add_str(out, STR("0x"));
        hex_append(out, last.body);
        break;
    default:
        bytes_add_byte(out, '-');
    }
}

void console_value_write(struct bytes *out, struct str wire)
{
    value_write(out, wire, 0);
}

void console_attributes_write(struct bytes *out, struct str message, uint64_t number)
{
    struct reader reader = reader_of(message);
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        if (field.number != number || !field.body.at)
            continue;
        bytes_add_byte(out, ' ');
        pair_write(out, field.body, 0);
    }
}

void console_scope_write(struct bytes *out, struct str scope)
{
    struct reader reader = reader_of(scope);
    struct wire_field field;
    struct str name = {"", 0};
    struct str version = {"", 0};

    while (wire_next(&reader, &field)) {
        if (field.number == 1 && field.body.at)
            name = field.body;
        if (field.number == 2 && field.body.at)
            version = field.body;
    }
    if (name.len) {
        bytes_add_str(out, STR(" scope="));
        json_text_write(out, name);
    }
    if (version.len) {
        bytes_add_str(out, STR(" version="));
        json_text_write(out, version);
    }
}
