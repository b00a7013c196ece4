// SPDX-License-Identifier: Apache-2.0
// A library that instruments itself and links no SDK. Compiled as C11 and as C++11: the words that
// both understand.

#include <throughline/weak.h>

#include "tests/package/weak_library.h"

static int evaluated;

static int evaluate(void)
{
    return ++evaluated;
}

int library_arguments_evaluated(void)
{
    return evaluated;
}

bool library_work(void)
{
    struct tl_span *span = tl_span_start("library work", TL_INTERNAL, NULL);
    struct tl_span *former = tl_current_set(span);
    const struct tl_span_context context = tl_span_context(span);
    char traceparent[56];

    TL_SET(span, TL_STR("library.name", "weak"), TL_INT("library.calls", 1));
    tl_span_set_one(span, TL_INT("library.evaluated", evaluate()));
    tl_logf(TL_INFO, "%s: %d calls", "work", 1);
    tl_span_status(span, TL_STATUS_OK, NULL);
    tl_current_set(former);
    tl_span_end(span);
    return tl_traceparent_write(&context, traceparent) && traceparent[0] == '0';
}

static bool is_zero(const void *bytes, size_t len)
{
    const char *at = (const char *)bytes;

    for (size_t i = 0; i < len; i++) {
        if (at[i] != 0)
            return false;
    }
    return true;
}

static size_t something;

// Counts what is not nothing.
#define EXPECT_NOTHING(call) (something += (call) ? 1 : 0)

static void take_context(struct tl_context *context)
{
    EXPECT_NOTHING(context);
    tl_context_unref(context);
}

static void take_span(struct tl_span *span)
{
    EXPECT_NOTHING(span);
    tl_span_end(span);
}

static void take_propagator(struct tl_propagator *propagator)
{
    EXPECT_NOTHING(propagator);
    tl_propagator_unref(propagator);
}

static void call_context(void)
{
    const struct tl_span_context identity = tl_context_span_context(NULL);
    const struct tl_context_token token = tl_context_attach(NULL);

    something += !is_zero(&identity, sizeof identity);
    something += !is_zero(&token, sizeof token);
    tl_context_detach(token);
    take_context(tl_context_ref(NULL));
    tl_context_unref(NULL);
    EXPECT_NOTHING(tl_context_key_new("key"));
    take_context(tl_context_with_value(NULL, NULL, NULL, NULL));
    EXPECT_NOTHING(tl_context_value(NULL, NULL));
    take_context(tl_context_with_span(NULL, NULL));
    EXPECT_NOTHING(tl_context_span(NULL));
    take_context(tl_context_with_remote(NULL, NULL));
    take_context(tl_context_current());
    take_context(tl_context_with_baggage(NULL, NULL));
    take_context(tl_context_without_baggage(NULL, NULL));
    take_context(tl_context_clear_baggage(NULL));
    EXPECT_NOTHING(tl_baggage_get(NULL, NULL, NULL));
    EXPECT_NOTHING(tl_baggage_at(NULL, 0, NULL));
}

static void call_trace(void)
{
    const struct tl_span_context identity = tl_span_context(NULL);

    something += !is_zero(&identity, sizeof identity);
    EXPECT_NOTHING(tl_tracer_get(NULL, NULL));
    EXPECT_NOTHING(tl_tracer_enabled(NULL));
    take_span(tl_span_start(NULL, TL_INTERNAL, NULL));
    take_span(tl_span_start_with(NULL, NULL));
    take_span(tl_span_wrap(NULL));
    tl_span_end(NULL);
    tl_span_end_at(NULL, 0);
    EXPECT_NOTHING(tl_span_is_recording(NULL));
    EXPECT_NOTHING(tl_span_wants(NULL));
    tl_span_set(NULL, NULL, 0);
    tl_span_set_one(NULL, TL_STR(NULL, NULL));
    tl_span_name(NULL, NULL);
    tl_span_event(NULL, NULL, NULL, 0);
    tl_span_event_at(NULL, NULL, 0, NULL, 0);
    tl_span_link(NULL, NULL);
    tl_span_link_with(NULL, NULL);
    tl_span_status(NULL, TL_STATUS_UNSET, NULL);
    tl_span_exception(NULL, NULL, NULL, 0);
    EXPECT_NOTHING(tl_current());
    EXPECT_NOTHING(tl_current_set(NULL));
    EXPECT_NOTHING(tl_tracer_provider_global());
    tl_tracer_provider_global_set(NULL);
}

static void call_metrics(void)
{
    EXPECT_NOTHING(tl_meter_get(NULL, NULL));
    EXPECT_NOTHING(tl_meter_provider_global());
    tl_meter_provider_global_set(NULL);
    EXPECT_NOTHING(tl_instrument_get(NULL, NULL));
    EXPECT_NOTHING(tl_counter(NULL, NULL, NULL, NULL));
    EXPECT_NOTHING(tl_up_down_counter(NULL, NULL, NULL, NULL));
    EXPECT_NOTHING(tl_histogram(NULL, NULL, NULL, NULL));
    EXPECT_NOTHING(tl_gauge(NULL, NULL, NULL, NULL));
    EXPECT_NOTHING(tl_instrument_enabled(NULL));
    tl_measure(NULL, 1, NULL, 0);
    tl_measure_double(NULL, 1, NULL, 0);
    tl_measure_in(NULL, 1, NULL, 0, NULL);
    EXPECT_NOTHING(tl_bound_new(NULL, NULL, 0));
    tl_bound_free(NULL);
    tl_bound_measure(NULL, 1);
    tl_bound_measure_double(NULL, 1);
    EXPECT_NOTHING(tl_callback_new(NULL, 0, NULL, NULL));
    tl_callback_free(NULL);
    tl_observe(NULL, NULL, 1, NULL, 0);
    tl_observe_double(NULL, NULL, 1, NULL, 0);
}

static void call_vsyslog(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    tl_vsyslog(6, format, arguments);
    va_end(arguments);
}

static void call_logs(void)
{
    char ids[TL_LINE_MAX] = "not touched";

    EXPECT_NOTHING(tl_logger_get(NULL, NULL));
    EXPECT_NOTHING(tl_logger_provider_global());
    tl_logger_provider_global_set(NULL);
    tl_log_emit(NULL, NULL);
    EXPECT_NOTHING(tl_log_enabled(NULL, TL_INFO, NULL, NULL));
    tl_log(TL_INFO, NULL, NULL, 0);
    tl_logf(TL_INFO, "%d", evaluate());
    tl_event(NULL, NULL, 0);
    call_vsyslog("%s", "text");
    tl_syslog(6, "%s", "text");
    EXPECT_NOTHING(tl_log_line_ids(ids));
    EXPECT_NOTHING(ids[0]);
}

static void call_propagate(void)
{
    struct tl_span_context identity;
    char text[56] = "not touched";
    uint8_t bytes[29];
    char **environment;

    EXPECT_NOTHING(tl_traceparent_write(NULL, text));
    EXPECT_NOTHING(text[0]);
    EXPECT_NOTHING(tl_traceparent_read("", 0, &identity));
    EXPECT_NOTHING(tl_propagator_global());
    tl_propagator_global_set(NULL);
    take_propagator(tl_propagator_new("tracecontext"));
    take_propagator(tl_propagator_custom(NULL));
    take_propagator(tl_propagator_composite(NULL, 0));
    take_propagator(tl_propagator_ref(NULL));
    tl_propagator_unref(NULL);
    EXPECT_NOTHING(tl_propagator_fields(NULL)[0]);
    tl_inject(NULL, NULL, NULL, NULL);
    take_context(tl_extract(NULL, NULL, NULL, NULL));
    tl_inject_span(NULL, NULL, NULL);
    EXPECT_NOTHING(tl_binary_write(NULL, bytes));
    EXPECT_NOTHING(tl_binary_read(NULL, 0, &identity));
    environment = tl_environment_new(NULL, NULL, NULL);
    EXPECT_NOTHING(environment);
    tl_environment_free(environment);
    EXPECT_NOTHING(&tl_environment_getter);
}

size_t library_call_everything(void)
{
    something = 0;
    call_context();
    call_trace();
    call_metrics();
    call_logs();
    call_propagate();
    tl_init();
    EXPECT_NOTHING(tl_flush(0));
    EXPECT_NOTHING(tl_dropped(TL_TRACES));
    EXPECT_NOTHING(tl_version()[0]);
    EXPECT_NOTHING(tl_shutdown(0));
    return something;
}
