// SPDX-License-Identifier: Apache-2.0
// Instrumenting a library without linking the SDK: include this instead of throughline.h, link
// nothing. Every function of the API becomes a weak reference, found when the dynamic linker loads
// the library: in the program, in libthroughline.so that the program links, or in one that was
// opened with RTLD_GLOBAL before. Where it is not found, a call evaluates its arguments and gives
// nothing: NULL, false, 0, all zero, an empty text. Costs one comparison a call.
//
// Threads, errors, ownership, units: as the functions that are called. Not for throughline/sdk.h:
// what sets the SDK up links it. Without the SDK, no address of an API function or of
// tl_environment_getter is more than NULL. A program that links the static library shows its
// functions to shared libraries with -rdynamic.

#pragma once

#if defined(TL_API) && !defined(TL_WEAK)
#error "throughline/weak.h comes before the other headers of throughline"
#endif
#ifndef TL_WEAK
#define TL_WEAK 1
#endif

#include <throughline/throughline.h>

TL_BEGIN

// One row a function: a call of that type when it is there, else `nothing`. The last line takes the
// semicolon.
#define TL_WEAK_CALL(type, name, parameters, arguments, nothing)                                   \
    static inline type tl_weak_##name parameters                                                   \
    {                                                                                              \
        return tl_##name ? tl_##name arguments : nothing;                                          \
    }                                                                                              \
    struct tl_span

#define TL_WEAK_VOID(name, parameters, arguments)                                                  \
    static inline void tl_weak_##name parameters                                                   \
    {                                                                                              \
        if (tl_##name)                                                                             \
            tl_##name arguments;                                                                   \
    }                                                                                              \
    struct tl_span

#define TL_WEAK_ZERO(type, name, parameters, arguments)                                            \
    static inline type tl_weak_##name parameters                                                   \
    {                                                                                              \
        type nothing;                                                                              \
                                                                                                   \
        if (tl_##name)                                                                             \
            return tl_##name arguments;                                                            \
        memset(&nothing, 0, sizeof nothing);                                                       \
        return nothing;                                                                            \
    }                                                                                              \
    struct tl_span

// throughline/context.h
TL_WEAK_CALL(struct tl_context *, context_ref, (struct tl_context * context), (context), NULL);
TL_WEAK_VOID(context_unref, (struct tl_context * context), (context));
TL_WEAK_CALL(struct tl_context_key *, context_key_new, (const char *name), (name), NULL);
TL_WEAK_CALL(struct tl_context *, context_with_value,
             (struct tl_context * context, const struct tl_context_key *key, void *value,
              void (*drop)(void *value)),
             (context, key, value, drop), NULL);
TL_WEAK_CALL(void *, context_value,
             (const struct tl_context *context, const struct tl_context_key *key), (context, key),
             NULL);
TL_WEAK_CALL(struct tl_context *, context_with_span,
             (struct tl_context * context, struct tl_span *span), (context, span), NULL);
TL_WEAK_CALL(struct tl_span *, context_span, (const struct tl_context *context), (context), NULL);
TL_WEAK_CALL(struct tl_context *, context_with_remote,
             (struct tl_context * context, const struct tl_span_context *remote), (context, remote),
             NULL);
TL_WEAK_ZERO(struct tl_span_context, context_span_context, (const struct tl_context *context),
             (context));
TL_WEAK_CALL(struct tl_context *, context_current, (void), (), NULL);
TL_WEAK_ZERO(struct tl_context_token, context_attach, (struct tl_context * context), (context));
TL_WEAK_CALL(bool, context_detach, (struct tl_context_token token), (token), false);
TL_WEAK_CALL(struct tl_context *, context_with_baggage,
             (struct tl_context * context, const struct tl_baggage_entry *entry), (context, entry),
             NULL);
TL_WEAK_CALL(struct tl_context *, context_without_baggage,
             (struct tl_context * context, const char *name), (context, name), NULL);
TL_WEAK_CALL(struct tl_context *, context_clear_baggage, (struct tl_context * context), (context),
             NULL);
TL_WEAK_CALL(bool, baggage_get,
             (const struct tl_context *context, const char *name,
              struct tl_baggage_entry *out_entry),
             (context, name, out_entry), false);
TL_WEAK_CALL(bool, baggage_at,
             (const struct tl_context *context, size_t index, struct tl_baggage_entry *out_entry),
             (context, index, out_entry), false);

// throughline/trace.h
TL_WEAK_CALL(struct tl_tracer *, tracer_get,
             (struct tl_tracer_provider * provider, const struct tl_scope *scope),
             (provider, scope), NULL);
TL_WEAK_CALL(bool, tracer_enabled, (const struct tl_tracer *tracer), (tracer), false);
TL_WEAK_CALL(struct tl_span *, span_start,
             (const char *name, enum tl_kind kind, const struct tl_span_context *parent),
             (name, kind, parent), NULL);
TL_WEAK_CALL(struct tl_span *, span_start_with,
             (struct tl_tracer * tracer, const struct tl_span_options *options), (tracer, options),
             NULL);
TL_WEAK_CALL(struct tl_span *, span_wrap, (const struct tl_span_context *context), (context), NULL);
TL_WEAK_VOID(span_end, (struct tl_span * span), (span));
TL_WEAK_VOID(span_end_at, (struct tl_span * span, uint64_t end_ns), (span, end_ns));
TL_WEAK_CALL(bool, span_is_recording, (struct tl_span * span), (span), false);
TL_WEAK_VOID(span_set, (struct tl_span * span, const struct tl_attribute *attributes, size_t count),
             (span, attributes, count));
TL_WEAK_VOID(span_set_one, (struct tl_span * span, struct tl_attribute attribute),
             (span, attribute));
TL_WEAK_VOID(span_name, (struct tl_span * span, const char *name), (span, name));
TL_WEAK_VOID(span_event,
             (struct tl_span * span, const char *name, const struct tl_attribute *attributes,
              size_t count),
             (span, name, attributes, count));
TL_WEAK_VOID(span_event_at,
             (struct tl_span * span, const char *name, uint64_t time_ns,
              const struct tl_attribute *attributes, size_t count),
             (span, name, time_ns, attributes, count));
TL_WEAK_VOID(span_link, (struct tl_span * span, const struct tl_span_context *to), (span, to));
TL_WEAK_VOID(span_link_with, (struct tl_span * span, const struct tl_link *link), (span, link));
TL_WEAK_VOID(span_status, (struct tl_span * span, enum tl_status status, const char *message),
             (span, status, message));
TL_WEAK_VOID(span_exception,
             (struct tl_span * span, const struct tl_exception *exception,
              const struct tl_attribute *attributes, size_t count),
             (span, exception, attributes, count));
TL_WEAK_ZERO(struct tl_span_context, span_context, (const struct tl_span *span), (span));
TL_WEAK_CALL(struct tl_span *, current, (void), (), NULL);
TL_WEAK_CALL(struct tl_span *, current_set, (struct tl_span * span), (span), NULL);
TL_WEAK_CALL(struct tl_tracer_provider *, tracer_provider_global, (void), (), NULL);
TL_WEAK_VOID(tracer_provider_global_set, (struct tl_tracer_provider * provider), (provider));

// throughline/metrics.h
TL_WEAK_CALL(struct tl_meter *, meter_get,
             (struct tl_meter_provider * provider, const struct tl_scope *scope), (provider, scope),
             NULL);
TL_WEAK_CALL(struct tl_meter_provider *, meter_provider_global, (void), (), NULL);
TL_WEAK_VOID(meter_provider_global_set, (struct tl_meter_provider * provider), (provider));
TL_WEAK_CALL(struct tl_instrument *, instrument_get,
             (struct tl_meter * meter, const struct tl_instrument_options *options),
             (meter, options), NULL);
TL_WEAK_CALL(struct tl_instrument *, counter,
             (struct tl_meter * meter, const char *name, const char *unit, const char *description),
             (meter, name, unit, description), NULL);
TL_WEAK_CALL(struct tl_instrument *, up_down_counter,
             (struct tl_meter * meter, const char *name, const char *unit, const char *description),
             (meter, name, unit, description), NULL);
TL_WEAK_CALL(struct tl_instrument *, histogram,
             (struct tl_meter * meter, const char *name, const char *unit, const char *description),
             (meter, name, unit, description), NULL);
TL_WEAK_CALL(struct tl_instrument *, gauge,
             (struct tl_meter * meter, const char *name, const char *unit, const char *description),
             (meter, name, unit, description), NULL);
TL_WEAK_CALL(bool, instrument_enabled, (const struct tl_instrument *instrument), (instrument),
             false);
TL_WEAK_VOID(measure,
             (struct tl_instrument * instrument, int64_t value,
              const struct tl_attribute *attributes, size_t count),
             (instrument, value, attributes, count));
TL_WEAK_VOID(measure_double,
             (struct tl_instrument * instrument, double value,
              const struct tl_attribute *attributes, size_t count),
             (instrument, value, attributes, count));
TL_WEAK_VOID(measure_in,
             (struct tl_instrument * instrument, double value,
              const struct tl_attribute *attributes, size_t count,
              const struct tl_context *context),
             (instrument, value, attributes, count, context));
TL_WEAK_CALL(struct tl_bound *, bound_new,
             (struct tl_instrument * instrument, const struct tl_attribute *attributes,
              size_t count),
             (instrument, attributes, count), NULL);
TL_WEAK_VOID(bound_free, (struct tl_bound * bound), (bound));
TL_WEAK_VOID(bound_measure, (struct tl_bound * bound, int64_t value), (bound, value));
TL_WEAK_VOID(bound_measure_double, (struct tl_bound * bound, double value), (bound, value));
TL_WEAK_CALL(struct tl_callback *, callback_new,
             (struct tl_instrument *const *instruments, size_t count, tl_observe_function *observe,
              void *self),
             (instruments, count, observe, self), NULL);
TL_WEAK_VOID(callback_free, (struct tl_callback * callback), (callback));
TL_WEAK_VOID(observe,
             (struct tl_observer * observer, struct tl_instrument *instrument, int64_t value,
              const struct tl_attribute *attributes, size_t count),
             (observer, instrument, value, attributes, count));
TL_WEAK_VOID(observe_double,
             (struct tl_observer * observer, struct tl_instrument *instrument, double value,
              const struct tl_attribute *attributes, size_t count),
             (observer, instrument, value, attributes, count));

// throughline/logs.h
TL_WEAK_CALL(struct tl_logger *, logger_get,
             (struct tl_logger_provider * provider, const struct tl_scope *scope),
             (provider, scope), NULL);
TL_WEAK_CALL(struct tl_logger_provider *, logger_provider_global, (void), (), NULL);
TL_WEAK_VOID(logger_provider_global_set, (struct tl_logger_provider * provider), (provider));
TL_WEAK_VOID(log_emit, (struct tl_logger * logger, const struct tl_log_record *record),
             (logger, record));
TL_WEAK_CALL(bool, log_enabled,
             (const struct tl_logger *logger, enum tl_severity severity, const char *event_name,
              struct tl_context *context),
             (logger, severity, event_name, context), false);
TL_WEAK_VOID(log,
             (enum tl_severity severity, const char *text, const struct tl_attribute *attributes,
              size_t count),
             (severity, text, attributes, count));
TL_WEAK_VOID(event, (const char *event_name, const struct tl_attribute *attributes, size_t count),
             (event_name, attributes, count));
TL_WEAK_VOID(vsyslog, (int priority, const char *format, va_list arguments),
             (priority, format, arguments));
static inline size_t tl_weak_log_line_ids(char out_text[TL_LINE_MAX])
{
    if (tl_log_line_ids)
        return tl_log_line_ids(out_text);
    out_text[0] = '\0';
    return 0;
}

// For tl_logf and tl_syslog: evaluates, as a call would.
__attribute__((format(printf, 2, 3))) static inline void tl_weak_discard(int level,
                                                                         const char *format, ...)
{
    (void)level;
    (void)format;
}

// throughline/propagate.h
static inline bool tl_weak_traceparent_write(const struct tl_span_context *context,
                                             char out_text[56])
{
    if (tl_traceparent_write)
        return tl_traceparent_write(context, out_text);
    out_text[0] = '\0';
    return false;
}
TL_WEAK_CALL(bool, traceparent_read,
             (const char *text, size_t len, struct tl_span_context *out_context),
             (text, len, out_context), false);
TL_WEAK_CALL(struct tl_propagator *, propagator_global, (void), (), NULL);
TL_WEAK_VOID(propagator_global_set, (struct tl_propagator * propagator), (propagator));
TL_WEAK_CALL(struct tl_propagator *, propagator_new, (const char *names), (names), NULL);
TL_WEAK_CALL(struct tl_propagator *, propagator_custom,
             (const struct tl_propagator_functions *functions), (functions), NULL);
TL_WEAK_CALL(struct tl_propagator *, propagator_composite,
             (struct tl_propagator *const *list, size_t count), (list, count), NULL);
TL_WEAK_CALL(struct tl_propagator *, propagator_ref, (struct tl_propagator * propagator),
             (propagator), NULL);
TL_WEAK_VOID(propagator_unref, (struct tl_propagator * propagator), (propagator));
static inline const char *const *tl_weak_propagator_fields(const struct tl_propagator *propagator)
{
    static const char *const none[1] = {NULL};

    return tl_propagator_fields ? tl_propagator_fields(propagator) : none;
}
TL_WEAK_VOID(inject,
             (struct tl_propagator * propagator, const struct tl_context *context,
              tl_set_function *set, void *carrier),
             (propagator, context, set, carrier));
TL_WEAK_CALL(struct tl_context *, extract,
             (struct tl_propagator * propagator, struct tl_context *context,
              const struct tl_getter *getter, void *carrier),
             (propagator, context, getter, carrier), NULL);
TL_WEAK_VOID(inject_span,
             (const struct tl_span_context *context, tl_set_function *set, void *carrier),
             (context, set, carrier));
TL_WEAK_CALL(size_t, binary_write, (const struct tl_span_context *context, uint8_t out_bytes[29]),
             (context, out_bytes), 0);
TL_WEAK_CALL(bool, binary_read,
             (const uint8_t *bytes, size_t len, struct tl_span_context *out_context),
             (bytes, len, out_context), false);
TL_WEAK_CALL(char **, environment_new,
             (struct tl_propagator * propagator, const struct tl_context *context,
              char *const *environment),
             (propagator, context, environment), NULL);
TL_WEAK_VOID(environment_free, (char **environment), (environment));

// throughline/throughline.h
TL_WEAK_VOID(init, (void), ());
TL_WEAK_CALL(int, shutdown, (uint64_t timeout_ms), (timeout_ms), 0);
TL_WEAK_CALL(int, flush, (uint64_t timeout_ms), (timeout_ms), 0);
TL_WEAK_CALL(uint64_t, dropped, (enum tl_signal signal), (signal), 0);
TL_WEAK_CALL(const char *, version, (void), (), "");

TL_END

// From here on the names mean the rows above. Not a name alone: some are a struct's too.
#define tl_context_ref(...) tl_weak_context_ref(__VA_ARGS__)
#define tl_context_unref(...) tl_weak_context_unref(__VA_ARGS__)
#define tl_context_key_new(...) tl_weak_context_key_new(__VA_ARGS__)
#define tl_context_with_value(...) tl_weak_context_with_value(__VA_ARGS__)
#define tl_context_value(...) tl_weak_context_value(__VA_ARGS__)
#define tl_context_with_span(...) tl_weak_context_with_span(__VA_ARGS__)
#define tl_context_span(...) tl_weak_context_span(__VA_ARGS__)
#define tl_context_with_remote(...) tl_weak_context_with_remote(__VA_ARGS__)
#define tl_context_span_context(...) tl_weak_context_span_context(__VA_ARGS__)
#define tl_context_current(...) tl_weak_context_current(__VA_ARGS__)
#define tl_context_attach(...) tl_weak_context_attach(__VA_ARGS__)
#define tl_context_detach(...) tl_weak_context_detach(__VA_ARGS__)
#define tl_context_with_baggage(...) tl_weak_context_with_baggage(__VA_ARGS__)
#define tl_context_without_baggage(...) tl_weak_context_without_baggage(__VA_ARGS__)
#define tl_context_clear_baggage(...) tl_weak_context_clear_baggage(__VA_ARGS__)
#define tl_baggage_get(...) tl_weak_baggage_get(__VA_ARGS__)
#define tl_baggage_at(...) tl_weak_baggage_at(__VA_ARGS__)
#define tl_tracer_get(...) tl_weak_tracer_get(__VA_ARGS__)
#define tl_tracer_enabled(...) tl_weak_tracer_enabled(__VA_ARGS__)
#define tl_span_start(...) tl_weak_span_start(__VA_ARGS__)
#define tl_span_start_with(...) tl_weak_span_start_with(__VA_ARGS__)
#define tl_span_wrap(...) tl_weak_span_wrap(__VA_ARGS__)
#define tl_span_end(...) tl_weak_span_end(__VA_ARGS__)
#define tl_span_end_at(...) tl_weak_span_end_at(__VA_ARGS__)
#define tl_span_is_recording(...) tl_weak_span_is_recording(__VA_ARGS__)
#define tl_span_set(...) tl_weak_span_set(__VA_ARGS__)
#define tl_span_set_one(...) tl_weak_span_set_one(__VA_ARGS__)
#define tl_span_name(...) tl_weak_span_name(__VA_ARGS__)
#define tl_span_event(...) tl_weak_span_event(__VA_ARGS__)
#define tl_span_event_at(...) tl_weak_span_event_at(__VA_ARGS__)
#define tl_span_link(...) tl_weak_span_link(__VA_ARGS__)
#define tl_span_link_with(...) tl_weak_span_link_with(__VA_ARGS__)
#define tl_span_status(...) tl_weak_span_status(__VA_ARGS__)
#define tl_span_exception(...) tl_weak_span_exception(__VA_ARGS__)
#define tl_span_context(...) tl_weak_span_context(__VA_ARGS__)
#define tl_current(...) tl_weak_current(__VA_ARGS__)
#define tl_current_set(...) tl_weak_current_set(__VA_ARGS__)
#define tl_tracer_provider_global(...) tl_weak_tracer_provider_global(__VA_ARGS__)
#define tl_tracer_provider_global_set(...) tl_weak_tracer_provider_global_set(__VA_ARGS__)
#define tl_meter_get(...) tl_weak_meter_get(__VA_ARGS__)
#define tl_meter_provider_global(...) tl_weak_meter_provider_global(__VA_ARGS__)
#define tl_meter_provider_global_set(...) tl_weak_meter_provider_global_set(__VA_ARGS__)
#define tl_instrument_get(...) tl_weak_instrument_get(__VA_ARGS__)
#define tl_counter(...) tl_weak_counter(__VA_ARGS__)
#define tl_up_down_counter(...) tl_weak_up_down_counter(__VA_ARGS__)
#define tl_histogram(...) tl_weak_histogram(__VA_ARGS__)
#define tl_gauge(...) tl_weak_gauge(__VA_ARGS__)
#define tl_instrument_enabled(...) tl_weak_instrument_enabled(__VA_ARGS__)
#define tl_measure(...) tl_weak_measure(__VA_ARGS__)
#define tl_measure_double(...) tl_weak_measure_double(__VA_ARGS__)
#define tl_measure_in(...) tl_weak_measure_in(__VA_ARGS__)
#define tl_bound_new(...) tl_weak_bound_new(__VA_ARGS__)
#define tl_bound_free(...) tl_weak_bound_free(__VA_ARGS__)
#define tl_bound_measure(...) tl_weak_bound_measure(__VA_ARGS__)
#define tl_bound_measure_double(...) tl_weak_bound_measure_double(__VA_ARGS__)
#define tl_callback_new(...) tl_weak_callback_new(__VA_ARGS__)
#define tl_callback_free(...) tl_weak_callback_free(__VA_ARGS__)
#define tl_observe(...) tl_weak_observe(__VA_ARGS__)
#define tl_observe_double(...) tl_weak_observe_double(__VA_ARGS__)
#define tl_logger_get(...) tl_weak_logger_get(__VA_ARGS__)
#define tl_logger_provider_global(...) tl_weak_logger_provider_global(__VA_ARGS__)
#define tl_logger_provider_global_set(...) tl_weak_logger_provider_global_set(__VA_ARGS__)
#define tl_log_emit(...) tl_weak_log_emit(__VA_ARGS__)
#define tl_log_enabled(...) tl_weak_log_enabled(__VA_ARGS__)
#define tl_log(...) tl_weak_log(__VA_ARGS__)
#define tl_logf(...) (tl_logf ? tl_logf(__VA_ARGS__) : tl_weak_discard(__VA_ARGS__))
#define tl_event(...) tl_weak_event(__VA_ARGS__)
#define tl_vsyslog(...) tl_weak_vsyslog(__VA_ARGS__)
#define tl_syslog(...) (tl_syslog ? tl_syslog(__VA_ARGS__) : tl_weak_discard(__VA_ARGS__))
#define tl_log_line_ids(...) tl_weak_log_line_ids(__VA_ARGS__)
#define tl_traceparent_write(...) tl_weak_traceparent_write(__VA_ARGS__)
#define tl_traceparent_read(...) tl_weak_traceparent_read(__VA_ARGS__)
#define tl_propagator_global(...) tl_weak_propagator_global(__VA_ARGS__)
#define tl_propagator_global_set(...) tl_weak_propagator_global_set(__VA_ARGS__)
#define tl_propagator_new(...) tl_weak_propagator_new(__VA_ARGS__)
#define tl_propagator_custom(...) tl_weak_propagator_custom(__VA_ARGS__)
#define tl_propagator_composite(...) tl_weak_propagator_composite(__VA_ARGS__)
#define tl_propagator_ref(...) tl_weak_propagator_ref(__VA_ARGS__)
#define tl_propagator_unref(...) tl_weak_propagator_unref(__VA_ARGS__)
#define tl_propagator_fields(...) tl_weak_propagator_fields(__VA_ARGS__)
#define tl_inject(...) tl_weak_inject(__VA_ARGS__)
#define tl_extract(...) tl_weak_extract(__VA_ARGS__)
#define tl_inject_span(...) tl_weak_inject_span(__VA_ARGS__)
#define tl_binary_write(...) tl_weak_binary_write(__VA_ARGS__)
#define tl_binary_read(...) tl_weak_binary_read(__VA_ARGS__)
#define tl_environment_new(...) tl_weak_environment_new(__VA_ARGS__)
#define tl_environment_free(...) tl_weak_environment_free(__VA_ARGS__)
#define tl_init(...) tl_weak_init(__VA_ARGS__)
#define tl_shutdown(...) tl_weak_shutdown(__VA_ARGS__)
#define tl_flush(...) tl_weak_flush(__VA_ARGS__)
#define tl_dropped(...) tl_weak_dropped(__VA_ARGS__)
#define tl_version(...) tl_weak_version(__VA_ARGS__)
