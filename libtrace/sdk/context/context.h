// SPDX-License-Identifier: Apache-2.0
// A context from the inside: what propagators read and write. A context is written by whoever made
// it, before anybody else sees it, and by nobody after.

#pragma once

#include <stdatomic.h>

#include <throughline/context.h>

#include "libtrace/base/str.h"

// What most tracestates need; longer ones are on the heap.
enum { CONTEXT_STATE_BYTES = 256 };

struct baggage;
struct context_values;

struct tl_context {
    _Atomic uint32_t references;
    bool is_debug;        // B3 and Jaeger: passed on as it came
    struct tl_span *span; // NULL: the identity came from elsewhere, or there is none
    struct tl_span_context identity;
    struct baggage *baggage;
    struct context_values *values;
    char *long_state;
    struct tl_context *next; // in a thread's store
    char state[CONTEXT_STATE_BYTES];
};

// One with the baggage and values of `from` (may be NULL) and no span. NULL without memory.
struct tl_context *context_derive(const struct tl_context *from);

// One with everything of `from`.
struct tl_context *context_copy(const struct tl_context *from);

// Where `len` bytes of tracestate are to be written; NULL without memory, and then it has none.
char *context_state_room(struct tl_context *context, size_t len);

// The one that was made, or the one it was to be made of, where there was no memory: what a
// propagator returns. A reference either way.
struct tl_context *context_or(struct tl_context *made, struct tl_context *given);

// ---- Baggage: immutable, counted, one block each.
enum { BAGGAGE_ENTRIES_MAX = 180, BAGGAGE_BYTES_MAX = 8192 };

struct baggage {
    _Atomic uint32_t references;
    uint32_t count;
    uint32_t encoded_bytes; // as a header, commas included
    struct tl_baggage_entry entries[];
};

struct baggage *baggage_ref(struct baggage *baggage);
void baggage_unref(struct baggage *baggage);

// Reads one line of the header behind what is there (NULL: nothing yet) and gives back the result;
// takes the reference given. Members that are malformed or find no room are counted.
struct baggage *baggage_read(struct baggage *baggage, struct str line);
// Takes an entry as it is meant. The old one is untouched; NULL: no room, no memory or no name.
struct baggage *baggage_with(const struct baggage *old, const struct tl_baggage_entry *entry);

// How the entry is written into a header, 0 when it cannot be; `to` NULL: only the length.
size_t baggage_entry_write(const struct tl_baggage_entry *entry, char *to);

// RFC 9110 5.6.2: the characters of a name.
bool token_is_valid(struct str text);
// Percent-decodes to `to` (room for text.len); what is no escape stays. Returns the length.
size_t percent_decode(char *to, struct str text);
