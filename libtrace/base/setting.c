// SPDX-License-Identifier: Apache-2.0
// Written values become fields. Suffixes are those operators know from the collector.

#include "libtrace/base/setting.h"

#include <arpa/inet.h>
#include <errno.h>

struct unit {
    const char *suffix;
    uint64_t factor;
};

static const struct unit durations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}, {NULL, 0},
};
static const struct unit sizes[] = {
    {"", 1},      {"B", 1},        {"KiB", 1 << 10},   {"MiB", 1 << 20}, {"GiB", 1 << 30},
    {"kB", 1000}, {"MB", 1000000}, {"GB", 1000000000}, {NULL, 0},
};

static int with_unit(struct str value, const struct unit *units, const char *expected,
                     uint64_t *out_value, struct why *why)
{
    size_t digits = 0;
    uint64_t number = 0;

    while (digits < value.len && value.at[digits] >= '0' && value.at[digits] <= '9')
        digits++;
    if (!str_to_u64((struct str){value.at, digits}, &number))
        return why_fail(why, -EINVAL, "'%.*s' is not %s", STR_ARGS(value), expected);
    // A bare 0 needs no unit: it switches the thing off.
    if (number == 0 && digits == value.len) {
        *out_value = 0;
        return 0;
    }
    for (const struct unit *unit = units; unit->suffix; unit++) {
        if (!str_equal(str_from(value, digits), str_of(unit->suffix)))
            continue;
        if (number > UINT64_MAX / unit->factor)
            return why_fail(why, -ERANGE, "'%.*s' is too large", STR_ARGS(value));
        *out_value = number * unit->factor;
        return 0;
    }
    return why_fail(why, -EINVAL, "'%.*s' is not %s", STR_ARGS(value), expected);
}

static bool is_choice(const char *choices, struct str value)
{
    struct str left = str_of(choices);

    while (left.len) {
        const size_t end = str_find(left, '|');

        if (str_equal((struct str){left.at, end}, value))
            return true;
        left = str_from(left, end + 1);
    }
    return false;
}

static int read_bool(struct str value, bool *out_value, struct why *why)
{
    if (!str_equal(value, STR("true")) && !str_equal(value, STR("false")))
        return why_fail(why, -EINVAL, "'%.*s' is not true or false", STR_ARGS(value));
    *out_value = value.at[0] == 't';
    return 0;
}

// What can be listened on: nothing (every address), localhost, 127.0.0.1, [::1].
static bool is_address(struct str host)
{
    uint8_t address[16];
    char text[64] = "";

    if (host.len == 0 || str_equal(host, STR("localhost")))
        return true;
    if (host.len >= sizeof text)
        return false;
    memcpy(text, host.at, host.len);
    if (text[0] != '[')
        return inet_pton(AF_INET, text, address) == 1;
    if (text[host.len - 1] != ']')
        return false;
    text[host.len - 1] = '\0';
    return inet_pton(AF_INET6, text + 1, address) == 1;
}

static int check_endpoint(struct str value, struct why *why)
{
    size_t colon = value.len;
    uint64_t port;

    while (colon && value.at[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return why_fail(why, -EINVAL, "'%.*s' is not host:port", STR_ARGS(value));
    if (!str_to_u64(str_from(value, colon), &port) || port > UINT16_MAX)
        return why_fail(why, -EINVAL, "'%.*s' is not a port", STR_ARGS(str_from(value, colon)));
    if (!is_address((struct str){value.at, colon - 1}))
        return why_fail(why, -EINVAL, "'%.*s' is not an IP address or localhost", (int)(colon - 1),
                        value.at);
    return 0;
}

static int check_url(struct str value, struct why *why)
{
    if (!str_starts(value, STR("http://")) && !str_starts(value, STR("https://")))
        return why_fail(why, -EINVAL, "'%.*s' is not an http:// or https:// URL", STR_ARGS(value));
    return 0;
}

int setting_read(const struct setting *row, struct str value, void *owner, struct arena *arena,
                 struct why *why)
{
    void *field = (char *)owner + row->offset;
    struct str text;

    switch (row->type) {
    case SETTING_TYPE_BOOL:
        return read_bool(value, field, why);
    case SETTING_TYPE_NUMBER:
        if (!str_to_u64(value, field))
            return why_fail(why, -EINVAL, "'%.*s' is not a whole number", STR_ARGS(value));
        return 0;
    case SETTING_TYPE_DURATION:
        return with_unit(value, durations, "a duration such as 10s, 200ms or 5m", field, why);
    case SETTING_TYPE_SIZE:
        return with_unit(value, sizes, "a size such as 512KiB or 64MiB", field, why);
    case SETTING_TYPE_CHOICE:
        if (!is_choice(row->choices, value))
            return why_fail(why, -EINVAL, "'%.*s' is not one of %s", STR_ARGS(value), row->choices);
        break;
    case SETTING_TYPE_ENDPOINT:
        if (check_endpoint(value, why) != 0)
            return -EINVAL;
        break;
    case SETTING_TYPE_URL:
        if (check_url(value, why) != 0)
            return -EINVAL;
        break;
    case SETTING_TYPE_TEXT:
    case SETTING_TYPE_LIST:
    case SETTING_TYPE_MAP:
        break;
    }
    text = arena ? arena_copy(arena, value) : value;
    if (!text.at)
        return why_fail(why, -ENOMEM, "out of memory");
    memcpy(field, &text, sizeof text);
    return 0;
}

int settings_defaults(const struct setting *table, void *owner, struct why *why)
{
    for (const struct setting *row = table; row->name; row++) {
        // Defaults are literals, so text needs no copy.
        const int failed =
            row->fallback ? setting_read(row, str_of(row->fallback), owner, NULL, why) : 0;

        if (failed)
            return why_prefix(why, failed, "%s", row->name);
    }
    return 0;
}

const struct setting *setting_find(const struct setting *table, struct str name)
{
    for (const struct setting *row = table; row->name; row++) {
        if (str_equal(str_of(row->name), name))
            return row;
    }
    return NULL;
}
