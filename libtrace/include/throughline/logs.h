// SPDX-License-Identifier: Apache-2.0
// Logs and events (specification 1.60, "Logs API").

#pragma once

#include <stdarg.h>

#include <throughline/trace.h>

TL_BEGIN

struct tl_logger;
struct tl_logger_provider;

// As tl_tracer_get.
TL_API struct tl_logger *tl_logger_get(struct tl_logger_provider *provider,
                                       const struct tl_scope *scope);

// Records of the default provider. Setting leaves it the caller's; NULL puts the one made from
// OTEL_* back.
TL_API struct tl_logger_provider *tl_logger_provider_global(void);
TL_API void tl_logger_provider_global_set(struct tl_logger_provider *provider);

// SeverityNumber (specification, "Logs Data Model"); 1 to 24, these are the first of each range.
enum tl_severity {
    TL_SEVERITY_NONE = 0,
    TL_TRACE = 1,
    TL_DEBUG = 5,
    TL_INFO = 9,
    TL_WARN = 13,
    TL_ERROR = 17,
    TL_FATAL = 21,
};

// Zero what is not needed.
struct tl_log_record {
    uint64_t time_ns;     // 0: left unset, observed_ns says it
    uint64_t observed_ns; // 0: now
    enum tl_severity severity;
    const char *severity_text;
    const char *event_name; // makes it an event
    struct tl_value body;
    const struct tl_attribute *attributes;
    size_t attribute_count;
    // Whose trace: `span` when not NULL, else that of `context`, else of the current context.
    const struct tl_span_context *span;
    struct tl_context *context;
    const struct tl_exception *exception; // its exception.* attributes yield to `attributes`
};

// A text as a body; it must stay until the record was emitted.
#define TL_BODY(text) tl_body((text))
static inline struct tl_value tl_body(const char *text)
{
    return tl_attribute_string(NULL, text).value;
}

// A record of these two and nothing else, to be filled further. Each field is set by itself,
// because compilers clear a struct of this size with an instruction that takes longer than the
// rest.
static inline struct tl_log_record tl_log_record_of(enum tl_severity severity, struct tl_value body)
{
    struct tl_log_record record;

    record.time_ns = 0;
    record.observed_ns = 0;
    record.severity = severity;
    record.severity_text = NULL;
    record.event_name = NULL;
    record.body = body;
    record.attributes = NULL;
    record.attribute_count = 0;
    record.span = NULL;
    record.context = NULL;
    record.exception = NULL;
    return record;
}

// NULL logger: the default one. A record has at most 60 KiB: the text of a longer body is cut at a
// character and counted; what is too long in another way is dropped when it finds no room, and
// counted. Of two attributes with one key the last counts.
TL_API void tl_log_emit(struct tl_logger *logger, const struct tl_log_record *record);

// False when a record like that would surely go nowhere. May change over time; NULL event_name and
// context as in a record.
TL_API bool tl_log_enabled(const struct tl_logger *logger, enum tl_severity severity,
                           const char *event_name, struct tl_context *context);

// The short ways. The text is cut at 8 KiB.
TL_API void tl_log(enum tl_severity severity, const char *text,
                   const struct tl_attribute *attributes, size_t count);
__attribute__((format(printf, 2, 3))) TL_API void tl_logf(enum tl_severity severity,
                                                          const char *format, ...);
TL_API void tl_event(const char *event_name, const struct tl_attribute *attributes, size_t count);

// syslog(3)'s arguments become a record (severity by the priority, facility as
// syslog.facility.code); nothing is sent to syslog. %m is this thread's errno text.
TL_API void tl_vsyslog(int priority, const char *format, va_list arguments);
__attribute__((format(printf, 2, 3))) TL_API void tl_syslog(int priority, const char *format, ...);

// For a program with a line logger of its own: writes " trace_id=<32 hex> span_id=<16 hex>
// trace_flags=<2 hex>" of the current span, or an empty text, and a NUL. Returns its length.
// (specification, "Trace Context in non-OTLP Log Formats")
#define TL_LINE_MAX 96
TL_API size_t tl_log_line_ids(char out_text[TL_LINE_MAX]);

TL_END
