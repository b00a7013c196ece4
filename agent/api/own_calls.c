// SPDX-License-Identifier: Apache-2.0
// The routes under /api/v1: what the page and the command line ask.

#include <errno.h>

#include "agent/api/answer.h"
#include "agent/api/call.h"
#include "agent/api/figures.h"
#include "libtrace/base/clock.h"

// The beginning of the time looked at: now less `lookback`.
static int since_read(struct call *call, uint64_t fallback_ns, uint64_t *out_since_ns)
{
    const uint64_t now_ns = clock_unix_ns();
    uint64_t back_ns = fallback_ns;

    if (call_duration(call, "lookback", &back_ns) != 0)
        return -EINVAL;
    *out_since_ns = back_ns && back_ns < now_ns ? now_ns - back_ns : 0;
    return 0;
}

static int unreadable(struct call *call, int failed)
{
    return failed ? call_fail(call, failed, "the store cannot be read") : 0;
}

int own_services(struct call *call)
{
    uint64_t from_ns;

    if (since_read(call, 3600 * NS_PER_SECOND, &from_ns) != 0)
        return -EINVAL;
    return unreadable(call, figures_services(call->store, from_ns, clock_unix_ns(), call->out));
}

int own_operations(struct call *call)
{
    struct str service = {"", 0};
    uint64_t from_ns;

    if (since_read(call, 3600 * NS_PER_SECOND, &from_ns) != 0 ||
        call_text(call, "service", &service) != 0)
        return -EINVAL;
    if (service.len == 0)
        return call_fail(call, -EINVAL, "parameter 'service' is required");
    return unreadable(
        call, figures_operations(call->store, service, from_ns, clock_unix_ns(), call->out));
}

int own_map(struct call *call)
{
    uint64_t from_ns;

    if (since_read(call, 3600 * NS_PER_SECOND, &from_ns) != 0)
        return -EINVAL;
    return unreadable(call, figures_map(call->store, from_ns, call->out));
}

int own_traces(struct call *call)
{
    struct store_query query = {0};
    struct str only_errors = {"", 0};
    uint64_t limit = 50;

    if (since_read(call, 24 * 3600 * NS_PER_SECOND, &query.start_ns) != 0 ||
        call_text(call, "service", &query.service) != 0 ||
        call_text(call, "operation", &query.operation) != 0 ||
        call_number(call, "start_ns", INT64_MAX, &query.start_ns) != 0 ||
        call_number(call, "end_ns", INT64_MAX, &query.end_ns) != 0 ||
        call_duration(call, "min_duration", &query.min_duration_ns) != 0 ||
        call_duration(call, "max_duration", &query.max_duration_ns) != 0 ||
        call_text(call, "error", &only_errors) != 0 ||
        call_number(call, "limit", LIMIT_MAX, &limit) != 0)
        return -EINVAL;
    query.only_errors = str_equal(only_errors, STR("true"));
    query.limit = (unsigned)limit;
    return unreadable(call, answer_traces(call->store, &query, call->out));
}

int own_trace(struct call *call)
{
    const struct str id = str_from(call->path, strlen("/api/v1/traces/"));
    const struct str prefix = str_equal(id, STR("latest")) ? STR("") : id;
    uint8_t trace_id[16];
    int failed = id.len ? store_trace_find(call->store, prefix, trace_id) : -ENOENT;

    if (!failed)
        failed = answer_trace(call->store, trace_id, call->out);
    if (failed == -EEXIST)
        return call_fail(call, failed, "more than one trace begins with these digits");
    if (failed == -ENOENT)
        return call_fail(call, failed, "trace not found");
    return unreadable(call, failed);
}
