// SPDX-License-Identifier: Apache-2.0
// What every header of the API shares: visibility, attribute values, the identity of a span.
// Terms: OpenTelemetry specification 1.60 ("Common", "Trace API"); W3C Trace Context level 2.
//
// Rules for every function of the API, unless its comment says otherwise
// Threads: any thread may call any function, on the same object too.
// Errors: nothing aborts, exits, prints, blocks on the network, installs a signal handler or
// changes errno. NULL is taken everywhere and does nothing. What finds no room is dropped and
// counted (tl_dropped, tl_stats_read). Ownership: what is passed in is copied before the call
// returns; what is returned is borrowed, except from functions named _new, which have a _free.
// Text: UTF-8 with an explicit length or a NUL at the end. Bytes that are not UTF-8 are replaced by
// U+FFFD, because a strict receiver refuses the whole request for one of them.
// Units: time is nanoseconds since 1970 (_ns) and 0 means "now"; waits are milliseconds (_ms).

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
#define TL_BEGIN extern "C" {
#define TL_END }
#else
#define TL_BEGIN
#define TL_END
#endif

// With TL_WEAK defined, a library instruments itself without linking the SDK (throughline/weak.h).
#ifdef TL_WEAK
#define TL_API __attribute__((visibility("default"), weak))
#else
#define TL_API __attribute__((visibility("default")))
#endif

TL_BEGIN

// The SDK's own limit on one name (span, event, instrument): longer ones are cut at a character.
#define TL_NAME_MAX 255

enum tl_signal { TL_TRACES, TL_METRICS, TL_LOGS };

// AnyValue of the protocol (specification, "Common": attribute value types). TL_TYPE_EMPTY is no
// value and, given to an attribute, is invalid: such an attribute is left out.
enum tl_type {
    TL_TYPE_EMPTY,
    TL_TYPE_STRING,
    TL_TYPE_BOOL,
    TL_TYPE_INT,
    TL_TYPE_DOUBLE,
    TL_TYPE_BYTES,
    TL_TYPE_STRINGS, // arrays of one type
    TL_TYPE_BOOLS,
    TL_TYPE_INTS,
    TL_TYPE_DOUBLES,
    TL_TYPE_ARRAY, // of any values
    TL_TYPE_MAP,
};

struct tl_attribute;

// `count`: bytes of a string or of TL_TYPE_BYTES, elements of the others.
struct tl_value {
    enum tl_type type;
    size_t count;
    union {
        const char *string; // also bytes
        bool boolean;
        int64_t integer;
        double number;
        const char *const *strings; // each with a NUL at its end; NULL is an empty text
        const bool *booleans;
        const int64_t *integers;
        const double *numbers;
        const struct tl_value *values;
        const struct tl_attribute *attributes;
    } as;
};

struct tl_attribute {
    const char *key; // not empty, else the attribute is left out
    size_t key_len;
    struct tl_value value;
};

// Attributes in place: TL_STR("http.route", "/orders/{id}"), TL_INT("retries", 2).
#define TL_STR(key, text) tl_attribute_string((key), (text))
#define TL_STR_N(key, text, len) tl_attribute_string_n((key), (text), (len))
#define TL_INT(key, value) tl_attribute_int((key), (int64_t)(value))
#define TL_BOOL(key, value) tl_attribute_bool((key), (value))
#define TL_DOUBLE(key, value) tl_attribute_double((key), (value))
#define TL_BYTES(key, bytes, len)                                                                  \
    tl_attribute_list((key), TL_TYPE_BYTES, (const char *)(bytes), (len))
#define TL_STRS(key, texts, count)                                                                 \
    tl_attribute_list((key), TL_TYPE_STRINGS, (const char *const *)(texts), (count))
#define TL_INTS(key, values, count)                                                                \
    tl_attribute_list((key), TL_TYPE_INTS, (const int64_t *)(values), (count))
#define TL_BOOLS(key, values, count)                                                               \
    tl_attribute_list((key), TL_TYPE_BOOLS, (const bool *)(values), (count))
#define TL_DOUBLES(key, values, count)                                                             \
    tl_attribute_list((key), TL_TYPE_DOUBLES, (const double *)(values), (count))

// Inline, so that the length of a literal is known when the caller is compiled.
static inline struct tl_attribute tl_attribute_of(const char *key, enum tl_type type, size_t count)
{
    struct tl_attribute attribute;

    attribute.key = key;
    attribute.key_len = key ? strlen(key) : 0;
    attribute.value.type = type;
    attribute.value.count = count;
    attribute.value.as.integer = 0;
    return attribute;
}

// A text of `len` bytes; NULL: an empty text.
static inline struct tl_attribute tl_attribute_string_n(const char *key, const char *text,
                                                        size_t len)
{
    struct tl_attribute attribute = tl_attribute_of(key, TL_TYPE_STRING, text ? len : 0);

    attribute.value.as.string = text;
    return attribute;
}

// A text that ends with a NUL.
static inline struct tl_attribute tl_attribute_string(const char *key, const char *text)
{
    return tl_attribute_string_n(key, text, text ? strlen(text) : 0);
}

// A signed integer.
static inline struct tl_attribute tl_attribute_int(const char *key, int64_t value)
{
    struct tl_attribute attribute = tl_attribute_of(key, TL_TYPE_INT, 0);

    attribute.value.as.integer = value;
    return attribute;
}

// True or false.
static inline struct tl_attribute tl_attribute_bool(const char *key, bool value)
{
    struct tl_attribute attribute = tl_attribute_of(key, TL_TYPE_BOOL, 0);

    attribute.value.as.integer = 0;
    attribute.value.as.boolean = value;
    return attribute;
}

// A number of double precision.
static inline struct tl_attribute tl_attribute_double(const char *key, double value)
{
    struct tl_attribute attribute = tl_attribute_of(key, TL_TYPE_DOUBLE, 0);

    attribute.value.as.number = value;
    return attribute;
}

// Bytes or a list: `at` points to `count` elements of what `type` says and must stay until the call
// that the attribute is given to.
static inline struct tl_attribute tl_attribute_list(const char *key, enum tl_type type,
                                                    const void *at, size_t count)
{
    struct tl_attribute attribute = tl_attribute_of(key, type, at ? count : 0);

    // Every member of the union that is a pointer has the same representation.
    attribute.value.as.string = (const char *)at;
    return attribute;
}

// The number of elements of an array of attributes, for the pairs (list, count) below.
#define TL_COUNT(list) (sizeof(list) / sizeof((list)[0]))

// SpanContext: the identity of a span as it travels (W3C Trace Context 3.2). All-zero ids: none.
// `trace_state` is borrowed: it lives as long as the span it came from, or as the text or the
// context it was read from. It is a valid tracestate or empty.
struct tl_span_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags; // bit 0 sampled, bit 1 random trace id
    bool is_remote;
    uint16_t trace_state_len;
    const char *trace_state;
};

#define TL_FLAG_SAMPLED 1u
#define TL_FLAG_RANDOM 2u

// Both ids have a bit set.
static inline bool tl_span_context_is_valid(const struct tl_span_context *context)
{
    uint64_t a, b, c;

    if (!context)
        return false;
    memcpy(&a, context->trace_id, 8);
    memcpy(&b, context->trace_id + 8, 8);
    memcpy(&c, context->span_id, 8);
    return (a | b) != 0 && c != 0;
}

// InstrumentationScope: who records. Zero what is not known.
struct tl_scope {
    const char *name;
    const char *version;
    const char *schema_url;
    const struct tl_attribute *attributes;
    size_t attribute_count;
};

TL_END
