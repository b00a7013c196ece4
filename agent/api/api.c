// SPDX-License-Identifier: Apache-2.0
// The server and its routes. A few threads of libmicrohttpd answer, so that a long question does
// not keep /health waiting; each takes a connection to the store for the time of one request.

#include "agent/api/api.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "agent/api/call.h"
#include "agent/api/http_guard.h"
#include "agent/api/live.h"
#include "agent/api/page.h"
#include "agent/api/stats.h"
#include "agent/store/store.h"

enum { REQUEST_MS_MAX = 60 * 1000, ANSWER_MS_MAX = 10 * 1000, THREADS = 4 };

// A connection to the store, opened when it is first needed and there is one.
struct reader {
    struct store *store;
    bool is_taken;
};

struct api {
    struct api_plan plan;
    struct MHD_Daemon *daemon;
    struct http_guard *guard;
    struct live *live;
    pthread_t sweeper;
    pthread_mutex_t lock;
    struct reader readers[THREADS]; // one for each thread: there is always a free one
    pthread_cond_t stopping;
    bool is_stopping;
};

static int health(struct call *call)
{
    call->type = "text/plain";
    bytes_add_str(call->out, STR("ok\n"));
    return 0;
}

static int metrics(struct call *call)
{
    const struct api_plan *plan = call->plan;

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
    {"/api/v1/operations", true, own_operations},
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

static struct reader *reader_take(struct api *api)
{
    struct reader *reader = api->readers;

    pthread_mutex_lock(&api->lock);
    while (reader->is_taken)
        reader++;
    reader->is_taken = true;
    pthread_mutex_unlock(&api->lock);
    if (!reader->store)
        store_open_readonly(api->plan.data_dir, &reader->store, NULL);
    return reader;
}

static void reader_give_back(struct api *api, struct reader *reader)
{
    pthread_mutex_lock(&api->lock);
    reader->is_taken = false;
    pthread_mutex_unlock(&api->lock);
}

static int ask_store(struct api *api, struct call *call, const struct route *route)
{
    struct reader *reader = reader_take(api);
    int failed = -EAGAIN;

    call->store = reader->store;
    if (!call->store) {
        call_fail(call, failed, "there is no store yet");
    } else {
        store_deadline(call->store, ANSWER_MS_MAX);
        failed = route->answer(call);
        if (store_is_late(call->store)) {
            stats_add(&api_stats, API_late, 1);
            failed = call_fail(call, -EAGAIN, "not answered within %d s: ask for a shorter time",
                               ANSWER_MS_MAX / 1000);
        }
    }
    reader_give_back(api, reader);
    return failed;
}

static int decide(struct api *api, struct call *call)
{
    const struct route *route = route_of(call->path);

    call->is_jaeger =
        str_starts(call->path, STR("/api/")) && !str_starts(call->path, STR("/api/v1/"));
    if (!route)
        return call_fail(call, -ENOENT, "no such path");
    return route->needs_store ? ask_store(api, call, route) : route->answer(call);
}

static enum MHD_Result answer(struct call *call, int failed)
{
    const unsigned status = call_status(failed);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(call->out->len, call->out->at, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result;

    if (!response) {
        bytes_done(call->out);
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", call->type);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    result = MHD_queue_response(call->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result handle(void *self, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **request_context)
{
    struct api *api = self;
    struct bytes out = {.limit = 512 << 20};
    struct call call = {.plan = &api->plan,
                        .connection = connection,
                        .path = str_of(path),
                        .out = &out,
                        .type = "application/json"};
    const struct page_file *file;

    (void)version;
    (void)upload;
    (void)request_context;
    *upload_bytes = 0;
    stats_add(&api_stats, API_requests, 1);
    if (!http_guard_allows(api->guard, connection)) {
        stats_add(&api_stats, API_forbidden, 1);
        return answer(&call, call_fail(&call, -EPERM, "this Host or Origin is not allowed"));
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return answer(&call, call_fail(&call, -ENOTSUP, "only GET is served"));
    file = page_find(call.path);
    if (file)
        return page_answer(file, connection);
    if (str_equal(call.path, STR("/api/v1/live")) && strcmp(method, "GET") == 0) {
        http_guard_stream(api->guard, connection);
        return live_answer(api->live, connection);
    }
    return answer(&call, decide(api, &call));
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
                                   .request_ms = REQUEST_MS_MAX,
                                   .is_host_required = true};
    struct sockaddr_storage address;
    const int failed = endpoint_parse(api->plan.endpoint, &address, &plan.is_loopback, why);
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;

    if (failed)
        return why_prefix(why, failed, "api: endpoint");
    if (address.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    api->guard = http_guard_new(&plan);
    if (!api->guard)
        return why_fail(why, -ENOMEM, "out of memory");
    pthread_mutex_init(&api->lock, NULL);
    pthread_cond_init(&api->stopping, NULL);
    api->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, handle, api, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_CONNECTION_LIMIT, 256u, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)THREADS,
        MHD_OPTION_CONNECTION_TIMEOUT, 60u, MHD_OPTION_NOTIFY_COMPLETED, ended, api,
        MHD_OPTION_NOTIFY_CONNECTION, http_guard_connection, api->guard, MHD_OPTION_END);
    if (!api->daemon)
        return why_fail(why, -EADDRINUSE, "api: cannot listen on %.*s: %s",
                        STR_ARGS(api->plan.endpoint), strerrordesc_np(errno));
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
    failed = live_start(plan->data_dir, &api->live, why);
    if (!failed)
        failed = api_open(api, why);
    if (failed) {
        live_stop(api->live);
        live_free(api->live);
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
    live_stop(api->live);
    MHD_stop_daemon(api->daemon);
    live_free(api->live);
    http_guard_free(api->guard);
    for (size_t i = 0; i < THREADS; i++)
        store_close(api->readers[i].store);
    free(api);
}
