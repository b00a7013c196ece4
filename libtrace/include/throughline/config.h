// SPDX-License-Identifier: Apache-2.0
// Declarative configuration (specification 1.60, "Configuration SDK"; schema 1.x): Parse makes a
// model out of a YAML file, Create makes the SDK's components out of a model.
// OTEL_CONFIG_FILE does both at the first use.

#pragma once

#include <throughline/sdk.h>

TL_BEGIN

// The model: nodes. Substitution is done and scalars have their types by YAML 1.2's core schema.
struct tl_config;
struct tl_config_node;

enum tl_config_kind {
    TL_CONFIG_NULL,
    TL_CONFIG_BOOL,
    TL_CONFIG_INT,
    TL_CONFIG_DOUBLE,
    TL_CONFIG_STRING,
    TL_CONFIG_LIST,
    TL_CONFIG_MAP,
};

// Parse. NULL with a reason that names the place. Needs libthroughline-yaml.so.1.
TL_API struct tl_config *tl_config_parse_file(const char *path, char out_why[512]);
TL_API struct tl_config *tl_config_parse(const char *text, size_t len, char out_why[512]);
TL_API void tl_config_free(struct tl_config *config);

// Nodes of the model; they live as long as it.
TL_API const struct tl_config_node *tl_config_root(const struct tl_config *config);
// Each takes NULL and answers "nothing": NULL, 0, false.
TL_API enum tl_config_kind tl_config_kind(const struct tl_config_node *node);
TL_API size_t tl_config_count(const struct tl_config_node *node);
TL_API const struct tl_config_node *tl_config_at(const struct tl_config_node *node, size_t index);
TL_API const char *tl_config_key(const struct tl_config_node *node, size_t index);
TL_API const struct tl_config_node *tl_config_get(const struct tl_config_node *node,
                                                  const char *key);
// The text of a scalar as written, with a NUL; NULL for a list, a map and null.
TL_API const char *tl_config_text(const struct tl_config_node *node);
TL_API bool tl_config_bool(const struct tl_config_node *node, bool *out_value);
TL_API bool tl_config_int(const struct tl_config_node *node, int64_t *out_value);
TL_API bool tl_config_double(const struct tl_config_node *node, double *out_value);

// Components of others: a name in the file that is none of ours is looked up among these. `create`
// fills what its type asks for and gets the component's properties (may be NULL).
enum tl_component_type {
    TL_COMPONENT_SPAN_EXPORTER,   // struct tl_exporter_v1
    TL_COMPONENT_METRIC_EXPORTER, // struct tl_exporter_v1
    TL_COMPONENT_LOG_EXPORTER,    // struct tl_exporter_v1
    TL_COMPONENT_SPAN_PROCESSOR,  // struct tl_span_processor
    TL_COMPONENT_LOG_PROCESSOR,   // struct tl_log_processor
    TL_COMPONENT_SAMPLER,         // struct tl_sampler *
    TL_COMPONENT_PROPAGATOR,      // struct tl_propagator *
    TL_COMPONENT_METRIC_READER,   // struct tl_metric_reader *
    TL_COMPONENT_DETECTOR,        // struct tl_resource *
};
struct tl_component_provider {
    enum tl_component_type type;
    const char *name;
    int (*create)(void *self, const struct tl_config_node *properties, void *out_component,
                  char out_why[256]);
    void *self;
};
// Before Create; 0, -EEXIST for a type and name that are taken, -EINVAL, -ENOMEM.
TL_API int tl_component_add(const struct tl_component_provider *provider);

// Create. What the file does not configure is NULL. 0, or -errno with a reason and nothing made.
struct tl_components {
    struct tl_resource *resource;
    struct tl_tracer_provider *tracer_provider;
    struct tl_meter_provider *meter_provider;
    struct tl_logger_provider *logger_provider;
    struct tl_propagator *propagator;
};
TL_API int tl_config_create(const struct tl_config *config, struct tl_components *out_components,
                            char out_why[512]);

TL_END
