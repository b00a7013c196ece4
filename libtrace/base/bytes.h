// SPDX-License-Identifier: Apache-2.0
// A growing buffer with a limit. Failure sticks: write on, then ask once. One thread.

#pragma once

#include "libtrace/base/str.h"

struct bytes {
    uint8_t *at;
    size_t len;
    size_t capacity;
    size_t limit; // 0: none
    bool is_failed;
};

// Frees the memory; the buffer is empty and usable again.
void bytes_done(struct bytes *bytes);

// Room for `more` bytes behind len, not yet counted in len; NULL (and is_failed) at the limit.
uint8_t *bytes_reserve(struct bytes *bytes, size_t more);

void bytes_add(struct bytes *bytes, const void *from, size_t len);

__attribute__((format(printf, 2, 3))) void bytes_format(struct bytes *bytes, const char *format,
                                                        ...);

static inline void bytes_add_str(struct bytes *bytes, struct str text)
{
    bytes_add(bytes, text.at, text.len);
}

static inline void bytes_add_byte(struct bytes *bytes, uint8_t byte)
{
    bytes_add(bytes, &byte, 1);
}

static inline struct str bytes_str(const struct bytes *bytes)
{
    return (struct str){(const char *)bytes->at, bytes->len};
}
