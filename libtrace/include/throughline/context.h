// SPDX-License-Identifier: Apache-2.0
// Context: what travels with a request through a program (specification 1.60, "Context"). A context
// is immutable and counted: each function that makes one returns a reference that the caller gives
// back with tl_context_unref. NULL is the empty context.
//
// For the usual case, one span that is current in one thread, tl_current_set (throughline/trace.h)
// does without any of this.

#pragma once

#include <throughline/base.h>

TL_BEGIN

struct tl_context;
struct tl_span;

// One more reference, and one less.
TL_API struct tl_context *tl_context_ref(struct tl_context *context);
TL_API void tl_context_unref(struct tl_context *context);

// A key is unlike every other, also of the same name. Keys are for ever, at most 1024 a process:
// beyond that, NULL. The name is for people.
struct tl_context_key;
TL_API struct tl_context_key *tl_context_key_new(const char *name);

// The context with that value; the old one is untouched. `drop` (may be NULL) is called when the
// last context that holds the value goes. NULL without memory (then drop is not called).
TL_API struct tl_context *tl_context_with_value(struct tl_context *context,
                                                const struct tl_context_key *key, void *value,
                                                void (*drop)(void *value));
// The value, or NULL.
TL_API void *tl_context_value(const struct tl_context *context, const struct tl_context_key *key);

// The context whose span is this one. A context may outlive its span: the span's identity stays.
TL_API struct tl_context *tl_context_with_span(struct tl_context *context, struct tl_span *span);
TL_API struct tl_span *tl_context_span(const struct tl_context *context);

// The same with an identity that came from elsewhere (its trace_state is copied).
TL_API struct tl_context *tl_context_with_remote(struct tl_context *context,
                                                 const struct tl_span_context *remote);
// The identity of the context's span, all zero when it has none; trace_state lives as long as the
// context.
TL_API struct tl_span_context tl_context_span_context(const struct tl_context *context);

// The thread's current context, a reference; NULL when it is empty.
TL_API struct tl_context *tl_context_current(void);

// Makes it current in this thread (the thread holds a reference of its own) and returns a token for
// the way back. Tokens go back in the opposite order; one that does not is counted and ignored.
struct tl_context_token {
    struct tl_context *former;
    struct tl_span *former_span;
    uint32_t depth;
};
TL_API struct tl_context_token tl_context_attach(struct tl_context *context);
// False when the token is not the last one of this thread.
TL_API bool tl_context_detach(struct tl_context_token token);

// Baggage (specification 1.60, "Baggage"): name and value pairs that go with the request. At most
// 180 entries and 8192 bytes together; what does not fit is left out whole and counted.
struct tl_baggage_entry {
    const char *name; // its length is given and not 0; only a token of RFC 9110 leaves the process
    size_t name_len;
    const char *value; // UTF-8, as it is meant: encoding is done on the way out
    size_t value_len;
    const char *metadata; // properties as written, without the leading ';'; may be NULL
    size_t metadata_len;
};

// An entry of two texts that end with a NUL and stay until the call it is given to.
static inline struct tl_baggage_entry tl_baggage_entry_of(const char *name, const char *value)
{
    struct tl_baggage_entry entry;

    entry.name = name;
    entry.name_len = name ? strlen(name) : 0;
    entry.value = value;
    entry.value_len = value ? strlen(value) : 0;
    entry.metadata = NULL;
    entry.metadata_len = 0;
    return entry;
}

// Sets one, replaces one of that name. What cannot be is counted (tl_stats.baggage_dropped), and
// the result is a reference to
// the context given.
TL_API struct tl_context *tl_context_with_baggage(struct tl_context *context,
                                                  const struct tl_baggage_entry *entry);
TL_API struct tl_context *tl_context_without_baggage(struct tl_context *context, const char *name);
// A context with no baggage at all.
TL_API struct tl_context *tl_context_clear_baggage(struct tl_context *context);
// False, *out_entry untouched, when there is none; text lives as long as the context.
TL_API bool tl_baggage_get(const struct tl_context *context, const char *name,
                           struct tl_baggage_entry *out_entry);
// In order; index past the end: false.
TL_API bool tl_baggage_at(const struct tl_context *context, size_t index,
                          struct tl_baggage_entry *out_entry);

TL_END
