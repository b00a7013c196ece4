// SPDX-License-Identifier: Apache-2.0
// OTEL_RESOURCE_ATTRIBUTES (specification, "Resource SDK"): a list that counts whole or not at all.

#include <stdlib.h>

#include "libtrace/sdk/context/context.h"
#include "libtrace/sdk/encode.h"
#include "libtrace/sdk/resource/detect.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"

enum { TEXT_BYTES_MAX = 256 * 1024, PAIRS_MAX = 1024 };

// Every percent sign is followed by two digits.
static bool escapes_are_whole(struct str text)
{
    for (size_t i = str_find(text, '%'); i < text.len; i = str_find(text, '%')) {
        text = str_from(text, i + 1);
        if (text.len < 2 || !strchr("0123456789abcdefABCDEF", text.at[0]) ||
            !strchr("0123456789abcdefABCDEF", text.at[1]) || !text.at[0] || !text.at[1])
            return false;
    }
    return true;
}

bool text_decode(struct arena *arena, struct str text, struct str *out_text)
{
    char *to = arena_take(arena, text.len + 1);
    size_t len;

    if (!to || !escapes_are_whole(text))
        return false;
    len = percent_decode(to, text);
    if (!text_is_valid(to, len))
        return false;
    *out_text = (struct str){to, len};
    return true;
}

static bool pair_read(struct arena *arena, struct str pair, struct tl_attribute *out_attribute)
{
    const size_t equals = str_find(pair, '=');
    struct str key;
    struct str value;

    if (equals == pair.len || !text_decode(arena, str_trim((struct str){pair.at, equals}), &key) ||
        !text_decode(arena, str_trim(str_from(pair, equals + 1)), &value) || key.len == 0)
        return false;
    *out_attribute = TL_STR_N("", value.at, value.len);
    out_attribute->key = key.at;
    out_attribute->key_len = key.len;
    return true;
}

static bool list_read(struct arena *arena, struct str text, struct tl_attribute *list,
                      size_t *out_count)
{
    size_t count = 0;

    while (text.len) {
        const size_t end = str_find(text, ',');
        const struct str pair = str_trim((struct str){text.at, end});

        text = str_from(text, end + 1);
        if (pair.len == 0)
            continue;
        if (count == PAIRS_MAX || !pair_read(arena, pair, &list[count]))
            return false;
        count++;
    }
    *out_count = count;
    return true;
}

bool resource_attributes_read(struct str text, struct tl_resource **out_resource)
{
    struct tl_attribute *list = NULL;
    struct tl_resource *resource = NULL;
    struct arena arena;
    size_t count = 0;

    arena_init(&arena, 4 * TEXT_BYTES_MAX);
    if (text.len <= TEXT_BYTES_MAX)
        list = arena_take(&arena, PAIRS_MAX * sizeof *list);
    if (list && list_read(&arena, text, list, &count))
        resource = tl_resource_new(list, count, NULL);
    arena_done(&arena);
    if (!resource)
        return false;
    *out_resource = resource;
    return true;
}

struct tl_resource *detect_environment(const struct environment *environment)
{
    struct tl_resource *attributes = NULL;
    struct tl_resource *entities = NULL;
    struct tl_resource *both;

    if (environment->resource_attributes &&
        !resource_attributes_read(str_of(environment->resource_attributes), &attributes)) {
        stats_add(&sdk_stats, SDK_invalid_settings, 1);
        say(TL_ERROR, "OTEL_RESOURCE_ATTRIBUTES: not a list key=value,key=value, discarded");
    }
    if (environment->entities)
        entities = entities_read(str_of(environment->entities));
    both = tl_resource_merge(attributes, entities);
    tl_resource_unref(attributes);
    tl_resource_unref(entities);
    return both;
}
