// SPDX-License-Identifier: Apache-2.0
// What may stand in a configuration file (schema 1.x of the declarative configuration): one table,
// checked when a file is parsed. Types, ranges, words and required properties are checked here, so
// that Create reads what it finds.

#pragma once

#include "libtrace/base/why.h"
#include "libtrace/sdk/config_node.h"

enum shape_kind {
    SHAPE_ANY,
    SHAPE_BOOL,
    SHAPE_INT,
    SHAPE_NUMBER,
    SHAPE_TEXT,
    SHAPE_SCALAR, // what is a number or a word without quotes, too
    SHAPE_CHOICE,
    SHAPE_MAP,
    SHAPE_LIST,
    SHAPE_COMPONENT, // a map of one key: ours, or the name of a component that was added
    SHAPE_ATTRIBUTE,
};

struct shape;

struct property {
    const char *name; // NULL ends the list
    const struct shape *shape;
    bool is_required;
};

struct shape {
    enum shape_kind kind;
    bool is_not_null;
    bool takes_unknown; // properties that are not in the list
    int64_t least;      // of a number; items of a list
    int64_t most;       // 0: no limit
    const char *const *choices;
    const struct property *properties;
    const struct shape *item;
};

// 0, or -EINVAL with "NAME:LINE:COLUMN: where: what".
int config_check(const struct tl_config *config, struct why *why);

extern const struct shape config_root_shape;
