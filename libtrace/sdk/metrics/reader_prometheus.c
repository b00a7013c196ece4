// SPDX-License-Identifier: Apache-2.0
// The pull reader that is served over HTTP by a module, and its text for those who serve it
// themselves. Always cumulative; deltas of other sources, and of pull readers that were told to
// give deltas, are summed up here.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "libtrace/sdk/export/module.h"
#include "libtrace/sdk/metrics/prometheus.h"
#include "libtrace/sdk/metrics/reader.h"

enum { PROMETHEUS_PORT = 9464, COLLECT_MS = 10000 };

struct server {
    struct tl_metric_reader *reader;
    struct tl_prometheus_options options;
    const struct tl_module_v1 *module;
    void *running;
};

// Sums of deltas belong to the reader, whoever asks for its text.
static int text_make(struct tl_metric_reader *reader, const struct tl_prometheus_options *options,
                     bool is_openmetrics, struct bytes *out)
{
    uint8_t *request = NULL;
    size_t len = 0;
    int result = tl_reader_collect(reader, COLLECT_MS, &request, &len);

    if (result != 0 && result != -EIO)
        return result;
    result = turn_take(&reader->turn, UINT64_MAX);
    if (result == 0) {
        if (!reader->sums)
            reader->sums = point_sums_new();
        result = reader->sums ? prometheus_write(out, options, is_openmetrics, reader->sums,
                                                 (struct str){(const char *)request, len})
                              : -ENOMEM;
        turn_end(&reader->turn);
    }
    free(request);
    return result;
}

int tl_reader_prometheus_text(struct tl_metric_reader *reader,
                              const struct tl_prometheus_options *options, bool is_openmetrics,
                              char **out_text, size_t *out_len)
{
    static const struct tl_prometheus_options none;
    const int saved = errno;
    struct bytes text = {0};
    int result;

    if (!reader || !out_text || !out_len)
        return -EINVAL;
    result = text_make(reader, options ? options : &none, is_openmetrics, &text);
    bytes_add_byte(&text, '\0');
    if (result == 0 && text.is_failed)
        result = -ENOMEM;
    if (result == 0) {
        *out_text = (char *)text.at;
        *out_len = text.len - 1;
    } else {
        bytes_done(&text);
    }
    errno = saved;
    return result;
}

static size_t served_text(void *self, bool is_openmetrics, char **out_text)
{
    struct server *server = self;
    size_t len = 0;

    *out_text = NULL;
    if (tl_reader_prometheus_text(server->reader, &server->options, is_openmetrics, out_text,
                                  &len) != 0)
        return 0;
    return len;
}

static int server_shutdown(void *self, uint64_t timeout_ms)
{
    struct server *server = self;

    (void)timeout_ms;
    if (server->running)
        server->module->stop(server->running);
    server->running = NULL;
    return 0;
}

static void server_free(void *self)
{
    struct server *server = self;

    server_shutdown(server, 0);
    free((char *)(uintptr_t)server->options.host);
    free(server);
}

static const struct reader_functions functions = {NULL, NULL, server_shutdown, server_free, NULL};

static const struct tl_module_v1 *module_wanted(char out_why[256])
{
    struct why why = {""};
    const struct tl_module_v1 *module = module_find("prometheus", &why);

    if (module && module->serve && module->stop)
        return module;
    if (snprintf(out_why, 256, "%.255s", why.text) < 0)
        out_why[0] = '\0';
    return NULL;
}

static struct server *server_new(const struct tl_prometheus_options *options, char out_why[256])
{
    const struct tl_module_v1 *module = module_wanted(out_why);
    struct server *server = module ? calloc(1, sizeof *server) : NULL;

    if (!server)
        return NULL;
    server->module = module;
    server->options = *options;
    server->options.host = strdup(options->host ? options->host : "localhost");
    server->reader = reader_new("prometheus_http_text_metric_exporter", NULL, &functions, server);
    if (server->options.host && server->reader)
        return server;
    if (server->reader) {
        reader_free(server->reader); // with the server
        return NULL;
    }
    server_free(server);
    return NULL;
}

struct tl_metric_reader *tl_reader_prometheus(const struct tl_prometheus_options *options,
                                              uint16_t *out_port, char out_why[256])
{
    static const struct tl_prometheus_options none;
    const int saved = errno;
    char why[256] = "out of memory";
    struct server *server;
    uint16_t port;
    uint16_t bound = 0;

    options = options ? options : &none;
    port = options->any_port ? 0 : options->port ? options->port : PROMETHEUS_PORT;
    server = server_new(options, why);
    if (server && server->module->serve(server->options.host, port, served_text, server,
                                        &server->running, &bound, why) != 0) {
        reader_free(server->reader);
        server = NULL;
    }
    if (!server && out_why && snprintf(out_why, 256, "%s", why) < 0)
        out_why[0] = '\0';
    if (server && out_port)
        *out_port = bound;
    errno = saved;
    return server ? server->reader : NULL;
}
