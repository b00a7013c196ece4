// SPDX-License-Identifier: Apache-2.0
// How one variable is read, by its kind. Each leaves its result untouched, tells and counts what it
// cannot use. One thread.

#pragma once

#include "libtrace/umbrella/environment.h"

struct variable_source {
    variable_get *get;
    void *self;
    struct arena *arena;
};

// Without blanks around it; empty when unset.
struct str variable_text(const struct variable_source *source, const char *name);

// "NAME: 'VALUE' REASON", counted.
void variable_refuse(const char *name, struct str value, const char *reason);

// A copy that lives in the arena; NULL when unset.
void variable_string(const struct variable_source *source, const char *name, const char **out);
void variable_bool(const struct variable_source *source, const char *name, bool *out);
void variable_number(const struct variable_source *source, const char *name, uint64_t most,
                     uint64_t *out);
// Milliseconds where 0 means no limit.
void variable_wait(const struct variable_source *source, const char *name, uint64_t *out);
// The index among the names, any case; the list ends with NULL.
void variable_choice(const struct variable_source *source, const char *name,
                     const char *const *choices, unsigned *out);
// k=v,k=v as of W3C Baggage without properties; values are percent-decoded. False, with what was
// there untouched, when it is malformed or has too many pairs. The list ends with NULL.
bool pairs_read(struct arena *arena, struct str text, const char **out, size_t pairs_max);
// The same of a variable; also false when it is unset.
bool variable_pairs(const struct variable_source *source, const char *name, const char **out,
                    size_t pairs_max);
