// SPDX-License-Identifier: Apache-2.0
// Reading a YAML node while a configuration loads: values, settings, and where a mistake stands.

#pragma once

#include "agent/config/config.h"

struct fy_node;

struct reading {
    const char *file;
    struct config *config;
    struct why *why;
};

// The text of a scalar as written; empty for anything else.
struct str node_scalar(struct fy_node *node);

// Absent, an empty scalar or null.
bool node_is_empty(struct fy_node *node);

// Puts "file:line:column: " before the reason; -EINVAL.
int node_fail(struct reading *reading, struct fy_node *node);

// Reads the keys of a map into the fields of a table, after the defaults; `where` is
// "receivers.otlp_http". -EINVAL with the whole reason.
int node_settings(struct reading *reading, struct fy_node *map, const struct setting *table,
                  void *owner, const char *where);

// Refuses a key that is not in the list, which ends with NULL.
int node_keys(struct reading *reading, struct fy_node *map, const char *const *known,
              const char *expected);
