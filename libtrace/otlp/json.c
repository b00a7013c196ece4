// SPDX-License-Identifier: Apache-2.0
// Protobuf to OTLP/JSON, driven by the schema table. Rules that differ from plain proto3 JSON: ids
// are hexadecimal and enums are integers.

#include "libtrace/otlp/json.h"

#include <errno.h>
#include <math.h>

#include "libtrace/base/hex.h"
#include "libtrace/otlp/json_text.h"
#include "libtrace/otlp/varint.h"

enum { NESTING_MAX = 64 };

struct conversion {
    struct bytes *out;
    struct why *why;
};

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
        json_number_write(out, number, 17);
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
