// SPDX-License-Identifier: Apache-2.0
// A list, searched from its beginning.

#include "tests/sdk/headers.h"

void headers_set(void *carrier, const char *key, size_t key_len, const char *value,
                 size_t value_len)
{
    struct headers *headers = carrier;
    const size_t at = headers->count;

    if (at == HEADERS_MAX || key_len > sizeof headers->list[at].key ||
        value_len > sizeof headers->list[at].value)
        return;
    memcpy(headers->list[at].key, key, key_len);
    memcpy(headers->list[at].value, value, value_len);
    headers->list[at].key_len = key_len;
    headers->list[at].value_len = value_len;
    headers->count++;
}

void headers_add(struct headers *headers, const char *key, const char *value)
{
    headers_set(headers, key, strlen(key), value, strlen(value));
}

static bool headers_get(void *carrier, const char *key, size_t key_len, size_t index,
                        const char **out_value, size_t *out_len)
{
    const struct headers *headers = carrier;

    for (size_t i = 0; i < headers->count; i++) {
        if (!str_equal_nocase((struct str){headers->list[i].key, headers->list[i].key_len},
                              (struct str){key, key_len}) ||
            index-- > 0)
            continue;
        *out_value = headers->list[i].value;
        *out_len = headers->list[i].value_len;
        return true;
    }
    return false;
}

static void headers_keys(void *carrier, tl_key_visit *visit, void *self)
{
    const struct headers *headers = carrier;

    for (size_t i = 0; i < headers->count; i++)
        visit(self, headers->list[i].key, headers->list[i].key_len);
}

const struct tl_getter headers_getter = {headers_get, headers_keys};

struct str headers_find(const struct headers *headers, const char *key)
{
    struct str value = {"", 0};

    headers_get((void *)(uintptr_t)headers, key, strlen(key), 0, &value.at, &value.len);
    return value;
}
