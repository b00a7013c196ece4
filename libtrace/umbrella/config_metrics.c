// SPDX-License-Identifier: Apache-2.0
// The meter provider of a configuration file: readers. Failures as in config_traces.c.

#include <errno.h>

#include "libtrace/sdk/say.h"
#include "libtrace/umbrella/config_create.h"

static const struct {
    const char *key;
    enum tl_instrument_kind kind;
} instruments[] = {
    {"counter", TL_COUNTER},
    {"up_down_counter", TL_UP_DOWN_COUNTER},
    {"histogram", TL_HISTOGRAM},
    {"gauge", TL_GAUGE},
    {"observable_counter", TL_OBSERVABLE_COUNTER},
    {"observable_up_down_counter", TL_OBSERVABLE_UP_DOWN_COUNTER},
    {"observable_gauge", TL_OBSERVABLE_GAUGE},
};

// What the exporter's node says of its reader.
static void preference_read(const struct tl_config_node *exporter,
                            struct tl_reader_options *options)
{
    const char *temporality = create_text(exporter, "temporality_preference", "cumulative");
    const char *histogram = create_text(exporter, "default_histogram_aggregation", "");

    tl_reader_temporality(options,
                          strcmp(temporality, "low_memory") == 0 ? "lowmemory" : temporality);
    if (strcmp(histogram, "base2_exponential_bucket_histogram") == 0)
        options->aggregation[TL_HISTOGRAM].kind = TL_AGGREGATION_EXPONENTIAL_HISTOGRAM;
}

static void cardinality_read(const struct tl_config_node *node, struct tl_reader_options *options)
{
    const uint64_t general = create_number(node, "default", 0);

    for (size_t i = 0; i < sizeof instruments / sizeof instruments[0]; i++)
        options->cardinality_limit[instruments[i].kind] =
            (uint32_t)create_number(node, instruments[i].key, general);
}

static int producers_check(const struct creation *creation, const struct tl_config_node *node)
{
    const struct tl_config_node *producers = tl_config_get(node, "producers");

    return producers ? create_refuse(creation, producers,
                                     "producers: '%.64s' is not a producer that is known",
                                     producers->first->first->key)
                     : 0;
}

static int periodic_make(struct creation *creation, const struct tl_config_node *map,
                         struct tl_metric_reader **out_reader)
{
    const struct tl_config_node *node = tl_config_get(map, "exporter");
    struct tl_reader_options options = {
        .interval_ms = create_number(map, "interval", 60000),
        .export_timeout_ms = create_wait(map, "timeout", 30000),
        .max_export_records = create_number(map, "max_export_batch_size/development", 0),
    };
    struct tl_exporter_v1 exporter;
    int failed = producers_check(creation, map);

    if (options.interval_ms == 0)
        options.interval_ms = 1;
    preference_read(node->first, &options);
    cardinality_read(tl_config_get(map, "cardinality_limits"), &options);
    if (!failed)
        failed = create_exporter(creation, node, TL_METRICS, &exporter);
    if (!failed)
        *out_reader = tl_reader_periodic(&exporter, &options);
    return failed;
}

static int pull_make(struct creation *creation, const struct tl_config_node *map,
                     struct tl_metric_reader **out_reader)
{
    const struct tl_config_node *node = tl_config_get(map, "exporter")->first;
    const char *naming =
        create_text(node, "translation_strategy", "underscore_escaping_with_suffixes");
    const bool has_suffixes = strstr(naming, "_with_suffixes") != NULL;
    struct tl_prometheus_options options = {
        .host = create_text(node, "host", "localhost"),
        .port = (uint16_t)create_number(node, "port", 9464),
        .without_scope = !create_bool(node, "scope_info_enabled", true),
        .without_target_info = !create_bool(node, "target_info_enabled/development", true),
        .without_total = !has_suffixes,
        .without_units = !has_suffixes,
    };
    char reason[256] = "";
    uint16_t port;

    if (strcmp(node->key, "prometheus/development") != 0)
        return create_component(creation, TL_COMPONENT_METRIC_READER, node, out_reader);
    if (producers_check(creation, map) != 0)
        return -EINVAL;
    if (strncmp(naming, "underscore", 10) != 0)
        return create_refuse(creation, tl_config_get(node, "translation_strategy"),
                             "translation_strategy: %s is not supported", naming);
    if (tl_config_get(node, "resource_constant_labels"))
        say(TL_WARN, "%s: resource_constant_labels is left out", creation->name);
    options.any_port = options.port == 0;
    *out_reader = tl_reader_prometheus(&options, &port, reason);
    return *out_reader ? 0 : create_refuse(creation, node, "%s: %s", node->key, reason);
}

static int reader_make(struct creation *creation, const struct tl_config_node *node,
                       struct tl_metric_reader **out_reader)
{
    const struct tl_config_node *map = node->first;
    int failed;

    *out_reader = NULL;
    if (strcmp(map->key, "periodic") == 0)
        failed = periodic_make(creation, map, out_reader);
    else if (strcmp(map->key, "pull") == 0)
        failed = pull_make(creation, map, out_reader);
    else
        failed = create_component(creation, TL_COMPONENT_METRIC_READER, map, out_reader);
    return failed || *out_reader ? failed : create_refuse(creation, map, "no memory");
}

int create_meter_provider(struct creation *creation, const struct tl_config_node *node,
                          struct tl_meter_provider **out_provider)
{
    const struct tl_config_node *list = tl_config_get(node, "readers");
    const char *filter = create_text(node, "exemplar_filter", "trace_based");
    struct tl_meter_provider_options options = {
        .resource = tl_resource_ref(creation->resource),
        .exemplar_filter = strcmp(filter, "always_on") == 0    ? TL_EXEMPLARS_ALWAYS_ON
                           : strcmp(filter, "always_off") == 0 ? TL_EXEMPLARS_ALWAYS_OFF
                                                               : TL_EXEMPLARS_TRACE_BASED,
    };
    struct tl_metric_reader **readers =
        arena_take(&creation->arena, list->count * sizeof(struct tl_metric_reader *));
    struct tl_meter_provider *provider;
    struct tl_view *views = NULL;
    int failed = readers ? 0 : create_refuse(creation, node, "no memory");

    options.readers = readers;
    for (const struct tl_config_node *at = list->first; at && !failed; at = at->next) {
        failed = reader_make(creation, at, &readers[options.reader_count]);
        options.reader_count += !failed;
    }
    if (!failed)
        failed = create_views(creation, tl_config_get(node, "views"), &views);
    if (!failed) {
        options.views = views;
        options.view_count = tl_config_count(tl_config_get(node, "views"));
    }
    if (!failed && tl_config_get(node, "meter_configurator/development"))
        say(TL_WARN, "%s: meter_configurator/development is left out", creation->name);
    provider = tl_meter_provider_new(&options);
    if (!failed && !provider)
        failed = create_refuse(creation, node, "no memory");
    if (failed) {
        tl_meter_provider_free(provider);
        return failed;
    }
    *out_provider = provider;
    return 0;
}
