// SPDX-License-Identifier: Apache-2.0
// Reading parameters and wording errors.

#include "agent/api/call.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "libtrace/otlp/json_text.h"

unsigned call_status(int failed)
{
    switch (failed) {
    case 0:
        return MHD_HTTP_OK;
    case -EINVAL:
        return MHD_HTTP_BAD_REQUEST;
    case -ENOENT:
        return MHD_HTTP_NOT_FOUND;
    case -EEXIST:
        return MHD_HTTP_CONFLICT;
    case -EPERM:
        return MHD_HTTP_FORBIDDEN;
    case -ENOTSUP:
        return MHD_HTTP_METHOD_NOT_ALLOWED;
    case -EAGAIN:
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    default:
        return MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
}

int call_fail(struct call *call, int failed, const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it is, above; clang 14 loses sight of it
    if (vsnprintf(text, sizeof text, format, args) < 0)
        text[0] = '\0';
    va_end(args);
    call->out->len = 0;
    if (call->is_jaeger) {
        bytes_format(call->out,
                     "{\"data\":null,\"total\":0,\"limit\":0,\"offset\":0,\"errors\":"
                     "[{\"code\":%u,\"msg\":",
                     call_status(failed));
        json_text_write(call->out, str_of(text));
        bytes_add_str(call->out, STR("}]}"));
        return failed;
    }
    bytes_add_str(call->out, STR("{\"error\":"));
    json_text_write(call->out, str_of(text));
    bytes_add_byte(call->out, '}');
    return failed;
}

int call_text(struct call *call, const char *name, struct str *inout_value)
{
    const char *value = NULL;
    size_t len = 0;

    if (MHD_lookup_connection_value_n(call->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name),
                                      &value, &len) != MHD_YES ||
        !value || len == 0)
        return 0;
    if (len > PARAMETER_BYTES_MAX)
        return call_fail(call, -EINVAL, "parameter '%s' is longer than %d bytes", name,
                         PARAMETER_BYTES_MAX);
    if (strlen(value) != len)
        return call_fail(call, -EINVAL, "parameter '%s' holds a zero byte", name);
    *inout_value = (struct str){value, len};
    return 0;
}

int call_number(struct call *call, const char *name, uint64_t max, uint64_t *inout_value)
{
    struct str text = {"", 0};
    uint64_t value;

    if (call_text(call, name, &text) != 0)
        return -EINVAL;
    if (text.len == 0)
        return 0;
    if (!str_to_u64(text, &value) || value > max)
        return call_fail(call, -EINVAL, "parameter '%s' is not a number up to %llu", name,
                         (unsigned long long)max);
    *inout_value = value;
    return 0;
}

int call_duration(struct call *call, const char *name, uint64_t *inout_ns)
{
    static const struct {
        const char *suffix;
        double ns;
    } units[] = {{"ns", 1},  {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"ms", 1e6},
                 {"s", 1e9}, {"m", 60e9}, {"h", 3600e9},      {"d", 86400e9}};
    struct str text = {"", 0};
    char *end;
    double number;

    if (call_text(call, name, &text) != 0)
        return -EINVAL;
    if (text.len == 0)
        return 0;
    number = strtod(text.at, &end); // parameters are terminated
    for (size_t i = 0; i < sizeof units / sizeof units[0] && end != text.at; i++) {
        if (strcmp(end, units[i].suffix) == 0 && number >= 0 && number * units[i].ns < 1e18) {
            *inout_ns = (uint64_t)(number * units[i].ns);
            return 0;
        }
    }
    return call_fail(call, -EINVAL, "parameter '%s' is not a duration such as 10ms, 1.5s or 1h",
                     name);
}
