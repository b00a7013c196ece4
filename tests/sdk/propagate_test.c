// SPDX-License-Identifier: Apache-2.0
// W3C Trace Context and Baggage, and what propagators are composed of.

#include "tests/support/check.h"

#include <sys/wait.h>
#include <unistd.h>

#include <throughline/sdk.h>

#include "libtrace/sdk/stats.h"
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

static void w3c_goes_both_ways(void **state)
{
    struct tl_context *context;
    struct tl_span_context identity;

    (void)state;
    headers_add(&in, "TraceParent", " 00-" TRACE "-" SPAN "-03\t");
    headers_add(&in, "tracestate", "foo=1 \t , ,bar=2");
    headers_add(&in, "TRACESTATE", "");
    headers_add(&in, "tracestate", "ot=th:c;rv:00000000000001 ,");
    context = read_with("tracecontext");
    identity = tl_context_span_context(context);
    assert_true(identity.is_remote);
    assert_true(tl_span_context_is_valid(&identity));
    assert_int_equal(identity.flags, TL_FLAG_SAMPLED | TL_FLAG_RANDOM);
    write_with("tracecontext", context);
    assert_int_equal(out.count, 2);
    assert_str(headers_find(&out, "traceparent"), "00-" TRACE "-" SPAN "-03");
    assert_str(headers_find(&out, "tracestate"), "foo=1,bar=2,ot=th:c;rv:00000000000001");
    tl_context_unref(context);
}

static void two_traceparents_are_none(void **state)
{
    char room[56];

    (void)state;
    headers_add(&in, "traceparent", "00-" TRACE "-" SPAN "-01");
    headers_add(&in, "traceparent", "00-" TRACE "-" SPAN "-01");
    assert_string_equal(seen("tracecontext", room), "");
}

static void a_bad_tracestate_goes_and_the_traceparent_stays(void **state)
{
    static const struct {
        const char *text;
        const char *kept;
    } cases[] = {
        {"a=1", "a=1"},
        {"0a_-*/@x=1", "0a_-*/@x=1"},
        {"a=1,a=2", "a=1,a=2"},
        {"foo@=1,foo@@bar=2", "foo@=1,foo@@bar=2"},
        {"a= b", "a= b"},
        {"a= b \t", "a= b"},
        {"a=\x21~", "a=\x21~"},
        {"a=1,", "a=1"},
        {",,a=1", "a=1"},
        {"@a=1", ""},
        {"A=1", ""},
        {"a =1", ""},
        {"a.b=1", ""},
        {"a", ""},
        {"=1", ""},
        {"a=", ""},
        {"a=,b=1", ""},
        {"a=b=c", ""},
        {"a=b\tc", ""},
        {"a=\x7f", ""},
        {"a=\xc3\xa4", ""},
        {"", ""},
        {" ", ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tl_context *context;
        struct tl_span_context identity;

        headers_clear(state);
        headers_add(&in, "traceparent", "00-" TRACE "-" SPAN "-01");
        headers_add(&in, "tracestate", cases[i].text);
        context = read_with("tracecontext");
        identity = tl_context_span_context(context);
        assert_true(tl_span_context_is_valid(&identity));
        if (!str_equal((struct str){identity.trace_state, identity.trace_state_len},
                       str_of(cases[i].kept)))
            fail_msg("'%s'", cases[i].text);
        tl_context_unref(context);
    }
}

// A tracestate of `members` members, each with a key of `key` and a value of `value` characters.
static void long_state(char *to, int members, int key, int value)
{
    for (int i = 0; i < members; i++) {
        if (i)
            *to++ = ',';
        memset(to, 'k', (size_t)key);
        to += key;
        *to++ = '=';
        memset(to, 'v', (size_t)value);
        to += value;
    }
    *to = '\0';
}

static void tracestate_has_its_limits(void **state)
{
    static char text[HEADER_BYTES];
    static const struct {
        int members, key, value;
        bool is_kept;
    } cases[] = {
        {32, 3, 3, true},   {33, 3, 3, false},  {1, 256, 256, true},
        {1, 257, 1, false}, {1, 1, 257, false}, {31, 256, 256, true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tl_context *context;

        headers_clear(state);
        long_state(text, cases[i].members, cases[i].key, cases[i].value);
        headers_add(&in, "traceparent", "00-" TRACE "-" SPAN "-01");
        headers_add(&in, "tracestate", text);
        context = read_with("tracecontext");
        assert_int_equal(tl_context_span_context(context).trace_state_len,
                         cases[i].is_kept ? strlen(text) : 0);
        write_with("tracecontext", context);
        assert_str(headers_find(&out, "tracestate"), cases[i].is_kept ? text : "");
        tl_context_unref(context);
    }
}

static void too_many_lines_are_no_tracestate(void **state)
{
    struct tl_context *context;

    (void)state;
    headers_add(&in, "traceparent", "00-" TRACE "-" SPAN "-01");
    for (int i = 0; i < 31; i++)
        headers_add(&in, "tracestate", "a=1,b=2");
    context = read_with("tracecontext");
    assert_int_equal(tl_context_span_context(context).trace_state_len, 0);
    tl_context_unref(context);
}

static void what_is_not_read_leaves_the_context_as_it_is(void **state)
{
    static const char *const all = "tracecontext,baggage,b3,b3multi,jaeger,ottrace,xray";
    struct tl_propagator *propagator = tl_propagator_new(all);
    struct tl_span_context remote;
    struct tl_context *context;
    struct tl_context *same;

    (void)state;
    assert_true(tl_traceparent_read("00-" TRACE "-" SPAN "-01", 55, &remote));
    context = tl_context_with_remote(NULL, &remote);
    same = tl_extract(propagator, context, &headers_getter, &in);
    assert_ptr_equal(same, context);
    tl_context_unref(same);
    headers_add(&in, "traceparent", "00-" TRACE "-0000000000000000-01");
    headers_add(&in, "baggage", ",;=,");
    headers_add(&in, "b3", "0");
    headers_add(&in, "uber-trace-id", "0:0:0:1");
    headers_add(&in, "ot-tracer-traceid", "0");
    headers_add(&in, "X-Amzn-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793");
    same = tl_extract(propagator, context, &headers_getter, &in);
    assert_ptr_equal(same, context);
    tl_context_unref(same);
    tl_context_unref(context);
    tl_propagator_unref(propagator);
}

static void a_span_is_injected_without_a_context(void **state)
{
    struct tl_span_context identity;

    (void)state;
    assert_true(tl_traceparent_read("00-" TRACE "-" SPAN "-01", 55, &identity));
    identity.trace_state = "a=1";
    identity.trace_state_len = 3;
    tl_inject_span(&identity, headers_set, &out);
    assert_str(headers_find(&out, "tracestate"), "a=1");
    headers_clear(state);
    identity.trace_state = "a\n1";
    tl_inject_span(&identity, headers_set, &out);
    assert_int_equal(out.count, 1);
    headers_clear(state);
    tl_inject_span(&(struct tl_span_context){0}, headers_set, &out);
    tl_inject_span(NULL, headers_set, &out);
    tl_inject_span(&identity, NULL, NULL);
    assert_int_equal(out.count, 0);
}

static void what_is_current_is_injected(void **state)
{
    struct tl_span *span = tl_span_start("current", TL_CLIENT, NULL);
    const struct tl_span_context identity = tl_span_context(span);
    struct tl_span *former = tl_current_set(span);
    char text[56];

    (void)state;
    tl_inject(NULL, NULL, headers_set, &out);
    assert_true(tl_traceparent_write(&identity, text));
    assert_str(headers_find(&out, "traceparent"), text);
    tl_current_set(former);
    tl_span_end(span);
}

// ---- Baggage

static void baggage_travels_in_its_header(void **state)
{
    struct tl_context *context;
    struct tl_baggage_entry entry;

    (void)state;
    headers_add(&in, "Baggage", "user = D%C3%B6rte ; secret ;p=%20 , id=1+1=2,bad%zz=%zz");
    headers_add(&in, "baggage", "id=3,,na me=1,\"q\"=1,x=a\"b\\c");
    context = read_with("baggage");
    assert_true(tl_baggage_get(context, "user", &entry));
    assert_str(((struct str){entry.value, entry.value_len}), "D\xc3\xb6rte");
    assert_str(((struct str){entry.metadata, entry.metadata_len}), "secret ;p=%20");
    assert_true(tl_baggage_get(context, "id", &entry));
    assert_str(((struct str){entry.value, entry.value_len}), "3");
    assert_true(tl_baggage_get(context, "bad%zz", &entry));
    assert_str(((struct str){entry.value, entry.value_len}), "%zz");
    assert_true(tl_baggage_get(context, "x", &entry));
    assert_false(tl_baggage_at(context, 4, &entry));
    write_with("baggage", context);
    assert_str(headers_find(&out, "baggage"),
               "user=D%C3%B6rte;secret ;p=%20,bad%zz=%25zz,id=3,x=a%22b%5Cc");
    tl_context_unref(context);
}

static void baggage_bytes_that_are_no_text_are_replaced(void **state)
{
    struct tl_context *context;
    struct tl_baggage_entry entry;

    (void)state;
    headers_add(&in, "baggage", "a=%FFx%C3");
    context = read_with("baggage");
    assert_true(tl_baggage_get(context, "a", &entry));
    assert_str(((struct str){entry.value, entry.value_len}), "\xef\xbf\xbdx\xef\xbf\xbd");
    tl_context_unref(context);
}

static void baggage_beyond_the_limits_is_left_out_whole(void **state)
{
    static char line[HEADER_BYTES];
    const uint64_t before = stats_get(&sdk_stats, SDK_baggage_dropped);
    struct tl_context *context;
    struct tl_baggage_entry entry;
    size_t at = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        const int len = snprintf(line + at, sizeof line - at, "k%03d=v,", i);

        assert_true(len > 0);
        at += (size_t)len;
    }
    headers_add(&in, "baggage", line);
    context = read_with("baggage");
    assert_true(tl_baggage_at(context, 179, &entry));
    assert_false(tl_baggage_at(context, 180, &entry));
    assert_int_equal(stats_get(&sdk_stats, SDK_baggage_dropped) - before, 20);
    write_with("baggage", context);
    assert_int_equal(headers_find(&out, "baggage").len, 180 * 6 + 179);
    tl_context_unref(context);
    headers_clear(state);
    memset(line, 'x', 8500);
    memcpy(line, "big=", 4);
    memcpy(line + 8500, ",small=1", 9);
    headers_add(&in, "baggage", line);
    context = read_with("baggage");
    assert_false(tl_baggage_get(context, "big", &entry));
    assert_true(tl_baggage_get(context, "small", &entry));
    tl_context_unref(context);
}

static void names_that_are_no_tokens_stay_here(void **state)
{
    const struct tl_baggage_entry entry = {"na me", 5, "x", 1, NULL, 0};
    struct tl_context *context = tl_context_with_baggage(NULL, &entry);
    struct tl_baggage_entry got;

    (void)state;
    assert_true(tl_baggage_get(context, "na me", &got));
    write_with("baggage,jaeger,ottrace", context);
    assert_int_equal(out.count, 0);
    tl_context_unref(context);
}

// ---- Composition, the global one, programs' own

static void names_are_composed_in_order_and_once(void **state)
{
    struct tl_propagator *propagator = tl_propagator_new("baggage, tracecontext,BAGGAGE,b3");
    static const char *const expected[] = {"baggage", "traceparent", "tracestate", "b3"};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(tl_propagator_fields(propagator)[i], expected[i]);
    assert_null(tl_propagator_fields(propagator)[4]);
    tl_propagator_unref(propagator);
    assert_null(tl_propagator_new("tracecontext,unknown"));
    assert_null(tl_propagator_new(NULL));
    propagator = tl_propagator_new("none");
    assert_non_null(propagator);
    assert_null(tl_propagator_fields(propagator)[0]);
    tl_propagator_unref(propagator);
}

static void of_two_formats_the_later_wins(void **state)
{
    char room[56];

    (void)state;
    headers_add(&in, "traceparent", "00-" TRACE "-" SPAN "-01");
    headers_add(&in, "b3", TRACE "-00f067aa0ba902b7-1");
    assert_string_equal(seen("b3,tracecontext", room), "00-" TRACE "-" SPAN "-01");
    assert_string_equal(seen("tracecontext,b3", room), "00-" TRACE "-00f067aa0ba902b7-01");
}

static void own_inject(void *self, const struct tl_context *context, tl_set_function *set,
                       void *carrier)
{
    (void)context;
    set(carrier, "own", 3, self, strlen(self));
}

static int own_frees;

static void own_free(void *self)
{
    own_frees += self != NULL;
}

static void programs_bring_their_own(void **state)
{
    static const char *const fields[] = {"own", NULL};
    const struct tl_propagator_functions functions = {(void *)"mine", own_inject, NULL, fields,
                                                      own_free};
    struct tl_propagator *list[2] = {tl_propagator_custom(&functions),
                                     tl_propagator_new("tracecontext")};
    struct tl_propagator *both = tl_propagator_composite(list, 2);
    struct tl_context *context;

    (void)state;
    headers_add(&in, "traceparent", "00-" TRACE "-" SPAN "-01");
    context = tl_extract(both, NULL, &headers_getter, &in);
    tl_inject(both, context, headers_set, &out);
    assert_str(headers_find(&out, "own"), "mine");
    assert_str(headers_find(&out, "traceparent"), "00-" TRACE "-" SPAN "-01");
    assert_string_equal(tl_propagator_fields(both)[0], "own");
    tl_context_unref(context);
    tl_propagator_unref(both);
    assert_int_equal(own_frees, 1);
}

static void the_global_one_is_w3c_until_it_is_set(void **state)
{
    struct tl_propagator *standard = tl_propagator_global();

    (void)state;
    assert_string_equal(tl_propagator_fields(NULL)[0], "traceparent");
    assert_string_equal(tl_propagator_fields(NULL)[1], "tracestate");
    assert_string_equal(tl_propagator_fields(NULL)[2], "baggage");
    assert_null(tl_propagator_fields(NULL)[3]);
    tl_propagator_global_set(tl_propagator_new("b3"));
    assert_ptr_not_equal(tl_propagator_global(), standard);
    assert_string_equal(tl_propagator_fields(NULL)[0], "b3");
    tl_propagator_global_set(NULL);
    assert_null(tl_propagator_fields(NULL)[0]);
    tl_propagator_global_set(tl_propagator_new("tracecontext,baggage"));
}

// The fields of the global propagator of a process with that OTEL_PROPAGATORS are `argument`, and
// as many settings were invalid.
static void process_has(const char *setting, const char *argument, const char *invalid)
{
    const pid_t child = fork();
    int status;

    if (child == 0) {
        setenv("OTEL_PROPAGATORS", setting, 1);
        execl("/proc/self/exe", "propagate_test", argument, invalid, (char *)NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0)
        fail_msg("OTEL_PROPAGATORS='%s'", setting);
}

// In that process: 0 when it is so.
static int check_fields(const char *expected, const char *invalid)
{
    char seen_fields[512] = "";
    size_t len = 0;

    for (const char *const *field = tl_propagator_fields(NULL); *field; field++) {
        const int more = snprintf(seen_fields + len, sizeof seen_fields - len, "%s ", *field);

        if (more < 0)
            return 1;
        len += (size_t)more;
    }
    return strcmp(seen_fields, expected) != 0 ||
           stats_get(&sdk_stats, SDK_invalid_settings) != (uint64_t)(invalid[0] - '0');
}

static void otel_propagators_makes_the_global_one(void **state)
{
    (void)state;
    process_has("", "traceparent tracestate baggage ", "0");
    process_has("b3", "b3 ", "0");
    process_has(" B3Multi , tracecontext,tracecontext",
                "X-B3-TraceId X-B3-SpanId X-B3-Sampled X-B3-Flags traceparent tracestate ", "0");
    process_has("jaeger,ottrace,xray",
                "uber-trace-id ot-tracer-traceid ot-tracer-spanid ot-tracer-sampled "
                "X-Amzn-Trace-Id ",
                "0");
    process_has("none", "", "0");
    process_has("what,baggage", "baggage ", "1");
}

static void getters_and_setters_may_be_missing(void **state)
{
    struct tl_context *context = tl_extract(NULL, NULL, NULL, NULL);

    (void)state;
    assert_null(context);
    tl_inject(NULL, NULL, NULL, NULL);
    tl_propagator_unref(NULL);
    assert_null(tl_propagator_ref(NULL));
    assert_null(tl_propagator_custom(NULL));
}

#define ROW(function) cmocka_unit_test_setup(function, headers_clear)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        ROW(w3c_goes_both_ways),
        ROW(two_traceparents_are_none),
        ROW(a_bad_tracestate_goes_and_the_traceparent_stays),
        ROW(tracestate_has_its_limits),
        ROW(too_many_lines_are_no_tracestate),
        ROW(what_is_not_read_leaves_the_context_as_it_is),
        ROW(a_span_is_injected_without_a_context),
        ROW(what_is_current_is_injected),
        ROW(baggage_travels_in_its_header),
        ROW(baggage_bytes_that_are_no_text_are_replaced),
        ROW(baggage_beyond_the_limits_is_left_out_whole),
        ROW(names_that_are_no_tokens_stay_here),
        ROW(names_are_composed_in_order_and_once),
        ROW(of_two_formats_the_later_wins),
        ROW(programs_bring_their_own),
        ROW(the_global_one_is_w3c_until_it_is_set),
        ROW(otel_propagators_makes_the_global_one),
        ROW(getters_and_setters_may_be_missing),
    };

    setenv("THROUGHLINE_SOCKET", "/nonexistent/agent.sock", 1);
    if (argc == 3)
        return check_fields(argv[1], argv[2]);
    unsetenv("OTEL_PROPAGATORS");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
