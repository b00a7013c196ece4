// SPDX-License-Identifier: Apache-2.0
// A resource as a test asks for it.

#pragma once

#include <throughline/sdk.h>

#include "libtrace/base/str.h"

static inline struct str text_at(const struct tl_resource *resource, const char *key)
{
    struct tl_attribute attribute;

    for (size_t i = 0; tl_resource_at(resource, i, &attribute); i++) {
        if (str_equal((struct str){attribute.key, attribute.key_len}, str_of(key)) &&
            attribute.value.type == TL_TYPE_STRING)
            return (struct str){attribute.value.as.string, attribute.value.count};
    }
    return STR("");
}

static inline size_t count_of(const struct tl_resource *resource)
{
    struct tl_attribute attribute;
    size_t count = 0;

    while (tl_resource_at(resource, count, &attribute))
        count++;
    return count;
}

static inline struct tl_resource *resource_of(const char *key, const char *value,
                                              const char *schema_url)
{
    const struct tl_attribute attribute = TL_STR(key, value);

    return tl_resource_new(&attribute, 1, schema_url);
}
