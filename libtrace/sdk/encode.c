// SPDX-License-Identifier: Apache-2.0
// The slow road of what encode_short.h does inline: long text, text beyond ASCII, lists and maps.

#include "libtrace/sdk/encode.h"

#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/encode_short.h"
#include "libtrace/sdk/stats.h"

// Up to that much more may be asked for than is written.
enum { ROOM_QUICK = 8 * 1024 };

// Length of the character at `at`, 0 when the bytes are none (RFC 3629 4).
static size_t character_len(const uint8_t *at, size_t left)
{
    const uint8_t first = at[0];
    size_t len;

    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    len = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (left < len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    // Overlong forms, surrogates, above U+10FFFF.
    if ((first == 0xe0 && at[1] < 0xa0) || (first == 0xed && at[1] > 0x9f) ||
        (first == 0xf0 && at[1] < 0x90) || (first == 0xf4 && at[1] > 0x8f))
        return 0;
    return len;
}

static size_t text_repair(uint8_t *to, const char *text, size_t len)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t out = 0;
    size_t bad = 0;

    for (size_t i = 0; i < len;) {
        const size_t step = character_len(at + i, len - i);

        if (step) {
            for (size_t k = 0; k < step; k++)
                to[out++] = at[i + k];
            i += step;
            continue;
        }
        to[out++] = 0xef; // U+FFFD
        to[out++] = 0xbf;
        to[out++] = 0xbd;
        i++;
        bad++;
    }
    if (bad)
        stats_add(&sdk_stats, SDK_invalid_text, bad);
    return out;
}

size_t text_copy(uint8_t *to, const char *text, size_t len)
{
    return ascii_copy(to, text, len) == 0 ? len : text_repair(to, text, len);
}

// The length that text_copy gives.
static size_t text_len(const char *text, size_t len)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t out = 0;

    for (size_t i = 0; i < len;) {
        const size_t step = character_len(at + i, len - i);

        out += step ? step : 3;
        i += step ? step : 1;
    }
    return out;
}

bool text_is_valid(const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        const size_t step = character_len((const uint8_t *)text + i, len - i);

        if (!step)
            return false;
        i += step;
    }
    return true;
}

size_t text_cut(const char *text, size_t len, size_t most)
{
    if (len <= most)
        return len;
    while (most && ((unsigned char)text[most] & 0xc0) == 0x80)
        most--;
    return most;
}

// Bytes that the first `most` characters take; a bad byte counts as one.
static size_t characters_cut(const char *text, size_t len, int64_t most)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t i = 0;

    if (most < 0 || len <= (uint64_t)most)
        return len;
    for (int64_t n = 0; i < len && n < most; n++) {
        const size_t step = character_len(at + i, len - i);

        i += step ? step : 1;
    }
    return i;
}

// Tag, length and text. The length is written first, for the text as it is.
static inline uint8_t *text_field_put(uint8_t *to, unsigned number, const char *text, size_t len)
{
    uint8_t *at = to;

    *at++ = (uint8_t)(number << 3 | WIRE_BYTES);
    at += varint_put(at, len);
    if (ascii_copy(at, text, len) == 0)
        return at + len;
    at = to + 1;
    at += varint_put(at, text_len(text, len));
    return at + text_copy(at, text, len);
}

uint8_t *text_put(uint8_t *to, unsigned number, const char *text, size_t len)
{
    return text_field_put(to, number, text, len);
}

size_t text_size(const char *text, size_t len)
{
    const size_t written = text_len(text, len);

    return 1 + varint_size(written) + written;
}

static const struct tl_value EMPTY = {TL_TYPE_EMPTY, 0, {NULL}};

// Element `index` of any list but a map, as a value of its own.
static struct tl_value element_of(const struct tl_value *list, size_t index)
{
    struct tl_value value = EMPTY;

    switch (list->type) {
    case TL_TYPE_STRINGS:
        value.type = TL_TYPE_STRING;
        value.as.string = list->as.strings[index];
        value.count = value.as.string ? strlen(value.as.string) : 0;
        break;
    case TL_TYPE_BOOLS:
        value.type = TL_TYPE_BOOL;
        value.as.boolean = list->as.booleans[index];
        break;
    case TL_TYPE_INTS:
        value.type = TL_TYPE_INT;
        value.as.integer = list->as.integers[index];
        break;
    case TL_TYPE_DOUBLES:
        value.type = TL_TYPE_DOUBLE;
        value.as.number = list->as.numbers[index];
        break;
    case TL_TYPE_ARRAY:
        value = list->as.values[index];
        break;
    default:
        break;
    }
    return value;
}

static size_t value_size(const struct tl_value *value, int64_t length_max, unsigned depth);

// What is inside of a list or a map was not looked at before: without a pointer there is nothing.
static inline size_t count_of(const struct tl_value *value)
{
    return value->as.string && value->count <= UINT32_MAX ? value->count : 0;
}

static inline size_t key_len_of(const struct tl_attribute *pair)
{
    return pair->key && pair->key_len <= UINT32_MAX ? pair->key_len : 0;
}

// A KeyValue's body.
static size_t pair_size(const struct tl_attribute *pair, int64_t length_max, unsigned depth)
{
    const size_t key = text_len(pair->key, key_len_of(pair));
    const size_t value = value_size(&pair->value, length_max, depth);

    return 1 + varint_size(key) + key + 1 + varint_size(value) + value;
}

static size_t list_size(const struct tl_value *value, int64_t length_max, unsigned depth)
{
    const size_t count = count_of(value);
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        struct tl_value element;
        size_t inner;

        if (value->type == TL_TYPE_MAP) {
            inner = pair_size(&value->as.attributes[i], length_max, depth + 1);
        } else {
            element = element_of(value, i);
            inner = value_size(&element, length_max, depth + 1);
        }
        size += 1 + varint_size(inner) + inner;
    }
    return size;
}

static size_t value_size(const struct tl_value *value, int64_t length_max, unsigned depth)
{
    size_t size;

    switch (value->type) {
    case TL_TYPE_STRING:
        size = characters_cut(value->as.string, count_of(value), length_max);
        size = text_len(value->as.string, size);
        return 1 + varint_size(size) + size;
    case TL_TYPE_BOOL:
        return 2;
    case TL_TYPE_INT:
        return 1 + varint_size((uint64_t)value->as.integer);
    case TL_TYPE_DOUBLE:
        return 9;
    case TL_TYPE_BYTES:
        size = count_of(value);
        if (length_max >= 0 && size > (uint64_t)length_max)
            size = (size_t)length_max;
        return 1 + varint_size(size) + size;
    case TL_TYPE_STRINGS:
    case TL_TYPE_BOOLS:
    case TL_TYPE_INTS:
    case TL_TYPE_DOUBLES:
    case TL_TYPE_ARRAY:
    case TL_TYPE_MAP:
        // Deeper than anybody reads: an empty value stands there.
        if (depth >= ENCODE_NESTING_MAX)
            return 0;
        size = list_size(value, length_max, depth);
        return 1 + varint_size(size) + size;
    default:
        return 0;
    }
}

static uint8_t *value_write(uint8_t *to, const struct tl_value *value, int64_t length_max,
                            unsigned depth);

static uint8_t *list_write(uint8_t *to, const struct tl_value *value, int64_t length_max,
                           unsigned depth)
{
    const size_t count = count_of(value);

    for (size_t i = 0; i < count; i++) {
        struct tl_value element;

        *to++ = 1 << 3 | WIRE_BYTES;
        if (value->type == TL_TYPE_MAP) {
            const struct tl_attribute *pair = &value->as.attributes[i];

            to += varint_put(to, pair_size(pair, length_max, depth + 1));
            to = text_field_put(to, 1, pair->key, key_len_of(pair));
            *to++ = 2 << 3 | WIRE_BYTES;
            to += varint_put(to, value_size(&pair->value, length_max, depth + 1));
            to = value_write(to, &pair->value, length_max, depth + 1);
        } else {
            element = element_of(value, i);
            to += varint_put(to, value_size(&element, length_max, depth + 1));
            to = value_write(to, &element, length_max, depth + 1);
        }
    }
    return to;
}

static uint8_t *value_write(uint8_t *to, const struct tl_value *value, int64_t length_max,
                            unsigned depth)
{
    size_t size;

    switch (value->type) {
    case TL_TYPE_STRING:
        size = characters_cut(value->as.string, count_of(value), length_max);
        return text_field_put(to, 1, value->as.string, size);
    case TL_TYPE_BOOL:
        *to++ = 2 << 3 | WIRE_VARINT;
        *to++ = value->as.boolean;
        return to;
    case TL_TYPE_INT:
        *to++ = 3 << 3 | WIRE_VARINT;
        return to + varint_put(to, (uint64_t)value->as.integer);
    case TL_TYPE_DOUBLE:
        *to++ = 4 << 3 | WIRE_FIXED64;
        memcpy(to, &value->as.number, 8);
        return to + 8;
    case TL_TYPE_BYTES:
        size = count_of(value);
        if (length_max >= 0 && size > (uint64_t)length_max)
            size = (size_t)length_max;
        *to++ = 7 << 3 | WIRE_BYTES;
        to += varint_put(to, size);
        if (size)
            memcpy(to, value->as.string, size);
        return to + size;
    case TL_TYPE_STRINGS:
    case TL_TYPE_BOOLS:
    case TL_TYPE_INTS:
    case TL_TYPE_DOUBLES:
    case TL_TYPE_ARRAY:
    case TL_TYPE_MAP:
        if (depth >= ENCODE_NESTING_MAX)
            return to;
        *to++ = (uint8_t)((value->type == TL_TYPE_MAP ? 6 : 5) << 3 | WIRE_BYTES);
        to += varint_put(to, list_size(value, length_max, depth));
        return list_write(to, value, length_max, depth);
    default:
        return to;
    }
}

size_t value_room(const struct tl_value *value)
{
    if (value->type <= TL_TYPE_BYTES)
        return 3 * value->count + 24;
    return value_size(value, ENCODE_UNLIMITED, 0) + 24;
}

uint8_t *value_put(uint8_t *to, const struct tl_value *value, int64_t length_max)
{
    return value_write(to, value, length_max, 0);
}

size_t value_len(const struct tl_value *value, int64_t length_max)
{
    return value_size(value, length_max, 0);
}

size_t attribute_size(const struct tl_attribute *attribute, int64_t length_max)
{
    const size_t pair = pair_size(attribute, length_max, 0);

    return 1 + varint_size(pair) + pair;
}

size_t attribute_room(const struct tl_attribute *attribute)
{
    return 3 * attribute->key_len + value_room(&attribute->value) + 24;
}

size_t attribute_room_within(const struct tl_attribute *attribute, int64_t length_max)
{
    const size_t room = attribute_room(attribute);

    return length_max < 0 || room <= ROOM_QUICK ? room : attribute_size(attribute, length_max);
}

uint8_t *attribute_put(uint8_t *to, unsigned number, const struct tl_attribute *attribute,
                       int64_t length_max)
{
    size_t size;

    if (attribute_is_short(attribute) && length_max < 0) {
        uint8_t *end = attribute_short_put(to, number, attribute);

        if (end)
            return end;
    }
    *to++ = (uint8_t)(number << 3 | WIRE_BYTES);
    to += varint_put(to, pair_size(attribute, length_max, 0));
    to = text_field_put(to, 1, attribute->key, attribute->key_len);
    size = value_size(&attribute->value, length_max, 0);
    *to++ = 2 << 3 | WIRE_BYTES;
    to += varint_put(to, size);
    return value_write(to, &attribute->value, length_max, 0);
}

uint32_t attributes_write(struct bytes *out, unsigned number, const struct tl_attribute *attributes,
                          size_t count, uint32_t most, int64_t length_max)
{
    uint32_t left_out = 0;
    uint32_t kept = 0;

    for (size_t i = 0; attributes && i < count; i++) {
        uint8_t *to = NULL;

        if (kept < most && attribute_is_valid(&attributes[i]))
            to = bytes_reserve(out, attribute_room_within(&attributes[i], length_max));
        if (!to) {
            left_out++;
            continue;
        }
        out->len = (size_t)(attribute_put(to, number, &attributes[i], length_max) - out->at);
        kept++;
    }
    return left_out;
}
