// SPDX-License-Identifier: Apache-2.0
// YAML by libfyaml, which knows where each value stands; settings by each component's own table.

#include "agent/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <libfyaml.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/config/node.h"
#include "libtrace/yaml/yaml.h"

enum { FILE_BYTES_MAX = 256 << 10 };

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
    if (!fy_node_is_mapping(protocols))
        return node_problem(reading, protocols, "receivers.otlp.protocols: a map was expected");
    *out_settings = fy_node_mapping_lookup_by_string(protocols, "http", -1);
    reading->config->wants_grpc |=
        fy_node_mapping_lookup_pair_by_string(protocols, "grpc", -1) != NULL;
    return node_keys(reading, protocols, protocol_keys, "http or grpc");
}

// A component of which anything is wrong stays in the list, so that a pipeline may name it.
static int component_read(struct reading *reading, struct fy_node *key, struct fy_node *value,
                          enum kind kind, struct config_component *component)
{
    size_t size = 0;
    char where[256];

    component->name = arena_copy(&reading->config->arena, node_scalar(key));
    if (!component_type(kind, type_of(component->name), component, &size))
        return node_problem(reading, key, "%s: '%.*s' is not a known type", kind_texts[kind],
                            STR_ARGS(type_of(component->name)));
    if (kind == KIND_RECEIVER && str_equal(type_of(component->name), STR("otlp")) &&
        otlp_settings_find(reading, value, &value) != 0)
        return -EINVAL;
    component->self = arena_take(&reading->config->arena, size);
    if (!component->self ||
        snprintf(where, sizeof where, "%s.%.*s", kind_texts[kind], STR_ARGS(component->name)) < 0)
        return node_problem(reading, key, "out of memory");
    return node_settings(reading, value, component->settings, component->self, where);
}

static int components_read(struct reading *reading, struct fy_node *map, enum kind kind,
                           struct config_component *list, size_t *inout_count)
{
    struct fy_node_pair *pair;
    void *walk = NULL;
    int failed = 0;

    if (node_is_empty(map))
        return 0;
    if (!fy_node_is_mapping(map))
        return node_problem(reading, map, "%s: a map was expected", kind_texts[kind]);
    while ((pair = fy_node_mapping_iterate(map, &walk)) != NULL) {
        if (*inout_count == CONFIG_COMPONENTS_MAX)
            return node_problem(reading, fy_node_pair_key(pair), "more than %d %s",
                                CONFIG_COMPONENTS_MAX, kind_texts[kind]);
        failed |= component_read(reading, fy_node_pair_key(pair), fy_node_pair_value(pair), kind,
                                 &list[*inout_count]);
        (*inout_count)++;
    }
    return failed ? -EINVAL : 0;
}

static int references_read(struct reading *reading, struct fy_node *list, enum kind kind,
                           struct config_component *components, size_t count,
                           struct config_list *out)
{
    struct fy_node *item;
    void *walk = NULL;
    int failed = 0;

    if (node_is_empty(list))
        return 0;
    if (!fy_node_is_sequence(list))
        return node_problem(reading, list, "%s: a list was expected", kind_texts[kind]);
    while ((item = fy_node_sequence_iterate(list, &walk)) != NULL) {
        size_t i = 0;

        while (i < count && !str_equal(components[i].name, node_scalar(item)))
            i++;
        if (i == count) {
            failed = node_problem(reading, item, "'%.*s' is not defined under %s",
                                  STR_ARGS(node_scalar(item)), kind_texts[kind]);
            continue;
        }
        components[i].is_used = true;
        if (out->count < CONFIG_COMPONENTS_MAX)
            out->at[out->count++] = i;
    }
    return failed;
}

static const char *const pipeline_keys[] = {"receivers", "processors", "exporters", NULL};

static int pipeline_lists_read(struct reading *reading, struct fy_node *key, struct fy_node *map,
                               struct config_pipeline *pipeline)
{
    struct config *config = reading->config;
    int failed =
        node_keys(reading, map, pipeline_keys, "receivers, processors or exporters of a pipeline");

    failed |= references_read(reading, fy_node_mapping_lookup_by_string(map, "receivers", -1),
                              KIND_RECEIVER, config->receivers, config->receiver_count,
                              &pipeline->receivers);
    failed |= references_read(reading, fy_node_mapping_lookup_by_string(map, "processors", -1),
                              KIND_PROCESSOR, config->processors, config->processor_count,
                              &pipeline->processors);
    failed |= references_read(reading, fy_node_mapping_lookup_by_string(map, "exporters", -1),
                              KIND_EXPORTER, config->exporters, config->exporter_count,
                              &pipeline->exporters);
    if (!failed && (pipeline->receivers.count == 0 || pipeline->exporters.count == 0))
        return node_problem(
            reading, key,
            "service.pipelines.%.*s: at least one receiver and one exporter are needed",
            STR_ARGS(pipeline->name));
    return failed;
}

static int pipeline_read(struct reading *reading, struct fy_node *key, struct fy_node *map)
{
    struct config *config = reading->config;
    struct config_pipeline *pipeline = &config->pipelines[config->pipeline_count];
    int signal = 0;

    if (config->pipeline_count == CONFIG_PIPELINES_MAX)
        return node_problem(reading, key, "more than %d pipelines", CONFIG_PIPELINES_MAX);
    pipeline->name = arena_copy(&config->arena, node_scalar(key));
    while (signal < SIGNAL_COUNT &&
           !str_equal(type_of(pipeline->name), str_of(signal_text((enum signal)signal))))
        signal++;
    if (signal == SIGNAL_COUNT || !map || !fy_node_is_mapping(map))
        return node_problem(
            reading, key, "service.pipelines: '%.*s' is not traces, metrics or logs with its lists",
            STR_ARGS(pipeline->name));
    pipeline->signal = (enum signal)signal;
    config->pipeline_count++;
    return pipeline_lists_read(reading, key, map, pipeline);
}

static const char *const service_keys[] = {"pipelines", "telemetry", "extensions", NULL};

static int service_read(struct reading *reading, struct fy_node *key, struct fy_node *service)
{
    struct fy_node *pipelines = node_is_empty(service) || !fy_node_is_mapping(service)
                                    ? NULL
                                    : fy_node_mapping_lookup_by_string(service, "pipelines", -1);
    struct fy_node_pair *pair;
    void *walk = NULL;
    int failed = 0;

    if (pipelines)
        failed = node_keys(reading, service, service_keys, "pipelines, telemetry or extensions");
    if (!pipelines || !fy_node_is_mapping(pipelines))
        return node_problem(reading, key, "service.pipelines: a map of pipelines was expected");
    while ((pair = fy_node_mapping_iterate(pipelines, &walk)) != NULL)
        failed |= pipeline_read(reading, fy_node_pair_key(pair), fy_node_pair_value(pair));
    return failed;
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
    struct fy_node *service_key;
    int failed;

    if (!root || !fy_node_is_mapping(root))
        return node_problem(reading, root,
                            "a map with receivers, exporters and service was expected");
    service_key = key_node(root, "service");
    failed =
        node_keys(reading, root, root_keys, "receivers, processors, exporters, service or api");
    failed |= components_read(reading, fy_node_mapping_lookup_by_string(root, "receivers", -1),
                              KIND_RECEIVER, config->receivers, &config->receiver_count);
    failed |= components_read(reading, fy_node_mapping_lookup_by_string(root, "processors", -1),
                              KIND_PROCESSOR, config->processors, &config->processor_count);
    failed |= components_read(reading, fy_node_mapping_lookup_by_string(root, "exporters", -1),
                              KIND_EXPORTER, config->exporters, &config->exporter_count);
    failed |= api_read(reading, fy_node_mapping_lookup_by_string(root, "api", -1));
    failed |= service_read(reading, service_key ? service_key : root,
                           fy_node_mapping_lookup_by_string(root, "service", -1));
    return failed ? -EINVAL : 0;
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

static int document_read(struct reading *reading, struct str text)
{
    struct yaml_problem problem;
    struct yaml yaml;
    int failed;

    if (yaml_open(&yaml, text, &problem) != 0) {
        bytes_format(reading->problems, "%s:%u:%u: %s\n", reading->file, problem.place.line,
                     problem.place.column, problem.text);
        return -EINVAL;
    }
    failed = root_read(reading, yaml_root(&yaml));
    yaml_close(&yaml);
    return failed;
}

int config_read(const char *file, struct str text, struct str data_dir, struct config **out_config,
                struct bytes *out_problems)
{
    struct config *config = calloc(1, sizeof *config);
    struct reading reading = {file, config, out_problems, 0};
    int failed;

    if (!config) {
        failed = node_problem(&reading, NULL, "out of memory");
    } else {
        arena_init(&config->arena, 16 << 20);
        failed = document_read(&reading, text);
    }
    if (failed || !config) {
        config_free(config);
        return failed;
    }
    data_dir_apply(config, data_dir);
    *out_config = config;
    return 0;
}

// A regular file or a pipe, as a shell gives it; not more than a configuration can sensibly have.
static int file_read(const char *path, struct bytes *out, struct bytes *out_problems)
{
    // Opening a pipe that nobody writes must not wait.
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : 1;
    int failed;

    if (fd >= 0 && fcntl(fd, F_SETFL, 0) != 0)
        got = -1;
    while (got > 0) {
        uint8_t *to = bytes_reserve(out, 4096);

        got = to ? read(fd, to, 4096) : 0;
        if (got > 0)
            out->len += (size_t)got;
    }
    failed = got < 0 ? -errno : out->is_failed ? -EFBIG : 0;
    if (fd >= 0)
        close(fd);
    if (failed)
        bytes_format(out_problems, "%s: %s\n", path,
                     failed == -EFBIG ? "larger than 256 KiB" : strerrordesc_np(-failed));
    return failed;
}

int config_load(const char *path, struct str data_dir, struct config **out_config,
                struct bytes *out_problems)
{
    struct bytes text = {.limit = FILE_BYTES_MAX};
    int failed = 0;

    if (path)
        failed = file_read(path, &text, out_problems);
    else
        default_write(&text);
    if (!failed)
        failed = config_read(path ? path : "(default)", bytes_str(&text), data_dir, out_config,
                             out_problems);
    bytes_done(&text);
    if (!failed)
        (*out_config)->is_default = !path;
    return failed;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    arena_done(&config->arena);
    free(config);
}
