// SPDX-License-Identifier: Apache-2.0
// One pass with a table of characters. Duplicate keys stay: dropping them is allowed, not asked.

#include "libtrace/sdk/context/trace_state.h"

enum { KEY_FIRST = 1, KEY = 2, VALUE = 4, BLANK = 8 };

// 3.3.1.3.1 and 3.3.1.3.2; a value has every visible character and the blank, but "," and "=".
static const uint8_t classes[256] = {
    ['\t'] = BLANK,
    [' '] = VALUE | BLANK,
    ['!' ... ')'] = VALUE,
    ['*'] = KEY | VALUE,
    ['+'] = VALUE,
    ['-'] = KEY | VALUE,
    ['.'] = VALUE,
    ['/'] = KEY | VALUE,
    ['0' ... '9'] = KEY_FIRST | KEY | VALUE,
    [':' ... '<'] = VALUE,
    ['>' ... '?'] = VALUE,
    ['@'] = KEY | VALUE,
    ['A' ... '^'] = VALUE,
    ['_'] = KEY | VALUE,
    ['`'] = VALUE,
    ['a' ... 'z'] = KEY_FIRST | KEY | VALUE,
    ['{' ... '~'] = VALUE,
};

// Where the characters of a class end.
static inline const uint8_t *skip(const uint8_t *at, const uint8_t *end, uint8_t class)
{
    while (at < end && (classes[*at] & class))
        at++;
    return at;
}

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

// The high bit of each byte that is zero, exact up to the first.
static inline uint64_t zeros_of(uint64_t word)
{
    return (word - EACH(1)) & ~word & EACH(0x80);
}

// The same for VALUE, eight characters at a time (little-endian, as every machine we run on): most
// of a tracestate is values.
static inline const uint8_t *skip_value(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 8) {
        uint64_t word;
        uint64_t others;

        memcpy(&word, at, sizeof word);
        others = ((word - EACH(' ')) & ~word & EACH(0x80)) | (word & EACH(0x80)) |
                 zeros_of(word ^ EACH(0x7f)) | zeros_of(word ^ EACH(',')) |
                 zeros_of(word ^ EACH('='));
        if (others)
            return at + __builtin_ctzll(others) / 8;
        at += 8;
    }
    return skip(at, end, VALUE);
}

// The member that begins the text: key, equals sign, value up to a comma or the end. 0: none.
static size_t member_len(struct str text)
{
    const uint8_t *start = (const uint8_t *)text.at;
    const uint8_t *end = start + text.len;
    const uint8_t *at = skip(start, end, KEY);
    const uint8_t *value;
    const uint8_t *value_end;

    if (at == start || !(classes[*start] & KEY_FIRST) || at - start > TRACE_STATE_KEY_MAX ||
        at == end || *at != '=')
        return 0;
    value = at + 1;
    at = value_end = skip_value(value, end);
    while (value_end > value && value_end[-1] == ' ')
        value_end--;
    // Blanks behind the value are not its own, and only they may stand before the comma.
    at = skip(at, end, BLANK);
    if (value_end == value || value_end - value > TRACE_STATE_VALUE_MAX || (at < end && *at != ','))
        return 0;
    return (size_t)(value_end - start);
}

bool trace_state_is_valid(struct str text)
{
    for (unsigned members = 1; text.at; members++) {
        const size_t len = member_len(text);

        if (len == 0 || members > TRACE_STATE_MEMBERS_MAX)
            return false;
        if (len == text.len)
            return true;
        if (text.at[len] != ',')
            return false;
        text = str_from(text, len + 1);
    }
    return false;
}

int trace_state_add(char *to, struct str line, unsigned *inout_members)
{
    size_t written = 0;

    while (line.len) {
        size_t len;

        if (line.at[0] == ',' || line.at[0] == ' ' || line.at[0] == '\t') {
            line = str_from(line, 1);
            continue;
        }
        len = member_len(line);
        if (len == 0 || *inout_members >= TRACE_STATE_MEMBERS_MAX)
            return -1;
        if (*inout_members)
            to[written++] = ',';
        memcpy(to + written, line.at, len);
        written += len;
        (*inout_members)++;
        line = str_from(line, len);
        // member_len saw that only blanks stand before the comma or the end.
        line = str_from(line, str_find(line, ','));
    }
    return (int)written;
}
