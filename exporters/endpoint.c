// SPDX-License-Identifier: Apache-2.0
// RFC 3986 3.2: authority = [ userinfo "@" ] host [ ":" port ]. Only as much as the specification's
// exporters need: which host and port, and whether TLS.

#include "exporters/endpoint.h"

#include <errno.h>

static bool has_bad_byte(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char byte = (unsigned char)text.at[i];

        if (byte <= ' ' || byte == 0x7f)
            return true;
    }
    return false;
}

static int read_scheme(struct str *left, struct endpoint *out, struct why *why)
{
    const size_t colon = str_find(*left, ':');
    const struct str scheme = {left->at, colon};

    if (!str_starts(str_from(*left, colon), STR("://")))
        return 0;
    out->has_scheme = true;
    out->is_tls = str_equal_nocase(scheme, STR("https"));
    if (!out->is_tls && !str_equal_nocase(scheme, STR("http")))
        return why_fail(why, -EINVAL, "'%.*s' is neither http nor https", STR_ARGS(scheme));
    *left = str_from(*left, colon + 3);
    return 0;
}

static int read_port(struct str text, uint16_t *out_port, struct why *why)
{
    uint64_t port = 0;

    if (!str_to_u64(text, &port) || port == 0 || port > UINT16_MAX)
        return why_fail(why, -EINVAL, "'%.*s' is not a port", STR_ARGS(text));
    *out_port = (uint16_t)port;
    return 0;
}

static size_t authority_len(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '/' || text.at[i] == '?' || text.at[i] == '#')
            return i;
    }
    return text.len;
}

int endpoint_read(struct str text, struct endpoint *out_endpoint, struct why *why)
{
    struct endpoint endpoint = {0};
    struct str left = text;
    struct str authority;
    size_t end;
    int failed;

    if (has_bad_byte(text))
        return why_fail(why, -EINVAL, "it has a blank or a control character");
    failed = read_scheme(&left, &endpoint, why);
    if (failed)
        return failed;
    authority = (struct str){left.at, authority_len(left)};
    endpoint.path = str_from(left, authority.len);
    while (str_has(authority, '@'))
        authority = str_from(authority, str_find(authority, '@') + 1);
    if (str_starts(authority, STR("["))) {
        end = str_find(authority, ']');
        endpoint.host = str_from((struct str){authority.at, end}, 1);
        if (end == authority.len)
            return why_fail(why, -EINVAL, "'%.*s' has no ]", STR_ARGS(authority));
        left = str_from(authority, end + 1);
    } else {
        end = str_find(authority, ':');
        endpoint.host = (struct str){authority.at, end};
        left = str_from(authority, end);
    }
    if (endpoint.host.len == 0)
        return why_fail(why, -EINVAL, "'%.*s' has no host", STR_ARGS(text));
    if (left.len && left.at[0] != ':')
        return why_fail(why, -EINVAL, "'%.*s' is not a port", STR_ARGS(left));
    failed = left.len > 1 ? read_port(str_from(left, 1), &endpoint.port, why) : 0;
    if (failed)
        return failed;
    *out_endpoint = endpoint;
    return 0;
}
