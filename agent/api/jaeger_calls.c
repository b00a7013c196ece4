// SPDX-License-Identifier: Apache-2.0
// The routes of Jaeger's query API. Where Jaeger insists on a parameter so do we; where it has a
// default we have the same.

#include <errno.h>

#include "agent/api/call.h"
#include "agent/api/jaeger.h"
#include "libtrace/base/clock.h"
#include "libtrace/base/hex.h"

enum { TRACE_IDS_MAX = 100 };

static int unreadable(struct call *call, int failed)
{
    return failed ? call_fail(call, failed, "the store cannot be read") : 0;
}

// Jaeger drops leading zeros of an id.
static bool trace_id_read(struct str text, uint8_t out_id[static 16])
{
    char padded[32];

    if (text.len == 0 || text.len > sizeof padded)
        return false;
    memset(padded, '0', sizeof padded);
    memcpy(padded + sizeof padded - text.len, text.at, text.len);
    return hex_read((struct str){padded, sizeof padded}, out_id, 16);
}

int jaeger_service_list(struct call *call)
{
    return unreadable(call, jaeger_services(call->store, call->out));
}

int jaeger_operation_list(struct call *call)
{
    struct str service = {"", 0};
    struct str kind = {"", 0};

    if (call_text(call, "service", &service) != 0 || call_text(call, "spanKind", &kind) != 0)
        return -EINVAL;
    if (service.len == 0)
        return call_fail(call, -EINVAL, "parameter 'service' is required");
    return unreadable(call, jaeger_operations(call->store, service, kind, call->out));
}

// /api/services/{service}/operations
int jaeger_operations_of(struct call *call)
{
    static const struct str tail = {"/operations", 11};
    const struct str rest = str_from(call->path, strlen("/api/services/"));

    if (rest.len <= tail.len || !str_equal(str_from(rest, rest.len - tail.len), tail))
        return call_fail(call, -ENOENT, "no such path");
    return unreadable(
        call,
        jaeger_operation_names(call->store, (struct str){rest.at, rest.len - tail.len}, call->out));
}

// Every traceID parameter, however many times it is given.
struct id_list {
    uint8_t ids[TRACE_IDS_MAX][16];
    size_t count;
    bool is_wrong;
};

static enum MHD_Result add_id(void *self, enum MHD_ValueKind kind, const char *key,
                              const char *value)
{
    struct id_list *list = self;

    (void)kind;
    if (strcmp(key, "traceID") != 0)
        return MHD_YES;
    if (list->count == TRACE_IDS_MAX ||
        !trace_id_read(str_of(value ? value : ""), list->ids[list->count])) {
        list->is_wrong = true;
        return MHD_NO;
    }
    list->count++;
    return MHD_YES;
}

static int search_read(struct call *call, struct store_query *out_query, struct str *out_tags)
{
    const uint64_t two_days_us = UINT64_C(48) * 3600 * 1000000;
    uint64_t start_us = clock_unix_ns() / 1000 - two_days_us;
    uint64_t end_us = 0;
    uint64_t limit = 20;

    if (call_text(call, "service", &out_query->service) != 0 ||
        call_text(call, "operation", &out_query->operation) != 0 ||
        call_number(call, "start", INT64_MAX / 1000, &start_us) != 0 ||
        call_number(call, "end", INT64_MAX / 1000, &end_us) != 0 ||
        call_duration(call, "minDuration", &out_query->min_duration_ns) != 0 ||
        call_duration(call, "maxDuration", &out_query->max_duration_ns) != 0 ||
        call_number(call, "limit", LIMIT_MAX, &limit) != 0 ||
        call_text(call, "tags", out_tags) != 0)
        return -EINVAL;
    if (out_query->service.len == 0)
        return call_fail(call, -EINVAL, "parameter 'service' is required");
    out_query->start_ns = start_us * 1000;
    out_query->end_ns = end_us * 1000;
    out_query->limit = (unsigned)limit;
    return 0;
}

int jaeger_search(struct call *call)
{
    struct id_list list = {.count = 0};
    struct store_query query = {0};
    struct str tags = {"", 0};
    int failed;

    MHD_get_connection_values(call->connection, MHD_GET_ARGUMENT_KIND, add_id, &list);
    if (list.is_wrong)
        return call_fail(call, -EINVAL, "parameter 'traceID' is not up to %d ids in hexadecimal",
                         TRACE_IDS_MAX);
    if (list.count)
        return unreadable(call, jaeger_traces_of(call->store, list.ids, list.count, call->out));
    if (search_read(call, &query, &tags) != 0)
        return -EINVAL;
    failed = jaeger_traces(call->store, &query, tags, call->out);
    if (failed == -EINVAL)
        return call_fail(call, failed, "parameter 'tags' is not a JSON object of strings");
    return unreadable(call, failed);
}

int jaeger_one(struct call *call)
{
    uint8_t id[16];
    int failed;

    if (!trace_id_read(str_from(call->path, strlen("/api/traces/")), id))
        return call_fail(call, -EINVAL, "the trace id is not 1 to 32 hexadecimal digits");
    failed = jaeger_trace(call->store, id, call->out);
    return failed == -ENOENT ? call_fail(call, failed, "trace not found")
                             : unreadable(call, failed);
}

int jaeger_dependency_list(struct call *call)
{
    uint64_t end_ms = clock_unix_ns() / NS_PER_MS;
    uint64_t back_ms = 86400000;

    if (call_number(call, "endTs", INT64_MAX / NS_PER_MS, &end_ms) != 0 ||
        call_number(call, "lookback", INT64_MAX / NS_PER_MS, &back_ms) != 0)
        return -EINVAL;
    return unreadable(call, jaeger_dependencies(
                                call->store, end_ms > back_ms ? (end_ms - back_ms) * NS_PER_MS : 0,
                                end_ms * NS_PER_MS, call->out));
}
