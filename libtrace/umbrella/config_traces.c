// SPDX-License-Identifier: Apache-2.0
// The tracer provider of a configuration file. On failure what was made so far goes into a provider
// that is freed at once, which knows how each part ends.

#include <errno.h>

#include "libtrace/sdk/say.h"
#include "libtrace/umbrella/config_create.h"

int create_batch(const struct creation *creation, const struct tl_config_node *node,
                 uint64_t delay_ms, struct tl_batch_options *out_options)
{
    const uint64_t delay = create_number(node, "schedule_delay", delay_ms);

    *out_options = (struct tl_batch_options){
        .delay_ms = delay ? delay : 1,
        .export_timeout_ms = create_wait(node, "export_timeout", 30000),
        .max_queue_records = create_number(node, "max_queue_size", 2048),
        .max_batch_records = create_number(node, "max_export_batch_size", 512),
    };
    if (out_options->max_batch_records <= out_options->max_queue_records)
        return 0;
    if (tl_config_get(node, "max_export_batch_size"))
        return create_refuse(creation, tl_config_get(node, "max_export_batch_size"),
                             "max_export_batch_size: larger than max_queue_size");
    out_options->max_batch_records = out_options->max_queue_records;
    return 0;
}

void create_attribute_limits(const struct creation *creation, const struct tl_config_node *own,
                             struct tl_limits *out_limits)
{
    static const char count[] = "attribute_count_limit";
    static const char length[] = "attribute_value_length_limit";
    const struct tl_config_node *general = tl_config_get(creation->root, "attribute_limits");

    *out_limits = (struct tl_limits){
        .attribute_count = create_limit(own, count),
        .attribute_value_length = create_limit(own, length),
    };
    if (out_limits->attribute_count == 0)
        out_limits->attribute_count = create_limit(general, count);
    if (out_limits->attribute_value_length == 0)
        out_limits->attribute_value_length = create_limit(general, length);
}

static void span_limits(const struct creation *creation, const struct tl_config_node *node,
                        struct tl_limits *out)
{
    create_attribute_limits(creation, node, out);
    out->event_count = create_limit(node, "event_count_limit");
    out->link_count = create_limit(node, "link_count_limit");
    out->event_attribute_count = create_limit(node, "event_attribute_count_limit");
    out->link_attribute_count = create_limit(node, "link_attribute_count_limit");
}

static int processor_make(struct creation *creation, const struct tl_config_node *node,
                          struct tl_span_processor *out_processor)
{
    const struct tl_config_node *map = node->first;
    const bool is_batch = strcmp(map->key, "batch") == 0;
    struct tl_batch_options options = {0};
    struct tl_exporter_v1 exporter;
    int failed = 0;

    *out_processor = (struct tl_span_processor){NULL};
    if (!is_batch && strcmp(map->key, "simple") != 0)
        return create_component(creation, TL_COMPONENT_SPAN_PROCESSOR, map, out_processor);
    if (is_batch)
        failed = create_batch(creation, map, 5000, &options);
    if (!failed)
        failed = create_exporter(creation, tl_config_get(map, "exporter"), TL_TRACES, &exporter);
    if (!failed)
        *out_processor = is_batch ? tl_span_processor_batch(&exporter, &options)
                                  : tl_span_processor_simple(&exporter);
    return failed;
}

int create_tracer_provider(struct creation *creation, const struct tl_config_node *node,
                           struct tl_tracer_provider **out_provider)
{
    const struct tl_config_node *list = tl_config_get(node, "processors");
    const struct tl_config_node *sampler = tl_config_get(node, "sampler");
    const struct tl_config_node *ids = tl_config_get(node, "id_generator");
    struct tl_tracer_provider_options options = {.resource = tl_resource_ref(creation->resource)};
    struct tl_span_processor *processors =
        arena_take(&creation->arena, list->count * sizeof *processors);
    struct tl_tracer_provider *provider;
    int failed = processors ? 0 : create_refuse(creation, node, "no memory");

    span_limits(creation, tl_config_get(node, "limits"), &options.limits);
    options.processors = processors;
    for (const struct tl_config_node *at = list->first; at && !failed; at = at->next) {
        failed = processor_make(creation, at, &processors[options.processor_count]);
        options.processor_count += !failed;
    }
    if (!failed && sampler)
        failed = create_sampler(creation, sampler, &options.sampler);
    if (!failed && ids && strcmp(ids->first->key, "random") != 0)
        failed = create_refuse(creation, ids->first, "'%.64s' is not an id generator that is known",
                               ids->first->key);
    if (!failed && tl_config_get(node, "tracer_configurator/development"))
        say(TL_WARN, "%s: tracer_configurator/development is left out", creation->name);
    provider = tl_tracer_provider_new(&options);
    if (!failed && !provider)
        failed = create_refuse(creation, node, "no memory");
    if (failed) {
        tl_tracer_provider_free(provider);
        return failed;
    }
    *out_provider = provider;
    return 0;
}
