// SPDX-License-Identifier: Apache-2.0
// B3, Jaeger, OT, X-Ray, OpenCensus binary and environment variables: what each accepts, what it
// refuses, what it writes.

#include "tests/support/check.h"

#include <throughline/sdk.h>

#include "tests/sdk/headers.h"

static struct headers in;
static struct headers out;

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static int headers_clear(void **state)
{
    (void)state;
    in.count = 0;
    out.count = 0;
    return 0;
}

// What a propagator makes of `in`.
static struct tl_context *read_with(const char *names)
{
    struct tl_propagator *propagator = tl_propagator_new(names);
    struct tl_context *context = tl_extract(propagator, NULL, &headers_getter, &in);

    tl_propagator_unref(propagator);
    return context;
}

static void write_with(const char *names, const struct tl_context *context)
{
    struct tl_propagator *propagator = tl_propagator_new(names);

    tl_inject(propagator, context, headers_set, &out);
    tl_propagator_unref(propagator);
}

// The traceparent of what was read, "" for nothing.
static const char *seen(const char *names, char room[56])
{
    struct tl_context *context = read_with(names);
    const struct tl_span_context identity = tl_context_span_context(context);

    tl_traceparent_write(&identity, room);
    tl_context_unref(context);
    return room;
}

static void b3_is_read_in_both_forms(void **state)
{
    static const struct {
        const char *text;
        const char *seen;
    } cases[] = {
        {TRACE "-" SPAN "-1-05e3ac9a4f6e3b90", "00-" TRACE "-" SPAN "-01"},
        {TRACE "-" SPAN "-0", "00-" TRACE "-" SPAN "-00"},
        {TRACE "-" SPAN, "00-" TRACE "-" SPAN "-00"},
        {TRACE "-" SPAN "-d", "00-" TRACE "-" SPAN "-01"},
        {"8448eb211c80319c-" SPAN "-1", "00-00000000000000008448eb211c80319c-" SPAN "-01"},
        {"0AF7651916CD43DD8448EB211C80319C-" SPAN "-1", "00-" TRACE "-" SPAN "-01"},
        {"0", ""},
        {"1", ""},
        {"d", ""},
        {"", ""},
        {"-", ""},
        {"0-" SPAN "-1", ""},
        {TRACE "-0000000000000000-1", ""},
        {TRACE "-b7ad6b716920333-1", ""},
    };
    char room[56];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        headers_clear(state);
        headers_add(&in, "b3", cases[i].text);
        assert_string_equal(seen("b3", room), cases[i].seen);
        assert_string_equal(seen("b3multi", room), cases[i].seen);
    }
    headers_clear(state);
    headers_add(&in, "x-b3-traceid", TRACE);
    headers_add(&in, "x-b3-spanid", SPAN);
    assert_string_equal(seen("b3", room), "00-" TRACE "-" SPAN "-00");
    headers_add(&in, "X-B3-Sampled", "true");
    assert_string_equal(seen("b3", room), "00-" TRACE "-" SPAN "-01");
    headers_add(&in, "b3", TRACE "-00f067aa0ba902b7-0");
    assert_string_equal(seen("b3", room), "00-" TRACE "-00f067aa0ba902b7-00");
}

static void b3_is_written_as_configured(void **state)
{
    struct tl_context *context;

    (void)state;
    headers_add(&in, "b3", TRACE "-" SPAN "-1-05e3ac9a4f6e3b90");
    context = read_with("b3");
    write_with("b3", context);
    write_with("b3multi", context);
    assert_int_equal(out.count, 4);
    assert_str(headers_find(&out, "b3"), TRACE "-" SPAN "-1");
    assert_str(headers_find(&out, "X-B3-TraceId"), TRACE);
    assert_str(headers_find(&out, "X-B3-SpanId"), SPAN);
    assert_str(headers_find(&out, "X-B3-Sampled"), "1");
    tl_context_unref(context);
}

static void b3_debug_is_passed_on(void **state)
{
    const struct tl_baggage_entry entry = {"a", 1, "b", 1, NULL, 0};
    struct tl_context *context;
    struct tl_context *with;

    (void)state;
    headers_add(&in, "X-B3-TraceId", TRACE);
    headers_add(&in, "X-B3-SpanId", SPAN);
    headers_add(&in, "X-B3-Flags", "1");
    headers_add(&in, "X-B3-Sampled", "0");
    context = read_with("b3multi");
    assert_int_equal(tl_context_span_context(context).flags, TL_FLAG_SAMPLED);
    with = tl_context_with_baggage(context, &entry);
    write_with("b3,b3multi,jaeger", with);
    assert_str(headers_find(&out, "b3"), TRACE "-" SPAN "-d");
    assert_str(headers_find(&out, "X-B3-Flags"), "1");
    assert_str(headers_find(&out, "X-B3-Sampled"), "");
    assert_str(headers_find(&out, "uber-trace-id"), TRACE ":" SPAN ":0:3");
    tl_context_unref(context);
    tl_context_unref(with);
}

// ---- Jaeger, OT, X-Ray, OpenCensus

static void jaeger_goes_both_ways(void **state)
{
    static const struct {
        const char *text;
        const char *seen;
    } cases[] = {
        {TRACE ":" SPAN ":0:1", "00-" TRACE "-" SPAN "-01"},
        {TRACE "%3A" SPAN "%3a0%3A00", "00-" TRACE "-" SPAN "-00"},
        {"8448eb211c80319c:1:0:3", "00-00000000000000008448eb211c80319c-0000000000000001-01"},
        {"f7651916cd43dd8448eb211c80319c:" SPAN ":0:2",
         "00-00f7651916cd43dd8448eb211c80319c-" SPAN "-00"},
        {TRACE ":" SPAN ":0", ""},
        {TRACE ":" SPAN ":0:1:1", ""},
        {TRACE ":" SPAN ":0:", ""},
        {"x:" SPAN ":0:1", ""},
        {"0" TRACE ":" SPAN ":0:1", ""},
    };
    struct tl_baggage_entry entry;
    struct tl_context *context;
    char room[56];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        headers_clear(state);
        headers_add(&in, "Uber-Trace-Id", cases[i].text);
        assert_string_equal(seen("jaeger", room), cases[i].seen);
    }
    headers_clear(state);
    headers_add(&in, "uber-trace-id", TRACE ":" SPAN ":0:1");
    headers_add(&in, "uberctx-user", "D%C3%B6rte");
    context = read_with("jaeger");
    assert_true(tl_baggage_get(context, "user", &entry));
    assert_str(((struct str){entry.value, entry.value_len}), "D\xc3\xb6rte");
    write_with("jaeger", context);
    assert_str(headers_find(&out, "uber-trace-id"), TRACE ":" SPAN ":0:1");
    assert_str(headers_find(&out, "uberctx-user"), "D%C3%B6rte");
    tl_context_unref(context);
}

static void ot_goes_both_ways(void **state)
{
    struct tl_context *context;
    struct tl_baggage_entry entry;
    char room[56];

    (void)state;
    headers_add(&in, "ot-tracer-traceid", "8448eb211c80319c");
    headers_add(&in, "ot-tracer-spanid", SPAN);
    assert_string_equal(seen("ottrace", room), "00-00000000000000008448eb211c80319c-" SPAN "-00");
    headers_add(&in, "ot-tracer-sampled", "true");
    headers_add(&in, "OT-Baggage-user", "ann");
    context = read_with("ottrace");
    assert_true(tl_baggage_get(context, "user", &entry));
    write_with("ottrace", context);
    assert_str(headers_find(&out, "ot-tracer-traceid"), "8448eb211c80319c");
    assert_str(headers_find(&out, "ot-tracer-spanid"), SPAN);
    assert_str(headers_find(&out, "ot-tracer-sampled"), "true");
    assert_str(headers_find(&out, "ot-baggage-user"), "ann");
    tl_context_unref(context);
}

static void xray_goes_both_ways(void **state)
{
    static const struct {
        const char *text;
        bool is_read;
    } cases[] = {
        {"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", true},
        {"Sampled=1;Self=1-67891234-12456789abcdef012345678; Parent=53995c3f42cd8ad8 ;"
         "Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=a87bd80c:1",
         true},
        {"Root=1-5759e988-bd862e3fe1be46a994272793", false},
        {"Root=1-5759e988-bd862e3fe1be46a99427279;Parent=53995c3f42cd8ad8;Sampled=1", false},
        {"Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8", false},
        {"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad;Sampled=1", false},
        {"", false},
    };
    struct tl_context *context;
    char room[56];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        headers_clear(state);
        headers_add(&in, "X-Amzn-Trace-Id", cases[i].text);
        assert_string_equal(
            seen("xray", room),
            cases[i].is_read ? "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01" : "");
    }
    headers_clear(state);
    headers_add(&in, "x-amzn-trace-id", cases[0].text);
    context = read_with("xray");
    write_with("xray", context);
    assert_str(headers_find(&out, "X-Amzn-Trace-Id"), cases[0].text);
    tl_context_unref(context);
}

static void open_census_binary_goes_both_ways(void **state)
{
    struct tl_span_context identity;
    struct tl_span_context read;
    uint8_t bytes[64] = {0};

    (void)state;
    assert_true(tl_traceparent_read("00-" TRACE "-" SPAN "-01", 55, &identity));
    assert_int_equal(tl_binary_write(&identity, bytes), 29);
    assert_true(tl_binary_read(bytes, 29, &read));
    assert_memory_equal(read.trace_id, identity.trace_id, 16);
    assert_memory_equal(read.span_id, identity.span_id, 8);
    assert_int_equal(read.flags, 1);
    assert_true(read.is_remote);
    // The options may be missing, a field that is unknown ends the reading.
    assert_true(tl_binary_read(bytes, 27, &read));
    assert_int_equal(read.flags, 0);
    bytes[27] = 9;
    assert_true(tl_binary_read(bytes, 64, &read));
    assert_int_equal(read.flags, 0);
    bytes[27] = 2;
    for (size_t len = 0; len < 27; len++)
        assert_false(tl_binary_read(bytes, len, &read));
    assert_false(tl_binary_read(bytes, 28, &read));
    bytes[0] = 1;
    assert_false(tl_binary_read(bytes, 29, &read));
    assert_int_equal(tl_binary_write(&(struct tl_span_context){0}, bytes), 0);
    assert_false(tl_binary_read(NULL, 29, &read));
}

// ---- Environment variables

static const char *variable(char *const *environment, const char *name)
{
    for (; *environment; environment++) {
        if (strncmp(*environment, name, strlen(name)) == 0 && (*environment)[strlen(name)] == '=')
            return *environment + strlen(name) + 1;
    }
    return NULL;
}

static void variables_carry_a_context(void **state)
{
    static const char *const given[] = {"PATH=/bin",      "TRACEPARENT=00-" TRACE "-" SPAN "-01",
                                        "TRACESTATE=a=1", "BAGGAGE=k=v",
                                        "traceparent=x",  NULL};
    static const char *const stale[] = {"HOME=/", "TRACEPARENT=old", "TRACESTATE=old=1", NULL};
    void *carrier = (void *)(uintptr_t)given;
    struct tl_propagator *propagator = tl_propagator_new("tracecontext,baggage,b3multi");
    struct tl_context *context = tl_extract(propagator, NULL, &tl_environment_getter, carrier);
    struct tl_span_context identity = tl_context_span_context(context);
    char **child;

    (void)state;
    assert_str(((struct str){identity.trace_state, identity.trace_state_len}), "a=1");
    child = tl_environment_new(propagator, context, (char *const *)(uintptr_t)stale);
    assert_string_equal(variable(child, "HOME"), "/");
    assert_string_equal(variable(child, "TRACEPARENT"), "00-" TRACE "-" SPAN "-01");
    assert_string_equal(variable(child, "TRACESTATE"), "a=1");
    assert_string_equal(variable(child, "BAGGAGE"), "k=v");
    assert_string_equal(variable(child, "X_B3_TRACEID"), TRACE);
    assert_string_equal(variable(child, "X_B3_SAMPLED"), "1");
    tl_environment_free(child);
    tl_context_unref(context);
    tl_propagator_unref(propagator);
    identity.trace_state_len = 0;
    context = tl_context_with_remote(NULL, &identity);
    child = tl_environment_new(NULL, context, (char *const *)(uintptr_t)stale);
    assert_null(variable(child, "TRACESTATE"));
    tl_environment_free(child);
    tl_context_unref(context);
}

static void count_key(void *self, const char *key, size_t key_len)
{
    struct headers *seen_keys = self;

    headers_set(seen_keys, key, key_len, "", 0);
}

static void only_normalized_names_are_seen(void **state)
{
    static const char *const given[] = {"x-b3=0",  "1A=1",   "_1A=2", "_=3",
                                        "lower=4", "UP_1=5", NULL};
    void *carrier = (void *)(uintptr_t)given;
    struct str value = {NULL, 0};

    (void)state;
    tl_environment_getter.keys(carrier, count_key, &out);
    assert_int_equal(out.count, 3);
    assert_true(tl_environment_getter.get(carrier, "1a", 2, 0, &value.at, &value.len));
    assert_str(value, "2");
    assert_true(tl_environment_getter.get(carrier, "", 0, 0, &value.at, &value.len));
    assert_str(value, "3");
    assert_true(tl_environment_getter.get(carrier, "up.1", 4, 0, &value.at, &value.len));
    assert_str(value, "5");
    assert_false(tl_environment_getter.get(carrier, "up.1", 4, 1, &value.at, &value.len));
    assert_false(tl_environment_getter.get(carrier, "lower", 5, 0, &value.at, &value.len));
    assert_false(tl_environment_getter.get(carrier, "x-b3", 4, 0, &value.at, &value.len));
}

#define ROW(function) cmocka_unit_test_setup(function, headers_clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(b3_is_read_in_both_forms),
        ROW(b3_is_written_as_configured),
        ROW(b3_debug_is_passed_on),
        ROW(jaeger_goes_both_ways),
        ROW(ot_goes_both_ways),
        ROW(xray_goes_both_ways),
        ROW(open_census_binary_goes_both_ways),
        ROW(variables_carry_a_context),
        ROW(only_normalized_names_are_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
