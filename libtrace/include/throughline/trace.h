// SPDX-License-Identifier: Apache-2.0
// Traces (specification 1.60, "Trace API").
//
// A span is a handle. It is valid until tl_span_end; after that every function takes it, does
// nothing and counts (tl_stats.misuses), also when its memory serves another span by then. Prefer
// attributes given at the start: samplers see only those.
//
// Fork: a span that was started before fork(2) belongs to the parent; in the child it is as ended.

#pragma once

#include <throughline/context.h>

TL_BEGIN

struct tl_tracer;
struct tl_tracer_provider;

enum tl_kind { TL_INTERNAL = 1, TL_SERVER, TL_CLIENT, TL_PRODUCER, TL_CONSUMER };

enum tl_status { TL_STATUS_UNSET, TL_STATUS_OK, TL_STATUS_ERROR };

// The tracer of a scope. NULL provider: the global one. The same scope gives the same tracer, which
// lives as long as its provider. NULL or an empty name works and is kept as an empty name. Never
// NULL but without memory; NULL is then taken as "the default tracer" by every function.
TL_API struct tl_tracer *tl_tracer_get(struct tl_tracer_provider *provider,
                                       const struct tl_scope *scope);

// False when a span started now would surely record nothing. May change over time.
TL_API bool tl_tracer_enabled(const struct tl_tracer *tracer);

struct tl_link {
    struct tl_span_context context;
    const struct tl_attribute *attributes;
    size_t attribute_count;
};

// Zero what is not needed.
struct tl_span_options {
    const char *name;
    size_t name_len;   // 0: the name ends with a NUL
    enum tl_kind kind; // 0: TL_INTERNAL
    bool is_root;      // no parent, whatever is current or given
    // The parent: `parent` when not NULL, else the span of `context` when not NULL, else the
    // thread's current span. An identity without ids: a new trace.
    const struct tl_span_context *parent;
    struct tl_context *context;
    uint64_t start_ns;
    const struct tl_attribute *attributes;
    size_t attribute_count;
    const struct tl_link *links;
    size_t link_count;
};

// Starts a span with the default tracer. `parent` as above. NULL when the SDK is disabled or memory
// is short.
TL_API struct tl_span *tl_span_start(const char *name, enum tl_kind kind,
                                     const struct tl_span_context *parent);
TL_API struct tl_span *tl_span_start_with(struct tl_tracer *tracer,
                                          const struct tl_span_options *options);

// A span that records nothing and only carries that identity (it is ended too).
TL_API struct tl_span *tl_span_wrap(const struct tl_span_context *context);

// The end: the span is handed to the ring before this returns, and survives the process from here.
TL_API void tl_span_end(struct tl_span *span);
// With a time of the caller's; earlier than the start is taken as the start.
TL_API void tl_span_end_at(struct tl_span *span, uint64_t end_ns);

// Exactly: recording, and not ended.
TL_API bool tl_span_is_recording(struct tl_span *span);

// False: surely not recording, so the work for attributes can be left out. Costs nothing.
static inline bool tl_span_wants(const struct tl_span *span)
{
    return ((uintptr_t)span & 1) != 0;
}

// Several attributes in one call; a key that is there already gets the new value.
TL_API void tl_span_set(struct tl_span *span, const struct tl_attribute *attributes, size_t count);
TL_API void tl_span_set_one(struct tl_span *span, struct tl_attribute attribute);

// TL_SET(span, TL_STR("http.request.method", "GET"), TL_INT("server.port", 80));
// Nothing is evaluated for a span that does not record.
#define TL_SET(span, ...)                                                                          \
    do {                                                                                           \
        struct tl_span *tl_span_ = (span);                                                         \
        if (tl_span_wants(tl_span_)) {                                                             \
            const struct tl_attribute tl_list_[] = {__VA_ARGS__};                                  \
            tl_span_set(tl_span_, tl_list_, TL_COUNT(tl_list_));                                   \
        }                                                                                          \
    } while (0)

// UpdateName. The sampler is not asked again.
TL_API void tl_span_name(struct tl_span *span, const char *name);

// An event of that name, now or at a time of the caller's.
TL_API void tl_span_event(struct tl_span *span, const char *name,
                          const struct tl_attribute *attributes, size_t count);
TL_API void tl_span_event_at(struct tl_span *span, const char *name, uint64_t time_ns,
                             const struct tl_attribute *attributes, size_t count);

// A link added later; links given at the start are better, a sampler sees them.
TL_API void tl_span_link(struct tl_span *span, const struct tl_span_context *to);
TL_API void tl_span_link_with(struct tl_span *span, const struct tl_link *link);

// `message` may be NULL and is kept with TL_STATUS_ERROR only, up to 1024 bytes. TL_STATUS_OK is
// final: what comes after it is ignored, and so is TL_STATUS_UNSET.
TL_API void tl_span_status(struct tl_span *span, enum tl_status status, const char *message);

// RecordException: an event "exception" with these (semantic conventions, exceptions) and the
// caller's attributes, which win. C has errors, not exceptions: `type` may be an errno's name.
struct tl_exception {
    const char *type;
    const char *message;
    const char *stacktrace;
};
TL_API void tl_span_exception(struct tl_span *span, const struct tl_exception *exception,
                              const struct tl_attribute *attributes, size_t count);

// The span's identity; all zero for NULL. Also after its end, until the memory serves another span.
TL_API struct tl_span_context tl_span_context(const struct tl_span *span);

// The thread's current span, borrowed. Put the former one back when done.
TL_API struct tl_span *tl_current(void);
TL_API struct tl_span *tl_current_set(struct tl_span *span);

// Spans of the default provider. For the rest see throughline/sdk.h.
TL_API struct tl_tracer_provider *tl_tracer_provider_global(void);
// The caller keeps ownership; NULL puts the one made from OTEL_* back.
TL_API void tl_tracer_provider_global_set(struct tl_tracer_provider *provider);

TL_END
