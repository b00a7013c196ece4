// SPDX-License-Identifier: Apache-2.0
// Reading a YAML node while a configuration loads: values, settings, and where a mistake stands. A
// mistake is noted and reading goes on, so that all of them are told at once.

#pragma once

#include "agent/config/config.h"
#include "libtrace/base/bytes.h"

struct fy_node;

struct reading {
    const char *file;
    struct config *config;
    struct bytes *problems; // a line each
    unsigned problem_count;
};

// Notes "file:line:column: REASON"; the place of a map or list is its first part's. Returns
// -EINVAL.
__attribute__((format(printf, 3, 4))) int
node_problem(struct reading *reading, struct fy_node *node, const char *format, ...);

// The text of a scalar as written; empty for anything else.
struct str node_scalar(struct fy_node *node);

// Absent, an empty scalar or null.
bool node_is_empty(struct fy_node *node);

// Reads the keys of a map into the fields of a table, after the defaults; `where` is
// "receivers.otlp_http". -EINVAL when any was wrong.
int node_settings(struct reading *reading, struct fy_node *map, const struct setting *table,
                  void *owner, const char *where);

// Refuses keys that are not in the list, which ends with NULL.
int node_keys(struct reading *reading, struct fy_node *map, const char *const *known,
              const char *expected);
