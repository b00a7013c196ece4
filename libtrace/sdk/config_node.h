// SPDX-License-Identifier: Apache-2.0
// The model of a configuration file (throughline/config.h): nodes made of a reader's events.
// Substitution happens here, and scalars get their types by the core schema of YAML 1.2 (10.3.2).
// A model is immutable once it is finished; one thread builds it.

#pragma once

#include <throughline/config.h>

#include "libtrace/base/str.h"
#include "libtrace/base/substitute.h"
#include "libtrace/base/why.h"

enum {
    CONFIG_BYTES_MAX = 1 << 20,
    CONFIG_TEXT_MAX = 4 << 20, // all scalars together, after substitution
    CONFIG_DEPTH_MAX = 64,
    CONFIG_NODES_MAX = 20000,
};

// What the module "yaml" calls, in the order of the document; it crosses to a library that has its
// own copy of the lower rooms. Each returns 0, or -errno with a reason, and then no more follows.
struct config_builder_v1 {
    size_t size; // sizeof(struct config_builder_v1)
    void *self;
    // A plain scalar gets its type by what it looks like; others are text. `tag` is empty or a full
    // tag.
    int (*scalar)(void *self, struct str text, bool is_plain, struct str tag, char out_why[256]);
    int (*open)(void *self, bool is_map, char out_why[256]);
    int (*key)(void *self, struct str key, char out_why[256]); // before each value of a map
    int (*close)(void *self, char out_why[256]);
    // Where what follows stands, from 1.
    void (*place)(void *self, unsigned line, unsigned column);
};

struct tl_config_node {
    enum tl_config_kind kind;
    unsigned line;
    unsigned column;
    const char *key;  // in a map
    const char *text; // of a scalar
    size_t text_len;
    int64_t integer; // also of a bool
    double number;
    size_t count;
    const struct tl_config_node *first;
    const struct tl_config_node *next;
};

// Builds the model of a text with a parser such as the module's. NULL with "NAME:LINE:COLUMN: ...".
struct tl_config *config_build(struct str text, const char *name,
                               int (*parse)(const char *text, size_t len, const char *name,
                                            void *builder, char out_why[256]),
                               const struct substitution *by, struct why *why);
// The name that it was built with.
const char *config_name(const struct tl_config *config);
