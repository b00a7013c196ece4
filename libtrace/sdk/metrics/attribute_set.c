// SPDX-License-Identifier: Apache-2.0
// The parts of attribute sets that a measurement seldom needs: lists, other orders, copies.

#include "libtrace/sdk/metrics/attribute_set.h"

#include <stdatomic.h>
#include <sys/random.h>

#include "libtrace/base/clock.h"
#include "libtrace/sdk/encode.h"

uint64_t set_seed = SET_SALT_B;

void set_seed_draw(void)
{
    static _Atomic bool is_drawn;
    uint64_t seed;

    if (atomic_exchange(&is_drawn, true))
        return;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed)
        seed = clock_mono_ns() * SET_SALT_A;
    set_seed = seed | 1;
}

// Element of a list as a value, the pair's own for a map.
static struct tl_value element_at(const struct tl_value *list, size_t index)
{
    struct tl_value element = {TL_TYPE_EMPTY, 0, {NULL}};

    switch (list->type) {
    case TL_TYPE_STRINGS:
        element.type = TL_TYPE_STRING;
        element.as.string = list->as.strings[index];
        element.count = element.as.string ? strlen(element.as.string) : 0;
        break;
    case TL_TYPE_BOOLS:
        element.type = TL_TYPE_BOOL;
        element.as.boolean = list->as.booleans[index];
        break;
    case TL_TYPE_INTS:
        element.type = TL_TYPE_INT;
        element.as.integer = list->as.integers[index];
        break;
    case TL_TYPE_DOUBLES:
        element.type = TL_TYPE_DOUBLE;
        element.as.number = list->as.numbers[index];
        break;
    case TL_TYPE_ARRAY:
        element = list->as.values[index];
        break;
    case TL_TYPE_MAP:
        element = list->as.attributes[index].value;
        break;
    default:
        break;
    }
    return element;
}

static bool is_list(enum tl_type type)
{
    return type >= TL_TYPE_STRINGS && type <= TL_TYPE_MAP;
}

static uint64_t value_hash(const struct tl_value *value, uint64_t seed, unsigned depth)
{
    seed = set_mix(seed ^ SET_SALT_A, value->count ^ (uint64_t)value->type << 56);
    if (value->type == TL_TYPE_STRING || value->type == TL_TYPE_BYTES)
        return set_bytes_hash(value->as.string, value->count, seed);
    if (value->type == TL_TYPE_BOOL)
        return set_mix(seed, SET_SALT_B + value->as.boolean);
    if (!is_list(value->type))
        return set_mix(seed, SET_SALT_B ^ (uint64_t)value->as.integer);
    if (depth >= ENCODE_NESTING_MAX)
        return seed;
    for (size_t i = 0; i < value->count; i++) {
        const struct tl_value element = element_at(value, i);

        if (value->type == TL_TYPE_MAP)
            seed =
                set_bytes_hash(value->as.attributes[i].key, value->as.attributes[i].key_len, seed);
        seed = value_hash(&element, seed, depth + 1);
    }
    return seed;
}

uint64_t set_value_hash(const struct tl_value *value, uint64_t seed)
{
    return value_hash(value, seed, 0);
}

static bool value_equal(const struct tl_value *a, const struct tl_value *b, unsigned depth)
{
    if (a->type != b->type || a->count != b->count)
        return false;
    if (a->type == TL_TYPE_STRING || a->type == TL_TYPE_BYTES)
        return a->count == 0 || memcmp(a->as.string, b->as.string, a->count) == 0;
    if (a->type == TL_TYPE_BOOL)
        return a->as.boolean == b->as.boolean;
    if (a->type == TL_TYPE_EMPTY)
        return true;
    if (!is_list(a->type))
        return a->as.integer == b->as.integer;
    for (size_t i = 0; depth < ENCODE_NESTING_MAX && i < a->count; i++) {
        const struct tl_value of_a = element_at(a, i);
        const struct tl_value of_b = element_at(b, i);

        if (a->type == TL_TYPE_MAP) {
            const struct tl_attribute *x = &a->as.attributes[i];
            const struct tl_attribute *y = &b->as.attributes[i];

            if (!str_equal((struct str){x->key, x->key_len}, (struct str){y->key, y->key_len}))
                return false;
        }
        if (!value_equal(&of_a, &of_b, depth + 1))
            return false;
    }
    return depth < ENCODE_NESTING_MAX;
}

bool set_value_equal(const struct tl_value *a, const struct tl_value *b)
{
    return value_equal(a, b, 0);
}

bool set_equal_unordered(const struct tl_attribute *a, const struct tl_attribute *own, size_t count)
{
    uint64_t met[SET_ATTRIBUTES_MAX / 64] = {0};

    if (count > SET_ATTRIBUTES_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        size_t k = 0;

        while (k < count && !set_pair_equal(&a[i], &own[k]))
            k++;
        // Each of ours must be met once: two equal pairs of theirs are not two of ours.
        if (k == count || met[k / 64] >> (k % 64) & 1)
            return false;
        met[k / 64] |= UINT64_C(1) << (k % 64);
    }
    return true;
}

static bool is_among(const struct str *keys, size_t count, struct str key)
{
    for (size_t i = 0; i < count; i++) {
        if (keys[i].len == key.len && set_bytes_equal(keys[i].at, key.at, key.len))
            return true;
    }
    return false;
}

bool key_filter_keeps(const struct key_filter *filter, struct str key)
{
    if (filter->has_keep && !is_among(filter->keep, filter->keep_count, key))
        return false;
    return !is_among(filter->drop, filter->drop_count, key);
}

size_t set_normal(const struct key_filter *filter, const struct tl_attribute *attributes,
                  size_t count, struct tl_attribute *out, size_t *out_invalid)
{
    size_t kept = 0;
    size_t invalid = 0;

    for (size_t i = 0; i < count; i++) {
        const struct tl_attribute *each = &attributes[i];
        size_t same = 0;

        if (!set_pair_is_valid(each)) {
            invalid++;
            continue;
        }
        if (!key_filter_keeps(filter, (struct str){each->key, each->key_len}))
            continue;
        while (same < kept && (out[same].key_len != each->key_len ||
                               !set_bytes_equal(out[same].key, each->key, each->key_len)))
            same++;
        if (same == SET_ATTRIBUTES_MAX) {
            invalid++;
            continue;
        }
        out[same] = *each;
        kept += same == kept;
    }
    if (out_invalid)
        *out_invalid = invalid;
    return kept;
}

static size_t rounded(size_t bytes)
{
    return (bytes + 15) & ~(size_t)15;
}

// What a value holds beside itself.
static size_t value_bytes(const struct tl_value *value, unsigned depth)
{
    size_t bytes;

    if (value->type == TL_TYPE_STRING || value->type == TL_TYPE_BYTES)
        return value->count > SET_BYTES_MAX ? SIZE_MAX : rounded(value->count + 1);
    if (!is_list(value->type))
        return 0;
    if (depth >= ENCODE_NESTING_MAX || value->count > SET_BYTES_MAX)
        return SIZE_MAX;
    bytes = rounded(value->count * sizeof(struct tl_attribute));
    for (size_t i = 0; i < value->count; i++) {
        const struct tl_value element = element_at(value, i);
        const size_t more = value_bytes(&element, depth + 1);

        if (more > SET_BYTES_MAX || bytes > SET_BYTES_MAX)
            return SIZE_MAX;
        bytes += more;
        if (value->type == TL_TYPE_MAP)
            bytes += rounded(value->as.attributes[i].key_len + 1);
    }
    return bytes;
}

size_t set_room(const struct tl_attribute *attributes, size_t count)
{
    size_t bytes = rounded(count * sizeof *attributes);

    for (size_t i = 0; i < count; i++) {
        const size_t more = value_bytes(&attributes[i].value, 0);

        if (more > SET_BYTES_MAX || attributes[i].key_len > SET_BYTES_MAX)
            return SIZE_MAX;
        bytes += more + rounded(attributes[i].key_len + 1);
        if (bytes > SET_BYTES_MAX)
            return SIZE_MAX;
    }
    return bytes;
}

static void *room_take(uint8_t **room, size_t bytes)
{
    uint8_t *taken = *room;

    *room += rounded(bytes);
    return taken;
}

static const char *text_copied(uint8_t **room, const char *text, size_t len)
{
    char *copy = room_take(room, len + 1);

    if (len)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

static void value_copy(uint8_t **room, struct tl_value *to, const struct tl_value *from)
{
    *to = *from;
    if (from->type == TL_TYPE_STRING || from->type == TL_TYPE_BYTES) {
        to->as.string = text_copied(room, from->as.string, from->count);
        return;
    }
    if (!is_list(from->type))
        return;
    // Lists of one type become lists of values where their elements own memory, and stay as they
    // are otherwise: the type must not change, it is part of the identity.
    void *list = room_take(room, from->count * sizeof(struct tl_attribute));

    to->as.values = list;
    for (size_t i = 0; i < from->count; i++) {
        const struct tl_value element = element_at(from, i);
        struct tl_value copy;

        value_copy(room, &copy, &element);
        if (from->type == TL_TYPE_STRINGS)
            ((const char **)list)[i] = copy.as.string;
        else if (from->type == TL_TYPE_BOOLS)
            ((bool *)list)[i] = copy.as.boolean;
        else if (from->type == TL_TYPE_INTS || from->type == TL_TYPE_DOUBLES)
            ((int64_t *)list)[i] = copy.as.integer;
        else if (from->type == TL_TYPE_ARRAY)
            ((struct tl_value *)list)[i] = copy;
        else
            ((struct tl_attribute *)list)[i] = (struct tl_attribute){
                text_copied(room, from->as.attributes[i].key, from->as.attributes[i].key_len),
                from->as.attributes[i].key_len, copy};
    }
}

struct tl_attribute *set_copy(void *room, const struct tl_attribute *attributes, size_t count)
{
    uint8_t *at = room;
    struct tl_attribute *copy = room_take(&at, count * sizeof *copy);

    for (size_t i = 0; i < count; i++) {
        copy[i].key = text_copied(&at, attributes[i].key, attributes[i].key_len);
        copy[i].key_len = attributes[i].key_len;
        value_copy(&at, &copy[i].value, &attributes[i].value);
    }
    return copy;
}
