// SPDX-License-Identifier: Apache-2.0
// The one bounds-checked reader for bytes from outside. Failure sticks: read on, then ask once.

#pragma once

#include "libtrace/base/str.h"

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool is_failed;
};

static inline struct reader reader_of(struct str bytes)
{
    const uint8_t *at = (const uint8_t *)bytes.at;

    return (struct reader){.at = at, .end = bytes.len ? at + bytes.len : at};
}

static inline size_t reader_left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

// The next `len` bytes, or an empty text and is_failed.
static inline struct str reader_take(struct reader *reader, size_t len)
{
    struct str taken = {(const char *)reader->at, len};

    if (reader->is_failed || len > reader_left(reader)) {
        reader->is_failed = true;
        return (struct str){NULL, 0};
    }
    reader->at += len;
    return taken;
}

static inline uint64_t reader_be(struct reader *reader, unsigned bytes)
{
    const struct str taken = reader_take(reader, bytes);
    uint64_t value = 0;

    for (size_t i = 0; i < taken.len; i++)
        value = value << 8 | (uint8_t)taken.at[i];
    return value;
}

static inline uint64_t reader_le(struct reader *reader, unsigned bytes)
{
    const struct str taken = reader_take(reader, bytes);
    uint64_t value = 0;

    for (size_t i = taken.len; i > 0; i--)
        value = value << 8 | (uint8_t)taken.at[i - 1];
    return value;
}

static inline uint8_t reader_u8(struct reader *reader)
{
    return (uint8_t)reader_be(reader, 1);
}

static inline uint16_t reader_be16(struct reader *reader)
{
    return (uint16_t)reader_be(reader, 2);
}

static inline uint32_t reader_be32(struct reader *reader)
{
    return (uint32_t)reader_be(reader, 4);
}

static inline uint64_t reader_be64(struct reader *reader)
{
    return reader_be(reader, 8);
}

static inline uint32_t reader_le32(struct reader *reader)
{
    return (uint32_t)reader_le(reader, 4);
}

static inline uint64_t reader_le64(struct reader *reader)
{
    return reader_le(reader, 8);
}
