// SPDX-License-Identifier: Apache-2.0
// A format on the wire: how a context is written into headers and read from them. Each format is
// one file; the table of propagate.c has their names.

#pragma once

#include <throughline/propagate.h>

#include "libtrace/sdk/context/context.h"

// What of a context goes out. Borrowed.
struct outgoing {
    struct tl_span_context span;
    const struct baggage *baggage;
    bool is_debug;
};

struct propagate_format {
    const char *name; // in OTEL_PROPAGATORS
    void (*inject)(const struct outgoing *outgoing, tl_set_function *set, void *carrier);
    // A reference: to a new context, or to the given one where nothing could be read.
    struct tl_context *(*extract)(struct tl_context *context, const struct tl_getter *getter,
                                  void *carrier);
    const char *const *fields;
};

extern const struct propagate_format w3c_format;
extern const struct propagate_format baggage_format;
extern const struct propagate_format b3_format;
extern const struct propagate_format b3_multi_format;
extern const struct propagate_format jaeger_format;
extern const struct propagate_format ot_format;
extern const struct propagate_format xray_format;

// The first field of that name, without blanks around it; false: none.
static inline bool field_get(const struct tl_getter *getter, void *carrier, struct str key,
                             struct str *out_value)
{
    const char *value = NULL;
    size_t len = 0;

    if (!getter->get(carrier, key.at, key.len, 0, &value, &len) || !value)
        return false;
    *out_value = str_trim((struct str){value, len});
    return true;
}

// Hexadecimal of 1 to 2 * len digits of either case, zeros put before it; false: it is not, or it
// is all zero.
bool id_read_padded(struct str text, uint8_t *out_id, size_t len);

// The context with an identity that was read; the given one where it is not valid.
struct tl_context *context_with_read(struct tl_context *context,
                                     const struct tl_span_context *identity, bool is_debug);

// The fields of the getter that begin with `prefix` become baggage: jaeger's and ottrace's way.
// Takes the reference, gives one back.
struct tl_context *baggage_by_prefix(struct tl_context *context, const struct tl_getter *getter,
                                     void *carrier, struct str prefix, bool is_encoded);
// And back: entries whose names and values may stand in a header.
void baggage_set_prefixed(const struct baggage *baggage, struct str prefix, bool is_encoded,
                          tl_set_function *set, void *carrier);

// What the environment or a file asked for (umbrella): the global one, unless the program has set
// its own already. Takes the reference; NULL is one that does nothing.
void propagator_default_set(struct tl_propagator *propagator);
// As tl_propagator_new, but names that are unknown are told, counted and left out, as for a setting
// of the environment. NULL only without memory.
struct tl_propagator *propagator_of_setting(const char *names);
