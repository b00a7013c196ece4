// SPDX-License-Identifier: Apache-2.0
// Create: all components of a model, or none.

#include "libtrace/umbrella/config_create.h"

#include <errno.h>
#include <stdio.h>

#include "libtrace/base/bytes.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"

enum { NAMES_BYTES_MAX = 4096 };

// trace to fatal4 are 1 to 24.
static int severity_of(const char *word)
{
    static const char *const words[] = {"trace", "debug", "info", "warn", "error", "fatal"};

    for (int i = 0; word && i < 6; i++) {
        const size_t len = strlen(words[i]);

        if (strncmp(word, words[i], len) == 0)
            return 1 + 4 * i + (word[len] ? word[len] - '1' : 0);
    }
    return TL_INFO;
}

static bool has_name(const struct bytes *names, struct str name)
{
    struct str left = bytes_str(names);

    while (left.len) {
        const size_t end = str_find(left, ',');

        if (str_equal((struct str){left.at, end}, name))
            return true;
        left = str_from(left, end + 1);
    }
    return false;
}

// One of ours by its name, or one that was added.
static int propagator_make(struct creation *creation, const struct tl_config_node *node,
                           const char *name, struct tl_propagator **out_propagator)
{
    *out_propagator = tl_propagator_new(name);
    if (*out_propagator)
        return 0;
    return create_component(creation, TL_COMPONENT_PROPAGATOR,
                            &(struct tl_config_node){.kind = node->kind,
                                                     .line = node->line,
                                                     .column = node->column,
                                                     .key = name,
                                                     .count = node->count,
                                                     .first = node->first},
                            out_propagator);
}

struct propagators {
    struct bytes names; // taken, a comma behind each
    struct tl_propagator *list[CREATE_LIST_MAX];
    size_t count;
};

static int propagator_add(struct creation *creation, const struct tl_config_node *node,
                          struct str name, struct propagators *all)
{
    char terminated[64];
    int failed;

    if (name.len == 0 || str_equal(name, STR("none")) || has_name(&all->names, name))
        return 0;
    if (name.len >= sizeof terminated || all->count == CREATE_LIST_MAX)
        return create_refuse(creation, node, "'%.*s' is not a propagator", (int)name.len % 64,
                             name.at);
    memcpy(terminated, name.at, name.len);
    terminated[name.len] = '\0';
    failed = propagator_make(creation, node, terminated, &all->list[all->count]);
    if (failed)
        return failed;
    all->count++;
    bytes_add_str(&all->names, name);
    bytes_add_byte(&all->names, ',');
    return 0;
}

static int create_propagator(struct creation *creation, const struct tl_config_node *node,
                             struct tl_propagator **out_propagator)
{
    struct propagators all = {.names = {.limit = NAMES_BYTES_MAX}};
    const struct tl_config_node *composite = tl_config_get(node, "composite");
    const struct tl_config_node *listed = tl_config_get(node, "composite_list");
    struct str left = str_of(tl_config_text(listed));
    int failed = 0;

    for (const struct tl_config_node *at = composite ? composite->first : NULL; at && !failed;
         at = at->next)
        failed = propagator_add(creation, at->first, str_of(at->first->key), &all);
    while (left.len && !failed) {
        const size_t end = str_find(left, ',');

        failed = propagator_add(creation, listed, str_trim((struct str){left.at, end}), &all);
        left = str_from(left, end + 1);
    }
    bytes_done(&all.names);
    if (failed) {
        for (size_t i = 0; i < all.count; i++)
            tl_propagator_unref(all.list[i]);
        return failed;
    }
    *out_propagator = tl_propagator_composite(all.list, all.count);
    return *out_propagator ? 0 : create_refuse(creation, node, "no memory");
}

static int parts_make(struct creation *creation, struct tl_components *out)
{
    const struct tl_config_node *propagator = tl_config_get(creation->root, "propagator");
    const struct tl_config_node *traces = tl_config_get(creation->root, "tracer_provider");
    const struct tl_config_node *metrics = tl_config_get(creation->root, "meter_provider");
    const struct tl_config_node *logs = tl_config_get(creation->root, "logger_provider");
    int failed = create_resource(creation, &out->resource);

    creation->resource = out->resource;
    if (!failed && propagator)
        failed = create_propagator(creation, propagator, &out->propagator);
    // A disabled SDK still hands contexts on.
    if (failed || create_bool(creation->root, "disabled", false))
        return failed;
    if (traces)
        failed = create_tracer_provider(creation, traces, &out->tracer_provider);
    if (!failed && metrics)
        failed = create_meter_provider(creation, metrics, &out->meter_provider);
    if (!failed && logs)
        failed = create_logger_provider(creation, logs, &out->logger_provider);
    return failed;
}

static void parts_free(struct tl_components *parts)
{
    tl_tracer_provider_free(parts->tracer_provider);
    tl_meter_provider_free(parts->meter_provider);
    tl_logger_provider_free(parts->logger_provider);
    tl_propagator_unref(parts->propagator);
    tl_resource_unref(parts->resource);
}

int tl_config_create(const struct tl_config *config, struct tl_components *out_components,
                     char out_why[512])
{
    const int saved = errno;
    struct why why = {"no model"};
    struct creation creation = {.root = tl_config_root(config), .why = &why};
    struct tl_components made = {NULL};
    const char *level;
    int failed = -EINVAL;

    if (creation.root && out_components) {
        creation.name = config_name(config);
        arena_init(&creation.arena, CREATE_BYTES_MAX);
        failed = parts_make(&creation, &made);
        arena_done(&creation.arena);
    }
    if (failed) {
        parts_free(&made);
        stats_add(&sdk_stats, SDK_invalid_settings, 1);
        if (out_why && snprintf(out_why, 512, "%s", why.text) < 0)
            out_why[0] = '\0';
    } else {
        level = create_text(creation.root, "log_level", NULL);
        if (level)
            say_level_set((enum tl_severity)severity_of(level));
        *out_components = made;
    }
    errno = saved;
    return failed;
}
