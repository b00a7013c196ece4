// SPDX-License-Identifier: Apache-2.0
// Eight bytes at a time on the way out: ids are formatted for every line of a trace.

#include "libtrace/base/hex.h"

void hex_write(char *out_text, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";

    size_t i = 0;

    for (; i + 8 <= len; i += 8)
        hex_write_8(out_text + 2 * i, bytes + i);
    for (; i < len; i++) {
        out_text[2 * i] = digits[bytes[i] >> 4];
        out_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    out_text[2 * len] = '\0';
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool hex_read(struct str text, uint8_t *out_bytes, size_t len)
{
    if (text.len != 2 * len)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (digit_value(text.at[i]) < 0)
            return false;
    }
    for (size_t i = 0; i < len; i++) {
        out_bytes[i] = (uint8_t)((unsigned)digit_value(text.at[2 * i]) << 4 |
                                 (unsigned)digit_value(text.at[2 * i + 1]));
    }
    return true;
}
