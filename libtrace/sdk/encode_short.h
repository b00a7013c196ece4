// SPDX-License-Identifier: Apache-2.0
// The usual attribute, short and ASCII, as OTLP bytes: its text is copied in a few overlapping
// words that are looked at on the way. Inline: every attribute of every span passes here.

#pragma once

#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/encode.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

static inline uint64_t word_at(const char *from)
{
    uint64_t word;

    memcpy(&word, from, 8);
    return word;
}

// Copies and returns the OR of all bytes' high bits: not zero when the text is not ASCII.
static inline uint64_t ascii_copy(uint8_t *to, const char *from, size_t len)
{
    uint64_t seen = 0;
    uint64_t word;
    uint32_t half;

    if (len >= 8) {
        for (size_t i = 0; i + 8 <= len; i += 8) {
            word = word_at(from + i);
            seen |= word;
            memcpy(to + i, &word, 8);
        }
        word = word_at(from + len - 8);
        memcpy(to + len - 8, &word, 8);
        return (seen | word) & HIGH_BITS;
    }
    if (len >= 4) {
        memcpy(&half, from, 4);
        memcpy(to, &half, 4);
        seen = half;
        memcpy(&half, from + len - 4, 4);
        memcpy(to + len - 4, &half, 4);
        return (seen | half) & HIGH_BITS;
    }
    for (size_t i = 0; i < len; i++) {
        seen |= (uint8_t)from[i];
        to[i] = (uint8_t)from[i];
    }
    return seen & HIGH_BITS;
}

// Fits one byte for each length that stands before a part, whatever the part is.
static inline bool attribute_is_short(const struct tl_attribute *attribute)
{
    return attribute->value.type <= TL_TYPE_DOUBLE &&
           attribute->key_len + attribute->value.count < 100;
}

enum { ATTRIBUTE_SHORT_ROOM = 128 };

// One KeyValue of a short attribute as field `number`; `to` has ATTRIBUTE_SHORT_ROOM. NULL: there
// is text beyond ASCII, and attribute_put must do it.
static inline uint8_t *attribute_short_put(uint8_t *to, unsigned number,
                                           const struct tl_attribute *attribute)
{
    uint8_t *const start = to;
    uint8_t *value_len;

    to[0] = (uint8_t)(number << 3 | WIRE_BYTES);
    to[2] = 1 << 3 | WIRE_BYTES;
    to[3] = (uint8_t)attribute->key_len;
    if (ascii_copy(to + 4, attribute->key, attribute->key_len))
        return NULL;
    to += 4 + attribute->key_len;
    *to++ = 2 << 3 | WIRE_BYTES;
    value_len = to++;
    switch (attribute->value.type) {
    case TL_TYPE_STRING:
        *to++ = 1 << 3 | WIRE_BYTES;
        *to++ = (uint8_t)attribute->value.count;
        if (ascii_copy(to, attribute->value.as.string, attribute->value.count))
            return NULL;
        to += attribute->value.count;
        break;
    case TL_TYPE_INT:
        *to++ = 3 << 3 | WIRE_VARINT;
        to += varint_put(to, (uint64_t)attribute->value.as.integer);
        break;
    case TL_TYPE_BOOL:
        *to++ = 2 << 3 | WIRE_VARINT;
        *to++ = attribute->value.as.boolean;
        break;
    default:
        *to++ = 4 << 3 | WIRE_FIXED64;
        memcpy(to, &attribute->value.as.number, 8);
        to += 8;
    }
    *value_len = (uint8_t)(to - value_len - 1);
    start[1] = (uint8_t)(to - start - 2);
    return to;
}
