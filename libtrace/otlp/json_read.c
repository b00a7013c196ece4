// SPDX-License-Identifier: Apache-2.0
// OTLP/JSON to protobuf in one pass, driven by the schema table: no tree of values is built, so
// that a request takes no more memory than its text and what it becomes. Rules that differ from
// plain proto3 JSON: ids are hexadecimal, enums are integers, unknown keys are ignored.

#include "libtrace/otlp/json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "libtrace/base/decimal.h"
#include "libtrace/base/hex.h"
#include "libtrace/otlp/json_token.h"
#include "libtrace/otlp/varint.h"

enum { NESTING_MAX = 64, NUMBER_MAX = 400 };

struct conversion {
    struct json_tokens tokens;
    struct bytes *out;
    struct why *why;
};

// The reason of the tokens comes first: it says where.
static int wrong(struct conversion *to, const struct message *message, const struct field *field,
                 const char *expected)
{
    if (to->tokens.problem)
        return json_tokens_why(&to->tokens, to->why);
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

    for (int i = 0; i < 2 && text.len && text.at[text.len - 1] == '='; i++)
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
    return held < 6;
}

static bool id_field(struct bytes *out, uint32_t number, struct str text)
{
    uint8_t id[64];

    if (text.len > 2 * sizeof id || !hex_read(text, id, text.len / 2))
        return false;
    body_write(out, number, (struct str){(const char *)id, text.len / 2});
    return true;
}

// For a text that JSON calls a number.
static double double_of_text(struct str text)
{
    char terminated[NUMBER_MAX + 1];

    memcpy(terminated, text.at, text.len);
    terminated[text.len] = '\0';
    return decimal_parse(terminated);
}

struct integer {
    bool is_negative;
    uint64_t magnitude;
};

// A whole number, also one written as 1.0 or 1e3.
static bool integer_of(struct str text, struct integer *out)
{
    const bool is_negative = text.len && text.at[0] == '-';
    double number;

    out->is_negative = is_negative;
    if (str_to_u64(str_from(text, is_negative), &out->magnitude))
        return true;
    number = fabs(double_of_text(text));
    if (number != floor(number) || number >= 0x1p64)
        return false;
    out->magnitude = (uint64_t)number;
    return true;
}

// The value as protobuf carries it, sign extended; false when it does not fit the type.
static bool integer_fits(enum field_type type, struct integer from, uint64_t *out_value)
{
    uint64_t highest = UINT64_MAX;
    uint64_t lowest = 0;

    switch (type) {
    case FIELD_INT32:
    case FIELD_SINT32:
    case FIELD_ENUM:
        highest = INT32_MAX;
        lowest = UINT64_C(1) << 31;
        break;
    case FIELD_INT64:
    case FIELD_SFIXED64:
        highest = INT64_MAX;
        lowest = UINT64_C(1) << 63;
        break;
    case FIELD_UINT32:
    case FIELD_FIXED32:
        highest = UINT32_MAX;
        break;
    default:
        break;
    }
    if (from.magnitude > (from.is_negative ? lowest : highest))
        return false;
    *out_value = from.is_negative ? 0 - from.magnitude : from.magnitude;
    return true;
}

static bool is_named(struct str text)
{
    return str_equal(text, STR("NaN")) || str_equal(text, STR("Infinity")) ||
           str_equal(text, STR("-Infinity"));
}

static double double_of(struct str text)
{
    if (!is_named(text))
        return double_of_text(text);
    if (text.at[0] == 'N')
        return (double)NAN;
    return text.at[0] == '-' ? -(double)INFINITY : (double)INFINITY;
}

// A number may stand in a string (proto3 JSON); then it must be one.
static bool number_take(struct conversion *to, enum field_type type, struct str *out_text)
{
    const enum json_kind kind = json_peek(&to->tokens);
    struct json_tokens inner;
    struct str text;

    if (kind != JSON_STRING && kind != JSON_NUMBER)
        return false;
    text = kind == JSON_STRING ? json_string_take(&to->tokens) : json_plain_take(&to->tokens);
    *out_text = text;
    if (to->tokens.problem || text.len > NUMBER_MAX)
        return false;
    if (kind == JSON_NUMBER || (type == FIELD_DOUBLE && is_named(text)))
        return true;
    inner = json_tokens_of(text);
    return json_peek(&inner) == JSON_NUMBER && json_plain_take(&inner).len == text.len;
}

// The bare value, as it stands in a packed field or after a tag.
static bool scalar_write(struct conversion *to, enum field_type type)
{
    struct integer integer;
    struct str text;
    uint64_t value = 0;
    double number;

    if (type != FIELD_BOOL && !number_take(to, type, &text))
        return false;
    if (type == FIELD_BOOL) {
        text = json_peek(&to->tokens) == JSON_WORD ? json_plain_take(&to->tokens) : STR("");
        value = str_equal(text, STR("true"));
        if (!value && !str_equal(text, STR("false")))
            return false;
    } else if (type == FIELD_DOUBLE) {
        number = double_of(text);
        memcpy(&value, &number, sizeof value);
    } else if (!integer_of(text, &integer) || !integer_fits(type, integer, &value)) {
        return false;
    }
    if (type == FIELD_SINT32)
        value = (uint32_t)((uint32_t)value << 1) ^ (uint32_t)((int32_t)value >> 31);
    if (field_wire_type(type) == WIRE_VARINT) {
        varint_write(to->out, value);
        return true;
    }
    for (unsigned i = 0; i < (type == FIELD_FIXED32 ? 4u : 8u); i++)
        bytes_add_byte(to->out, (uint8_t)(value >> (8 * i)));
    return true;
}

static const char *expected_of(enum field_type type)
{
    switch (type) {
    case FIELD_STRING:
        return "a string";
    case FIELD_ID:
        return "hexadecimal";
    case FIELD_BYTES:
        return "base64";
    case FIELD_BOOL:
        return "true or false";
    case FIELD_DOUBLE:
        return "a number";
    default:
        return "an integer of its type";
    }
}

static int message_to_wire(struct conversion *to, const struct message *message, unsigned depth);

static int value_to_wire(struct conversion *to, const struct message *message,
                         const struct field *field, unsigned depth)
{
    bool is_read = false;
    struct str text = {"", 0};
    size_t mark;
    int failed;

    if (field->type == FIELD_MESSAGE) {
        mark = message_begin(to->out, field->number);
        failed = message_to_wire(to, field->message, depth + 1);
        message_end(to->out, mark);
        return failed;
    }
    if (field_wire_type(field->type) != WIRE_BYTES) {
        tag_write(to->out, field->number, field_wire_type(field->type));
        is_read = scalar_write(to, field->type);
    } else if (json_peek(&to->tokens) == JSON_STRING) {
        text = json_string_take(&to->tokens);
        is_read = !to->tokens.problem;
        if (field->type == FIELD_STRING)
            body_write(to->out, field->number, text);
        else if (field->type == FIELD_ID)
            is_read = is_read && id_field(to->out, field->number, text);
        else
            is_read = is_read && base64_field(to->out, field->number, text);
    }
    return is_read ? 0 : wrong(to, message, field, expected_of(field->type));
}

static int list_to_wire(struct conversion *to, const struct message *message,
                        const struct field *field, unsigned depth)
{
    const bool is_packed = field_wire_type(field->type) != WIRE_BYTES;
    bool is_first = true;
    size_t mark = 0;

    if (json_peek(&to->tokens) != JSON_LIST)
        return wrong(to, message, field, "a list");
    if (is_packed)
        mark = message_begin(to->out, field->number);
    while (json_next_item(&to->tokens, &is_first)) {
        int failed = 0;

        if (!is_packed)
            failed = value_to_wire(to, message, field, depth);
        else if (!scalar_write(to, field->type))
            failed = wrong(to, message, field, "a list of numbers");
        if (failed)
            return failed;
    }
    if (is_packed)
        message_end(to->out, mark);
    return to->tokens.problem ? json_tokens_why(&to->tokens, to->why) : 0;
}

static const struct field *field_of_key(const struct message *message, struct str key)
{
    for (const struct field *field = message->fields; field->number; field++) {
        if (strncmp(field->json, key.at, key.len) == 0 && field->json[key.len] == '\0')
            return field;
    }
    return NULL;
}

// Out of memory, or the request is larger than it may be.
static int out_failed(struct conversion *to)
{
    if (to->out->limit)
        return why_fail(to->why, -E2BIG, "the request is too large");
    return why_fail(to->why, -ENOMEM, "out of memory");
}

static int message_to_wire(struct conversion *to, const struct message *message, unsigned depth)
{
    bool is_first = true;
    struct str key;

    if (depth > NESTING_MAX)
        return why_fail(to->why, -EBADMSG, "%s is nested too deep", message->name);
    if (json_peek(&to->tokens) != JSON_OBJECT && json_peek(&to->tokens) != JSON_END)
        return why_fail(to->why, -EBADMSG, "%s is not an object", message->name);
    while (json_next(&to->tokens, &is_first, &key)) {
        const struct field *field = field_of_key(message, key);
        int failed = 0;

        // null is as good as absent.
        if (!field || (json_peek(&to->tokens) == JSON_WORD && *to->tokens.at == 'n'))
            json_skip(&to->tokens, NESTING_MAX);
        else if (field->is_repeated)
            failed = list_to_wire(to, message, field, depth);
        else
            failed = value_to_wire(to, message, field, depth);
        if (failed)
            return failed;
        if (to->out->is_failed)
            return out_failed(to);
    }
    if (to->tokens.problem)
        return json_tokens_why(&to->tokens, to->why);
    return to->out->is_failed ? out_failed(to) : 0;
}

int otlp_json_to_wire(enum signal signal, struct str json, struct bytes *out_wire, struct why *why)
{
    struct conversion to = {
        .tokens = json_tokens_of(json.len ? json : STR("")), .out = out_wire, .why = why};
    int failed = message_to_wire(&to, schema_request(signal), 0);

    if (!failed && (json_peek(&to.tokens) != JSON_END || to.tokens.at < to.tokens.end)) {
        to.tokens.problem = "the end was expected";
        failed = json_tokens_why(&to.tokens, why);
    }
    json_tokens_done(&to.tokens);
    return failed;
}
