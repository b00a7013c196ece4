// SPDX-License-Identifier: Apache-2.0
// From left to right: a $$ ends what is looked at, so that nothing spans it.

#include "libtrace/base/substitute.h"

#include <errno.h>
#include <stdlib.h>

enum { NAME_MAX = 255 };

const char *substitute_getenv(void *self, const char *name)
{
    (void)self;
    return getenv(name);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// NAME or NAME:-default. The default is one printable line.
static bool reference_read(struct str text, struct str *out_name, struct str *out_default)
{
    struct str rest;
    size_t len = 0;

    while (len < text.len &&
           (is_letter(text.at[len]) || (len && text.at[len] >= '0' && text.at[len] <= '9')))
        len++;
    if (len == 0 || len > NAME_MAX)
        return false;
    *out_name = (struct str){text.at, len};
    *out_default = (struct str){"", 0};
    rest = str_from(text, len);
    if (rest.len == 0)
        return true;
    if (!str_starts(rest, STR(":-")))
        return false;
    *out_default = str_from(rest, 2);
    for (size_t i = 0; i < out_default->len; i++) {
        if ((uint8_t)out_default->at[i] < ' ' && out_default->at[i] != '\t')
            return false;
    }
    return true;
}

static int reference_put(struct str content, const struct substitution *by, struct bytes *out,
                         struct why *why)
{
    char variable[NAME_MAX + 1];
    struct str name;
    struct str fallback;
    const char *value;

    // A variable may have the name "env"; only then is it no prefix.
    if (!reference_read(content, &name, &fallback) &&
        (!str_starts(content, STR("env:")) ||
         !reference_read(str_from(content, 4), &name, &fallback)))
        return why_fail(why, -EINVAL, "'${%.*s}' is not a reference such as ${env:NAME}",
                        STR_ARGS(content));
    memcpy(variable, name.at, name.len);
    variable[name.len] = '\0';
    value = by->get(by->self, variable);
    bytes_add_str(out, value && *value ? str_of(value) : fallback);
    return 0;
}

// Text without $$. What only looks like the beginning of a reference stays as it is.
static int part_put(struct str text, const struct substitution *by, struct bytes *out,
                    struct why *why)
{
    while (text.len) {
        const size_t dollar = str_find(text, '$');
        struct str content;
        size_t end;

        bytes_add(out, text.at, dollar);
        text = str_from(text, dollar);
        if (text.len == 0)
            break;
        end = str_find(text, '}');
        if (text.len < 2 || text.at[1] != '{' || end == text.len || end == 2) {
            if (by->is_strict && text.len >= 2 && text.at[1] == '{')
                return why_fail(why, -EINVAL, "'%.*s' is not a reference such as ${env:NAME}",
                                STR_ARGS(text));
            bytes_add_byte(out, '$');
            text = str_from(text, 1);
            continue;
        }
        content = (struct str){text.at + 2, end - 2};
        if (reference_put(content, by, out, why) != 0)
            return -EINVAL;
        text = str_from(text, end + 1);
    }
    return 0;
}

static size_t escape_find(struct str text)
{
    for (size_t i = 0; i + 1 < text.len; i++) {
        if (text.at[i] == '$' && text.at[i + 1] == '$')
            return i;
    }
    return text.len;
}

int substitute(struct str text, const struct substitution *by, struct bytes *out, struct why *why)
{
    while (text.len) {
        const size_t escape = escape_find(text);

        if (part_put((struct str){text.at, escape}, by, out, why) != 0)
            return -EINVAL;
        if (escape < text.len)
            bytes_add_byte(out, '$');
        text = str_from(text, escape + 2);
    }
    if (out->is_failed)
        return why_fail(why, -E2BIG, "more text than a configuration may have");
    return 0;
}
