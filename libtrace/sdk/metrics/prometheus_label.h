// SPDX-License-Identifier: Apache-2.0
// The labels of one sample: keys cleaned, sorted, those that became the same merged.

#pragma once

#include "libtrace/base/arena.h"
#include "libtrace/base/bytes.h"

enum { LABELS_MAX = 256 };

struct label {
    struct str key;      // cleaned
    struct str original; // what equal ones are ordered by
    struct str value;
};

struct labels {
    struct arena *arena; // of the texts
    size_t count;
    size_t lost; // found no room
    struct label list[LABELS_MAX];
};

// One more; `prefix` goes before the key.
void labels_add(struct labels *labels, const char *prefix, struct str key, struct str value);
// A KeyValue message.
void labels_add_pair(struct labels *labels, const char *prefix, struct str pair);
// Whether a cleaned key is there already.
bool labels_has(const struct labels *labels, struct str key);
// Sorted and merged: once, after the last one was added.
void labels_end(struct labels *labels);
// key="value",... without braces.
void labels_write(struct bytes *out, const struct labels *labels);
// An AnyValue as text: as it is for a string, JSON for lists.
void label_value_write(struct bytes *out, struct str any_value);
