// SPDX-License-Identifier: Apache-2.0
// Headers of a message as a test's carrier: names compare without case, a name may come twice.

#pragma once

#include <throughline/propagate.h>

#include "libtrace/base/str.h"

// Room for what every format writes of the largest context.
enum { HEADERS_MAX = 512, HEADER_BYTES = 17 * 1024 };

struct headers {
    size_t count;
    struct {
        char key[300];
        size_t key_len;
        char value[HEADER_BYTES];
        size_t value_len;
    } list[HEADERS_MAX];
};

void headers_add(struct headers *headers, const char *key, const char *value);
// The first value of that name; empty: none.
struct str headers_find(const struct headers *headers, const char *key);

// tl_set_function and struct tl_getter for them.
void headers_set(void *carrier, const char *key, size_t key_len, const char *value,
                 size_t value_len);
extern const struct tl_getter headers_getter;
