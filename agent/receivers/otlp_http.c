// SPDX-License-Identifier: Apache-2.0
// OTLP over HTTP: POST /v1/traces, /v1/metrics, /v1/logs, protobuf or JSON, plain, gzip or zstd.
// libmicrohttpd's one thread reads requests; each becomes a batch and is handed in before 200.

#include "agent/receivers/otlp_http.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "agent/api/http_guard.h"
#include "agent/log.h"
#include "agent/memory.h"
#include "agent/stats.h"
#include "exporters/compress.h"
#include "libtrace/base/clock.h"
#include "libtrace/otlp/index.h"
#include "libtrace/otlp/json.h"
#include "libtrace/otlp/response.h"

enum { CONNECTION_MEMORY_BYTES = 64 * 1024, IDLE_S_MAX = 60 };
enum { BODY_FIRST_BYTES = 1 << 20, ROOM_MS_MAX = 100 };

// google.rpc.Code
enum {
    RPC_INVALID_ARGUMENT = 3,
    RPC_NOT_FOUND = 5,
    RPC_PERMISSION_DENIED = 7,
    RPC_RESOURCE_EXHAUSTED = 8,
    RPC_UNIMPLEMENTED = 12,
    RPC_UNAVAILABLE = 14
};

struct otlp_http_receiver {
    struct str endpoint;
    struct str allowed_hosts;
    uint64_t max_body_bytes;
    uint64_t max_held_bytes;
    uint64_t max_connections;
    uint64_t request_ms;
    // Not settings.
    struct MHD_Daemon *daemon;
    struct http_guard *guard;
    const struct outlet *outlet;
    // The server's thread alone.
    size_t held_bytes; // capacity of all bodies being read
    bool is_stalled[SIGNAL_COUNT];
    pthread_t sweeper;
    pthread_mutex_t lock;
    pthread_cond_t stopping;
    bool is_stopping;
};

static const struct setting settings[] = {
    SETTING_ENDPOINT(struct otlp_http_receiver, endpoint, "127.0.0.1:4318", "Where to listen."),
    SETTING_LIST(struct otlp_http_receiver, allowed_hosts, "",
                 "Host and Origin names allowed besides loopback's; bound elsewhere, a list here "
                 "closes the receiver to all other names."),
    SETTING_SIZE(struct otlp_http_receiver, "max_request_size", max_body_bytes, "64MiB",
                 "A larger body, also after decompression, is refused."),
    SETTING_SIZE(struct otlp_http_receiver, "max_memory", max_held_bytes, "256MiB",
                 "Bodies being read hold at most this much together; more is refused with 429."),
    SETTING_NUMBER(struct otlp_http_receiver, max_connections, "1024",
                   "More connections wait to be accepted."),
    SETTING_DURATION(struct otlp_http_receiver, "request_timeout", request_ms, "30s",
                     "A request that is not here whole by then ends with its connection."),
    SETTING_END,
};

struct request {
    enum signal signal;
    enum otlp_encoding encoding;
    enum compression compression;
    bool is_too_large;
    bool is_busy;     // all bodies together reached their limit
    bool is_finished; // no longer counted in held_bytes
    struct bytes body;
};

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned code,
                              enum otlp_encoding encoding, struct bytes *body, unsigned retry_s)
{
    // The response frees the body.
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->len, body->at, MHD_RESPMEM_MUST_FREE);
    char seconds[16];
    enum MHD_Result result;

    if (!response) {
        bytes_done(body);
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type",
                            encoding == OTLP_JSON ? "application/json" : "application/x-protobuf");
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "POST");
    if (retry_s && snprintf(seconds, sizeof seconds, "%u", retry_s) > 0)
        MHD_add_response_header(response, "Retry-After", seconds);
    result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned code,
                              enum otlp_encoding encoding, int rpc_code, const char *message)
{
    struct bytes body = {0};

    otlp_status_write(encoding, rpc_code, str_of(message), &body);
    return answer(connection, code, encoding, &body, code == 429 || code == 503 ? 1 : 0);
}

static bool media_is(const char *value, const char *type)
{
    struct str media = str_of(value);

    media.len = str_find(media, ';');
    return str_equal_nocase(str_trim(media), str_of(type));
}

static int read_head(struct MHD_Connection *connection, struct request *request,
                     const char **out_problem)
{
    const char *type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Type");
    const char *coding =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Encoding");

    if (type && media_is(type, "application/json"))
        request->encoding = OTLP_JSON;
    else if (!type || !media_is(type, "application/x-protobuf")) {
        *out_problem = "the Content-Type must be application/x-protobuf or application/json";
        return -EINVAL;
    }
    if (!coding || media_is(coding, "identity"))
        request->compression = COMPRESSION_NONE;
    else if (media_is(coding, "gzip"))
        request->compression = COMPRESSION_GZIP;
    else if (media_is(coding, "zstd"))
        request->compression = COMPRESSION_ZSTD;
    else {
        *out_problem = "the Content-Encoding must be gzip, zstd or identity";
        return -EINVAL;
    }
    return 0;
}

static bool signal_of_path(const char *path, enum signal *out_signal)
{
    for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
        if (strncmp(path, "/v1/", 4) == 0 &&
            strcmp(path + 4, signal_text((enum signal)signal)) == 0) {
            *out_signal = (enum signal)signal;
            return true;
        }
    }
    return false;
}

// Before a body: in the encoding that was announced, in JSON when none was.
static enum MHD_Result refuse_head(struct MHD_Connection *connection, enum agent_stat stat,
                                   unsigned code, int rpc_code, const char *message)
{
    const char *type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Type");
    const bool is_protobuf = type && media_is(type, "application/x-protobuf");

    stats_add(&agent_stats, stat, 1);
    return refuse(connection, code, is_protobuf ? OTLP_PROTOBUF : OTLP_JSON, rpc_code, message);
}

// Room for more bytes within what all bodies together may hold.
static void body_grow(struct otlp_http_receiver *self, struct request *request, size_t more)
{
    const size_t before = request->body.capacity;

    if (request->is_busy)
        return;
    if (before - request->body.len < more && self->held_bytes + more > self->max_held_bytes) {
        request->is_busy = true;
        self->held_bytes -= before;
        bytes_done(&request->body);
        return;
    }
    bytes_reserve(&request->body, more);
    self->held_bytes += request->body.capacity - before;
}

static enum MHD_Result begin(struct otlp_http_receiver *self, struct MHD_Connection *connection,
                             const char *path, const char *method, void **request_context)
{
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    const char *problem = "";
    struct request *request;
    uint64_t body_bytes = 0;
    enum signal signal;

    if (!http_guard_allows(self->guard, connection))
        return refuse_head(connection, AGENT_otlp_http_forbidden, MHD_HTTP_FORBIDDEN,
                           RPC_PERMISSION_DENIED, "this Host or Origin is not allowed");
    if (!signal_of_path(path, &signal))
        return refuse_head(connection, AGENT_otlp_http_unknown, MHD_HTTP_NOT_FOUND, RPC_NOT_FOUND,
                           "paths are /v1/traces, /v1/metrics and /v1/logs");
    if (strcmp(method, "POST") != 0)
        return refuse_head(connection, AGENT_otlp_http_unknown, MHD_HTTP_METHOD_NOT_ALLOWED,
                           RPC_UNIMPLEMENTED, "only POST is served");
    request = calloc(1, sizeof *request);
    if (!request)
        return MHD_NO;
    request->signal = signal;
    request->body.limit = self->max_body_bytes;
    *request_context = request;
    if (read_head(connection, request, &problem) != 0)
        return refuse_head(connection, AGENT_otlp_http_unknown, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                           RPC_INVALID_ARGUMENT, problem);
    if (length && str_to_u64(str_of(length), &body_bytes) && body_bytes > self->max_body_bytes) {
        stats_add(&agent_stats, AGENT_otlp_http_too_large, 1);
        return refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE, request->encoding,
                      RPC_RESOURCE_EXHAUSTED, "the body is too large");
    }
    // One allocation of the right size for the usual case; a claim beyond that must be backed by
    // bytes that came.
    if (body_bytes > BODY_FIRST_BYTES)
        body_bytes = BODY_FIRST_BYTES;
    body_grow(self, request, body_bytes ? body_bytes : 4096);
    return MHD_YES;
}

// Leaves the request's body as plain protobuf. -E2BIG or -EBADMSG.
static int make_plain(struct request *request, struct why *why)
{
    struct bytes plain = {.limit = request->body.limit};
    int failed = 0;

    if (request->compression != COMPRESSION_NONE) {
        failed = decompress_add(request->compression, bytes_str(&request->body), &plain, why);
        bytes_done(&request->body);
        request->body = plain;
    }
    if (!failed && request->encoding == OTLP_JSON) {
        struct bytes wire = {.limit = request->body.limit};

        failed = otlp_json_to_wire(request->signal, bytes_str(&request->body), &wire, why);
        bytes_done(&request->body);
        request->body = wire;
    }
    return failed;
}

static enum MHD_Result refuse_push(struct MHD_Connection *connection, enum otlp_encoding encoding,
                                   int failed)
{
    if (failed == -EOPNOTSUPP) {
        stats_add(&agent_stats, AGENT_otlp_http_unknown, 1);
        return refuse(connection, MHD_HTTP_NOT_FOUND, encoding, RPC_NOT_FOUND,
                      "no pipeline takes this signal");
    }
    stats_add(&agent_stats, AGENT_otlp_http_overloaded, 1);
    if (failed == -ESHUTDOWN)
        return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE, encoding, RPC_UNAVAILABLE,
                      "the agent is stopping");
    return refuse(connection, MHD_HTTP_TOO_MANY_REQUESTS, encoding, RPC_UNAVAILABLE,
                  "the queue is full");
}

// A queue that its exporter empties has room again in milliseconds: to wait for that costs less
// than to refuse and to receive the same again. A queue that gave none in time is not waited for
// until it takes something, so that a dead destination holds up the other requests but once.
static int hand_in(struct otlp_http_receiver *self, struct request *request, size_t records)
{
    const uint64_t now_ns = clock_mono_ns();
    bool *is_stalled = &self->is_stalled[request->signal];
    const uint64_t until_ns = *is_stalled ? now_ns : now_ns + ROOM_MS_MAX * NS_PER_MS;
    const size_t wire_bytes = request->body.len;
    struct batch *batch =
        batch_new(request->signal, request->body.at, wire_bytes, records, clock_unix_ns());
    uint32_t wait_ms = 0;

    request->body = (struct bytes){0};
    if (!batch)
        return -ENOMEM;
    *is_stalled =
        self->outlet->await_room(self->outlet->self, request->signal, wire_bytes, until_ns) != 0;
    return outlet_push(self->outlet, batch, &wait_ms);
}

static enum MHD_Result finish(struct otlp_http_receiver *self, struct MHD_Connection *connection,
                              struct request *request)
{
    struct bytes body = {0};
    struct why why = {""};
    size_t records = 0;
    size_t wire_bytes;
    int failed;

    self->held_bytes -= request->body.capacity;
    request->is_finished = true;
    if (request->is_busy) {
        stats_add(&agent_stats, AGENT_otlp_http_busy, 1);
        return refuse(connection, MHD_HTTP_TOO_MANY_REQUESTS, request->encoding, RPC_UNAVAILABLE,
                      "too many large requests at once");
    }
    failed = request->is_too_large ? -E2BIG : make_plain(request, &why);
    if (!failed)
        failed = otlp_check(request->signal, bytes_str(&request->body), &records, &why);
    if (failed == -E2BIG) {
        stats_add(&agent_stats, AGENT_otlp_http_too_large, 1);
        return refuse(connection, MHD_HTTP_CONTENT_TOO_LARGE, request->encoding,
                      RPC_RESOURCE_EXHAUSTED, "the body is too large");
    }
    if (failed) {
        stats_add(&agent_stats, AGENT_otlp_http_malformed, 1);
        return refuse(connection, MHD_HTTP_BAD_REQUEST, request->encoding, RPC_INVALID_ARGUMENT,
                      why.text);
    }
    wire_bytes = request->body.len;
    if (records)
        failed = hand_in(self, request, records);
    if (failed)
        return refuse_push(connection, request->encoding, failed);
    stats_add(&agent_stats, AGENT_otlp_http_requests, 1);
    stats_add(&agent_stats, AGENT_otlp_http_records, records);
    stats_add(&agent_stats, AGENT_otlp_http_bytes, wire_bytes);
    otlp_response_write(request->signal, request->encoding, 0, STR(""), &body);
    return answer(connection, MHD_HTTP_OK, request->encoding, &body, 0);
}

static enum MHD_Result handle(void *self_, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **request_context)
{
    struct otlp_http_receiver *self = self_;
    struct request *request = *request_context;

    (void)version;
    if (!request)
        return begin(self, connection, path, method, request_context);
    if (*upload_bytes == 0)
        return finish(self, connection, request);
    body_grow(self, request, *upload_bytes);
    if (!request->is_busy)
        bytes_add(&request->body, upload, *upload_bytes);
    request->is_too_large |= request->body.is_failed;
    *upload_bytes = 0;
    return MHD_YES;
}

static void ended(void *self_, struct MHD_Connection *connection, void **request_context,
                  enum MHD_RequestTerminationCode code)
{
    struct otlp_http_receiver *self = self_;
    struct request *request = *request_context;

    (void)code;
    http_guard_request_ended(self->guard, connection);
    if (!request)
        return;
    if (!request->is_finished)
        self->held_bytes -= request->body.capacity;
    bytes_done(&request->body);
    free(request);
    *request_context = NULL;
}

static void *sweep(void *self_)
{
    struct otlp_http_receiver *self = self_;
    struct memory_rest rest = {0};

    pthread_mutex_lock(&self->lock);
    while (!self->is_stopping) {
        struct timespec until;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        pthread_cond_timedwait(&self->stopping, &self->lock, &until);
        stats_add(&agent_stats, AGENT_otlp_http_slow, http_guard_sweep(self->guard));
        memory_rest(&rest, stats_get(&agent_stats, AGENT_otlp_http_requests));
    }
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static int otlp_http_open(void *self_, const struct outlet *outlet, struct why *why)
{
    struct otlp_http_receiver *self = self_;
    struct http_guard_plan plan = {.allowed_hosts = self->allowed_hosts,
                                   .is_host_required = self->allowed_hosts.len > 0,
                                   .request_ms = self->request_ms};
    struct sockaddr_storage address;
    const int failed = endpoint_parse(self->endpoint, &address, &plan.is_loopback, why);
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD;

    if (failed)
        return why_prefix(why, failed, "endpoint");
    if (address.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    self->outlet = outlet;
    self->guard = http_guard_new(&plan);
    if (!self->guard)
        return why_fail(why, -ENOMEM, "out of memory");
    self->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, handle, self, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY_BYTES,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)self->max_connections, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_S_MAX, MHD_OPTION_NOTIFY_COMPLETED, ended, self,
        MHD_OPTION_NOTIFY_CONNECTION, http_guard_connection, self->guard, MHD_OPTION_END);
    if (!self->daemon) {
        http_guard_free(self->guard);
        return why_fail(why, -EADDRINUSE, "cannot listen on %.*s: %s", STR_ARGS(self->endpoint),
                        strerrordesc_np(errno));
    }
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->stopping, NULL);
    if (pthread_create(&self->sweeper, NULL, sweep, self) != 0) {
        MHD_stop_daemon(self->daemon);
        http_guard_free(self->guard);
        return why_fail(why, -EAGAIN, "no thread to watch slow requests");
    }
    return 0;
}

static void otlp_http_close(void *self_)
{
    struct otlp_http_receiver *self = self_;

    pthread_mutex_lock(&self->lock);
    self->is_stopping = true;
    pthread_cond_signal(&self->stopping);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->sweeper, NULL);
    MHD_stop_daemon(self->daemon);
    http_guard_free(self->guard);
    pthread_cond_destroy(&self->stopping);
    pthread_mutex_destroy(&self->lock);
}

const struct receiver otlp_http_receiver = {
    .name = "otlp_http",
    .settings = settings,
    .size = sizeof(struct otlp_http_receiver),
    .open = otlp_http_open,
    .close = otlp_http_close,
};
