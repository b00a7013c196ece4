// SPDX-License-Identifier: Apache-2.0
// Text as a place and a length: not terminated, may hold any byte, never owned.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *at;
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

// For printf: printf("%.*s", STR_ARGS(text)).
#define STR_ARGS(text) (int)(text).len, (text).at

static inline struct str str_of(const char *terminated)
{
    return (struct str){terminated, terminated ? strlen(terminated) : 0};
}

static inline bool str_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

// ASCII letters compare without case: header names, enum values of settings.
static inline bool str_equal_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        const unsigned char x = (unsigned char)a.at[i];
        const unsigned char y = (unsigned char)b.at[i];
        const unsigned char lower_x = x >= 'A' && x <= 'Z' ? x + 32 : x;
        const unsigned char lower_y = y >= 'A' && y <= 'Z' ? y + 32 : y;

        if (lower_x != lower_y)
            return false;
    }
    return true;
}

static inline bool str_starts(struct str text, struct str head)
{
    return text.len >= head.len && (head.len == 0 || memcmp(text.at, head.at, head.len) == 0);
}

// The part from offset `from` on; empty when the text is shorter.
static inline struct str str_from(struct str text, size_t from)
{
    if (from >= text.len)
        return (struct str){text.at + text.len, 0};
    return (struct str){text.at + from, text.len - from};
}

// Offset of the first `byte`, or text.len.
static inline size_t str_find(struct str text, char byte)
{
    const char *hit = text.len ? memchr(text.at, byte, text.len) : NULL;

    return hit ? (size_t)(hit - text.at) : text.len;
}

static inline bool str_has(struct str text, char byte)
{
    return str_find(text, byte) < text.len;
}

// Without blanks and tabs at both ends.
static inline struct str str_trim(struct str text)
{
    while (text.len && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = str_from(text, 1);
    while (text.len && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
        text.len--;
    return text;
}

// Reads a whole decimal number that fits 64 bits. On failure out_value is untouched.
static inline bool str_to_u64(struct str text, uint64_t *out_value)
{
    uint64_t value = 0;

    if (text.len == 0 || text.len > 20)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const unsigned digit = (unsigned)(unsigned char)text.at[i] - '0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out_value = value;
    return true;
}
