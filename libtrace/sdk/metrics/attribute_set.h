// SPDX-License-Identifier: Apache-2.0
// A set of attributes: what tells one time series from another. The order does not matter, the last
// of two equal keys wins. Pure; any thread.

#pragma once

#include <throughline/base.h>

#include "libtrace/base/str.h"

// A measurement with more keeps the first ones.
enum { SET_ATTRIBUTES_MAX = 128, SET_BYTES_MAX = 64 * 1024 };

// The hash's start, drawn once: nobody outside can know which sets collide.
extern uint64_t set_seed;
void set_seed_draw(void);

static inline uint64_t set_mix(uint64_t a, uint64_t b)
{
    const __uint128_t product = (__uint128_t)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t set_word(const char *at)
{
    uint64_t word;

    memcpy(&word, at, 8);
    return word;
}

static inline uint64_t set_half(const char *at)
{
    uint32_t half;

    memcpy(&half, at, 4);
    return half;
}

#define SET_SALT_A UINT64_C(0x9e3779b97f4a7c15)
#define SET_SALT_B UINT64_C(0xd1b54a32d192ed03)

static inline uint64_t set_bytes_hash(const char *at, size_t len, uint64_t seed)
{
    uint64_t a = 0;
    uint64_t b = 0;

    if (len <= 16) {
        if (len >= 8) {
            a = set_word(at);
            b = set_word(at + len - 8);
        } else if (len >= 4) {
            a = set_half(at);
            b = set_half(at + len - 4);
        } else if (len) {
            a = (uint64_t)(uint8_t)at[0] << 16 | (uint64_t)(uint8_t)at[len / 2] << 8 |
                (uint8_t)at[len - 1];
        }
        return set_mix(a ^ SET_SALT_A, b ^ seed ^ len);
    }
    for (size_t i = 0; i + 16 < len; i += 16)
        seed = set_mix(set_word(at + i) ^ SET_SALT_A, set_word(at + i + 8) ^ seed);
    return set_mix(set_word(at + len - 16) ^ SET_SALT_A, set_word(at + len - 8) ^ seed ^ len);
}

// Any other type than a string, a bool or a number.
uint64_t set_value_hash(const struct tl_value *value, uint64_t seed);

static inline uint64_t set_pair_hash(const struct tl_attribute *pair)
{
    const uint64_t key = set_bytes_hash(pair->key, pair->key_len, set_seed);
    const uint64_t type = (uint64_t)pair->value.type << 56;

    switch (pair->value.type) {
    case TL_TYPE_STRING:
        return set_bytes_hash(pair->value.as.string, pair->value.count, key);
    case TL_TYPE_BOOL:
        return set_mix(key ^ type, SET_SALT_B + pair->value.as.boolean);
    case TL_TYPE_INT:
    case TL_TYPE_DOUBLE:
        return set_mix(key ^ type, SET_SALT_B ^ (uint64_t)pair->value.as.integer);
    default:
        return set_value_hash(&pair->value, key ^ type);
    }
}

static inline uint64_t set_hash(const struct tl_attribute *attributes, size_t count)
{
    uint64_t hash = set_seed;

    for (size_t i = 0; i < count; i++)
        hash += set_pair_hash(&attributes[i]);
    return hash;
}

// An attribute that can be, and whose pointers are there.
static inline bool set_pair_is_valid(const struct tl_attribute *pair)
{
    return pair->key_len != 0 && pair->key && pair->value.type > TL_TYPE_EMPTY &&
           pair->value.type <= TL_TYPE_MAP && (pair->value.count == 0 || pair->value.as.string);
}

// False, *out_hash untouched, when one of them cannot be: then the list means another set.
static inline bool set_hash_plain(const struct tl_attribute *attributes, size_t count,
                                  uint64_t *out_hash)
{
    uint64_t hash = set_seed;

    for (size_t i = 0; i < count; i++) {
        if (!set_pair_is_valid(&attributes[i]))
            return false;
        hash += set_pair_hash(&attributes[i]);
    }
    *out_hash = hash;
    return true;
}

static inline bool set_bytes_equal(const char *a, const char *b, size_t len)
{
    if (len <= 16) {
        if (len >= 8)
            return ((set_word(a) ^ set_word(b)) |
                    (set_word(a + len - 8) ^ set_word(b + len - 8))) == 0;
        if (len >= 4)
            return ((set_half(a) ^ set_half(b)) |
                    (set_half(a + len - 4) ^ set_half(b + len - 4))) == 0;
        for (size_t i = 0; i < len; i++) {
            if (a[i] != b[i])
                return false;
        }
        return true;
    }
    return memcmp(a, b, len) == 0;
}

bool set_value_equal(const struct tl_value *a, const struct tl_value *b);

static inline bool set_pair_equal(const struct tl_attribute *a, const struct tl_attribute *b)
{
    if (a->key_len != b->key_len || a->value.type != b->value.type ||
        a->value.count != b->value.count || !set_bytes_equal(a->key, b->key, a->key_len))
        return false;
    switch (a->value.type) {
    case TL_TYPE_STRING:
        return set_bytes_equal(a->value.as.string, b->value.as.string, a->value.count);
    case TL_TYPE_BOOL:
        return a->value.as.boolean == b->value.as.boolean;
    case TL_TYPE_INT:
    case TL_TYPE_DOUBLE:
        return a->value.as.integer == b->value.as.integer;
    default:
        return set_value_equal(&a->value, &b->value);
    }
}

// `own` is a set made by set_normal (no key twice); at most 64 attributes each, else false.
bool set_equal_unordered(const struct tl_attribute *a, const struct tl_attribute *own,
                         size_t count);

static inline bool set_equal(const struct tl_attribute *a, const struct tl_attribute *own,
                             size_t count)
{
    for (size_t i = 0; i < count; i++) {
        // Callers give theirs in one order: the slow way is for those who do not.
        if (!set_pair_equal(&a[i], &own[i]))
            return set_equal_unordered(a, own, count);
    }
    return true;
}

// Which keys are kept. `keep` wins where both are set: a key must be in it and not in `drop`.
struct key_filter {
    const struct str *keep;
    size_t keep_count;
    bool has_keep;
    const struct str *drop;
    size_t drop_count;
};

static inline bool key_filter_is_open(const struct key_filter *filter)
{
    return !filter->has_keep && filter->drop_count == 0;
}

bool key_filter_keeps(const struct key_filter *filter, struct str key);

// The set that a list means, after the filter: what cannot be is left out, the last of equal keys
// wins. `out` has room for SET_ATTRIBUTES_MAX. Returns how many; *out_invalid (may be NULL): how
// many cannot be or found no room.
size_t set_normal(const struct key_filter *filter, const struct tl_attribute *attributes,
                  size_t count, struct tl_attribute *out, size_t *out_invalid);

// Bytes that set_copy takes; SIZE_MAX when it is nested too deep or too large.
size_t set_room(const struct tl_attribute *attributes, size_t count);

// A deep copy into `room` (aligned to 16, of set_room bytes).
struct tl_attribute *set_copy(void *room, const struct tl_attribute *attributes, size_t count);
