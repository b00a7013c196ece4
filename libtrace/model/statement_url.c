// SPDX-License-Identifier: Apache-2.0
// URLs without what gives access: user, password and signatures. What is written is never longer
// than the arena was asked for; without memory nothing is shown.

#include "libtrace/model/statement.h"

#define REDACTED STR("REDACTED")
#define REDACTED_USER STR("REDACTED:REDACTED")

struct writer {
    char *at;
    size_t len;
};

static void add(struct writer *writer, struct str text)
{
    if (text.len)
        memcpy(writer->at + writer->len, text.at, text.len);
    writer->len += text.len;
}

// Room for the text and for what may come in place of its values.
static bool writer_open(struct writer *writer, struct str text, struct arena *arena)
{
    size_t room = text.len + REDACTED_USER.len;

    for (size_t i = 0; i < text.len; i++)
        room += text.at[i] == '=' ? REDACTED.len : 0;
    *writer = (struct writer){.at = arena_take(arena, room)};
    return writer->at != NULL;
}

// The names whose values semantic conventions 1.44 (url.full) ask to be redacted.
static bool is_secret(struct str name)
{
    static const char *const names[] = {
        "AWSAccessKeyId",       "Signature",       "sig",
        "X-Goog-Signature",     "X-Amz-Signature", "X-Amz-Credential",
        "X-Amz-Security-Token",
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (str_equal_nocase(name, str_of(names[i])))
            return true;
    }
    return false;
}

static void query_clean(struct writer *writer, struct str query)
{
    struct str fragment = str_from(query, str_find(query, '#'));

    query.len -= fragment.len;
    while (query.len) {
        const size_t end = str_find(query, '&');
        const struct str pair = {query.at, end};
        const size_t equals = str_find(pair, '=');

        if (equals < pair.len && is_secret((struct str){pair.at, equals})) {
            add(writer, (struct str){pair.at, equals + 1});
            add(writer, REDACTED);
        } else {
            add(writer, pair);
        }
        if (end < query.len)
            add(writer, STR("&"));
        query = str_from(query, end + 1);
    }
    add(writer, fragment);
}

struct str statement_clean_query(struct str query, struct arena *arena)
{
    struct writer writer;

    if (query.len == 0 || !writer_open(&writer, query, arena))
        return STR("");
    query_clean(&writer, query);
    return (struct str){writer.at, writer.len};
}

// Behind "://" up to the path: user and password end at the last '@'.
static struct str authority_clean(struct writer *writer, struct str rest)
{
    struct str authority = {rest.at, 0};
    const char *at_sign;

    while (authority.len < rest.len && !str_has(STR("/?#"), rest.at[authority.len]))
        authority.len++;
    at_sign = authority.len ? memrchr(authority.at, '@', authority.len) : NULL;
    if (!at_sign)
        return rest;
    add(writer, REDACTED_USER);
    return str_from(rest, (size_t)(at_sign - rest.at));
}

struct str statement_clean_url(struct str url, struct arena *arena)
{
    const char *scheme = url.len ? memmem(url.at, url.len, "://", 3) : NULL;
    struct str rest = url;
    struct writer writer;
    size_t mark;

    if (url.len == 0 || !writer_open(&writer, url, arena))
        return STR("");
    if (scheme) {
        add(&writer, (struct str){url.at, (size_t)(scheme - url.at) + 3});
        rest = authority_clean(&writer, str_from(url, writer.len));
    }
    mark = str_find(rest, '?');
    add(&writer, (struct str){rest.at, mark});
    if (mark < rest.len) {
        add(&writer, STR("?"));
        query_clean(&writer, str_from(rest, mark + 1));
    }
    return (struct str){writer.at, writer.len};
}
