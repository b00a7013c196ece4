// SPDX-License-Identifier: Apache-2.0
// Views of a configuration file.

#include <errno.h>

#include "libtrace/umbrella/config_create.h"

static enum tl_instrument_kind kind_of(const char *word)
{
    static const char *const words[] = {"",
                                        "counter",
                                        "up_down_counter",
                                        "histogram",
                                        "gauge",
                                        "observable_counter",
                                        "observable_up_down_counter",
                                        "observable_gauge"};

    for (unsigned i = 1; word && i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(word, words[i]) == 0)
            return (enum tl_instrument_kind)i;
    }
    return (enum tl_instrument_kind)0;
}

static int boundaries_read(struct creation *creation, const struct tl_config_node *list,
                           struct tl_aggregation *out)
{
    double *boundaries = arena_take(&creation->arena, (list->count + 1) * sizeof *boundaries);
    size_t count = 0;

    if (!boundaries)
        return create_refuse(creation, list, "no memory");
    for (const struct tl_config_node *at = list->first; at; at = at->next) {
        tl_config_double(at, &boundaries[count]);
        if (count && !(boundaries[count] > boundaries[count - 1]))
            return create_refuse(creation, at, "boundaries: %.32s is not above the one before",
                                 at->text);
        count++;
    }
    out->boundaries = boundaries;
    out->boundary_count = count;
    out->has_boundaries = true;
    return 0;
}

static int aggregation_read(struct creation *creation, const struct tl_config_node *node,
                            struct tl_aggregation *out)
{
    static const struct {
        const char *key;
        enum tl_aggregation_kind kind;
    } rows[] = {
        {"default", TL_AGGREGATION_DEFAULT},
        {"drop", TL_AGGREGATION_DROP},
        {"sum", TL_AGGREGATION_SUM},
        {"last_value", TL_AGGREGATION_LAST_VALUE},
        {"explicit_bucket_histogram", TL_AGGREGATION_EXPLICIT_HISTOGRAM},
        {"base2_exponential_bucket_histogram", TL_AGGREGATION_EXPONENTIAL_HISTOGRAM},
    };
    const struct tl_config_node *map = node->first;
    int64_t scale;
    size_t i = 0;

    while (i < sizeof rows / sizeof rows[0] && strcmp(rows[i].key, map->key) != 0)
        i++;
    if (i == sizeof rows / sizeof rows[0])
        return create_refuse(creation, map, "'%.64s' is not an aggregation", map->key);
    out->kind = rows[i].kind;
    out->no_min_max = !create_bool(map, "record_min_max", true);
    out->max_size = (uint32_t)create_number(map, "max_size", 0);
    if (tl_config_int(tl_config_get(map, "max_scale"), &scale)) {
        out->max_scale = (int32_t)scale;
        out->has_max_scale = true;
    }
    return tl_config_get(map, "boundaries")
               ? boundaries_read(creation, tl_config_get(map, "boundaries"), out)
               : 0;
}

static int view_read(struct creation *creation, const struct tl_config_node *node,
                     struct tl_view *out)
{
    const struct tl_config_node *selector = tl_config_get(node, "selector");
    const struct tl_config_node *stream = tl_config_get(node, "stream");
    const struct tl_config_node *keys = tl_config_get(stream, "attribute_keys");
    const struct tl_config_node *included = tl_config_get(keys, "included");

    *out = (struct tl_view){
        .instrument_name = create_text(selector, "instrument_name", NULL),
        .instrument_kind = kind_of(create_text(selector, "instrument_type", NULL)),
        .instrument_unit = create_text(selector, "unit", NULL),
        .meter_name = create_text(selector, "meter_name", NULL),
        .meter_version = create_text(selector, "meter_version", NULL),
        .meter_schema_url = create_text(selector, "meter_schema_url", NULL),
        .name = create_text(stream, "name", NULL),
        .description = create_text(stream, "description", NULL),
        .cardinality_limit = (uint32_t)create_number(stream, "aggregation_cardinality_limit", 0),
        .has_attribute_keys = included != NULL,
    };
    if (!create_texts(creation, included, &out->attribute_keys, &out->attribute_key_count) ||
        !create_texts(creation, tl_config_get(keys, "excluded"), &out->excluded_keys,
                      &out->excluded_key_count))
        return create_refuse(creation, node, "no memory");
    return tl_config_get(stream, "aggregation")
               ? aggregation_read(creation, tl_config_get(stream, "aggregation"), &out->aggregation)
               : 0;
}

int create_views(struct creation *creation, const struct tl_config_node *list,
                 struct tl_view **out_views)
{
    struct tl_view *views =
        arena_take(&creation->arena, (tl_config_count(list) + 1) * sizeof *views);
    size_t count = 0;

    if (!views)
        return create_refuse(creation, list, "no memory");
    for (const struct tl_config_node *at = list ? list->first : NULL; at; at = at->next) {
        const int failed = view_read(creation, at, &views[count++]);

        if (failed)
            return failed;
    }
    *out_views = views;
    return 0;
}
