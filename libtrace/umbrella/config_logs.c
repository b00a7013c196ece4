// SPDX-License-Identifier: Apache-2.0
// The logger provider of a configuration file; failures as in config_traces.c.

#include <errno.h>

#include "libtrace/sdk/say.h"
#include "libtrace/umbrella/config_create.h"

static int processor_make(struct creation *creation, const struct tl_config_node *node,
                          struct tl_log_processor *out_processor)
{
    const struct tl_config_node *map = node->first;
    const bool is_batch = strcmp(map->key, "batch") == 0;
    struct tl_batch_options options = {0};
    struct tl_exporter_v1 exporter;
    int failed = 0;

    *out_processor = (struct tl_log_processor){NULL};
    if (!is_batch && strcmp(map->key, "simple") != 0)
        return create_component(creation, TL_COMPONENT_LOG_PROCESSOR, map, out_processor);
    if (is_batch)
        failed = create_batch(creation, map, 1000, &options);
    if (!failed)
        failed = create_exporter(creation, tl_config_get(map, "exporter"), TL_LOGS, &exporter);
    if (!failed)
        *out_processor = is_batch ? tl_log_processor_batch(&exporter, &options)
                                  : tl_log_processor_simple(&exporter);
    return failed;
}

int create_logger_provider(struct creation *creation, const struct tl_config_node *node,
                           struct tl_logger_provider **out_provider)
{
    const struct tl_config_node *list = tl_config_get(node, "processors");
    struct tl_logger_provider_options options = {.resource = tl_resource_ref(creation->resource)};
    struct tl_log_processor *processors =
        arena_take(&creation->arena, list->count * sizeof *processors);
    struct tl_logger_provider *provider;
    int failed = processors ? 0 : create_refuse(creation, node, "no memory");

    create_attribute_limits(creation, tl_config_get(node, "limits"), &options.limits);
    options.processors = processors;
    for (const struct tl_config_node *at = list->first; at && !failed; at = at->next) {
        failed = processor_make(creation, at, &processors[options.processor_count]);
        options.processor_count += !failed;
    }
    if (!failed && tl_config_get(node, "logger_configurator/development"))
        say(TL_WARN, "%s: logger_configurator/development is left out", creation->name);
    provider = tl_logger_provider_new(&options);
    if (!failed && !provider)
        failed = create_refuse(creation, node, "no memory");
    if (failed) {
        tl_logger_provider_free(provider);
        return failed;
    }
    *out_provider = provider;
    return 0;
}
