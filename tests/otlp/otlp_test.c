// SPDX-License-Identifier: Apache-2.0
// Spans survive the wire and JSON whole; malformed requests are refused with a reason.

#include "tests/support/check.h"

#include <errno.h>

#include "libtrace/otlp/index.h"
#include "libtrace/otlp/json.h"
#include "libtrace/otlp/response.h"
#include "libtrace/otlp/span.h"

static struct span full_span(struct attribute *attributes, struct value *items,
                             struct span_event *event, struct span_link *link)
{
    struct span span = {
        .trace_state = STR("a=b"),
        .name = STR("GET /orders"),
        .kind = SPAN_KIND_SERVER,
        .flags = 0x301,
        .start_ns = 1700000000000000001,
        .end_ns = 1700000000000000999,
        .attributes = {attributes, 6},
        .dropped_attributes = 1,
        .events = event,
        .event_count = 1,
        .dropped_events = 2,
        .links = link,
        .link_count = 1,
        .dropped_links = 3,
        .status = SPAN_STATUS_ERROR,
        .status_message = STR("no \"luck\""),
    };

    for (uint8_t i = 0; i < 16; i++)
        span.trace_id[i] = link->trace_id[i] = i + 1;
    for (uint8_t i = 0; i < 8; i++)
        span.span_id[i] = span.parent_id[i] = link->span_id[i] = 0xf0 + i;
    items[0] = (struct value){.type = VALUE_STRING, .string = STR("x")};
    items[1] = (struct value){.type = VALUE_INT, .integer = -1};
    attributes[0] = (struct attribute){STR("s"), {.type = VALUE_STRING, .string = STR("text")}};
    attributes[1] = (struct attribute){STR("i"), {.type = VALUE_INT, .integer = INT64_MIN}};
    attributes[2] = (struct attribute){STR("d"), {.type = VALUE_DOUBLE, .number = 0.5}};
    attributes[3] = (struct attribute){STR("b"), {.type = VALUE_BOOL, .boolean = false}};
    attributes[4] = (struct attribute){STR("a"), {.type = VALUE_ARRAY, .array = {items, 2}}};
    attributes[5] = (struct attribute){STR("y"), {.type = VALUE_BYTES, .string = STR("\0\xff")}};
    event->time_ns = 5;
    event->name = STR("retry");
    event->attributes = (struct attribute_list){attributes, 1};
    link->flags = 0x101;
    link->trace_state = STR("c=d");
    return span;
}

static void request_of(const struct span *span, struct bytes *out)
{
    struct bytes record = {0};
    struct str text;

    span_write(&record, span);
    text = bytes_str(&record);
    otlp_group_write(out, STR(""), STR("http://res"), STR(""), STR(""), &text, 1);
    bytes_done(&record);
}

static bool keep_record(void *self, const struct otlp_record *record)
{
    *(struct otlp_record *)self = *record;
    return true;
}

static void span_survives_the_wire_whole(void **state)
{
    struct attribute attributes[6];
    struct value items[2];
    struct span_event event = {0};
    struct span_link link = {0};
    const struct span span = full_span(attributes, items, &event, &link);
    struct bytes request = {0};
    struct bytes again = {0};
    struct otlp_record record = {0};
    struct arena arena;
    struct span back;
    size_t records = 0;

    (void)state;
    arena_init(&arena, 0);
    request_of(&span, &request);
    assert_int_equal(otlp_check(SIGNAL_TRACES, bytes_str(&request), &records, NULL), 0);
    assert_int_equal(records, 1);
    otlp_each(SIGNAL_TRACES, bytes_str(&request), keep_record, &record);
    assert_str(record.resource_url, "http://res");
    assert_int_equal(span_read(record.record, &arena, &back, NULL), 0);
    assert_memory_equal(back.trace_id, span.trace_id, 16);
    assert_memory_equal(back.parent_id, span.parent_id, 8);
    assert_int_equal(back.attributes.count, 6);
    assert_true(back.attributes.at[1].value.integer == INT64_MIN);
    assert_int_equal(back.attributes.at[4].value.array.at[1].integer, -1);
    assert_int_equal(back.attributes.at[5].value.string.len, 2);
    assert_str(back.events[0].name, "retry");
    assert_str(back.links[0].trace_state, "c=d");
    assert_str(back.status_message, "no \"luck\"");
    // Written again it is the same bytes.
    span_write(&again, &back);
    assert_int_equal(again.len, record.record.len);
    assert_memory_equal(again.at, record.record.at, again.len);
    bytes_done(&again);
    bytes_done(&request);
    arena_done(&arena);
}

static void json_and_wire_agree(void **state)
{
    struct attribute attributes[6];
    struct value items[2];
    struct span_event event = {0};
    struct span_link link = {0};
    const struct span span = full_span(attributes, items, &event, &link);
    struct bytes request = {0};
    struct bytes json = {0};
    struct bytes back = {0};
    struct bytes again = {0};

    (void)state;
    request_of(&span, &request);
    assert_int_equal(otlp_wire_to_json(SIGNAL_TRACES, bytes_str(&request), &json, NULL), 0);
    assert_non_null(
        memmem(json.at, json.len, "\"traceId\":\"0102030405060708090a0b0c0d0e0f10\"", 44));
    assert_non_null(memmem(json.at, json.len, "\"intValue\":\"-9223372036854775808\"", 33));
    assert_int_equal(otlp_json_to_wire(SIGNAL_TRACES, bytes_str(&json), &back, NULL), 0);
    assert_int_equal(otlp_wire_to_json(SIGNAL_TRACES, bytes_str(&back), &again, NULL), 0);
    assert_int_equal(again.len, json.len);
    assert_memory_equal(again.at, json.at, json.len);
    bytes_done(&request);
    bytes_done(&json);
    bytes_done(&back);
    bytes_done(&again);
}

static void every_cut_of_a_request_is_refused_or_shorter(void **state)
{
    struct attribute attributes[6];
    struct value items[2];
    struct span_event event = {0};
    struct span_link link = {0};
    const struct span span = full_span(attributes, items, &event, &link);
    struct bytes request = {0};
    size_t records = 9;
    struct why why;

    (void)state;
    request_of(&span, &request);
    for (size_t len = 1; len < request.len; len++) {
        assert_int_equal(
            otlp_check(SIGNAL_TRACES, (struct str){(char *)request.at, len}, &records, &why),
            -EBADMSG);
        assert_int_equal(records, 9);
    }
    assert_non_null(strstr(why.text, "is cut short"));
    bytes_done(&request);
}

static void nesting_has_a_limit(void **state)
{
    struct bytes json = {0};
    struct bytes wire = {0};
    struct why why;

    (void)state;
    bytes_add_str(&json, STR("{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"value\":"));
    for (int i = 0; i < 100; i++)
        bytes_add_str(&json, STR("{\"arrayValue\":{\"values\":["));
    bytes_add_str(&json, STR("{}"));
    for (int i = 0; i < 100; i++)
        bytes_add_str(&json, STR("]}}"));
    bytes_add_str(&json, STR("}]}}]}"));
    assert_int_equal(otlp_json_to_wire(SIGNAL_TRACES, bytes_str(&json), &wire, &why), -EBADMSG);
    assert_non_null(strstr(why.text, "nested too deep"));
    bytes_done(&json);
    bytes_done(&wire);
}

#define SPAN_KEY(text) "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" text "}]}]}]}"

static void json_of_any_writer_is_read(void **state)
{
    // What other writers send: 64 bit integers as numbers, numbers as text, escapes, unknown keys,
    // null, blanks, upper case ids, a NUL inside a text, integers written as reals.
    static const char written[] =
        SPAN_KEY("\"traceId\": \"0AF7651916CD43DD8448EB211C80319C\" , \"kind\":\"2\","
                 "\"startTimeUnixNano\":18446744073709551615,\"endTimeUnixNano\":1e3,"
                 "\"name\":\"\\u00e4\\ud83d\\udc0c\\u0000\\/\",\"status\":null,"
                 "\"futureKey\":{\"a\":[1,{\"b\":null}],\"c\":\"\\u0041\"},"
                 "\"attributes\":[{\"key\":\"d\",\"value\":{\"doubleValue\":\"-0.0\"}},"
                 "{\"value\":{\"doubleValue\":\"-Infinity\"}},{\"value\":{\"bytesValue\":"
                 "\"_-8=\"}}]");
    static const char read[] = SPAN_KEY(
        "\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"name\":\"\xc3\xa4\xf0\x9f\x90\x8c"
        "\\u0000/\",\"kind\":2,\"startTimeUnixNano\":\"18446744073709551615\","
        "\"endTimeUnixNano\":\"1000\",\"attributes\":[{\"key\":\"d\",\"value\":{\"doubleValue\":"
        "-0}},{\"value\":{\"doubleValue\":\"-Infinity\"}},{\"value\":{\"bytesValue\":\"/+8=\"}}]");
    struct bytes wire = {0};
    struct bytes back = {0};
    struct why why = {""};

    (void)state;
    assert_int_equal(otlp_json_to_wire(SIGNAL_TRACES, STR(written), &wire, &why), 0);
    assert_int_equal(otlp_wire_to_json(SIGNAL_TRACES, bytes_str(&wire), &back, &why), 0);
    assert_str(bytes_str(&back), read);
    bytes_done(&wire);
    bytes_done(&back);
}

static void json_takes_no_more_memory_than_it_may(void **state)
{
    // Eight bytes for two characters: the wire is larger than the text.
    struct bytes json = {0};
    struct bytes wire = {.limit = 64 << 10};
    struct why why = {""};

    (void)state;
    bytes_add_str(&json,
                  STR("{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"histogram\":{"
                      "\"dataPoints\":[{\"bucketCounts\":[0"));
    for (int i = 0; i < 10000; i++)
        bytes_add_str(&json, STR(",0"));
    bytes_add_str(&json, STR("]}]}}]}]}]}"));
    assert_int_equal(otlp_json_to_wire(SIGNAL_METRICS, bytes_str(&json), &wire, &why), -E2BIG);
    bytes_done(&json);
    bytes_done(&wire);
}

static void json_mistakes_are_named(void **state)
{
    static const char *const cases[][2] = {
        {"{", "JSON line 1"},
        {"[]", "TracesRequest is not an object"},
        {"{\"resourceSpans\":1}", "TracesRequest.resourceSpans is not a list"},
        {"{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"xx\"}]}]}]}",
         "Span.traceId is not hexadecimal"},
        {"{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"kind\":\"SPAN_KIND_SERVER\"}]}]}]}",
         "Span.kind is not an integer"},
        {SPAN_KEY("\"traceId\":\"012\""), "Span.traceId is not hexadecimal"},
        {SPAN_KEY("\"kind\":4294967296"), "Span.kind is not an integer of its type"},
        {SPAN_KEY("\"droppedEventsCount\":-1"), "is not an integer of its type"},
        {SPAN_KEY("\"startTimeUnixNano\":\"18446744073709551616\""), "is not an integer"},
        {SPAN_KEY("\"startTimeUnixNano\":1.5"), "is not an integer"},
        {SPAN_KEY("\"startTimeUnixNano\":\" 1\""), "is not an integer"},
        {SPAN_KEY("\"kind\":01"), "JSON line 1 column 54: a number that JSON has not"},
        {SPAN_KEY("\"name\":\"\\ud800x\""), "half of a surrogate pair"},
        {SPAN_KEY("\"name\":\"\\udc00\""), "an escape that is none"},
        {SPAN_KEY("\"name\":\"\\x\""), "an escape that is none"},
        {SPAN_KEY("\"name\":\"\xff\""), "text that is not UTF-8"},
        {SPAN_KEY("\"name\":\"\n\""), "a control character in a string"},
        {SPAN_KEY("\"x\":[1,]"), "a value was expected"},
        {SPAN_KEY("\"x\":nul"), "a value was expected"},
        {"{}x", "JSON line 1 column 3: the end was expected"},
        {"{\n\"a\":}", "JSON line 2 column 5: a value was expected"},
        {"{\"a\" 1}", "':' was expected"},
        {"{\"a\":\"", "a string without an end"},
        {"", "'{' was expected"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes wire = {0};
        struct why why = {""};

        assert_int_equal(otlp_json_to_wire(SIGNAL_TRACES, str_of(cases[i][0]), &wire, &why),
                         -EBADMSG);
        if (!strstr(why.text, cases[i][1]))
            fail_msg("got '%s', expected '%s'", why.text, cases[i][1]);
        bytes_done(&wire);
    }
}

static void metrics_in_json_survive(void **state)
{
    static const char json[] =
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"m\",\"histogram\":{"
        "\"dataPoints\":[{\"count\":\"3\",\"sum\":1.5,\"bucketCounts\":[\"1\",\"2\"],"
        "\"explicitBounds\":[0.25]}],\"aggregationTemporality\":2}}]}]}]}";
    struct bytes wire = {0};
    struct bytes back = {0};
    size_t records = 0;

    (void)state;
    assert_int_equal(otlp_json_to_wire(SIGNAL_METRICS, STR(json), &wire, NULL), 0);
    assert_int_equal(otlp_check(SIGNAL_METRICS, bytes_str(&wire), &records, NULL), 0);
    assert_int_equal(records, 1);
    assert_int_equal(otlp_wire_to_json(SIGNAL_METRICS, bytes_str(&wire), &back, NULL), 0);
    assert_str(bytes_str(&back), json);
    bytes_done(&wire);
    bytes_done(&back);
}

static void partial_success_is_read_back(void **state)
{
    struct bytes out = {0};
    uint64_t rejected = 0;
    struct str message;

    (void)state;
    otlp_response_write(SIGNAL_LOGS, OTLP_PROTOBUF, 7, STR("too old"), &out);
    assert_int_equal(otlp_response_read(bytes_str(&out), &rejected, &message, NULL), 0);
    assert_int_equal(rejected, 7);
    assert_str(message, "too old");
    out.len = 0;
    otlp_status_write(OTLP_JSON, 3, STR("a\nb"), &out);
    assert_str(bytes_str(&out), "{\"code\":3,\"message\":\"a\\nb\"}");
    bytes_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(span_survives_the_wire_whole),
        cmocka_unit_test(json_and_wire_agree),
        cmocka_unit_test(every_cut_of_a_request_is_refused_or_shorter),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(json_of_any_writer_is_read),
        cmocka_unit_test(json_takes_no_more_memory_than_it_may),
        cmocka_unit_test(json_mistakes_are_named),
        cmocka_unit_test(metrics_in_json_survive),
        cmocka_unit_test(partial_success_is_read_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
