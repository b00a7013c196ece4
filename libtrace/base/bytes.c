// SPDX-License-Identifier: Apache-2.0
// Doubles until the limit, or takes what is asked for where that is more. On failure what is
// already there stays readable.

#include "libtrace/base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void bytes_done(struct bytes *bytes)
{
    free(bytes->at);
    *bytes = (struct bytes){.limit = bytes->limit};
}

uint8_t *bytes_reserve(struct bytes *bytes, size_t more)
{
    const size_t limit = bytes->limit ? bytes->limit : SIZE_MAX / 2;
    size_t capacity = bytes->capacity ? bytes->capacity * 2 : 256;
    uint8_t *grown;

    if (bytes->is_failed || more > limit || bytes->len > limit - more) {
        bytes->is_failed = true;
        return NULL;
    }
    if (bytes->at && bytes->capacity - bytes->len >= more)
        return bytes->at + bytes->len;
    if (capacity < bytes->len + more)
        capacity = bytes->len + more;
    if (capacity > limit)
        capacity = limit;
    grown = realloc(bytes->at, capacity);
    if (!grown) {
        bytes->is_failed = true;
        return NULL;
    }
    bytes->at = grown;
    bytes->capacity = capacity;
    return bytes->at + bytes->len;
}

void bytes_add(struct bytes *bytes, const void *from, size_t len)
{
    uint8_t *to;

    if (len == 0)
        return;
    to = bytes_reserve(bytes, len);
    if (!to)
        return;
    memcpy(to, from, len);
    bytes->len += len;
}

void bytes_format(struct bytes *bytes, const char *format, ...)
{
    va_list args;
    va_list again;
    uint8_t *to = NULL;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len >= 0)
        to = bytes_reserve(bytes, (size_t)len + 1);
    if (to)
        len = vsnprintf((char *)to, (size_t)len + 1, format, again);
    va_end(again);
    if (to && len >= 0)
        bytes->len += (size_t)len;
}
