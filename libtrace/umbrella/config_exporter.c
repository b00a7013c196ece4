// SPDX-License-Identifier: Apache-2.0
// Exporters of a configuration file.

#include <errno.h>
#include <stdio.h>

#include "libtrace/umbrella/config_create.h"
#include "libtrace/umbrella/variable.h"

// A list of headers and, before it, headers one by one; a name of these is not taken twice.
static int headers_make(struct creation *creation, const struct tl_config_node *map,
                        const char *const **out_headers)
{
    const struct tl_config_node *own = tl_config_get(map, "headers");
    const char *list = create_text(map, "headers_list", NULL);
    const char **headers =
        arena_take(&creation->arena, (2 * VARIABLE_HEADERS_MAX + 1) * sizeof *headers);
    const char **listed =
        arena_take(&creation->arena, (2 * VARIABLE_HEADERS_MAX + 1) * sizeof *listed);
    size_t count = 0;

    if (!headers || !listed)
        return create_refuse(creation, map, "no memory");
    for (const struct tl_config_node *at = own ? own->first : NULL; at; at = at->next) {
        const char *value = create_text(at, "value", NULL);

        if (!value)
            continue;
        if (count == VARIABLE_HEADERS_MAX)
            return create_refuse(creation, at, "more than %d headers", VARIABLE_HEADERS_MAX);
        headers[2 * count] = create_text(at, "name", "");
        headers[2 * count++ + 1] = value;
    }
    if (list && !pairs_read(&creation->arena, str_of(list), listed, VARIABLE_HEADERS_MAX))
        return create_refuse(creation, tl_config_get(map, "headers_list"),
                             "not a list of NAME=VALUE");
    for (; *listed; listed += 2) {
        bool is_there = false;

        for (size_t i = 0; i < count && !is_there; i++)
            is_there = str_equal_nocase(str_of(headers[2 * i]), str_of(listed[0]));
        if (is_there)
            continue;
        if (count == VARIABLE_HEADERS_MAX)
            return create_refuse(creation, map, "more than %d headers", VARIABLE_HEADERS_MAX);
        headers[2 * count] = listed[0];
        headers[2 * count++ + 1] = listed[1];
    }
    *out_headers = count ? headers : NULL;
    return 0;
}

// The schema asks for absolute paths: a service's working directory is not the file's.
static int path_read(const struct creation *creation, const struct tl_config_node *tls,
                     const char *key, const char **out_path)
{
    *out_path = create_text(tls, key, NULL);
    if (*out_path && **out_path != '/')
        return create_refuse(creation, tl_config_get(tls, key),
                             "%s: '%.128s' is not an absolute path", key, *out_path);
    return 0;
}

static int tls_read(const struct creation *creation, const struct tl_config_node *map,
                    struct tl_otlp_options *options)
{
    const struct tl_config_node *tls = tl_config_get(map, "tls");
    int failed = path_read(creation, tls, "ca_file", &options->ca_file);

    if (!failed)
        failed = path_read(creation, tls, "key_file", &options->client_key_file);
    if (!failed)
        failed = path_read(creation, tls, "cert_file", &options->client_certificate_file);
    if (!failed && !options->client_key_file != !options->client_certificate_file)
        failed = create_refuse(creation, tls, "key_file and cert_file go together");
    options->is_insecure = create_bool(tls, "insecure", false);
    return failed;
}

static int otlp_make(struct creation *creation, const struct tl_config_node *map, bool is_grpc,
                     struct tl_exporter_v1 *out_exporter)
{
    const char *endpoint = create_text(map, "endpoint", NULL);
    const char *compression = create_text(map, "compression", "none");
    struct tl_otlp_options options = {
        .traces_endpoint = endpoint,
        .metrics_endpoint = endpoint,
        .logs_endpoint = endpoint,
        .is_json = strcmp(create_text(map, "encoding", "protobuf"), "json") == 0,
        .compression = compression,
        .timeout_ms = create_wait(map, "timeout", 10000),
        .max_request_bytes = create_number(map, "max_request_size", 64 << 20),
        .max_response_bytes = create_number(map, "max_response_size", 4 << 20),
    };
    char reason[256] = "";
    int failed = tls_read(creation, map, &options);

    if (failed)
        return failed;
    if (strcmp(compression, "none") != 0 && strcmp(compression, "gzip") != 0)
        return create_refuse(creation, tl_config_get(map, "compression"),
                             "compression: '%.64s' is neither gzip nor none", compression);
    if (options.max_request_bytes == 0)
        options.max_request_bytes = INT64_MAX;
    failed = headers_make(creation, map, &options.headers);
    if (failed)
        return failed;
    failed = is_grpc ? tl_exporter_otlp_grpc(&options, out_exporter, reason)
                     : tl_exporter_otlp_http(&options, out_exporter, reason);
    return failed ? create_refuse(creation, map, "%s: %s", map->key, reason) : 0;
}

static int file_make(struct creation *creation, const struct tl_config_node *map,
                     struct tl_exporter_v1 *out_exporter)
{
    static const char scheme[] = "file://";
    const char *stream = create_text(map, "output_stream", "stdout");
    const char *path = NULL;
    char reason[256] = "";

    if (strncmp(stream, scheme, sizeof scheme - 1) == 0)
        path = stream + sizeof scheme - 1;
    if (strcmp(stream, "stdout") != 0 && (!path || *path != '/'))
        return create_refuse(creation, tl_config_get(map, "output_stream"),
                             "output_stream: '%.128s' is neither stdout nor file:///PATH", stream);
    if (tl_exporter_otlp_file(path, out_exporter, reason) != 0)
        return create_refuse(creation, map, "%s: %s", map->key, reason);
    return 0;
}

int create_exporter(struct creation *creation, const struct tl_config_node *node,
                    enum tl_signal signal, struct tl_exporter_v1 *out_exporter)
{
    static const enum tl_component_type types[] = {
        TL_COMPONENT_SPAN_EXPORTER, TL_COMPONENT_METRIC_EXPORTER, TL_COMPONENT_LOG_EXPORTER};
    const struct tl_config_node *map = node->first;
    char reason[256] = "";

    if (strcmp(map->key, "otlp_http") == 0 || strcmp(map->key, "otlp_grpc") == 0)
        return otlp_make(creation, map, map->key[5] == 'g', out_exporter);
    if (strcmp(map->key, "otlp_file/development") == 0)
        return file_make(creation, map, out_exporter);
    if (strcmp(map->key, "console") != 0)
        return create_component(creation, types[signal], map, out_exporter);
    if (tl_exporter_console(1, out_exporter, reason) != 0)
        return create_refuse(creation, map, "console: %s", reason);
    return 0;
}
