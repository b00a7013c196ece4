// SPDX-License-Identifier: Apache-2.0
// Protobuf's variable-length integers. Inline: every field of every record passes here.

#pragma once

#include "libtrace/base/bytes.h"
#include "libtrace/base/reader.h"
#include "libtrace/otlp/schema.h"

// What varint_read does not do in line: the value that begins at `at`, and where it ends (NULL: the
// bytes end before it does, or it is longer than ten).
uint64_t varint_read_long(const uint8_t *at, const uint8_t *end, const uint8_t **out_at);

// protobuf encoding: at most ten bytes, seven bits each, the lowest first.
static inline uint64_t varint_read(struct reader *reader)
{
    const uint8_t *at = reader->at;
    const uint8_t *after;
    uint64_t value;

    if (at < reader->end && at[0] < 0x80) {
        reader->at = at + 1;
        return at[0];
    }
    if (reader_left(reader) >= 2 && at[1] < 0x80) {
        reader->at = at + 2;
        return (at[0] & 0x7fu) | (uint64_t)at[1] << 7;
    }
    value = varint_read_long(at, reader->end, &after);
    reader->is_failed |= !after;
    reader->at = after ? after : reader->end;
    return value;
}

// One field of a message as it comes.
struct wire_field {
    uint64_t number;
    unsigned type;
    uint64_t value;  // varint and fixed
    struct str body; // WIRE_BYTES; else at is NULL
};

// False at the end and after a failure (reader->is_failed).
static inline bool wire_next(struct reader *reader, struct wire_field *field)
{
    uint64_t tag;

    if (reader->at >= reader->end)
        return false;
    tag = varint_read(reader);
    *field = (struct wire_field){.number = tag >> 3, .type = tag & 7};
    switch (field->type) {
    case WIRE_VARINT:
        field->value = varint_read(reader);
        break;
    case WIRE_FIXED64:
        field->value = reader_le64(reader);
        break;
    case WIRE_FIXED32:
        field->value = reader_le32(reader);
        break;
    case WIRE_BYTES:
        field->body = reader_take(reader, varint_read(reader));
        break;
    default:
        reader->is_failed = true;
    }
    return !reader->is_failed;
}

// Writes at `to` (ten bytes at most) and returns how many.
static inline size_t varint_put(uint8_t *to, uint64_t value)
{
    size_t len = 0;

    while (value >= 0x80) {
        to[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    to[len++] = (uint8_t)value;
    return len;
}

static inline size_t varint_size(uint64_t value)
{
    size_t len = 1;

    while (value >= 0x80) {
        value >>= 7;
        len++;
    }
    return len;
}

static inline void varint_write(struct bytes *out, uint64_t value)
{
    uint8_t *to = bytes_reserve(out, 10);

    if (to)
        out->len += varint_put(to, value);
}

static inline void tag_write(struct bytes *out, uint32_t number, enum wire_type type)
{
    varint_write(out, (uint64_t)number << 3 | type);
}

// Text, bytes and messages: tag, length, body.
static inline void body_write(struct bytes *out, uint32_t number, struct str body)
{
    tag_write(out, number, WIRE_BYTES);
    varint_write(out, body.len);
    bytes_add_str(out, body);
}

static inline void fixed32_write(struct bytes *out, uint32_t number, uint32_t value)
{
    const uint8_t little[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                               (uint8_t)(value >> 24)};

    tag_write(out, number, WIRE_FIXED32);
    bytes_add(out, little, sizeof little);
}

static inline void fixed64_write(struct bytes *out, uint32_t number, uint64_t value)
{
    uint8_t little[8];

    for (unsigned i = 0; i < 8; i++)
        little[i] = (uint8_t)(value >> (8 * i));
    tag_write(out, number, WIRE_FIXED64);
    bytes_add(out, little, sizeof little);
}

// Starts a message whose length is not known yet; message_end puts it in. Returns the mark.
static inline size_t message_begin(struct bytes *out, uint32_t number)
{
    tag_write(out, number, WIRE_BYTES);
    return out->len;
}

void message_end(struct bytes *out, size_t mark);
