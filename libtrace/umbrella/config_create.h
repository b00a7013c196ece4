// SPDX-License-Identifier: Apache-2.0
// Create: the SDK's components of a model that the schema allows. What is made for a while (lists,
// headers) is in the arena; what is given to a provider is the provider's. One thread.

#pragma once

#include "libtrace/base/arena.h"
#include "libtrace/sdk/config_node.h"

enum { CREATE_BYTES_MAX = 4 << 20, CREATE_LIST_MAX = 64 };

struct creation {
    const char *name;
    const struct tl_config_node *root;
    struct arena arena;
    struct why *why;
    struct tl_resource *resource; // given to each provider by reference
};

// -EINVAL with "NAME:LINE:COLUMN: ...".
__attribute__((format(printf, 3, 4))) int create_refuse(const struct creation *creation,
                                                        const struct tl_config_node *node,
                                                        const char *format, ...);

// ---- Values, where null and absent are the default
const char *create_text(const struct tl_config_node *map, const char *key, const char *fallback);
bool create_bool(const struct tl_config_node *map, const char *key, bool fallback);
uint64_t create_number(const struct tl_config_node *map, const char *key, uint64_t fallback);
// Milliseconds, where 0 is no limit.
uint64_t create_wait(const struct tl_config_node *map, const char *key, uint64_t fallback);
double create_ratio(const struct tl_config_node *map);
// A limit of attribute_limits' kind: 0 where there is none.
uint32_t create_limit(const struct tl_config_node *map, const char *key);
// A list of texts in the arena; false: no memory.
bool create_texts(struct creation *creation, const struct tl_config_node *list,
                  const char *const **out_list, size_t *out_count);
// '*' any characters, '?' one.
bool create_matches(const char *pattern, struct str text);

// ---- Components of others (tl_component_add). `node` is the component by its name.
int create_component(const struct creation *creation, enum tl_component_type type,
                     const struct tl_config_node *node, void *out_component);

// ---- Parts. Each takes the map of one component and fills its output on success.
int create_exporter(struct creation *creation, const struct tl_config_node *node,
                    enum tl_signal signal, struct tl_exporter_v1 *out_exporter);
int create_sampler(struct creation *creation, const struct tl_config_node *node,
                   struct tl_sampler **out_sampler);
int create_composable(struct creation *creation, const struct tl_config_node *node,
                      struct tl_composable **out_composable);
int create_rules(struct creation *creation, const struct tl_config_node *list,
                 struct tl_composable **out_composable);
int create_resource(struct creation *creation, struct tl_resource **out_resource);
int create_batch(const struct creation *creation, const struct tl_config_node *node,
                 uint64_t delay_ms, struct tl_batch_options *out_options);
void create_attribute_limits(const struct creation *creation, const struct tl_config_node *own,
                             struct tl_limits *out_limits);

int create_tracer_provider(struct creation *creation, const struct tl_config_node *node,
                           struct tl_tracer_provider **out_provider);
int create_meter_provider(struct creation *creation, const struct tl_config_node *node,
                          struct tl_meter_provider **out_provider);
int create_views(struct creation *creation, const struct tl_config_node *list,
                 struct tl_view **out_views);
int create_logger_provider(struct creation *creation, const struct tl_config_node *node,
                           struct tl_logger_provider **out_provider);
