// SPDX-License-Identifier: Apache-2.0
// Samplers of a configuration file. Nesting is as deep as the file's, which is bounded.

#include <errno.h>

#include "libtrace/umbrella/config_create.h"

static bool is_named(const struct tl_config_node *node, const char *name)
{
    return strcmp(node->key, name) == 0;
}

// NULL stays where the file says nothing.
static int optional(struct creation *creation, const struct tl_config_node *map, const char *key,
                    struct tl_sampler **out_sampler)
{
    const struct tl_config_node *node = tl_config_get(map, key);

    return node ? create_sampler(creation, node, out_sampler) : 0;
}

static int parent_based(struct creation *creation, const struct tl_config_node *map,
                        struct tl_sampler **out_sampler)
{
    static const char *const keys[] = {"root", "remote_parent_sampled", "remote_parent_not_sampled",
                                       "local_parent_sampled", "local_parent_not_sampled"};
    struct tl_sampler *leaves[5] = {NULL};
    int failed = 0;

    for (size_t i = 0; i < 5 && !failed; i++)
        failed = optional(creation, map, keys[i], &leaves[i]);
    if (!failed) {
        *out_sampler =
            tl_sampler_parent_based(leaves[0], leaves[1], leaves[2], leaves[3], leaves[4]);
        return 0;
    }
    for (size_t i = 0; i < 5; i++)
        tl_sampler_unref(leaves[i]);
    return failed;
}

static int jaeger(struct creation *creation, const struct tl_config_node *map,
                  struct tl_sampler **out_sampler)
{
    struct tl_sampler *initial = NULL;
    const char *service = NULL;
    struct tl_attribute attribute;
    const int failed = create_sampler(creation, tl_config_get(map, "initial_sampler"), &initial);

    if (failed)
        return failed;
    for (size_t i = 0; tl_resource_at(creation->resource, i, &attribute); i++) {
        if (attribute.value.type == TL_TYPE_STRING && strcmp(attribute.key, "service.name") == 0)
            service = attribute.value.as.string;
    }
    *out_sampler = tl_sampler_jaeger_remote(create_text(map, "endpoint", NULL), service,
                                            create_number(map, "interval", 60000), initial);
    return 0;
}

static int composite(struct creation *creation, const struct tl_config_node *map,
                     struct tl_sampler **out_sampler)
{
    struct tl_composable *composable = NULL;
    const int failed = create_composable(creation, map, &composable);

    if (!failed)
        *out_sampler = tl_sampler_composite(composable);
    return failed;
}

int create_sampler(struct creation *creation, const struct tl_config_node *node,
                   struct tl_sampler **out_sampler)
{
    const struct tl_config_node *map = node->first;
    struct tl_sampler *inner = NULL;
    int failed = 0;

    if (is_named(map, "always_on")) {
        *out_sampler = tl_sampler_always_on();
    } else if (is_named(map, "always_off")) {
        *out_sampler = tl_sampler_always_off();
    } else if (is_named(map, "trace_id_ratio_based") || is_named(map, "probability/development")) {
        *out_sampler = tl_sampler_ratio(create_ratio(map));
    } else if (is_named(map, "parent_based")) {
        failed = parent_based(creation, map, out_sampler);
    } else if (is_named(map, "always_record")) {
        failed = create_sampler(creation, tl_config_get(map, "root"), &inner);
        if (!failed)
            *out_sampler = tl_sampler_always_record(inner);
    } else if (is_named(map, "jaeger_remote/development")) {
        failed = jaeger(creation, map, out_sampler);
    } else if (is_named(map, "composite/development")) {
        failed = composite(creation, map, out_sampler);
    } else {
        failed = create_component(creation, TL_COMPONENT_SAMPLER, map, out_sampler);
    }
    return failed || *out_sampler ? failed : create_refuse(creation, map, "no memory");
}

int create_composable(struct creation *creation, const struct tl_config_node *node,
                      struct tl_composable **out_composable)
{
    const struct tl_config_node *map = node->first;
    struct tl_composable *inner = NULL;
    int failed = 0;

    if (is_named(map, "always_on")) {
        *out_composable = tl_composable_always_on();
    } else if (is_named(map, "always_off")) {
        *out_composable = tl_composable_always_off();
    } else if (is_named(map, "probability")) {
        *out_composable = tl_composable_probability(create_ratio(map));
    } else if (is_named(map, "parent_threshold")) {
        failed = create_composable(creation, tl_config_get(map, "root"), &inner);
        if (!failed)
            *out_composable = tl_composable_parent_threshold(inner);
    } else if (is_named(map, "rule_based")) {
        failed = create_rules(creation, tl_config_get(map, "rules"), out_composable);
    } else {
        return create_refuse(creation, map, "'%.64s' is not a composable sampler", map->key);
    }
    return failed || *out_composable ? failed : create_refuse(creation, map, "no memory");
}
