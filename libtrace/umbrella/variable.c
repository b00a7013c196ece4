// SPDX-License-Identifier: Apache-2.0
// One variable of the environment, by kind.

#include "libtrace/umbrella/variable.h"

#include "libtrace/sdk/context/context.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"

enum { TOLD_MAX = 64 };

void variable_refuse(const char *name, struct str value, const char *reason)
{
    stats_add(&sdk_stats, SDK_invalid_settings, 1);
    if (value.len > TOLD_MAX)
        value.len = TOLD_MAX;
    say(TL_WARN, "%s: '%.*s' %s", name, STR_ARGS(value), reason);
}

struct str variable_text(const struct variable_source *source, const char *name)
{
    const struct str text = str_trim(str_of(source->get(source->self, name)));

    if (text.len <= VARIABLE_BYTES_MAX)
        return text.at ? text : STR("");
    variable_refuse(name, text, "is longer than 64 KiB");
    return STR("");
}

static const char *kept(const struct variable_source *source, const char *name, struct str text)
{
    const struct str copy = arena_format(source->arena, "%.*s", STR_ARGS(text));

    if (!copy.at)
        variable_refuse(name, text, "finds no memory");
    return copy.at;
}

void variable_string(const struct variable_source *source, const char *name, const char **out)
{
    const struct str text = variable_text(source, name);
    const char *copy;

    if (text.len == 0)
        return;
    copy = kept(source, name, text);
    if (copy)
        *out = copy;
}

void variable_bool(const struct variable_source *source, const char *name, bool *out)
{
    const struct str text = variable_text(source, name);

    if (text.len == 0)
        return;
    *out = str_equal_nocase(text, STR("true"));
    if (!*out && !str_equal_nocase(text, STR("false")))
        variable_refuse(name, text, "is neither true nor false and taken as false");
}

void variable_number(const struct variable_source *source, const char *name, uint64_t most,
                     uint64_t *out)
{
    const struct str text = variable_text(source, name);
    uint64_t value = 0;

    if (text.len == 0)
        return;
    if (!str_to_u64(text, &value) || value > most)
        variable_refuse(name, text, "is not a whole number in its range");
    else
        *out = value;
}

void variable_wait(const struct variable_source *source, const char *name, uint64_t *out)
{
    uint64_t value = *out;

    variable_number(source, name, VARIABLE_NO_LIMIT_MS, &value);
    *out = value ? value : VARIABLE_NO_LIMIT_MS;
}

void variable_choice(const struct variable_source *source, const char *name,
                     const char *const *choices, unsigned *out)
{
    const struct str text = variable_text(source, name);

    if (text.len == 0)
        return;
    for (unsigned i = 0; choices[i]; i++) {
        if (str_equal_nocase(text, str_of(choices[i]))) {
            *out = i;
            return;
        }
    }
    variable_refuse(name, text, "is not one of its values");
}

// What a header may hold: no control characters but a tab.
static bool is_field_value(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (((uint8_t)text.at[i] < ' ' && text.at[i] != '\t') || text.at[i] == 0x7f)
            return false;
    }
    return true;
}

static bool pair_read(struct arena *arena, struct str pair, const char *out_pair[static 2])
{
    const size_t equals = str_find(pair, '=');
    const struct str name = str_trim((struct str){pair.at, equals});
    const struct str value = str_trim(str_from(pair, equals + 1));
    const struct str copy = arena_format(arena, "%.*s", STR_ARGS(name));
    char *const decoded = arena_take(arena, value.len + 1); // zeroed: it ends with a NUL

    if (equals == pair.len || !token_is_valid(name) || !copy.at || !decoded)
        return false;
    if (!is_field_value((struct str){decoded, percent_decode(decoded, value)}))
        return false;
    out_pair[0] = copy.at;
    out_pair[1] = decoded;
    return true;
}

bool pairs_read(struct arena *arena, struct str text, const char **out, size_t pairs_max)
{
    const char *pairs[2 * VARIABLE_HEADERS_MAX];
    size_t count = 0;

    while (text.len) {
        const size_t end = str_find(text, ',');
        const struct str pair = str_trim((struct str){text.at, end});

        text = str_from(text, end + 1);
        if (pair.len == 0)
            continue;
        if (count == pairs_max || count == VARIABLE_HEADERS_MAX ||
            !pair_read(arena, pair, &pairs[2 * count]))
            return false;
        count++;
    }
    memcpy(out, pairs, 2 * count * sizeof pairs[0]);
    out[2 * count] = NULL;
    return true;
}

bool variable_pairs(const struct variable_source *source, const char *name, const char **out,
                    size_t pairs_max)
{
    const struct str text = variable_text(source, name);

    if (text.len == 0)
        return false;
    if (pairs_read(source->arena, text, out, pairs_max))
        return true;
    // Values may be secrets: none is told.
    variable_refuse(name, STR("..."), "is not a list of NAME=VALUE, or too long");
    return false;
}
