// SPDX-License-Identifier: Apache-2.0
// Every message of OTLP as a table: field number, JSON name, type, sub-message. Checking, JSON and
// the index all read this one table. Constant. Source: opentelemetry-proto 1.11.

#pragma once

#include "libtrace/model/batch.h"

enum field_type {
    FIELD_STRING,
    FIELD_BYTES,
    FIELD_ID, // bytes, hexadecimal in JSON
    FIELD_BOOL,
    FIELD_UINT32,
    FIELD_INT32,
    FIELD_SINT32,
    FIELD_ENUM,
    FIELD_INT64,
    FIELD_UINT64,
    FIELD_FIXED32,
    FIELD_FIXED64,
    FIELD_SFIXED64,
    FIELD_DOUBLE,
    FIELD_MESSAGE,
};

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct message;

struct field {
    uint32_t number; // 0 ends a table
    enum field_type type;
    bool is_repeated;
    const char *json;
    const struct message *message;
};

enum { MESSAGE_FIELD_MAX = 16 };

struct message {
    const char *name;
    bool is_record; // counts as a span, a data point or a log record
    const struct field *fields;
    uint8_t field_of[MESSAGE_FIELD_MAX + 1]; // field number -> 1 + row; 0: unknown
};

// Export...ServiceRequest of that signal.
const struct message *schema_request(enum signal signal);

// KeyValue.
const struct message *schema_attribute(void);

// Inline: every field of every record passes here.
static inline const struct field *message_field(const struct message *message, uint64_t number)
{
    if (number == 0 || number > MESSAGE_FIELD_MAX || message->field_of[number] == 0)
        return NULL;
    return &message->fields[message->field_of[number] - 1];
}

static inline enum wire_type field_wire_type(enum field_type type)
{
    static const uint8_t wires[] = {
        [FIELD_STRING] = WIRE_BYTES,     [FIELD_BYTES] = WIRE_BYTES,
        [FIELD_ID] = WIRE_BYTES,         [FIELD_BOOL] = WIRE_VARINT,
        [FIELD_UINT32] = WIRE_VARINT,    [FIELD_INT32] = WIRE_VARINT,
        [FIELD_SINT32] = WIRE_VARINT,    [FIELD_ENUM] = WIRE_VARINT,
        [FIELD_INT64] = WIRE_VARINT,     [FIELD_UINT64] = WIRE_VARINT,
        [FIELD_FIXED32] = WIRE_FIXED32,  [FIELD_FIXED64] = WIRE_FIXED64,
        [FIELD_SFIXED64] = WIRE_FIXED64, [FIELD_DOUBLE] = WIRE_FIXED64,
        [FIELD_MESSAGE] = WIRE_BYTES,
    };

    return (enum wire_type)wires[type];
}
