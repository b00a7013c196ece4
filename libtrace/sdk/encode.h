// SPDX-License-Identifier: Apache-2.0
// Attributes and values of the API as OTLP bytes (opentelemetry-proto common.proto): KeyValue and
// AnyValue. Text that is not UTF-8 gets U+FFFD in the place of each bad byte; a value can be cut to
// a number of characters. Pure; any thread.

#pragma once

#include <throughline/base.h>

#include "libtrace/base/bytes.h"

enum { ENCODE_UNLIMITED = -1, ENCODE_NESTING_MAX = 16 };

// A value of a known type; a pointer where it says that something is.
static inline bool value_is_there(const struct tl_value *value)
{
    return value->type > TL_TYPE_EMPTY && value->type <= TL_TYPE_MAP &&
           (value->count == 0 || value->as.string || value->type == TL_TYPE_BOOL ||
            value->type == TL_TYPE_INT || value->type == TL_TYPE_DOUBLE);
}

// And no negative length, which is one above 4 GiB: sizes are added up without a look at overflow.
static inline bool value_is_valid(const struct tl_value *value)
{
    return value->count <= UINT32_MAX && value_is_there(value);
}

// An attribute that can be: a key, and a value that is not empty. Both lengths in one look: every
// attribute passes here.
static inline bool attribute_is_valid(const struct tl_attribute *attribute)
{
    const struct tl_value *value = &attribute->value;

    return attribute->key_len != 0 && attribute->key &&
           (attribute->key_len | value->count) >> 32 == 0 && value_is_there(value);
}

// Room that attribute_put needs at most, quickly: never less than what is written.
size_t attribute_room(const struct tl_attribute *attribute);
// The same where a long value may be cut: then exactly what is written.
size_t attribute_room_within(const struct tl_attribute *attribute, int64_t length_max);

// One KeyValue as field `number` (1 to 15). The attribute is valid and `to` has attribute_room.
// `length_max`: characters of a text that are kept, of bytes how many; -1: all. Returns the end.
uint8_t *attribute_put(uint8_t *to, unsigned number, const struct tl_attribute *attribute,
                       int64_t length_max);

// Exactly what attribute_put writes.
size_t attribute_size(const struct tl_attribute *attribute, int64_t length_max);

// An AnyValue message without tag and length; `to` has value_room.
size_t value_room(const struct tl_value *value);
uint8_t *value_put(uint8_t *to, const struct tl_value *value, int64_t length_max);
// Exactly what value_put writes.
size_t value_len(const struct tl_value *value, int64_t length_max);

// Appends the valid ones of a list, at most `most`; returns how many were left out for any reason.
// Not the hot path's: it reserves for each.
uint32_t attributes_write(struct bytes *out, unsigned number, const struct tl_attribute *attributes,
                          size_t count, uint32_t most, int64_t length_max);

// Text as a field `number` (1 to 15), made UTF-8. `to` has room for 3 * len + 12.
uint8_t *text_put(uint8_t *to, unsigned number, const char *text, size_t len);
// Exactly what text_put writes.
size_t text_size(const char *text, size_t len);

// How much of a text fits `most` bytes without cutting a character in two.
size_t text_cut(const char *text, size_t len, size_t most);

// Copies to `to` (room for 3 * len), with U+FFFD for each bad byte; returns how many bytes.
size_t text_copy(uint8_t *to, const char *text, size_t len);

// Whether every byte belongs to a character (RFC 3629 4).
bool text_is_valid(const char *text, size_t len);
