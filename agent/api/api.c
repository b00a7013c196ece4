// SPDX-License-Identifier: Apache-2.0
// Routes and their parameters. Every handler runs on libmicrohttpd's one thread.

#include "agent/api/api.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "agent/api/answer.h"
#include "agent/api/http_guard.h"
#include "agent/api/stats.h"
#include "libtrace/base/clock.h"
#include "libtrace/base/hex.h"

enum { REQUEST_MS_MAX = 60 * 1000, LIMIT_MAX = 1000 };

struct api {
    struct api_plan plan;
    struct MHD_Daemon *daemon;
    struct http_guard *guard;
    struct store *store; // NULL until there is one
    pthread_t sweeper;
    pthread_mutex_t lock;
    pthread_cond_t stopping;
    bool is_stopping;
};

struct call {
    struct api *api;
    struct MHD_Connection *connection;
    struct str path;
    struct bytes *out;
    const char *type;
};

static struct str parameter(const struct call *call, const char *name)
{
    const char *value = MHD_lookup_connection_value(call->connection, MHD_GET_ARGUMENT_KIND, name);

    return str_of(value ? value : "");
}

static uint64_t number_parameter(const struct call *call, const char *name, uint64_t fallback)
{
    uint64_t value = fallback;

    str_to_u64(parameter(call, name), &value);
    return value;
}

// "10ms", "1.5s", "250us", "1h"; 0 when absent or wrong.
static uint64_t duration_ns(struct str text)
{
    static const struct {
        const char *suffix;
        double ns;
    } units[] = {{"ns", 1},   {"us", 1e3},   {"ms", 1e6},   {"s", 1e9},
                 {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9}};
    char *end;
    double number;

    if (text.len == 0 || text.len > 32)
        return 0;
    number = strtod(text.at, &end); // parameters are terminated
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(end, units[i].suffix) == 0 && number >= 0 && number * units[i].ns < 1e18)
            return (uint64_t)(number * units[i].ns);
    }
    return 0;
}

static uint64_t since_ns(const struct call *call, const char *fallback)
{
    const struct str text = parameter(call, "lookback");
    const uint64_t back_ns = duration_ns(text.len ? text : str_of(fallback));
    const uint64_t now_ns = clock_unix_ns();

    return back_ns && back_ns < now_ns ? now_ns - back_ns : 0;
}

static int error_json(struct bytes *out, int failed, const char *text)
{
    bytes_format(out, "{\"error\":\"%s\"}", text);
    return failed;
}

static int own_trace(struct call *call)
{
    const struct str id = str_from(call->path, strlen("/api/v1/traces/"));
    uint8_t trace_id[16];
    int failed;

    failed =
        store_trace_find(call->api->store, str_equal(id, STR("latest")) ? STR("") : id, trace_id);
    if (failed == -EEXIST)
        return error_json(call->out, failed, "more than one trace begins with these digits");
    if (!failed)
        failed = answer_trace(call->api->store, trace_id, call->out);
    return failed ? error_json(call->out, failed, "trace not found") : 0;
}

static int own_traces(struct call *call)
{
    const struct str from = parameter(call, "start_ns");
    const struct store_query query = {
        .service = parameter(call, "service"),
        .operation = parameter(call, "operation"),
        .start_ns = from.len ? number_parameter(call, "start_ns", 0) : since_ns(call, "24h"),
        .end_ns = number_parameter(call, "end_ns", 0),
        .min_duration_ns = duration_ns(parameter(call, "min_duration")),
        .max_duration_ns = duration_ns(parameter(call, "max_duration")),
        .only_errors = str_equal(parameter(call, "error"), STR("true")),
        .limit = (unsigned)(number_parameter(call, "limit", 50) % (LIMIT_MAX + 1)),
    };

    return answer_traces(call->api->store, &query, call->out);
}

static int own_services(struct call *call)
{
    return answer_services(call->api->store, since_ns(call, "1h"), clock_unix_ns(), call->out);
}

static int own_map(struct call *call)
{
    return answer_map(call->api->store, since_ns(call, "1h"), call->out);
}

static int jaeger_error(struct bytes *out, int failed)
{
    bytes_add_str(out, STR("{\"data\":null,\"total\":0,\"limit\":0,\"offset\":0,\"errors\":"
                           "[{\"code\":404,\"msg\":\"trace not found\"}]}"));
    return failed;
}

static int jaeger_one(struct call *call)
{
    const struct str text = str_from(call->path, strlen("/api/traces/"));
    char padded[33];
    uint8_t id[16];
    int failed = -ENOENT;

    // Jaeger drops leading zeros of an id.
    if (text.len && text.len <= 32) {
        memset(padded, '0', 32);
        memcpy(padded + 32 - text.len, text.at, text.len);
        if (hex_read((struct str){padded, 32}, id, 16))
            failed = jaeger_trace(call->api->store, id, call->out);
    }
    if (failed == -ENOENT) {
        call->out->len = 0;
        return jaeger_error(call->out, failed);
    }
    return failed;
}

static int jaeger_search(struct call *call)
{
    const struct str tags = parameter(call, "tags");
    const uint64_t start_us = number_parameter(call, "start", 0);
    const struct store_query query = {
        .service = parameter(call, "service"),
        .operation = parameter(call, "operation"),
        .start_ns = start_us ? start_us * 1000 : since_ns(call, "48h"),
        .end_ns = number_parameter(call, "end", 0) * 1000,
        .min_duration_ns = duration_ns(parameter(call, "minDuration")),
        .max_duration_ns = duration_ns(parameter(call, "maxDuration")),
        .only_errors = memmem(tags.at, tags.len, "\"error\"", 7) != NULL,
        .limit = (unsigned)(number_parameter(call, "limit", 20) % (LIMIT_MAX + 1)),
    };

    return jaeger_traces(call->api->store, &query, call->out);
}

static int jaeger_service_list(struct call *call)
{
    return jaeger_services(call->api->store, call->out);
}

static int jaeger_operation_list(struct call *call)
{
    return jaeger_operations(call->api->store, parameter(call, "service"), true, call->out);
}

// /api/services/{service}/operations
static int jaeger_operations_of(struct call *call)
{
    static const struct str tail = {"/operations", 11};
    const struct str rest = str_from(call->path, strlen("/api/services/"));

    if (rest.len <= tail.len || !str_equal(str_from(rest, rest.len - tail.len), tail))
        return error_json(call->out, -ENOENT, "no such path");
    return jaeger_operations(call->api->store, (struct str){rest.at, rest.len - tail.len}, false,
                             call->out);
}

static int jaeger_dependency_list(struct call *call)
{
    const uint64_t end_ms = number_parameter(call, "endTs", clock_unix_ns() / NS_PER_MS);
    const uint64_t back_ms = number_parameter(call, "lookback", 86400000);

    return jaeger_dependencies(call->api->store,
                               end_ms > back_ms ? (end_ms - back_ms) * NS_PER_MS : 0, call->out);
}

static int health(struct call *call)
{
    call->type = "text/plain";
    bytes_add_str(call->out, STR("ok\n"));
    return 0;
}

static int metrics(struct call *call)
{
    const struct api_plan *plan = &call->api->plan;

    call->type = "text/plain; version=0.0.4";
    for (size_t i = 0; i < plan->stats_count; i++) {
        const struct stats *stats = plan->stats[i];

        for (size_t row = 0; row < stats->count; row++) {
            bytes_format(call->out,
                         "# HELP throughline_%s_%s_total %s\n# TYPE throughline_%s_%s_total"
                         " counter\nthroughline_%s_%s_total %llu\n",
                         stats->room, stats->rows[row].name, stats->rows[row].help, stats->room,
                         stats->rows[row].name, stats->room, stats->rows[row].name,
                         (unsigned long long)stats_get(stats, row));
        }
    }
    return 0;
}

struct route {
    const char *path; // ending in '/': everything below it
    bool needs_store;
    int (*answer)(struct call *call);
};

static const struct route routes[] = {
    {"/health", false, health},
    {"/ready", true, health},
    {"/metrics", false, metrics},
    {"/api/v1/services", true, own_services},
    {"/api/v1/traces", true, own_traces},
    {"/api/v1/traces/", true, own_trace},
    {"/api/v1/map", true, own_map},
    {"/api/services", true, jaeger_service_list},
    {"/api/services/", true, jaeger_operations_of},
    {"/api/operations", true, jaeger_operation_list},
    {"/api/traces", true, jaeger_search},
    {"/api/traces/", true, jaeger_one},
    {"/api/dependencies", true, jaeger_dependency_list},
};

static const struct route *route_of(struct str path)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        const struct str route = str_of(routes[i].path);
        const bool is_tree = route.len > 1 && route.at[route.len - 1] == '/';

        if (str_equal(path, route) || (is_tree && str_starts(path, route)))
            return &routes[i];
    }
    return NULL;
}

static unsigned status_of(int failed)
{
    switch (failed) {
    case 0:
        return MHD_HTTP_OK;
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

static int decide(struct call *call, const char *method)
{
    const struct route *route = route_of(call->path);

    if (!http_guard_allows(call->api->guard, call->connection)) {
        stats_add(&api_stats, API_forbidden, 1);
        return error_json(call->out, -EPERM, "this Host or Origin is not allowed");
    }
    if (!route)
        return error_json(call->out, -ENOENT, "no such path");
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return error_json(call->out, -ENOTSUP, "only GET is served");
    if (route->needs_store && !call->api->store)
        store_open_readonly(call->api->plan.data_dir, &call->api->store, NULL);
    if (route->needs_store && !call->api->store)
        return error_json(call->out, -EAGAIN, "there is no store yet");
    return route->answer(call);
}

static enum MHD_Result handle(void *self, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **request_context)
{
    struct bytes out = {.limit = 512 << 20};
    struct call call = {self, connection, str_of(path), &out, "application/json"};
    struct MHD_Response *response;
    enum MHD_Result result;
    unsigned status;

    (void)version;
    (void)upload;
    (void)request_context;
    *upload_bytes = 0;
    stats_add(&api_stats, API_requests, 1);
    status = status_of(decide(&call, method));
    response = MHD_create_response_from_buffer(out.len, out.at, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        bytes_done(&out);
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", call.type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static void ended(void *self, struct MHD_Connection *connection, void **request_context,
                  enum MHD_RequestTerminationCode code)
{
    struct api *api = self;

    (void)request_context;
    (void)code;
    http_guard_request_ended(api->guard, connection);
}

static void *sweep(void *self)
{
    struct api *api = self;

    pthread_mutex_lock(&api->lock);
    while (!api->is_stopping) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        pthread_cond_timedwait(&api->stopping, &api->lock, &until);
        stats_add(&api_stats, API_slow, http_guard_sweep(api->guard));
    }
    pthread_mutex_unlock(&api->lock);
    return NULL;
}

static int api_open(struct api *api, struct why *why)
{
    struct http_guard_plan plan = {.allowed_hosts = api->plan.allowed_hosts,
                                   .request_ms = REQUEST_MS_MAX};
    struct sockaddr_storage address;
    const int failed = endpoint_parse(api->plan.endpoint, &address, &plan.is_loopback, why);
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD;

    if (failed)
        return why_prefix(why, failed, "api: endpoint");
    if (address.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    api->guard = http_guard_new(&plan);
    if (!api->guard)
        return why_fail(why, -ENOMEM, "out of memory");
    api->daemon = MHD_start_daemon(flags, 0, NULL, NULL, handle, api, MHD_OPTION_SOCK_ADDR,
                                   (struct sockaddr *)&address, MHD_OPTION_CONNECTION_LIMIT, 256u,
                                   MHD_OPTION_CONNECTION_TIMEOUT, 60u, MHD_OPTION_NOTIFY_COMPLETED,
                                   ended, api, MHD_OPTION_NOTIFY_CONNECTION, http_guard_connection,
                                   api->guard, MHD_OPTION_END);
    if (!api->daemon)
        return why_fail(why, -EADDRINUSE, "api: cannot listen on %.*s: %s",
                        STR_ARGS(api->plan.endpoint), strerrordesc_np(errno));
    pthread_mutex_init(&api->lock, NULL);
    pthread_cond_init(&api->stopping, NULL);
    if (pthread_create(&api->sweeper, NULL, sweep, api) != 0) {
        MHD_stop_daemon(api->daemon);
        return why_fail(why, -EAGAIN, "api: no thread to watch slow requests");
    }
    return 0;
}

int api_start(const struct api_plan *plan, struct api **out_api, struct why *why)
{
    struct api *api = calloc(1, sizeof *api);
    int failed;

    if (!api)
        return why_fail(why, -ENOMEM, "out of memory");
    api->plan = *plan;
    failed = api_open(api, why);
    if (failed) {
        http_guard_free(api->guard);
        free(api);
        return failed;
    }
    *out_api = api;
    return 0;
}

void api_stop(struct api *api)
{
    if (!api)
        return;
    pthread_mutex_lock(&api->lock);
    api->is_stopping = true;
    pthread_cond_signal(&api->stopping);
    pthread_mutex_unlock(&api->lock);
    pthread_join(api->sweeper, NULL);
    MHD_stop_daemon(api->daemon);
    http_guard_free(api->guard);
    store_close(api->store);
    free(api);
}
