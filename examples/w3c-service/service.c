// SPDX-License-Identifier: Apache-2.0
// An HTTP service that does what it is told: POST /test with [{"url": ..., "arguments": [...]},
// ...] posts each `arguments` to each `url`, one after the other, as the child of the request that
// came in. It is how a service reads a context and hands it on with the API alone, and what the
// W3C's trace-context suite talks to.
//
// Run as `w3c-service PORT` (0: any port, printed); SIGTERM and SIGINT end it.

#include <jansson.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <throughline/throughline.h>

#include "examples/w3c-service/call.h"

enum { BODY_BYTES_MAX = 1024 * 1024, CALLS_MAX = 64, CONNECTIONS_MAX = 64, TIMEOUT_S = 30 };

// What is kept of a request between the callbacks of the server.
struct request {
    char *body;
    size_t len;
    bool is_too_long;
};

// ---- The context that came in

// Looks for the line `index` of a name.
struct header_search {
    const char *key;
    size_t key_len;
    size_t index;
    const char *value;
    size_t value_len;
};

static enum MHD_Result header_visit(void *self, enum MHD_ValueKind kind, const char *key,
                                    size_t key_len, const char *value, size_t value_len)
{
    struct header_search *search = self;

    (void)kind;
    if (key_len != search->key_len || strncasecmp(key, search->key, key_len) != 0)
        return MHD_YES;
    if (search->index-- > 0)
        return MHD_YES;
    search->value = value ? value : "";
    search->value_len = value_len;
    return MHD_NO;
}

static bool header_get(void *connection, const char *key, size_t key_len, size_t index,
                       const char **out_value, size_t *out_len)
{
    struct header_search search = {key, key_len, index, NULL, 0};

    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, header_visit, &search);
    if (!search.value)
        return false;
    *out_value = search.value;
    *out_len = search.value_len;
    return true;
}

static const struct tl_getter header_getter = {header_get, NULL};

// ---- The work

// How many could not be made; -1 when the body is not what is expected.
static int calls_make(const struct request *request)
{
    json_t *list = json_loadb(request->body ? request->body : "", request->len, 0, NULL);
    int failed = 0;

    if (!json_is_array(list) || json_array_size(list) > CALLS_MAX) {
        json_decref(list);
        return -1;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *item = json_array_get(list, i);
        const char *url = json_string_value(json_object_get(item, "url"));
        json_t *arguments = json_object_get(item, "arguments");
        char *body = arguments ? json_dumps(arguments, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

        failed += !url || !body || !call_make(url, body);
        free(body);
    }
    json_decref(list);
    return failed;
}

static unsigned work(const struct request *request)
{
    const int failed = request->is_too_long ? -1 : calls_make(request);

    if (request->is_too_long)
        return MHD_HTTP_CONTENT_TOO_LARGE;
    if (failed < 0)
        return MHD_HTTP_BAD_REQUEST;
    return failed ? MHD_HTTP_BAD_GATEWAY : MHD_HTTP_OK;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(2, (void *)"{}", MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result = MHD_NO;

    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "application/json");
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

// The span around a request: its parent is what the headers say, and it is current, with the
// baggage that came in, while the calls are made.
static enum MHD_Result serve(struct MHD_Connection *connection, const char *path,
                             const char *method, const struct request *request)
{
    struct tl_context *incoming = tl_extract(NULL, NULL, &header_getter, connection);
    const struct tl_attribute attributes[] = {
        TL_STR("http.request.method", "POST"),
        TL_STR("url.path", "/test"),
        TL_STR("http.route", "/test"),
        TL_STR("url.scheme", "http"),
    };
    struct tl_span *span;
    struct tl_context *context;
    struct tl_context_token token;
    enum MHD_Result result;
    unsigned status;

    if (strcmp(path, "/test") != 0 || strcmp(method, "POST") != 0) {
        tl_context_unref(incoming);
        return answer(connection, MHD_HTTP_NOT_FOUND);
    }
    span = tl_span_start_with(NULL, &(struct tl_span_options){
                                        .name = "POST /test",
                                        .kind = TL_SERVER,
                                        .is_root = !incoming,
                                        .context = incoming,
                                        .attributes = attributes,
                                        .attribute_count = TL_COUNT(attributes),
                                    });
    context = tl_context_with_span(incoming, span);
    token = tl_context_attach(context);
    status = work(request);
    tl_context_detach(token);
    TL_SET(span, TL_INT("http.response.status_code", status));
    if (status >= 500)
        tl_span_status(span, TL_STATUS_ERROR, NULL);
    tl_span_end(span);
    result = answer(connection, status);
    tl_context_unref(context);
    tl_context_unref(incoming);
    return result;
}

// ---- The server

static void body_add(struct request *request, const char *data, size_t len)
{
    char *grown;

    if (request->is_too_long || request->len + len > BODY_BYTES_MAX) {
        request->is_too_long = true;
        return;
    }
    grown = realloc(request->body, request->len + len);
    if (!grown) {
        request->is_too_long = true;
        return;
    }
    memcpy(grown + request->len, data, len);
    request->body = grown;
    request->len += len;
}

static enum MHD_Result handle(void *self, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *data,
                              size_t *data_len, void **inout_request)
{
    struct request *request = *inout_request;

    (void)self;
    (void)version;
    if (!request) {
        *inout_request = calloc(1, sizeof *request);
        return *inout_request ? MHD_YES : MHD_NO;
    }
    if (*data_len) {
        body_add(request, data, *data_len);
        *data_len = 0;
        return MHD_YES;
    }
    return serve(connection, path, method, request);
}

static void finished(void *self, struct MHD_Connection *connection, void **inout_request,
                     enum MHD_RequestTerminationCode why)
{
    struct request *request = *inout_request;

    (void)self;
    (void)connection;
    (void)why;
    if (request)
        free(request->body);
    free(request);
}

int main(int argc, char **argv)
{
    const long port = argc == 2 ? strtol(argv[1], NULL, 10) : -1;
    const union MHD_DaemonInfo *info;
    struct MHD_Daemon *server;
    sigset_t ends;
    int number;

    if (port < 0 || port > 65535) {
        fprintf(stderr, "usage: w3c-service PORT\n");
        return 2;
    }
    // Before there are threads: all of them leave the two signals to sigwait.
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    if (!call_begin())
        return 1;
    server =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION,
                         (uint16_t)port, NULL, NULL, handle, NULL, MHD_OPTION_NOTIFY_COMPLETED,
                         finished, NULL, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_END);
    info = server ? MHD_get_daemon_info(server, MHD_DAEMON_INFO_BIND_PORT) : NULL;
    if (!info) {
        fprintf(stderr, "w3c-service: cannot listen on port %ld\n", port);
        return 1;
    }
    printf("listening on port %u\n", (unsigned)info->port);
    fflush(stdout);
    sigwait(&ends, &number);
    MHD_stop_daemon(server);
    call_end();
    return 0;
}
