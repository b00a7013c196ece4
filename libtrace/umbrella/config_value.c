// SPDX-License-Identifier: Apache-2.0
// Values of the model as Create wants them. Types and ranges were checked when it was parsed.

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "libtrace/umbrella/config_create.h"
#include "libtrace/umbrella/environment.h"

int create_refuse(const struct creation *creation, const struct tl_config_node *node,
                  const char *format, ...)
{
    char reason[300];
    va_list args;

    va_start(args, format);
    if (vsnprintf(reason, sizeof reason, format, args) < 0)
        reason[0] = '\0';
    va_end(args);
    return why_fail(creation->why, -EINVAL, "%.120s:%u:%u: %s", creation->name,
                    node ? node->line : 1, node ? node->column : 1, reason);
}

const char *create_text(const struct tl_config_node *map, const char *key, const char *fallback)
{
    const char *text = tl_config_text(tl_config_get(map, key));

    return text ? text : fallback;
}

bool create_bool(const struct tl_config_node *map, const char *key, bool fallback)
{
    bool value = fallback;

    tl_config_bool(tl_config_get(map, key), &value);
    return value;
}

uint64_t create_number(const struct tl_config_node *map, const char *key, uint64_t fallback)
{
    int64_t value;

    return tl_config_int(tl_config_get(map, key), &value) && value >= 0 ? (uint64_t)value
                                                                        : fallback;
}

uint64_t create_wait(const struct tl_config_node *map, const char *key, uint64_t fallback)
{
    const uint64_t value = create_number(map, key, fallback);

    return value ? value : VARIABLE_NO_LIMIT_MS;
}

double create_ratio(const struct tl_config_node *map)
{
    double ratio = 1;

    tl_config_double(tl_config_get(map, "ratio"), &ratio);
    return ratio;
}

uint32_t create_limit(const struct tl_config_node *map, const char *key)
{
    const uint64_t value = create_number(map, key, UINT64_MAX);

    if (value == UINT64_MAX)
        return 0;
    if (value == 0)
        return TL_NONE;
    return value >= TL_NONE ? TL_UNLIMITED : (uint32_t)value;
}

bool create_texts(struct creation *creation, const struct tl_config_node *list,
                  const char *const **out_list, size_t *out_count)
{
    const size_t count = tl_config_count(list);
    const char **texts = arena_take(&creation->arena, (count + 1) * sizeof *texts);
    size_t index = 0;

    if (!texts)
        return false;
    for (const struct tl_config_node *at = list ? list->first : NULL; at; at = at->next)
        texts[index++] = at->text;
    *out_list = texts;
    *out_count = count;
    return true;
}

// One star at a time is enough: a later one makes an earlier one's choice final.
bool create_matches(const char *pattern, struct str text)
{
    const char *star = NULL;
    size_t at = 0;
    size_t resume = 0;

    while (at < text.len) {
        if (*pattern == '*') {
            star = pattern++;
            resume = at;
        } else if (*pattern && (*pattern == '?' || *pattern == text.at[at])) {
            pattern++;
            at++;
        } else if (star) {
            pattern = star + 1;
            at = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}
