// SPDX-License-Identifier: Apache-2.0
// Checks a request by the schema table and finds its records. Nothing is decoded or copied.

#include "libtrace/otlp/index.h"

#include <errno.h>

#include "libtrace/otlp/varint.h"

enum { NESTING_MAX = 64 };

struct check {
    size_t records;
    const struct message *where;
    const char *problem;
};

// Skips the value of a field; false when it reaches beyond the message.
static inline bool skip_value(struct reader *reader, unsigned type)
{
    switch (type) {
    case WIRE_VARINT:
        varint_read(reader);
        break;
    case WIRE_FIXED64:
        reader_take(reader, 8);
        break;
    case WIRE_FIXED32:
        reader_take(reader, 4);
        break;
    case WIRE_BYTES:
        reader_take(reader, varint_read(reader));
        break;
    default:
        return false;
    }
    return !reader->is_failed;
}

// A tag or a length. All other readers of protobuf take five bytes at most, and what passes here is
// sent on to them byte for byte, among the requests of others.
static inline uint64_t head_read(struct reader *reader)
{
    const uint8_t *at = reader->at;
    uint64_t value;

    if (at < reader->end && at[0] < 0x80) {
        reader->at++;
        return at[0];
    }
    value = varint_read(reader);
    reader->is_failed |= reader->at - at > 5;
    return value;
}

static bool fail(struct check *check, const struct message *where, const char *problem)
{
    check->where = where;
    check->problem = problem;
    return false;
}

static bool is_packed(struct str values, enum wire_type type)
{
    struct reader reader = reader_of(values);

    while (reader.at < reader.end) {
        if (!skip_value(&reader, type))
            return false;
    }
    return true;
}

// AnyValue{1: text} or {2, 3: bool or integer of at most 14 bits}, with nothing after it.
static inline bool is_plain_value(const uint8_t *at, size_t len)
{
    if (at[0] == 0x0a)
        return at[1] < 0x80 && len == at[1] + 2u;
    return (at[0] == 0x18 || at[0] == 0x10) && (at[1] < 0x80 ? len == 2 : len == 3 && at[2] < 0x80);
}

// The usual attribute at a glance: KeyValue{1: key, 2: plain value}, each length one byte and each
// part ending where the whole does. False says only that it must be read the long way.
static inline bool is_plain_attribute(struct str attribute)
{
    const uint8_t *at = (const uint8_t *)attribute.at;
    size_t value;

    if (attribute.len < 6 || at[0] != 0x0a || at[1] > 0x7f || at[1] + 6u > attribute.len)
        return false;
    value = at[1] + 4u;
    return at[value - 2] == 0x12 && at[value - 1] < 0x80 &&
           value + at[value - 1] == attribute.len &&
           is_plain_value(at + value, attribute.len - value);
}

// A message that is not read to its end.
struct open_message {
    const struct message *message;
    const uint8_t *end;
};

// One loop with a stack of its own, not a function that calls itself: half of a request's CPU time
// is spent here.
static bool check_request(struct check *check, const struct message *message, struct reader body)
{
    struct open_message open[NESTING_MAX];
    const struct message *attribute = schema_attribute();
    unsigned depth = 0;

    for (;;) {
        const struct field *field;
        struct str inner;
        uint64_t tag;

        while (body.at == body.end) {
            if (depth == 0)
                return true;
            depth--;
            message = open[depth].message;
            body.end = open[depth].end;
        }
        tag = head_read(&body);
        if (body.is_failed || tag >> 3 == 0 || tag > UINT32_MAX)
            return fail(check, message, "has a broken field tag");
        field = message_field(message, tag >> 3);
        if ((tag & 7) != WIRE_BYTES) {
            if (field && (tag & 7) != field_wire_type(field->type))
                return fail(check, message, "has a field of a wrong wire type");
            if (!skip_value(&body, tag & 7))
                return fail(check, message, "is cut short");
            continue;
        }
        inner = reader_take(&body, head_read(&body));
        if (body.is_failed)
            return fail(check, message, "is cut short");
        if (!field)
            continue;
        if (field->type == FIELD_MESSAGE) {
            if (field->message == attribute && depth + 2 <= NESTING_MAX &&
                is_plain_attribute(inner))
                continue;
            if (depth == NESTING_MAX)
                return fail(check, field->message, "is nested too deep");
            open[depth++] = (struct open_message){message, body.end};
            message = field->message;
            check->records += message->is_record;
            body.end = body.at;
            body.at -= inner.len;
        } else if (field_wire_type(field->type) != WIRE_BYTES) {
            if (!field->is_repeated)
                return fail(check, message, "has a field of a wrong wire type");
            if (!is_packed(inner, field_wire_type(field->type)))
                return fail(check, message, "has a broken packed field");
        }
    }
}

int otlp_check(enum signal signal, struct str wire, size_t *out_records, struct why *why)
{
    struct check check = {0};

    if (!check_request(&check, schema_request(signal), reader_of(wire)))
        return why_fail(why, -EBADMSG, "%s: %s", check.where->name, check.problem);
    *out_records = check.records;
    return 0;
}

// The next field of a checked message; false at its end. `out_body` is set for WIRE_BYTES only.
static bool next_field(struct reader *reader, uint64_t *out_number, struct str *out_body)
{
    uint64_t tag;

    if (reader->at >= reader->end)
        return false;
    tag = varint_read(reader);
    *out_number = tag >> 3;
    *out_body = (struct str){NULL, 0};
    if ((tag & 7) == WIRE_BYTES)
        *out_body = reader_take(reader, varint_read(reader));
    else if (!skip_value(reader, tag & 7))
        return false;
    return !reader->is_failed;
}

// ResourceX and ScopeX have the same shape: 1 what it belongs to, 2 the members, 3 schema_url.
// Fields may come in any order, so 1 and 3 are looked for first.
static void group_head(struct str group, struct str *out_head, struct str *out_url)
{
    struct reader reader = reader_of(group);
    struct str body;
    uint64_t number;

    *out_head = (struct str){"", 0};
    *out_url = (struct str){"", 0};
    while (next_field(&reader, &number, &body)) {
        if (number == 1 && body.at)
            *out_head = body;
        if (number == 3 && body.at)
            *out_url = body;
    }
}

static bool each_in_scope(struct str scope, struct otlp_record *record, otlp_visit *visit,
                          void *self)
{
    struct reader reader = reader_of(scope);
    uint64_t number;
    struct str body;

    group_head(scope, &record->scope, &record->scope_url);
    while (next_field(&reader, &number, &body)) {
        if (number != 2 || !body.at)
            continue;
        record->record = body;
        if (!visit(self, record))
            return false;
    }
    return true;
}

static bool each_in_resource(struct str resource, otlp_visit *visit, void *self)
{
    struct reader reader = reader_of(resource);
    struct otlp_record record = {0};
    uint64_t number;
    struct str body;

    group_head(resource, &record.resource, &record.resource_url);
    while (next_field(&reader, &number, &body)) {
        if (number == 2 && body.at && !each_in_scope(body, &record, visit, self))
            return false;
    }
    return true;
}

void otlp_each(enum signal signal, struct str wire, otlp_visit *visit, void *self)
{
    struct reader reader = reader_of(wire);
    uint64_t number;
    struct str body;

    (void)signal; // the three requests have one shape
    while (next_field(&reader, &number, &body)) {
        if (number == 1 && body.at && !each_in_resource(body, visit, self))
            return;
    }
}
