// SPDX-License-Identifier: Apache-2.0
// A configuration file in the collector's shape, checked whole before anything starts. Immutable
// once loaded; its memory dies with config_free.

#pragma once

#include <stdio.h>

#include "agent/registry.h"
#include "libtrace/base/arena.h"
#include "libtrace/base/bytes.h"

struct config_component {
    struct str name;                 // "otlp_http" or "otlp_http/second"
    const struct receiver *receiver; // of a receiver
    const struct exporter *exporter; // of an exporter
    const struct setting *settings;
    void *self; // settings filled
    bool is_used;
};

enum { CONFIG_COMPONENTS_MAX = 64, CONFIG_PIPELINES_MAX = 32 };

struct config_list {
    size_t at[CONFIG_COMPONENTS_MAX]; // indexes into the components
    size_t count;
};

struct config_pipeline {
    struct str name; // "traces" or "traces/second"
    enum signal signal;
    struct config_list receivers;
    struct config_list processors;
    struct config_list exporters;
};

struct config {
    struct arena arena;
    struct config_component receivers[CONFIG_COMPONENTS_MAX];
    struct config_component processors[CONFIG_COMPONENTS_MAX];
    struct config_component exporters[CONFIG_COMPONENTS_MAX];
    size_t receiver_count;
    size_t processor_count;
    size_t exporter_count;
    struct config_pipeline pipelines[CONFIG_PIPELINES_MAX];
    size_t pipeline_count;
    struct str api_endpoint;
    struct str api_allowed_hosts;
    struct str data_dir;
    bool is_default;
    bool wants_grpc; // receivers.otlp names protocols.grpc, which is not served yet
};

// `path` NULL: the built-in configuration. `data_dir` (may be empty) wins over the store's setting.
// -EINVAL, or -errno of the file, with a line for every mistake that was found:
// "file:line:column: where: what was expected".
int config_load(const char *path, struct str data_dir, struct config **out_config,
                struct bytes *out_problems);

// The same of a text in memory; `file` is its name in what is said.
int config_read(const char *file, struct str text, struct str data_dir, struct config **out_config,
                struct bytes *out_problems);
void config_free(struct config *config);

// Writes the effective configuration, defaults filled in, as YAML.
void config_print(const struct config *config, FILE *out);
