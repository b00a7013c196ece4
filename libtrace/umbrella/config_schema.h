// SPDX-License-Identifier: Apache-2.0
// What may stand in a configuration file (schema 1.x of the declarative configuration), checked
// when a file is parsed: types, ranges, words and required properties, so that Create reads what it
// finds. The schema is a text, as a table of pointers would be five times its size.

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

struct shape {
    enum shape_kind kind;
    bool is_not_null;
    bool takes_unknown; // properties that are not in the list
    int64_t least;      // of a number; items of a list
    int64_t most;
    struct str words; // of a choice; NAME:SHAPE of a map; the item's shape of a list
};

// The shape of that name, which the schema has.
struct shape shape_of(struct str name);

struct property {
    struct str name;
    struct str shape;
    bool is_required;
};

// Steps through the properties of a map or a component; false: no more.
bool property_next(struct str *inout_words, struct property *out_property);
bool property_find(const struct shape *shape, const char *name, struct property *out_property);
// A choice has that word.
bool shape_has_word(const struct shape *shape, const char *word);

// 0, or -EINVAL with "NAME:LINE:COLUMN: where: what".
int config_check(const struct tl_config *config, struct why *why);
