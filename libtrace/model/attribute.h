// SPDX-License-Identifier: Apache-2.0
// Attributes as decoded from or written to OTLP: keys and values point into the batch or its arena.

#pragma once

#include "libtrace/base/str.h"

enum value_type {
    VALUE_EMPTY,
    VALUE_STRING,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_DOUBLE,
    VALUE_ARRAY,
    VALUE_MAP,
    VALUE_BYTES,
};

struct attribute;
struct value;

struct value_list {
    struct value *at;
    size_t count;
};

struct attribute_list {
    struct attribute *at;
    size_t count;
};

struct value {
    enum value_type type;
    union {
        struct str string; // also VALUE_BYTES
        bool boolean;
        int64_t integer;
        double number;
        struct value_list array;
        struct attribute_list map;
    };
};

struct attribute {
    struct str key;
    struct value value;
};

// The value of the first attribute of that key, or NULL.
const struct value *attribute_find(struct attribute_list list, struct str key);

// The string of that key, or an empty text when absent or of another type.
struct str attribute_string(struct attribute_list list, struct str key);
