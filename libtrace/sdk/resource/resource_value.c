// SPDX-License-Identifier: Apache-2.0
// Attribute values as a resource keeps them: copied whole into its arena, lists and maps too.

#include "libtrace/sdk/encode.h"
#include "libtrace/sdk/resource/resource.h"

struct str text_keep(struct arena *arena, const char *text, size_t len)
{
    // A NUL behind it: the public API gives keys and schema URLs out as C strings too.
    char *to = arena_take(arena, 3 * len + 1);

    if (!to)
        return (struct str){NULL, 0};
    len = text_copy((uint8_t *)to, text, len);
    to[len] = '\0';
    return (struct str){to, len};
}

static bool strings_copy(struct arena *arena, const struct tl_value *from,
                         struct tl_value *out_value)
{
    const char **list = arena_take(arena, (from->count + 1) * sizeof *list);

    for (size_t i = 0; list && i < from->count; i++) {
        const char *text = from->as.strings[i] ? from->as.strings[i] : "";

        list[i] = text_keep(arena, text, strlen(text)).at;
        if (!list[i])
            return false;
    }
    out_value->as.strings = list;
    return list != NULL;
}

static bool array_copy(struct arena *arena, const struct tl_value *from, unsigned depth,
                       struct tl_value *out_value)
{
    struct tl_value *list = arena_take(arena, (from->count + 1) * sizeof *list);

    for (size_t i = 0; list && i < from->count; i++) {
        if (!value_copy(arena, &from->as.values[i], depth + 1, &list[i]))
            return false;
    }
    out_value->as.values = list;
    return list != NULL;
}

static bool map_copy(struct arena *arena, const struct tl_value *from, unsigned depth,
                     struct tl_value *out_value)
{
    struct tl_attribute *list = arena_take(arena, (from->count + 1) * sizeof *list);

    for (size_t i = 0; list && i < from->count; i++) {
        const struct tl_attribute *entry = &from->as.attributes[i];
        const struct str key = text_keep(arena, entry->key, entry->key_len);

        if (!key.at || !value_copy(arena, &entry->value, depth + 1, &list[i].value))
            return false;
        list[i].key = key.at;
        list[i].key_len = key.len;
    }
    out_value->as.attributes = list;
    return list != NULL;
}

static bool bytes_copy(struct arena *arena, const void *from, size_t len, const void **out_at)
{
    void *to = arena_take(arena, len + 1);

    if (to && len)
        memcpy(to, from, len);
    *out_at = to;
    return to != NULL;
}

bool value_copy(struct arena *arena, const struct tl_value *from, unsigned depth,
                struct tl_value *out_value)
{
    struct tl_value copy = *from;
    const void *at = NULL;
    struct str text;

    if (depth > ENCODE_NESTING_MAX)
        return false;
    // Every member of the union that is a pointer has the same representation.
    if (from->type == TL_TYPE_STRING || from->type >= TL_TYPE_BYTES)
        copy.count = from->as.string ? from->count : 0;
    switch (from->type) {
    case TL_TYPE_STRING:
        text = text_keep(arena, from->as.string, copy.count);
        copy.as.string = at = text.at;
        copy.count = text.len;
        break;
    case TL_TYPE_BYTES:
        bytes_copy(arena, from->as.string, copy.count, &at);
        copy.as.string = at;
        break;
    case TL_TYPE_BOOLS:
        bytes_copy(arena, from->as.booleans, copy.count * sizeof(bool), &at);
        copy.as.booleans = at;
        break;
    case TL_TYPE_INTS:
    case TL_TYPE_DOUBLES:
        bytes_copy(arena, from->as.integers, copy.count * sizeof(int64_t), &at);
        copy.as.integers = at;
        break;
    case TL_TYPE_STRINGS:
        at = strings_copy(arena, &copy, &copy) ? &copy : NULL;
        break;
    case TL_TYPE_ARRAY:
        at = array_copy(arena, &copy, depth, &copy) ? &copy : NULL;
        break;
    case TL_TYPE_MAP:
        at = map_copy(arena, &copy, depth, &copy) ? &copy : NULL;
        break;
    default:
        at = &copy;
        break;
    }
    if (!at)
        return false;
    *out_value = copy;
    return true;
}
