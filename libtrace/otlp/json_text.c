// SPDX-License-Identifier: Apache-2.0
// RFC 8259 7: escapes what must be, passes valid UTF-8 on, replaces the rest.

#include "libtrace/otlp/json_text.h"

#include <stdio.h>

size_t utf8_sequence_len(struct str text)
{
    const uint8_t *at = (const uint8_t *)text.at;
    size_t len;

    if (at[0] < 0x80)
        return 1;
    if (at[0] < 0xc2 || at[0] > 0xf4)
        return 0;
    len = at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (text.len < len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
        (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
        return 0;
    return len;
}

static void escape_write(struct bytes *out, uint8_t byte)
{
    switch (byte) {
    case '"':
        bytes_add_str(out, STR("\\\""));
        return;
    case '\\':
        bytes_add_str(out, STR("\\\\"));
        return;
    case '\n':
        bytes_add_str(out, STR("\\n"));
        return;
    case '\r':
        bytes_add_str(out, STR("\\r"));
        return;
    case '\t':
        bytes_add_str(out, STR("\\t"));
        return;
    default:
        bytes_format(out, "\\u%04x", byte);
    }
}

void json_text_write(struct bytes *out, struct str text)
{
    bytes_add_byte(out, '"');
    while (text.len) {
        size_t plain = 0;
        size_t len;

        while (plain < text.len && (uint8_t)text.at[plain] >= 0x20 &&
               (uint8_t)text.at[plain] < 0x7f && text.at[plain] != '"' && text.at[plain] != '\\')
            plain++;
        bytes_add(out, text.at, plain);
        text = str_from(text, plain);
        if (text.len == 0)
            break;
        len = utf8_sequence_len(text);
        if (len > 1)
            bytes_add(out, text.at, len);
        else if (len == 1)
            escape_write(out, (uint8_t)text.at[0]);
        else
            bytes_add_str(out, STR("\xef\xbf\xbd"));
        text = str_from(text, len ? len : 1);
    }
    bytes_add_byte(out, '"');
}

void json_number_write(struct bytes *out, double number, int digits)
{
    char text[64];
    const int len = snprintf(text, sizeof text, "%.*g", digits, number);
    bool was_number = true;

    for (int i = 0; i < len && (size_t)len < sizeof text; i++) {
        const char c = text[i];
        const bool is_number = (c >= '0' && c <= '9') || c == '-' || c == '+' || c == 'e';

        // A locale's point may be several bytes long.
        if (is_number)
            bytes_add_byte(out, (uint8_t)c);
        else if (was_number)
            bytes_add_byte(out, '.');
        was_number = is_number;
    }
}
