// SPDX-License-Identifier: Apache-2.0
// Looking up attributes: lists are short, so a walk is enough.

#include "libtrace/model/attribute.h"

const struct value *attribute_find(struct attribute_list list, struct str key)
{
    for (size_t i = 0; i < list.count; i++) {
        if (str_equal(list.at[i].key, key))
            return &list.at[i].value;
    }
    return NULL;
}

struct str attribute_string(struct attribute_list list, struct str key)
{
    const struct value *value = attribute_find(list, key);

    if (!value || value->type != VALUE_STRING)
        return (struct str){"", 0};
    return value->string;
}
