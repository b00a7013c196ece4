// SPDX-License-Identifier: Apache-2.0
// Throughline's tracing API for C (C11; fit for C++). Source of terms and rules: OpenTelemetry
// specification 1.60, "Trace API"; W3C Trace Context level 2.
//
// Threads: every function may be called by any thread; one span by one thread at a time.
// Errors: nothing here aborts, prints, blocks on the network or changes errno. NULL is taken
// everywhere and does nothing. What finds no room is dropped and counted (tl_dropped_spans).
// Ownership: text is copied before a call returns. A span is gone once tl_span_end returned.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TL_API __attribute__((visibility("default")))

// Identity of a span as it travels (W3C Trace Context 3.2). All-zero ids: none.
struct tl_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags; // bit 0 sampled, bit 1 random trace id
    bool is_remote;
};

struct tl_span;

enum tl_kind { TL_INTERNAL = 1, TL_SERVER, TL_CLIENT, TL_PRODUCER, TL_CONSUMER };

enum tl_status { TL_STATUS_UNSET, TL_STATUS_OK, TL_STATUS_ERROR };

enum tl_type { TL_TYPE_STRING, TL_TYPE_INT, TL_TYPE_BOOL, TL_TYPE_DOUBLE };

struct tl_attribute {
    const char *key;
    size_t key_len;
    enum tl_type type;
    const char *string;
    size_t string_len;
    int64_t integer; // also booleans
    double number;
};

#define TL_STR(key, text) tl_attribute_string((key), (text))
#define TL_INT(key, value) tl_attribute_integer((key), TL_TYPE_INT, (int64_t)(value))
#define TL_BOOL(key, value) tl_attribute_integer((key), TL_TYPE_BOOL, (value) ? 1 : 0)
#define TL_DOUBLE(key, value) tl_attribute_double((key), (value))

// Inline, so that the length of a literal is known when the caller is compiled.
static inline struct tl_attribute tl_attribute_string(const char *key, const char *text)
{
    struct tl_attribute attribute = {key, key ? strlen(key) : 0, TL_TYPE_STRING, text, 0, 0, 0};

    attribute.string_len = text ? strlen(text) : 0;
    return attribute;
}

static inline struct tl_attribute tl_attribute_integer(const char *key, enum tl_type type,
                                                       int64_t value)
{
    struct tl_attribute attribute = {key, key ? strlen(key) : 0, type, NULL, 0, value, 0};

    return attribute;
}

static inline struct tl_attribute tl_attribute_double(const char *key, double value)
{
    struct tl_attribute attribute = {key, key ? strlen(key) : 0, TL_TYPE_DOUBLE, NULL, 0, 0, value};

    return attribute;
}

// Reads OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and OTEL_SDK_DISABLED and makes the ring that a
// node agent drains (THROUGHLINE_SOCKET, else /run/throughline/agent.sock). Optional: the first
// span does it. Never fails: without memory or agent, spans are dropped and counted.
TL_API void tl_init(void);

// Starts a span. `parent` NULL: the thread's current span; its ids zero: a new trace. NULL when the
// SDK is disabled or memory is short.
TL_API struct tl_span *tl_span_start(const char *name, enum tl_kind kind,
                                     const struct tl_context *parent);

// The end: the span is handed to the ring before this returns and survives the process from here.
TL_API void tl_span_end(struct tl_span *span);

// Several attributes in one call; a key given twice stands twice. Keys and text are UTF-8. What
// does not fit 64 KiB, all of a span together, is dropped and counted on the span.
TL_API void tl_span_set(struct tl_span *span, const struct tl_attribute *attributes, size_t count);
TL_API void tl_span_set_one(struct tl_span *span, struct tl_attribute attribute);

// Names of spans and events are kept to 255 bytes.
TL_API void tl_span_name(struct tl_span *span, const char *name);
TL_API void tl_span_event(struct tl_span *span, const char *name,
                          const struct tl_attribute *attributes, size_t count);
TL_API void tl_span_link(struct tl_span *span, const struct tl_context *to);

// `message` may be NULL and is kept with TL_STATUS_ERROR only, up to 1024 bytes.
TL_API void tl_span_status(struct tl_span *span, enum tl_status status, const char *message);

// The span's identity; all zero for NULL.
TL_API struct tl_context tl_span_context(const struct tl_span *span);

// The thread's current span. Put the former one back when done; a span must not end in one thread
// while it is current in another.
TL_API struct tl_span *tl_current(void);
TL_API struct tl_span *tl_current_set(struct tl_span *span);

// "00-<32 hex>-<16 hex>-<2 hex>" and a NUL. False (and an empty text) for a context without ids.
TL_API bool tl_traceparent_write(const struct tl_context *context, char out_text[56]);

// Reads a traceparent of `len` bytes. False leaves out_context untouched.
TL_API bool tl_traceparent_read(const char *text, size_t len, struct tl_context *out_context);

// "0.1.0". Lives for ever.
TL_API const char *tl_version(void);

// Spans that found no room since the process began.
TL_API uint64_t tl_dropped_spans(void);

#ifdef __cplusplus
}
#endif
