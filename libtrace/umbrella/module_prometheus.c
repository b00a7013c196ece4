// SPDX-License-Identifier: Apache-2.0
// libthroughline-prometheus: serves /metrics by libmicrohttpd, on a thread of that library's. The
// format is the one that the client's Accept header likes better.

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <throughline/exporter.h>

#include "libtrace/base/decimal.h"
#include "libtrace/base/str.h"

// A scrape is small and quick: more than this is no scraper.
enum { CONNECTIONS_MAX = 32, IDLE_SECONDS = 30, CONNECTION_BYTES = 16 * 1024 };

struct server {
    struct MHD_Daemon *daemon;
    size_t (*text)(void *self, bool is_openmetrics, char **out_text);
    void *text_self;
};

// The quality that one range of an Accept header has for a type; below 0: it is another type.
static double quality_of(struct str range, struct str type)
{
    const struct str name = str_trim((struct str){range.at, str_find(range, ';')});
    double quality = 1;

    if (!str_equal_nocase(name, type))
        return -1;
    while (str_has(range, ';')) {
        struct str parameter;

        range = str_trim(str_from(range, str_find(range, ';') + 1));
        parameter = str_trim((struct str){range.at, str_find(range, ';')});
        // RFC 9110 12.4.2: a weight is "q=" and a number up to 1.
        if (str_starts(parameter, STR("q=")) && !decimal_read(str_from(parameter, 2), &quality))
            quality = 0;
    }
    return quality;
}

static bool wants_openmetrics(const char *accept)
{
    struct str left = str_of(accept ? accept : "");
    double openmetrics = 0;
    double plain = 0;

    while (left.len) {
        const size_t end = str_find(left, ',');
        const struct str range = str_trim((struct str){left.at, end});
        const double for_openmetrics = quality_of(range, STR("application/openmetrics-text"));
        const double for_plain = quality_of(range, STR("text/plain"));

        openmetrics = for_openmetrics > openmetrics ? for_openmetrics : openmetrics;
        plain = for_plain > plain ? for_plain : plain;
        left = str_from(left, end + 1);
    }
    return openmetrics > 0 && openmetrics >= plain;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, char *body,
                              size_t len, const char *type)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, body, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result = MHD_NO;

    if (!response) {
        free(body);
        return MHD_NO;
    }
    if (MHD_add_response_header(response, "Content-Type", type) == MHD_YES)
        result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *text)
{
    char *body = strdup(text);

    return body ? answer(connection, status, body, strlen(body), "text/plain; charset=utf-8")
                : MHD_NO;
}

static enum MHD_Result handle(void *self, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_len, void **request)
{
    struct server *server = self;
    bool is_openmetrics;
    char *text = NULL;
    size_t len;

    (void)version;
    (void)upload;
    (void)request;
    // A body has no meaning here; it is read past.
    if (*upload_len) {
        *upload_len = 0;
        return MHD_YES;
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only\n");
    if (strcmp(url, "/metrics") != 0)
        return refuse(connection, MHD_HTTP_NOT_FOUND, "metrics are at /metrics\n");
    is_openmetrics =
        wants_openmetrics(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept"));
    len = server->text(server->text_self, is_openmetrics, &text);
    if (!text)
        return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "nothing can be collected now\n");
    return answer(connection, MHD_HTTP_OK, text, len,
                  is_openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                 : "text/plain; version=0.0.4; charset=utf-8");
}

static struct MHD_Daemon *listen_on(const struct addrinfo *address, struct server *server)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD;
    struct MHD_Daemon *daemon;
    sigset_t every;
    sigset_t former;

    if (address->ai_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    // The program's signals are not for a thread of ours.
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &former);
    daemon = MHD_start_daemon(flags, 0, NULL, NULL, handle, server, MHD_OPTION_SOCK_ADDR,
                              address->ai_addr, MHD_OPTION_CONNECTION_LIMIT,
                              (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                              (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                              (size_t)CONNECTION_BYTES, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    return daemon;
}

static uint16_t port_of(struct MHD_Daemon *daemon)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);

    return info ? info->port : 0;
}

static int why_put(char out_why[256], int code, const char *host, uint16_t port, const char *what)
{
    if (snprintf(out_why, 256, "prometheus: %s:%u: %s", host, port, what) < 0)
        out_why[0] = '\0';
    return code;
}

static int serve(const char *host, uint16_t port,
                 size_t (*text)(void *self, bool is_openmetrics, char **out_text), void *text_self,
                 void **out_server, uint16_t *out_port, char out_why[256])
{
    const struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct server *server = calloc(1, sizeof *server);
    struct addrinfo *addresses = NULL;
    char service[8];
    int failed;

    if (!server || snprintf(service, sizeof service, "%u", port) < 0) {
        free(server);
        return why_put(out_why, -ENOMEM, host, port, "out of memory");
    }
    server->text = text;
    server->text_self = text_self;
    failed = getaddrinfo(host, service, &wanted, &addresses);
    if (failed) {
        free(server);
        return why_put(out_why, -EADDRNOTAVAIL, host, port, gai_strerror(failed));
    }
    for (const struct addrinfo *each = addresses; each && !server->daemon; each = each->ai_next)
        server->daemon = listen_on(each, server);
    freeaddrinfo(addresses);
    if (!server->daemon) {
        free(server);
        return why_put(out_why, -EADDRINUSE, host, port, "cannot listen there");
    }
    *out_server = server;
    *out_port = port_of(server->daemon);
    return 0;
}

static void stop(void *running)
{
    struct server *server = running;

    if (!server)
        return;
    MHD_stop_daemon(server->daemon);
    free(server);
}

const struct tl_module_v1 *tl_module_prometheus(void)
{
    static const struct tl_module_v1 module = {
        .size = sizeof module,
        .name = "prometheus",
        .serve = serve,
        .stop = stop,
    };

    return &module;
}
