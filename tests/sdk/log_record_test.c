// SPDX-License-Identifier: Apache-2.0
// What stands in a log record: its fields, limits and texts; and the short ways to one.

#include "tests/support/check.h"

#include <errno.h>
#include <syslog.h>
#include <throughline/sdk.h>

#include "libtrace/base/clock.h"
#include "libtrace/sdk/logs/log_record.h"
#include "libtrace/sdk/stats.h"

static struct tl_memory_exporter *memory;
static struct tl_logger_provider *provider;
static struct tl_logger *logger;

static int set_up_with(struct tl_limits limits)
{
    struct tl_exporter_v1 exporter;
    struct tl_log_processor processor;

    memory = tl_memory_exporter_new();
    exporter = tl_memory_exporter_as(memory);
    processor = tl_log_processor_simple(&exporter);
    provider = tl_logger_provider_new(&(struct tl_logger_provider_options){
        .processors = &processor, .processor_count = 1, .limits = limits});
    logger = tl_logger_get(provider, NULL);
    tl_logger_provider_global_set(provider);
    return memory && logger ? 0 : -1;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with((struct tl_limits){0});
}

static int set_up_limits(void **state)
{
    (void)state;
    return set_up_with((struct tl_limits){.attribute_count = 2, .attribute_value_length = 3});
}

static int tear_down(void **state)
{
    (void)state;
    tl_logger_provider_global_set(NULL);
    tl_logger_provider_free(provider);
    tl_memory_exporter_free(memory);
    return 0;
}

static bool is_said(const char *text)
{
    char *json = tl_memory_exporter_json(memory, TL_LOGS);
    const bool is_there = json && strstr(json, text);

    if (!is_there)
        print_message("%.4000s\n", json ? json : "(nothing)");
    free(json);
    return is_there;
}

#define says(text) assert_true(is_said(text))

static size_t json_count(const char *text)
{
    char *json = tl_memory_exporter_json(memory, TL_LOGS);
    size_t count = 0;

    for (const char *at = json; at && (at = strstr(at, text)); at++)
        count++;
    free(json);
    return count;
}

static void every_field_is_written(void **state)
{
    const bool flags[] = {true, false};
    const struct tl_attribute inner[] = {TL_INT("n", -1), TL_DOUBLE("d", 0.5)};
    const struct tl_attribute attributes[] = {TL_STR("text", "a"), TL_BOOL("bool", true),
                                              TL_BYTES("bytes", "\x01\xff", 2),
                                              TL_BOOLS("bools", flags, 2)};
    const struct tl_span_context span = {.trace_id = {1}, .span_id = {2}, .flags = 1};

    (void)state;
    tl_log_emit(logger, &(struct tl_log_record){
                            .time_ns = 1,
                            .observed_ns = 2,
                            .severity = TL_WARN,
                            .severity_text = "warning",
                            .event_name = "order.placed",
                            .body = {TL_TYPE_MAP, 2, {.attributes = inner}},
                            .attributes = attributes,
                            .attribute_count = 4,
                            .span = &span,
                        });
    says("\"timeUnixNano\":\"1\",\"observedTimeUnixNano\":\"2\",\"severityNumber\":13,"
         "\"severityText\":\"warning\",\"body\":{\"kvlistValue\":{\"values\":[{\"key\":\"n\","
         "\"value\":{\"intValue\":\"-1\"}},{\"key\":\"d\",\"value\":{\"doubleValue\":0.5}}]}},"
         "\"attributes\":[{\"key\":\"text\",\"value\":{\"stringValue\":\"a\"}},{\"key\":\"bool\","
         "\"value\":{\"boolValue\":true}},{\"key\":\"bytes\",\"value\":{\"bytesValue\":\"Af8=\"}},"
         "{\"key\":\"bools\",\"value\":{\"arrayValue\":{\"values\":[{\"boolValue\":true},"
         "{\"boolValue\":false}]}}}],\"flags\":1,\"traceId\":"
         "\"01000000000000000000000000000000\",\"spanId\":\"0200000000000000\","
         "\"eventName\":\"order.placed\"");
}

static void observed_time_is_now_when_none_is_given(void **state)
{
    const uint64_t before = clock_unix_ns();
    char *json;
    const char *at;
    uint64_t observed;

    (void)state;
    tl_log_emit(logger, &(struct tl_log_record){.severity = TL_INFO});
    json = tl_memory_exporter_json(memory, TL_LOGS);
    at = json ? strstr(json, "\"observedTimeUnixNano\":\"") : NULL;
    assert_non_null(at);
    observed = strtoull(at + 24, NULL, 10);
    // The clock of the records is within a microsecond of the machine's.
    assert_in_range(observed, before - 1000000, clock_unix_ns() + 1000000);
    assert_null(strstr(json, "\"timeUnixNano\""));
    free(json);
}

static void limits_hold_for_attributes(void **state)
{
    const struct tl_attribute attributes[] = {TL_STR("a", "h\xc3\xa9llo"), TL_STR("b", "hello"),
                                              TL_STR("c", "hello")};

    (void)state;
    tl_log_emit(logger, &(struct tl_log_record){.body = TL_BODY("not cut"),
                                                .attributes = attributes,
                                                .attribute_count = 3});
    says("\"stringValue\":\"h\xc3\xa9l\"");
    says("\"stringValue\":\"hel\"");
    says("\"stringValue\":\"not cut\"");
    says("\"droppedAttributesCount\":1");
}

static void the_last_of_a_key_counts(void **state)
{
    const struct tl_attribute attributes[] = {TL_INT("a", 1),
                                              TL_INT("b", 2),
                                              TL_INT("a", 3),
                                              TL_STR("", "no key"),
                                              {.key = "e", .key_len = 1}};

    (void)state;
    tl_log_emit(logger, &(struct tl_log_record){.attributes = attributes, .attribute_count = 5});
    says("\"attributes\":[{\"key\":\"b\",\"value\":{\"intValue\":\"2\"}},{\"key\":\"a\",\"value\":"
         "{\"intValue\":\"3\"}}],\"droppedAttributesCount\":2");
}

static void an_exception_becomes_attributes_that_yield(void **state)
{
    const struct tl_exception exception = {"ENOENT", "no such file", "main\nopen"};
    const struct tl_attribute attribute = TL_STR("exception.message", "mine");

    (void)state;
    tl_log_emit(logger, &(struct tl_log_record){.exception = &exception});
    says("\"attributes\":[{\"key\":\"exception.type\",\"value\":{\"stringValue\":\"ENOENT\"}},{"
         "\"key\":\"exception.message\",\"value\":{\"stringValue\":\"no such file\"}},{\"key\":"
         "\"exception.stacktrace\",\"value\":{\"stringValue\":\"main\\nopen\"}}]");
    tl_memory_exporter_reset(memory);
    tl_log_emit(logger, &(struct tl_log_record){.exception = &exception,
                                                .attributes = &attribute,
                                                .attribute_count = 1});
    says("\"exception.message\",\"value\":{\"stringValue\":\"mine\"}");
    assert_int_equal(json_count("exception.message"), 1);
    assert_int_equal(json_count("exception.type"), 1);
}

static void text_is_made_utf8_and_nul_bytes_stay(void **state)
{
    const struct tl_attribute attribute = TL_STR_N("nul", "a\0b", 3);

    (void)state;
    tl_log_emit(logger, &(struct tl_log_record){.body = TL_BODY("bad \xff byte"),
                                                .attributes = &attribute,
                                                .attribute_count = 1});
    says("bad \xef\xbf\xbd byte");
    says("a\\u0000b");
}

static void a_huge_text_is_cut_and_counted(void **state)
{
    const size_t len = 1 << 20;
    char *text = malloc(len + 1);
    const uint64_t cut = stats_get(&sdk_stats, SDK_bodies_cut);
    const uint64_t dropped = tl_dropped(TL_LOGS);
    char *json;

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < len; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    text[len] = 0;
    tl_log_emit(logger, &(struct tl_log_record){.body = TL_BODY(text)});
    assert_int_equal(stats_get(&sdk_stats, SDK_bodies_cut) - cut, 1);
    assert_int_equal(tl_dropped(TL_LOGS) - dropped, 0);
    json = tl_memory_exporter_json(memory, TL_LOGS);
    assert_non_null(json);
    assert_in_range(strlen(json), LOG_RECORD_BYTES - 200, LOG_RECORD_BYTES + 2000);
    assert_non_null(strstr(json, "\xc3\xa9\"}")); // whole characters
    free(json);
    free(text);
}

static void what_cannot_be_cut_is_dropped_and_counted(void **state)
{
    const struct tl_exporter_v1 exporter = tl_memory_exporter_as(memory);
    const struct tl_log_processor batch = tl_log_processor_batch(&exporter, NULL);
    struct tl_logger_provider *batching = tl_logger_provider_new(
        &(struct tl_logger_provider_options){.processors = &batch, .processor_count = 1});
    const uint64_t dropped = tl_dropped(TL_LOGS);
    char *text = calloc(1, (1 << 20) + 1);
    struct tl_attribute attribute;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', 1 << 20);
    attribute = TL_STR("large", text);
    tl_log_emit(tl_logger_get(batching, NULL),
                &(struct tl_log_record){.attributes = &attribute, .attribute_count = 1});
    assert_int_equal(tl_dropped(TL_LOGS) - dropped, 1);
    tl_log_emit(tl_logger_get(batching, NULL), &(struct tl_log_record){.body = TL_BODY(text)});
    assert_int_equal(tl_dropped(TL_LOGS) - dropped, 1);
    assert_int_equal(tl_logger_provider_shutdown(batching, 10000), 0);
    assert_int_equal(tl_memory_exporter_records(memory, TL_LOGS), 1);
    tl_logger_provider_free(batching);
    free(text);
}

// Every kind of record is exactly as long as was said.
static void the_length_is_exact(void **state)
{
    static uint8_t room[64 * 1024];
    static uint8_t short_room[LOG_SHORT_ROOM];
    size_t short_ones = 0;
    const struct log_limits limits[] = {{128, -1}, {2, 3}, {0, -1}};
    static const char long_text[] =
        "a text that is longer than one byte of length can say, \xff with bytes that are none, "
        "\xc3\xa9, and so on until it is certain that more than a hundred bytes are there";
    const char *const texts[] = {"", "short", "\xff\xff", long_text};
    const struct tl_exception exception = {"E", NULL, "s"};
    const struct tl_span_context span = {.trace_id = {1}, .span_id = {2}};

    (void)state;
    for (unsigned i = 0; i < 4 * 3 * 256; i++) {
        const char *text = texts[i % 4];
        const struct tl_attribute attributes[] = {TL_STR("a", text), TL_STR_N(text, "v", 1),
                                                  TL_INT("a", -5), TL_STRS("list", texts, 4)};
        const struct tl_log_record record = {
            .time_ns = i & 64,
            .severity = i & 16 ? TL_FATAL : (enum tl_severity)99,
            .severity_text = i & 32 ? text : NULL,
            .event_name = i & 8 ? text : NULL,
            .body = i & 16 ? TL_BODY(text) : attributes[3].value,
            .attributes = attributes,
            .attribute_count = i % 5,
            .exception = i & 4 ? &exception : NULL,
        };
        struct log_writing writing = {.record = &record,
                                      .limits = &limits[i / 4 % 3],
                                      .span = i & 128 ? &span : NULL,
                                      .observed_ns = 1};
        const uint8_t *end;
        size_t len;

        log_writing_init(&writing);
        len = (size_t)(log_record_put(room, &writing) - room);
        assert_int_equal(log_record_fit(&writing), len);
        // The short way gives the same bytes, where it is one.
        end = log_record_short_put(short_room, &writing);
        if (end) {
            assert_int_equal(end - short_room, len);
            assert_memory_equal(short_room, room, len);
            short_ones++;
        }
    }
    assert_in_range(short_ones, 5, SIZE_MAX);
}

static void an_event_has_its_name(void **state)
{
    const struct tl_attribute attribute = TL_INT("n", 1);

    (void)state;
    tl_event("order.placed", &attribute, 1);
    says("\"attributes\":[{\"key\":\"n\",\"value\":{\"intValue\":\"1\"}}]");
    says("\"eventName\":\"order.placed\"");
}

static void printf_and_plain_text_become_records(void **state)
{
    char large[9000];

    (void)state;
    tl_logf(TL_DEBUG, "%s has %d", "cart", 3);
    says("\"severityNumber\":5,\"body\":{\"stringValue\":\"cart has 3\"}");
    tl_log(TL_ERROR, "plain %s", NULL, 0);
    says("\"severityNumber\":17,\"body\":{\"stringValue\":\"plain %s\"}");
    tl_memory_exporter_reset(memory);
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    tl_logf(TL_INFO, "%s", large);
    tl_log(TL_INFO, large, NULL, 0);
    assert_int_equal(tl_memory_exporter_records(memory, TL_LOGS), 2);
    assert_int_equal(json_count("xxxxxxxxxxxxxxxx"), 8191 - 15 + 8192 - 15);
}

static void syslog_arguments_become_a_record(void **state)
{
    static const struct {
        int priority;
        const char *expected;
    } cases[] = {
        {LOG_EMERG, "\"severityNumber\":21,\"severityText\":\"emerg\""},
        {LOG_ALERT, "\"severityNumber\":19,\"severityText\":\"alert\""},
        {LOG_CRIT, "\"severityNumber\":18,\"severityText\":\"crit\""},
        {LOG_ERR, "\"severityNumber\":17,\"severityText\":\"err\""},
        {LOG_WARNING, "\"severityNumber\":13,\"severityText\":\"warning\""},
        {LOG_NOTICE, "\"severityNumber\":10,\"severityText\":\"notice\""},
        {LOG_INFO, "\"severityNumber\":9,\"severityText\":\"info\""},
        {LOG_DEBUG, "\"severityNumber\":5,\"severityText\":\"debug\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tl_memory_exporter_reset(memory);
        tl_syslog(LOG_DAEMON | cases[i].priority, "line %zu\n", i);
        says(cases[i].expected);
        says("\"syslog.facility.code\",\"value\":{\"intValue\":\"3\"}");
    }
    says("\"stringValue\":\"line 7\"");
    tl_memory_exporter_reset(memory);
    errno = ENOENT;
    tl_syslog(LOG_ERR, "open: %m");
    assert_int_equal(errno, ENOENT);
    says("open: No such file or directory");
    says("\"syslog.facility.code\",\"value\":{\"intValue\":\"1\"}");
}

static void a_line_gets_the_ids_of_the_current_span(void **state)
{
    const struct tl_span_context context = {.trace_id = {0xab}, .span_id = {0xcd}, .flags = 1};
    struct tl_span *span = tl_span_wrap(&context);
    char text[TL_LINE_MAX];
    struct tl_span *former;

    (void)state;
    assert_int_equal(tl_log_line_ids(NULL), 0);
    assert_int_equal(tl_log_line_ids(text), 0);
    assert_string_equal(text, "");
    former = tl_current_set(span);
    assert_int_equal(tl_log_line_ids(text), 82);
    assert_string_equal(text, " trace_id=ab000000000000000000000000000000 "
                              "span_id=cd00000000000000 trace_flags=01");
    tl_current_set(former);
    tl_span_end(span);
}

static void bad_formats_and_nothing_are_taken(void **state)
{
    const struct tl_value hostile = {TL_TYPE_STRINGS, 3, {NULL}};

    (void)state;
    tl_event(NULL, NULL, 5);
    tl_log(TL_INFO, NULL, NULL, 5);
    tl_log_emit(logger, &(struct tl_log_record){.body = hostile, .attribute_count = 7});
    assert_int_equal(tl_memory_exporter_records(memory, TL_LOGS), 3);
}

#define record_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        record_test(every_field_is_written),
        record_test(observed_time_is_now_when_none_is_given),
        cmocka_unit_test_setup_teardown(limits_hold_for_attributes, set_up_limits, tear_down),
        record_test(the_last_of_a_key_counts),
        record_test(an_exception_becomes_attributes_that_yield),
        record_test(text_is_made_utf8_and_nul_bytes_stay),
        record_test(a_huge_text_is_cut_and_counted),
        record_test(what_cannot_be_cut_is_dropped_and_counted),
        record_test(the_length_is_exact),
        record_test(an_event_has_its_name),
        record_test(printf_and_plain_text_become_records),
        record_test(syslog_arguments_become_a_record),
        record_test(a_line_gets_the_ids_of_the_current_span),
        record_test(bad_formats_and_nothing_are_taken),
    };

    setenv("THROUGHLINE_SOCKET", "/nonexistent/agent.sock", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
