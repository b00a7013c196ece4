// SPDX-License-Identifier: Apache-2.0
// libthroughline-yaml: a configuration file into the events of the SDK's builder. Aliases are
// followed; the builder's limits of nodes and depth end what grows or runs in a circle.

#include <errno.h>
#include <libfyaml.h>
#include <stdio.h>

#include "libtrace/sdk/config_node.h"
#include "libtrace/yaml/yaml.h"

// Above the builder's own, so that it is the builder that says it.
enum { WALK_DEPTH_MAX = CONFIG_DEPTH_MAX + 8 };

struct walk {
    const struct config_builder_v1 *builder;
    const char *name;
    char *why;
};

static int node_walk(const struct walk *walk, struct fy_node *node, unsigned depth);

static int refuse(const struct walk *walk, struct fy_node *node, int code, const char *reason)
{
    const struct yaml_place place = yaml_place(node);

    if (snprintf(walk->why, 256, "%s:%u:%u: %s", walk->name, place.line, place.column, reason) < 0)
        walk->why[0] = '\0';
    return code;
}

static void place_tell(const struct walk *walk, struct fy_node *node)
{
    const struct yaml_place place = yaml_place(node);

    // What is empty has no place: it stands where its key does.
    if (place.line == 1 && place.column == 1)
        return;
    walk->builder->place(walk->builder->self, place.line, place.column);
}

static struct str tag_of(struct fy_node *node)
{
    size_t len = 0;
    const char *tag = fy_node_get_tag(node, &len);

    return tag ? (struct str){tag, len} : (struct str){"", 0};
}

static int scalar_walk(const struct walk *walk, struct fy_node *node)
{
    const enum fy_node_style style = fy_node_get_style(node);
    const bool is_plain = style == FYNS_PLAIN || style == FYNS_ANY;

    return walk->builder->scalar(walk->builder->self, yaml_scalar(node), is_plain, tag_of(node),
                                 walk->why);
}

static int map_walk(const struct walk *walk, struct fy_node *node, unsigned depth)
{
    struct fy_node_pair *pair;
    void *at = NULL;
    int failed = 0;

    while (!failed && (pair = fy_node_mapping_iterate(node, &at)) != NULL) {
        struct fy_node *key = fy_node_pair_key(pair);

        place_tell(walk, key);
        failed = walk->builder->key(walk->builder->self, yaml_scalar(key), walk->why);
        if (failed)
            break;
        // A value that is left out stands where its key does.
        failed = fy_node_pair_value(pair) ? node_walk(walk, fy_node_pair_value(pair), depth + 1)
                                          : walk->builder->scalar(walk->builder->self, STR(""),
                                                                  true, STR(""), walk->why);
    }
    return failed;
}

static int list_walk(const struct walk *walk, struct fy_node *node, unsigned depth)
{
    struct fy_node *item;
    void *at = NULL;
    int failed = 0;

    while (!failed && (item = fy_node_sequence_iterate(node, &at)) != NULL)
        failed = node_walk(walk, item, depth + 1);
    return failed;
}

static int node_walk(const struct walk *walk, struct fy_node *node, unsigned depth)
{
    int failed;

    if (depth > WALK_DEPTH_MAX)
        return refuse(walk, node, -E2BIG, "aliases that run in a circle");
    if (!fy_node_is_scalar(node) || yaml_scalar(node).len)
        place_tell(walk, node);
    if (fy_node_is_alias(node)) {
        struct fy_node *anchored = fy_node_resolve_alias(node);

        return anchored ? node_walk(walk, anchored, depth + 1)
                        : refuse(walk, node, -EINVAL, "an alias without an anchor");
    }
    if (fy_node_is_scalar(node))
        return scalar_walk(walk, node);
    failed = walk->builder->open(walk->builder->self, fy_node_is_mapping(node), walk->why);
    if (!failed)
        failed =
            fy_node_is_mapping(node) ? map_walk(walk, node, depth) : list_walk(walk, node, depth);
    return failed ? failed : walk->builder->close(walk->builder->self, walk->why);
}

static int parse(const char *text, size_t len, const char *name, void *builder, char out_why[256])
{
    const struct walk walk = {builder, name, out_why};
    struct yaml_problem problem;
    struct yaml yaml;
    int failed;

    if (walk.builder->size < sizeof *walk.builder)
        return -EINVAL;
    failed = yaml_open(&yaml, (struct str){text, len}, &problem);
    if (failed) {
        if (snprintf(out_why, 256, "%s:%u:%u: %.160s", name, problem.place.line,
                     problem.place.column, problem.text) < 0)
            out_why[0] = '\0';
        return failed;
    }
    failed = yaml_root(&yaml) ? node_walk(&walk, yaml_root(&yaml), 0)
                              : refuse(&walk, NULL, -EINVAL, "no YAML document is in it");
    yaml_close(&yaml);
    return failed;
}

const struct tl_module_v1 *tl_module_yaml(void)
{
    static const struct tl_module_v1 module = {
        .size = sizeof module, .name = "yaml", .parse = parse};

    return &module;
}
