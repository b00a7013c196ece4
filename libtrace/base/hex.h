// SPDX-License-Identifier: Apache-2.0
// Bytes as lower-case hexadecimal text and back. The word functions are inline: ids are read and
// written for every request that passes.

#pragma once

#include "libtrace/base/str.h"

// Writes 2 * len digits and a NUL: out_text must hold 2 * len + 1.
void hex_write(char *out_text, const uint8_t *bytes, size_t len);

// Reads exactly 2 * len digits of either case. On failure out_bytes is untouched.
bool hex_read(struct str text, uint8_t *out_bytes, size_t len);

// Sixteen digits at once, in the registers that every machine we run on has. A vector has no other
// way to a name than typedef.
typedef uint8_t hex_digits __attribute__((vector_size(16)));
typedef uint16_t hex_pairs __attribute__((vector_size(16)));
typedef uint8_t hex_bytes __attribute__((vector_size(8)));

// Eight bytes as sixteen digits at `to`.
static inline void hex_write_8(char *to, const uint8_t *from)
{
    hex_bytes bytes;
    hex_pairs pairs;
    hex_digits digits;

    memcpy(&bytes, from, sizeof bytes);
    // A pair holds one byte; little-endian, its upper digit comes first.
    pairs = __builtin_convertvector(bytes, hex_pairs);
    pairs = (pairs >> 4 | pairs << 8) & 0x0f0f;
    digits = (hex_digits)pairs;
    digits += '0' + ((hex_digits)(digits > 9) & ('a' - '0' - 10));
    memcpy(to, &digits, sizeof digits);
}

// Sixteen lower-case digits as eight bytes in the order of memory. *inout_wrong gets a bit when one
// is no such digit, and then the bytes are rubbish: ask once behind several calls.
static inline uint64_t hex_read_lower_8(const char *from, uint64_t *inout_wrong)
{
    hex_digits text;
    hex_digits decimal;
    hex_digits letter;
    hex_digits wrong;
    hex_pairs pairs;
    hex_bytes bytes;
    uint64_t halves[2];
    uint64_t value;

    memcpy(&text, from, sizeof text);
    decimal = text - '0';
    letter = text - 'a';
    wrong = (hex_digits)(decimal > 9) & (hex_digits)(letter > 5);
    memcpy(halves, &wrong, sizeof halves);
    *inout_wrong |= halves[0] | halves[1];
    text = (decimal & (hex_digits)(decimal <= 9)) | ((letter + 10) & (hex_digits)(letter <= 5));
    pairs = (hex_pairs)text;
    pairs = (pairs << 4 | pairs >> 8) & 0xff;
    bytes = __builtin_convertvector(pairs, hex_bytes);
    memcpy(&value, &bytes, sizeof value);
    return value;
}

// Two lower-case digits: 0 to 255, or more when one is none.
static inline unsigned hex_read_lower_1(const char *from)
{
    unsigned value = 0;

    for (int i = 0; i < 2; i++) {
        const unsigned decimal = (unsigned)(unsigned char)from[i] - '0';
        const unsigned letter = (unsigned)(unsigned char)from[i] - 'a';

        value = value << 4 | (decimal <= 9 ? decimal : letter <= 5 ? letter + 10 : 0x100);
    }
    return value;
}
