// SPDX-License-Identifier: Apache-2.0
// Propagators: context on the wire (specification 1.60, "Propagators API"; facts of each format:
// W3C Trace Context level 2, W3C Baggage, B3, Jaeger, OT, AWS X-Ray, OpenCensus binary).

#pragma once

#include <throughline/context.h>

TL_BEGIN

// "00-<32 hex>-<16 hex>-<2 hex>" and a NUL. False (and an empty text) for a context without ids.
TL_API bool tl_traceparent_write(const struct tl_span_context *context, char out_text[56]);

// Reads a traceparent of `len` bytes. False leaves out_context untouched.
TL_API bool tl_traceparent_read(const char *text, size_t len, struct tl_span_context *out_context);

// The carrier is the caller's: whatever `carrier` points to. Text is not terminated.
typedef void tl_set_function(void *carrier, const char *key, size_t key_len, const char *value,
                             size_t value_len);

// Finds the field of that name (case-insensitive for HTTP): true and its value, or false. With
// `index` 1, 2, ... the next line of the same name, where the carrier may have several.
typedef bool tl_get_function(void *carrier, const char *key, size_t key_len, size_t index,
                             const char **out_value, size_t *out_len);

// Calls visit for each key of the carrier; needed only by the formats whose baggage has names of
// its own (jaeger, ottrace). May be NULL.
typedef void tl_key_visit(void *self, const char *key, size_t key_len);
typedef void tl_keys_function(void *carrier, tl_key_visit *visit, void *self);

struct tl_getter {
    tl_get_function *get;
    tl_keys_function *keys;
};

struct tl_propagator;

// The global propagator: OTEL_PROPAGATORS (tracecontext,baggage unless it says otherwise) until
// another one is set. Setting takes the caller's reference.
TL_API struct tl_propagator *tl_propagator_global(void);
TL_API void tl_propagator_global_set(struct tl_propagator *propagator);

// By the names of OTEL_PROPAGATORS, composed in that order: tracecontext, baggage, b3, b3multi,
// jaeger, ottrace, xray, none. NULL for an unknown name, and on lack of memory.
TL_API struct tl_propagator *tl_propagator_new(const char *names);

// One written by the caller.
struct tl_propagator_functions {
    void *self;
    void (*inject)(void *self, const struct tl_context *context, tl_set_function *set,
                   void *carrier);
    // Returns a new reference; the given one stays the caller's. When nothing can be read: a
    // reference to the given one.
    struct tl_context *(*extract)(void *self, struct tl_context *context,
                                  const struct tl_getter *getter, void *carrier);
    const char *const *fields; // ends with NULL
    void (*free)(void *self);
};
TL_API struct tl_propagator *tl_propagator_custom(const struct tl_propagator_functions *functions);

// Composes; takes the references in the list.
TL_API struct tl_propagator *tl_propagator_composite(struct tl_propagator *const *list,
                                                     size_t count);
TL_API struct tl_propagator *tl_propagator_ref(struct tl_propagator *propagator);
TL_API void tl_propagator_unref(struct tl_propagator *propagator);

// The fields it writes, ends with NULL: to clear a carrier that is used again.
TL_API const char *const *tl_propagator_fields(const struct tl_propagator *propagator);

// NULL for the propagator: the global one. NULL for the context: the thread's current one.
TL_API void tl_inject(struct tl_propagator *propagator, const struct tl_context *context,
                      tl_set_function *set, void *carrier);
// A new reference, also when nothing was found (then to `context`). NULL for the context: the empty
// one, so that a request without a context starts a new trace, whatever is current.
TL_API struct tl_context *tl_extract(struct tl_propagator *propagator, struct tl_context *context,
                                     const struct tl_getter *getter, void *carrier);

// The fast way for a span: its traceparent, and its tracestate when there is one, are handed to
// `set`, without a context and without memory. Nothing for a span without ids.
TL_API void tl_inject_span(const struct tl_span_context *context, tl_set_function *set,
                           void *carrier);

// OpenCensus binary (gRPC's grpc-trace-bin, decoded): 29 bytes.
TL_API size_t tl_binary_write(const struct tl_span_context *context, uint8_t out_bytes[29]);
TL_API bool tl_binary_read(const uint8_t *bytes, size_t len, struct tl_span_context *out_context);

// Environment variables as carrier (specification, "Environment Variables as Context Propagation
// Carriers"): TRACEPARENT, TRACESTATE, BAGGAGE and so on. `carrier` of the getter is an
// environ-like array ("NAME=value", ends with NULL); NULL: this process's own, which must not be
// changed meanwhile (setenv(3)): read it when the program starts. Reading only: what a child gets
// is for tl_environment_new. Others may see a process's environment: nothing secret belongs there.
TL_API extern const struct tl_getter tl_environment_getter;
// A copy of `environment` (NULL: this process's) with the context's variables set, and those of the
// propagator that it does not set left out; one block for execve(2); free with tl_environment_free.
// NULL without memory.
TL_API char **tl_environment_new(struct tl_propagator *propagator, const struct tl_context *context,
                                 char *const *environment);
TL_API void tl_environment_free(char **environment);

TL_END
