// SPDX-License-Identifier: Apache-2.0
// One YAML document by libfyaml, checked before libfyaml sees it, with the place of each node. Who
// reads it walks libfyaml's nodes. One thread.

#pragma once

#include "libtrace/base/str.h"

struct fy_diag;
struct fy_document;
struct fy_node;
struct fy_parser;

struct yaml_place {
    unsigned line; // from 1, as the column
    unsigned column;
};

struct yaml_problem {
    struct yaml_place place;
    char text[256];
};

struct yaml {
    struct fy_diag *diag;
    struct fy_parser *parser;
    struct fy_document *document;
};

// Printable UTF-8, one document, no key twice in a map, nested 64 deep at most. `text` must outlive
// the document. On failure (-EINVAL, -ENOMEM) there is nothing to close.
int yaml_open(struct yaml *yaml, struct str text, struct yaml_problem *out_problem);
void yaml_close(struct yaml *yaml);
struct fy_node *yaml_root(const struct yaml *yaml);

// The text of a scalar; empty for anything else.
struct str yaml_scalar(struct fy_node *node);
// Where it stands; a map or a list stands where its first part does. 1:1 for NULL.
struct yaml_place yaml_place(struct fy_node *node);
