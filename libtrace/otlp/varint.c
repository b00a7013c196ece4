// SPDX-License-Identifier: Apache-2.0
// The part of reading a varint that is too long to be in line.

#include "libtrace/otlp/varint.h"

uint64_t varint_read_long(const uint8_t *at, const uint8_t *end, const uint8_t **out_at)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 70 && at < end; shift += 7) {
        const uint8_t byte = *at++;

        if (shift < 64)
            value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out_at = at;
            return value;
        }
    }
    *out_at = NULL;
    return 0;
}
