// SPDX-License-Identifier: Apache-2.0
// Bytes as lower-case hexadecimal text and back. The word functions are inline: ids are read and
// written for every request that passes.

#pragma once

#include "libtrace/base/str.h"

// Writes 2 * len digits and a NUL: out_text must hold 2 * len + 1.
void hex_write(char *out_text, const uint8_t *bytes, size_t len);

// Reads exactly 2 * len digits of either case. On failure out_bytes is untouched.
bool hex_read(struct str text, uint8_t *out_bytes, size_t len);

#define HEX_EACH(byte) (UINT64_C(0x0101010101010101) * (byte))

// Four bytes as eight digits at `to`, all at once in one word (little-endian, as every machine we
// run on: the first byte is the lowest).
static inline void hex_write_4(char *to, const uint8_t *from)
{
    uint32_t bytes;
    uint64_t digits;

    memcpy(&bytes, from, 4);
    digits = bytes;
    digits = (digits | digits << 16) & UINT64_C(0x0000ffff0000ffff);
    digits = (digits | digits << 8) & UINT64_C(0x00ff00ff00ff00ff);
    digits = (digits >> 4 | digits << 8) & HEX_EACH(0x0f);
    // Bit 4 of value + 6 says that the digit is a letter.
    digits += HEX_EACH('0') + ((digits + HEX_EACH(6)) >> 4 & HEX_EACH(1)) * ('a' - '0' - 10);
    memcpy(to, &digits, 8);
}

// Eight lower-case digits as four bytes. Returns 0, or anything else when one is no such digit
// (then the bytes are rubbish): results of several calls can be joined with | and asked once.
static inline uint64_t hex_read_lower_4(const char *from, uint8_t *to)
{
    uint64_t text;
    uint64_t digit;
    uint64_t letter;
    uint64_t value;
    uint32_t bytes;

    memcpy(&text, from, 8);
    // With the high bit clear, adding 0x80 - c sets it just where the character is c or above.
    value = text & HEX_EACH(0x7f);
    digit = (value + HEX_EACH(0x80 - '0')) & ~(value + HEX_EACH(0x80 - '9' - 1));
    letter = (value + HEX_EACH(0x80 - 'a')) & ~(value + HEX_EACH(0x80 - 'f' - 1));
    letter &= HEX_EACH(0x80);
    value = (value & HEX_EACH(0x0f)) + (letter >> 7) * 9;
    value = (value << 4 | value >> 8) & UINT64_C(0x00ff00ff00ff00ff);
    value = (value | value >> 8) & UINT64_C(0x0000ffff0000ffff);
    bytes = (uint32_t)(value | value >> 16);
    memcpy(to, &bytes, 4);
    return (~(digit | letter) | text) & HEX_EACH(0x80);
}
