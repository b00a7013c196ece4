// SPDX-License-Identifier: Apache-2.0
// One pass with a table of characters. Duplicate keys stay: dropping them is allowed, not asked.

#include "libtrace/sdk/trace_state.h"

enum { KEY_FIRST = 1, KEY = 2, VALUE = 4, BLANK = 8 };

static uint8_t class_of(unsigned char c)
{
    // 3.3.1.3.1 and 3.3.1.3.2; a value has every visible character and the blank, but "," and "=".
    static const uint8_t classes[128] = {
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

    return c < 128 ? classes[c] : 0;
}

static bool has_class(struct str text, size_t at, uint8_t class)
{
    return at < text.len && (class_of((unsigned char)text.at[at]) & class) != 0;
}

// The member that begins the text: key, equals sign, value up to a comma or the end. 0: none.
static size_t member_len(struct str text)
{
    size_t at = 0;
    size_t value;
    size_t end;

    if (!has_class(text, 0, KEY_FIRST))
        return 0;
    while (has_class(text, at, KEY))
        at++;
    if (at > TRACE_STATE_KEY_MAX || at >= text.len || text.at[at] != '=')
        return 0;
    value = at + 1;
    for (at = value; has_class(text, at, VALUE);)
        at++;
    for (end = at; end > value && text.at[end - 1] == ' ';)
        end--;
    // Blanks behind the value are not its own, and only they may stand before the comma.
    while (has_class(text, at, BLANK))
        at++;
    if (end == value || end - value > TRACE_STATE_VALUE_MAX ||
        (at < text.len && text.at[at] != ','))
        return 0;
    return end;
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
