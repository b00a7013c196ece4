// SPDX-License-Identifier: Apache-2.0
// Settings of a component as one table: name, type, default, one sentence. Parsing, validation,
// `throughline config print` and the reference page come from it. Tables are constant.

#pragma once

#include "libtrace/base/arena.h"
#include "libtrace/base/why.h"

enum setting_type {
    SETTING_TYPE_TEXT,     // struct str
    SETTING_TYPE_ENDPOINT, // struct str, address:port to listen on; localhost or none for all
    SETTING_TYPE_URL,      // struct str, http:// or https://
    SETTING_TYPE_BOOL,     // bool
    SETTING_TYPE_NUMBER,   // uint64_t
    SETTING_TYPE_DURATION, // uint64_t milliseconds; written 10s, 200ms, 5m, 1h
    SETTING_TYPE_SIZE,     // uint64_t bytes; written 512, 64KiB, 64MiB, 1GiB
    SETTING_TYPE_CHOICE,   // struct str, one of `choices`
    SETTING_TYPE_LIST,     // struct str, items joined by '\n'; in YAML a list of scalars
    SETTING_TYPE_MAP, // struct str, "key\tvalue" lines joined by '\n'; in YAML a map of scalars
};

struct setting {
    const char *name; // dotted for nesting: "tls.ca_file"
    enum setting_type type;
    size_t offset;
    const char *fallback; // the default, as an operator would write it; NULL: none
    const char *choices;  // "none|gzip|zstd"
    const char *help;
};

#define SETTING_ROW_(owner, field, kind, fallback, choices, help)                                  \
    {                                                                                              \
#field, kind, offsetof(owner, field), fallback, choices, help                              \
    }
#define SETTING_TEXT(owner, field, fallback, help)                                                 \
    SETTING_ROW_(owner, field, SETTING_TYPE_TEXT, fallback, NULL, help)
#define SETTING_ENDPOINT(owner, field, fallback, help)                                             \
    SETTING_ROW_(owner, field, SETTING_TYPE_ENDPOINT, fallback, NULL, help)
#define SETTING_URL(owner, field, fallback, help)                                                  \
    SETTING_ROW_(owner, field, SETTING_TYPE_URL, fallback, NULL, help)
#define SETTING_BOOL(owner, field, fallback, help)                                                 \
    SETTING_ROW_(owner, field, SETTING_TYPE_BOOL, fallback, NULL, help)
#define SETTING_NUMBER(owner, field, fallback, help)                                               \
    SETTING_ROW_(owner, field, SETTING_TYPE_NUMBER, fallback, NULL, help)
#define SETTING_CHOICE(owner, field, fallback, choices, help)                                      \
    SETTING_ROW_(owner, field, SETTING_TYPE_CHOICE, fallback, choices, help)
#define SETTING_LIST(owner, field, fallback, help)                                                 \
    SETTING_ROW_(owner, field, SETTING_TYPE_LIST, fallback, NULL, help)
#define SETTING_MAP(owner, field, fallback, help)                                                  \
    SETTING_ROW_(owner, field, SETTING_TYPE_MAP, fallback, NULL, help)
// The written name has no unit; the field has: SETTING_DURATION(owner, "timeout", timeout_ms, ...).
#define SETTING_DURATION(owner, name, field, fallback, help)                                       \
    {                                                                                              \
        name, SETTING_TYPE_DURATION, offsetof(owner, field), fallback, NULL, help                  \
    }
#define SETTING_SIZE(owner, name, field, fallback, help)                                           \
    {                                                                                              \
        name, SETTING_TYPE_SIZE, offsetof(owner, field), fallback, NULL, help                      \
    }
#define SETTING_END                                                                                \
    {                                                                                              \
        NULL, SETTING_TYPE_TEXT, 0, NULL, NULL, NULL                                               \
    }

// Writes every default into the owner. Fails only on a table with a wrong default.
int settings_defaults(const struct setting *table, void *owner, struct why *why);

// The row of that name, or NULL.
const struct setting *setting_find(const struct setting *table, struct str name);

// Reads one written value into its field; text is copied into the arena. On failure the field is
// untouched and the reason names the value and what was expected.
int setting_read(const struct setting *row, struct str value, void *owner, struct arena *arena,
                 struct why *why);
