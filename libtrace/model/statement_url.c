// SPDX-License-Identifier: Apache-2.0
// URLs without what gives access: user, password and signatures.

#include "libtrace/base/bytes.h"
#include "libtrace/model/statement.h"

// The names whose values semantic conventions 1.44 (url.full) ask to be redacted.
static bool is_secret(struct str name)
{
    return str_equal_nocase(name, STR("AWSAccessKeyId")) ||
           str_equal_nocase(name, STR("Signature")) || str_equal_nocase(name, STR("sig")) ||
           str_equal_nocase(name, STR("X-Goog-Signature")) ||
           str_equal_nocase(name, STR("X-Amz-Signature")) ||
           str_equal_nocase(name, STR("X-Amz-Credential")) ||
           str_equal_nocase(name, STR("X-Amz-Security-Token"));
}

static void query_clean(struct bytes *out, struct str query)
{
    while (query.len) {
        const size_t end = str_find(query, '&');
        const struct str pair = {query.at, end};
        const size_t equals = str_find(pair, '=');

        if (equals < pair.len && is_secret((struct str){pair.at, equals})) {
            bytes_add(out, pair.at, equals + 1);
            bytes_add_str(out, STR("REDACTED"));
        } else {
            bytes_add_str(out, pair);
        }
        if (end < query.len)
            bytes_add_byte(out, '&');
        query = str_from(query, end + 1);
    }
}

struct str statement_clean_query(struct str query, struct arena *arena)
{
    struct bytes out = {.limit = 64 * 1024};
    struct str made = {"", 0};

    query_clean(&out, query);
    if (!out.is_failed)
        made = arena_copy(arena, bytes_str(&out));
    bytes_done(&out);
    return made;
}

struct str statement_clean_url(struct str url, struct arena *arena)
{
    struct bytes out = {.limit = 64 * 1024};
    const char *scheme = url.len ? memmem(url.at, url.len, "://", 3) : NULL;
    struct str rest = url;
    struct str made;
    size_t mark;

    if (scheme) {
        const size_t head = (size_t)(scheme - url.at) + 3;
        const struct str after = str_from(url, head);
        struct str authority = {after.at, 0};
        const char *at_sign;

        while (authority.len < after.len && !memchr("/?#", after.at[authority.len], 3))
            authority.len++;
        at_sign = authority.len ? memrchr(authority.at, '@', authority.len) : NULL;
        bytes_add(&out, url.at, head);
        rest = after;
        if (at_sign) {
            bytes_add_str(&out, STR("REDACTED:REDACTED"));
            rest = str_from(after, (size_t)(at_sign - after.at));
        }
    }
    mark = str_find(rest, '?');
    bytes_add(&out, rest.at, mark);
    if (mark < rest.len) {
        bytes_add_byte(&out, '?');
        query_clean(&out, str_from(rest, mark + 1));
    }
    // What found no memory is not shown half cleaned.
    made = out.is_failed ? (struct str){"", 0} : arena_copy(arena, bytes_str(&out));
    bytes_done(&out);
    return made;
}
