// SPDX-License-Identifier: Apache-2.0
// OTLP/JSON from and to protobuf, both driven by the schema table. Rules that differ from plain
// proto3 JSON: ids are hexadecimal, enums are integers, unknown keys are ignored.

#include "libtrace/otlp/json.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "libtrace/base/hex.h"
#include "libtrace/otlp/json_text.h"
#include "libtrace/otlp/varint.h"

enum { NESTING_MAX = 64 };

struct conversion {
    struct bytes *out;
    struct why *why;
};

static int wrong(struct conversion *to, const struct message *message, const struct field *field,
                 const char *expected)
{
    return why_fail(to->why, -EBADMSG, "%s.%s is not %s", message->name, field->json, expected);
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    if (c == '/' || c == '_')
        return 63;
    return -1;
}

// RFC 4648 4 and 5, with or without padding. Writes the decoded body as a field.
static bool base64_field(struct bytes *out, uint32_t number, struct str text)
{
    const size_t mark = message_begin(out, number);
    uint32_t bits = 0;
    unsigned held = 0;

    while (text.len && text.at[text.len - 1] == '=')
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        const int value = base64_value(text.at[i]);

        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            bytes_add_byte(out, (uint8_t)(bits >> held));
        }
    }
    message_end(out, mark);
    return true;
}

static bool id_field(struct bytes *out, uint32_t number, struct str text)
{
    uint8_t id[64];

    if (text.len > 2 * sizeof id || !hex_read(text, id, text.len / 2))
        return false;
    body_write(out, number, (struct str){(const char *)id, text.len / 2});
    return true;
}

static struct str json_str(const json_t *value)
{
    return (struct str){json_string_value(value), json_string_length(value)};
}

// A number written as one or as a decimal string. The sign goes into two's complement.
static bool integer_of(const json_t *value, uint64_t *out_value)
{
    struct str text;
    uint64_t magnitude;

    if (json_is_integer(value)) {
        *out_value = (uint64_t)json_integer_value(value);
        return true;
    }
    if (json_is_real(value)) {
        const double number = json_real_value(value);

        if (number != floor(number) || number < -9.2e18 || number > 1.8e19)
            return false;
        *out_value = number < 0 ? (uint64_t)(int64_t)number : (uint64_t)number;
        return true;
    }
    if (!json_is_string(value))
        return false;
    text = json_str(value);
    if (text.len && text.at[0] == '-') {
        if (!str_to_u64(str_from(text, 1), &magnitude) || magnitude > UINT64_C(1) << 63)
            return false;
        *out_value = 0 - magnitude;
        return true;
    }
    return str_to_u64(text, out_value);
}

static bool double_of(const json_t *value, double *out_value)
{
    char *end;

    if (json_is_number(value)) {
        *out_value = json_number_value(value);
        return true;
    }
    if (!json_is_string(value) || json_string_length(value) == 0)
        return false;
    *out_value = strtod(json_string_value(value), &end);
    return *end == '\0';
}

// The bare value, as it stands in a packed field or after a tag.
static bool scalar_write(struct bytes *out, enum field_type type, const json_t *value)
{
    uint64_t integer = 0;
    double number;

    if (type == FIELD_DOUBLE) {
        if (!double_of(value, &number))
            return false;
        memcpy(&integer, &number, sizeof integer);
    } else if (type == FIELD_BOOL) {
        if (!json_is_boolean(value))
            return false;
        integer = json_is_true(value);
    } else if (!integer_of(value, &integer)) {
        return false;
    }
    if (type == FIELD_SINT32)
        integer = (uint32_t)((uint32_t)integer << 1) ^ (uint32_t)((int32_t)integer >> 31);
    if (field_wire_type(type) == WIRE_VARINT) {
        varint_write(out, integer);
        return true;
    }
    for (unsigned i = 0; i < (type == FIELD_FIXED32 ? 4u : 8u); i++)
        bytes_add_byte(out, (uint8_t)(integer >> (8 * i)));
    return true;
}

static int message_to_wire(struct conversion *to, const struct message *message,
                           const json_t *object, unsigned depth);

static int value_to_wire(struct conversion *to, const struct message *message,
                         const struct field *field, const json_t *value, unsigned depth)
{
    size_t mark;
    int failed;

    switch (field->type) {
    case FIELD_MESSAGE:
        mark = message_begin(to->out, field->number);
        failed = message_to_wire(to, field->message, value, depth + 1);
        message_end(to->out, mark);
        return failed;
    case FIELD_STRING:
        if (!json_is_string(value))
            return wrong(to, message, field, "a string");
        body_write(to->out, field->number, json_str(value));
        return 0;
    case FIELD_ID:
        if (!json_is_string(value) || !id_field(to->out, field->number, json_str(value)))
            return wrong(to, message, field, "hexadecimal");
        return 0;
    case FIELD_BYTES:
        if (!json_is_string(value) || !base64_field(to->out, field->number, json_str(value)))
            return wrong(to, message, field, "base64");
        return 0;
    default:
        tag_write(to->out, field->number, field_wire_type(field->type));
        if (!scalar_write(to->out, field->type, value))
            return wrong(to, message, field,
                         field->type == FIELD_BOOL     ? "true or false"
                         : field->type == FIELD_ENUM   ? "an integer"
                         : field->type == FIELD_DOUBLE ? "a number"
                                                       : "an integer");
        return 0;
    }
}

static int list_to_wire(struct conversion *to, const struct message *message,
                        const struct field *field, const json_t *list, unsigned depth)
{
    const bool is_packed = field_wire_type(field->type) != WIRE_BYTES;
    size_t mark = 0;

    if (!json_is_array(list))
        return wrong(to, message, field, "a list");
    if (is_packed)
        mark = message_begin(to->out, field->number);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        int failed = 0;

        if (!is_packed)
            failed = value_to_wire(to, message, field, item, depth);
        else if (!scalar_write(to->out, field->type, item))
            failed = wrong(to, message, field, "a list of numbers");
        if (failed)
            return failed;
    }
    if (is_packed)
        message_end(to->out, mark);
    return 0;
}

static int message_to_wire(struct conversion *to, const struct message *message,
                           const json_t *object, unsigned depth)
{
    if (depth > NESTING_MAX)
        return why_fail(to->why, -EBADMSG, "%s is nested too deep", message->name);
    if (!json_is_object(object))
        return why_fail(to->why, -EBADMSG, "%s is not an object", message->name);
    for (const struct field *field = message->fields; field->number; field++) {
        const json_t *value = json_object_get(object, field->json);
        int failed;

        if (!value || json_is_null(value))
            continue;
        failed = field->is_repeated ? list_to_wire(to, message, field, value, depth)
                                    : value_to_wire(to, message, field, value, depth);
        if (failed)
            return failed;
    }
    return to->out->is_failed ? why_fail(to->why, -ENOMEM, "out of memory") : 0;
}

int otlp_json_to_wire(enum signal signal, struct str json, struct bytes *out_wire, struct why *why)
{
    struct conversion to = {.out = out_wire, .why = why};
    json_error_t error;
    json_t *root = json_loadb(json.at ? json.at : "", json.len, 0, &error);
    int failed;

    if (!root)
        return why_fail(why, -EBADMSG, "JSON line %d column %d: %s", error.line, error.column,
                        error.text);
    failed = message_to_wire(&to, schema_request(signal), root, 0);
    json_decref(root);
    return failed;
}

static void base64_text(struct bytes *out, struct str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *at = (const uint8_t *)bytes.at;

    bytes_add_byte(out, '"');
    for (size_t i = 0; i < bytes.len; i += 3) {
        const size_t left = bytes.len - i;
        const uint32_t bits = (uint32_t)at[i] << 16 | (left > 1 ? (uint32_t)at[i + 1] << 8 : 0) |
                              (left > 2 ? at[i + 2] : 0);
        const char text[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
                              left > 1 ? digits[bits >> 6 & 63] : '=',
                              left > 2 ? digits[bits & 63] : '='};

        bytes_add(out, text, 4);
    }
    bytes_add_byte(out, '"');
}

static void id_text(struct bytes *out, struct str id)
{
    bytes_add_byte(out, '"');
    for (size_t i = 0; i < id.len; i++) {
        char digits[3];

        hex_write(digits, (const uint8_t *)id.at + i, 1);
        bytes_add(out, digits, 2);
    }
    bytes_add_byte(out, '"');
}

static void double_text(struct bytes *out, uint64_t bits)
{
    double number;

    memcpy(&number, &bits, sizeof number);
    if (isnan(number))
        bytes_add_str(out, STR("\"NaN\""));
    else if (isinf(number))
        bytes_add_str(out, number < 0 ? STR("\"-Infinity\"") : STR("\"Infinity\""));
    else
        bytes_format(out, "%.17g", number);
}

static void number_text(struct bytes *out, enum field_type type, uint64_t value)
{
    switch (type) {
    case FIELD_BOOL:
        bytes_add_str(out, value ? STR("true") : STR("false"));
        return;
    case FIELD_DOUBLE:
        double_text(out, value);
        return;
    case FIELD_SINT32:
        bytes_format(out, "%d", (int32_t)((uint32_t)value >> 1 ^ (0 - ((uint32_t)value & 1))));
        return;
    case FIELD_INT32:
    case FIELD_ENUM:
        bytes_format(out, "%d", (int32_t)value);
        return;
    case FIELD_UINT32:
    case FIELD_FIXED32:
        bytes_format(out, "%u", (uint32_t)value);
        return;
    case FIELD_INT64:
    case FIELD_SFIXED64:
        bytes_format(out, "\"%lld\"", (long long)value);
        return;
    default:
        bytes_format(out, "\"%llu\"", (unsigned long long)value);
    }
}

static bool number_read(struct reader *reader, unsigned type, uint64_t *out_value)
{
    if (type == WIRE_VARINT)
        *out_value = varint_read(reader);
    else if (type == WIRE_FIXED64)
        *out_value = reader_le64(reader);
    else if (type == WIRE_FIXED32)
        *out_value = reader_le32(reader);
    else
        return false;
    return !reader->is_failed;
}

static int message_to_json(struct conversion *to, const struct message *message, struct str wire,
                           unsigned depth);

static int body_to_json(struct conversion *to, const struct field *field, struct str body,
                        unsigned depth)
{
    switch (field->type) {
    case FIELD_MESSAGE:
        return message_to_json(to, field->message, body, depth + 1);
    case FIELD_STRING:
        json_text_write(to->out, body);
        return 0;
    case FIELD_ID:
        id_text(to->out, body);
        return 0;
    default:
        base64_text(to->out, body);
        return 0;
    }
}

// Writes every value of one field, packed or not, with commas between; a single field keeps the
// last one, as protobuf says.
static int field_to_json(struct conversion *to, const struct field *field, struct str wire,
                         unsigned depth)
{
    struct reader reader = reader_of(wire);
    const enum wire_type want = field_wire_type(field->type);
    const size_t start = to->out->len;
    size_t count = 0;

    while (reader.at < reader.end) {
        const uint64_t tag = varint_read(&reader);
        struct reader values = {0};
        struct str body = {NULL, 0};
        uint64_t value = 0;

        if ((tag & 7) == WIRE_BYTES)
            body = reader_take(&reader, varint_read(&reader));
        else if (!number_read(&reader, tag & 7, &value))
            return -EBADMSG;
        if (reader.is_failed)
            return -EBADMSG;
        if (tag >> 3 != field->number)
            continue;
        if (!field->is_repeated) {
            to->out->len = start;
            count = 0;
        }
        if (want == WIRE_BYTES) {
            if (count++)
                bytes_add_byte(to->out, ',');
            if (body_to_json(to, field, body, depth) != 0)
                return -EBADMSG;
            continue;
        }
        values = reader_of(body);
        while (!body.at || values.at < values.end) {
            if (body.at && !number_read(&values, want, &value))
                return -EBADMSG;
            if (count++)
                bytes_add_byte(to->out, ',');
            number_text(to->out, field->type, value);
            if (!body.at)
                break;
        }
    }
    return 0;
}

// Which fields of the table a message holds, as bits by row.
static int rows_present(const struct message *message, struct str wire, uint32_t *out_rows)
{
    struct reader reader = reader_of(wire);
    uint32_t rows = 0;
    uint64_t value;

    while (reader.at < reader.end) {
        const uint64_t tag = varint_read(&reader);
        const struct field *field = message_field(message, tag >> 3);

        if ((tag & 7) == WIRE_BYTES)
            reader_take(&reader, varint_read(&reader));
        else if (!number_read(&reader, tag & 7, &value))
            return -EBADMSG;
        if (field)
            rows |= 1u << (field - message->fields);
    }
    if (reader.is_failed)
        return -EBADMSG;
    *out_rows = rows;
    return 0;
}

static int message_to_json(struct conversion *to, const struct message *message, struct str wire,
                           unsigned depth)
{
    uint32_t rows = 0;
    bool is_first = true;

    if (depth > NESTING_MAX || rows_present(message, wire, &rows) != 0)
        return why_fail(to->why, -EBADMSG, "%s is malformed", message->name);
    bytes_add_byte(to->out, '{');
    for (const struct field *field = message->fields; field->number; field++) {
        if (!(rows & 1u << (field - message->fields)))
            continue;
        bytes_format(to->out, "%s\"%s\":%s", is_first ? "" : ",", field->json,
                     field->is_repeated ? "[" : "");
        is_first = false;
        if (field_to_json(to, field, wire, depth) != 0)
            return why_fail(to->why, -EBADMSG, "%s is malformed", message->name);
        if (field->is_repeated)
            bytes_add_byte(to->out, ']');
    }
    bytes_add_byte(to->out, '}');
    return to->out->is_failed ? why_fail(to->why, -ENOMEM, "out of memory") : 0;
}

int otlp_wire_to_json(enum signal signal, struct str wire, struct bytes *out_json, struct why *why)
{
    struct conversion to = {.out = out_json, .why = why};

    return message_to_json(&to, schema_request(signal), wire, 0);
}
