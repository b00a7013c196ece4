// SPDX-License-Identifier: Apache-2.0
// YAML by libfyaml, which knows where each value stands; settings by each component's own table.

#include "agent/config/config.h"

#include <errno.h>
#include <libfyaml.h>
#include <stdlib.h>

#include "agent/config/node.h"
#include "libtrace/base/bytes.h"

struct api_settings {
    struct str endpoint;
    struct str allowed_hosts;
};

static const struct setting api_settings[] = {
    SETTING_ENDPOINT(struct api_settings, endpoint, "127.0.0.1:4320",
                     "Where the page and the API listen."),
    SETTING_LIST(struct api_settings, allowed_hosts, "",
                 "Host and Origin names allowed besides loopback's."),
    SETTING_END,
};

static struct str type_of(struct str name)
{
    return (struct str){name.at, str_find(name, '/')};
}

enum kind { KIND_RECEIVER, KIND_PROCESSOR, KIND_EXPORTER };

static const char *const kind_texts[] = {"receivers", "processors", "exporters"};

// Fills the functions and the table of a component by its type; false: no such type.
static bool component_type(enum kind kind, struct str type, struct config_component *out,
                           size_t *out_size)
{
    switch (kind) {
    case KIND_RECEIVER:
        out->receiver = receiver_find(str_equal(type, STR("otlp")) ? STR("otlp_http") : type);
        if (out->receiver) {
            out->settings = out->receiver->settings;
            *out_size = out->receiver->size;
        }
        return out->receiver != NULL;
    case KIND_EXPORTER:
        out->exporter = exporter_find(type);
        if (out->exporter) {
            out->settings = out->exporter->settings;
            *out_size = out->exporter->size;
        }
        return out->exporter != NULL;
    case KIND_PROCESSOR:
        out->settings = batch_setting_table;
        *out_size = sizeof(struct batch_settings);
        return str_equal(type, STR("batch"));
    }
    return false;
}

// The collector's shape of its OTLP receiver: protocols.http holds our settings; protocols.grpc is
// known and noted.
static int otlp_settings_find(struct reading *reading, struct fy_node *otlp,
                              struct fy_node **out_settings)
{
    static const char *const otlp_keys[] = {"protocols", NULL};
    static const char *const protocol_keys[] = {"http", "grpc", NULL};
    struct fy_node *protocols;

    *out_settings = NULL;
    if (node_is_empty(otlp))
        return 0;
    if (fy_node_is_mapping(otlp) &&
        node_keys(reading, otlp, otlp_keys, "protocols, the one setting of receivers.otlp"))
        return -EINVAL;
    protocols = fy_node_mapping_lookup_by_string(otlp, "protocols", -1);
    if (node_is_empty(protocols))
        return 0;
    if (!fy_node_is_mapping(protocols)) {
        why_fail(reading->why, -EINVAL, "receivers.otlp.protocols: a map was expected");
        return node_fail(reading, protocols);
    }
    *out_settings = fy_node_mapping_lookup_by_string(protocols, "http", -1);
    reading->config->wants_grpc |=
        fy_node_mapping_lookup_pair_by_string(protocols, "grpc", -1) != NULL;
    return node_keys(reading, protocols, protocol_keys, "http or grpc");
}

static int components_read(struct reading *reading, struct fy_node *map, enum kind kind,
                           struct config_component *list, size_t *inout_count)
{
    struct fy_node_pair *pair;
    void *walk = NULL;

    if (node_is_empty(map))
        return 0;
    if (!fy_node_is_mapping(map)) {
        why_fail(reading->why, -EINVAL, "%s: a map was expected", kind_texts[kind]);
        return node_fail(reading, map);
    }
    while ((pair = fy_node_mapping_iterate(map, &walk)) != NULL) {
        struct fy_node *key = fy_node_pair_key(pair);
        struct fy_node *value = fy_node_pair_value(pair);
        struct config_component *component = &list[*inout_count];
        size_t size = 0;
        char where[256];
        int failed = 0;

        if (*inout_count == CONFIG_COMPONENTS_MAX) {
            why_fail(reading->why, -EINVAL, "more than %d %s", CONFIG_COMPONENTS_MAX,
                     kind_texts[kind]);
            return node_fail(reading, key);
        }
        component->name = arena_copy(&reading->config->arena, node_scalar(key));
        if (!component_type(kind, type_of(component->name), component, &size)) {
            why_fail(reading->why, -EINVAL, "%s: '%.*s' is not a known type", kind_texts[kind],
                     STR_ARGS(type_of(component->name)));
            return node_fail(reading, key);
        }
        if (kind == KIND_RECEIVER && str_equal(type_of(component->name), STR("otlp")))
            failed = otlp_settings_find(reading, value, &value);
        if (failed)
            return failed;
        component->self = arena_take(&reading->config->arena, size);
        if (!component->self || snprintf(where, sizeof where, "%s.%.*s", kind_texts[kind],
                                         STR_ARGS(component->name)) < 0)
            return why_fail(reading->why, -ENOMEM, "out of memory");
        if (node_settings(reading, value, component->settings, component->self, where) != 0)
            return -EINVAL;
        (*inout_count)++;
    }
    return 0;
}

static int references_read(struct reading *reading, struct fy_node *list, enum kind kind,
                           struct config_component *components, size_t count,
                           struct config_list *out)
{
    struct fy_node *item;
    void *walk = NULL;

    if (node_is_empty(list))
        return 0;
    if (!fy_node_is_sequence(list)) {
        why_fail(reading->why, -EINVAL, "%s: a list was expected", kind_texts[kind]);
        return node_fail(reading, list);
    }
    while ((item = fy_node_sequence_iterate(list, &walk)) != NULL) {
        size_t i = 0;

        while (i < count && !str_equal(components[i].name, node_scalar(item)))
            i++;
        if (i == count) {
            why_fail(reading->why, -EINVAL, "'%.*s' is not defined under %s",
                     STR_ARGS(node_scalar(item)), kind_texts[kind]);
            return node_fail(reading, item);
        }
        components[i].is_used = true;
        if (out->count < CONFIG_COMPONENTS_MAX)
            out->at[out->count++] = i;
    }
    return 0;
}

static int pipeline_read(struct reading *reading, struct fy_node *key, struct fy_node *map)
{
    struct config *config = reading->config;
    struct config_pipeline *pipeline = &config->pipelines[config->pipeline_count];
    int signal = 0;

    if (config->pipeline_count == CONFIG_PIPELINES_MAX) {
        why_fail(reading->why, -EINVAL, "more than %d pipelines", CONFIG_PIPELINES_MAX);
        return node_fail(reading, key);
    }
    pipeline->name = arena_copy(&config->arena, node_scalar(key));
    while (signal < SIGNAL_COUNT &&
           !str_equal(type_of(pipeline->name), str_of(signal_text((enum signal)signal))))
        signal++;
    if (signal == SIGNAL_COUNT || !fy_node_is_mapping(map)) {
        why_fail(reading->why, -EINVAL,
                 "service.pipelines: '%.*s' is not traces, metrics or logs with its lists",
                 STR_ARGS(pipeline->name));
        return node_fail(reading, key);
    }
    pipeline->signal = (enum signal)signal;
    config->pipeline_count++;
    if (references_read(reading, fy_node_mapping_lookup_by_string(map, "receivers", -1),
                        KIND_RECEIVER, config->receivers, config->receiver_count,
                        &pipeline->receivers) ||
        references_read(reading, fy_node_mapping_lookup_by_string(map, "processors", -1),
                        KIND_PROCESSOR, config->processors, config->processor_count,
                        &pipeline->processors) ||
        references_read(reading, fy_node_mapping_lookup_by_string(map, "exporters", -1),
                        KIND_EXPORTER, config->exporters, config->exporter_count,
                        &pipeline->exporters))
        return -EINVAL;
    if (pipeline->receivers.count == 0 || pipeline->exporters.count == 0) {
        why_fail(reading->why, -EINVAL,
                 "service.pipelines.%.*s: at least one receiver and one exporter are needed",
                 STR_ARGS(pipeline->name));
        return node_fail(reading, key);
    }
    return 0;
}

static const char *const service_keys[] = {"pipelines", "telemetry", "extensions", NULL};

static int service_read(struct reading *reading, struct fy_node *key, struct fy_node *service)
{
    struct fy_node *pipelines = node_is_empty(service) || !fy_node_is_mapping(service)
                                    ? NULL
                                    : fy_node_mapping_lookup_by_string(service, "pipelines", -1);
    struct fy_node_pair *pair;
    void *walk = NULL;

    if (pipelines &&
        node_keys(reading, service, service_keys, "pipelines, telemetry or extensions"))
        return -EINVAL;
    if (!pipelines || !fy_node_is_mapping(pipelines)) {
        why_fail(reading->why, -EINVAL, "service.pipelines: a map of pipelines was expected");
        return node_fail(reading, key);
    }
    while ((pair = fy_node_mapping_iterate(pipelines, &walk)) != NULL) {
        if (pipeline_read(reading, fy_node_pair_key(pair), fy_node_pair_value(pair)) != 0)
            return -EINVAL;
    }
    return 0;
}

static int api_read(struct reading *reading, struct fy_node *map)
{
    struct api_settings api = {0};
    const int failed = node_settings(reading, map, api_settings, &api, "api");

    reading->config->api_endpoint = api.endpoint;
    reading->config->api_allowed_hosts = api.allowed_hosts;
    return failed;
}

static struct fy_node *key_node(struct fy_node *root, const char *name)
{
    struct fy_node_pair *pair = fy_node_mapping_lookup_pair_by_string(root, name, -1);

    return pair ? fy_node_pair_key(pair) : NULL;
}

static const char *const root_keys[] = {"receivers", "processors", "exporters", "service",
                                        "api",       "extensions", NULL};

static int root_read(struct reading *reading, struct fy_node *root)
{
    struct config *config = reading->config;

    if (!root || !fy_node_is_mapping(root)) {
        why_fail(reading->why, -EINVAL, "a map with receivers, exporters and service was expected");
        return node_fail(reading, root);
    }
    if (node_keys(reading, root, root_keys, "receivers, processors, exporters, service or api") ||
        components_read(reading, fy_node_mapping_lookup_by_string(root, "receivers", -1),
                        KIND_RECEIVER, config->receivers, &config->receiver_count) ||
        components_read(reading, fy_node_mapping_lookup_by_string(root, "processors", -1),
                        KIND_PROCESSOR, config->processors, &config->processor_count) ||
        components_read(reading, fy_node_mapping_lookup_by_string(root, "exporters", -1),
                        KIND_EXPORTER, config->exporters, &config->exporter_count) ||
        api_read(reading, fy_node_mapping_lookup_by_string(root, "api", -1)))
        return -EINVAL;
    return service_read(reading, key_node(root, "service"),
                        fy_node_mapping_lookup_by_string(root, "service", -1));
}

static void data_dir_apply(struct config *config, struct str data_dir)
{
    config->data_dir = data_dir;
    for (size_t i = 0; i < config->exporter_count; i++) {
        const struct setting *row = setting_find(config->exporters[i].settings, STR("directory"));
        struct str *field;

        if (!row)
            continue;
        field = (struct str *)((char *)config->exporters[i].self + row->offset);
        if (data_dir.len)
            *field = data_dir;
        config->data_dir = *field;
    }
}

// Everything this build has, stored locally. eBPF sees requests only, so traces alone.
static void default_write(struct bytes *out)
{
    const bool has_ring = receiver_find(STR("ring")) != NULL;
    const bool has_ebpf = receiver_find(STR("ebpf")) != NULL;

    bytes_format(out, "receivers: {otlp_http: {}%s%s}\n", has_ring ? ", ring: {}" : "",
                 has_ebpf ? ", ebpf: {}" : "");
    bytes_format(out, "processors: {batch: {}}\nexporters: {store: {}}\nservice:\n  pipelines:\n");
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        bytes_format(out,
                     "    %s: {receivers: [otlp_http%s%s], processors: [batch], exporters: "
                     "[store]}\n",
                     signal_text((enum signal)signal), has_ring ? ", ring" : "",
                     has_ebpf && signal == SIGNAL_TRACES ? ", ebpf" : "");
}

static int document_read(struct reading *reading, const char *path, struct fy_diag *diag)
{
    const struct fy_parse_cfg parse = {.flags = FYPCF_DEFAULT_PARSE, .diag = diag};
    struct bytes text = {.limit = 64 << 10};
    struct fy_document *document;
    void *walk = NULL;
    int failed;

    if (!path)
        default_write(&text);
    document = path ? fy_document_build_from_file(&parse, path)
                    : fy_document_build_from_string(&parse, (const char *)text.at, text.len);
    if (!document) {
        bytes_done(&text);
        const struct fy_diag_error *error = fy_diag_errors_iterate(diag, &walk);

        why_fail(reading->why, -EINVAL, "%s", error ? error->msg : "not readable as YAML");
        return error ? why_prefix(reading->why, -EINVAL, "%s:%d:%d", reading->file, error->line,
                                  error->column)
                     : why_prefix(reading->why, -EINVAL, "%s", reading->file);
    }
    failed = root_read(reading, fy_document_root(document));
    fy_document_destroy(document);
    bytes_done(&text);
    return failed;
}

int config_load(const char *path, struct str data_dir, struct config **out_config, struct why *why)
{
    struct config *config = calloc(1, sizeof *config);
    struct reading reading = {path ? path : "(default)", config, why};
    struct fy_diag *diag = fy_diag_create(NULL);
    FILE *probe = path ? fopen(path, "r") : NULL;
    int failed = 0;

    if (!config || !diag)
        failed = why_fail(why, -ENOMEM, "out of memory");
    else if (path && !probe)
        failed = why_fail(why, -errno, "%s: %s", path, strerrordesc_np(errno));
    if (probe)
        fclose(probe);
    if (!failed) {
        fy_diag_set_collect_errors(diag, true);
        arena_init(&config->arena, 16 << 20);
        config->is_default = !path;
        failed = document_read(&reading, path, diag);
    }
    if (diag)
        fy_diag_destroy(diag);
    if (failed) {
        config_free(config);
        return failed;
    }
    data_dir_apply(config, data_dir);
    *out_config = config;
    return 0;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    arena_done(&config->arena);
    free(config);
}
