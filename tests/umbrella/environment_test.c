// SPDX-License-Identifier: Apache-2.0
// OTEL_*: what each variable becomes, what is refused, told and counted.

#include "tests/support/check.h"

#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"
#include "libtrace/umbrella/environment.h"

static char told[4096];

static void hook(void *self, enum tl_severity severity, const char *text)
{
    const size_t len = strlen(told);

    (void)self;
    (void)severity;
    snprintf(told + len, sizeof told - len, "%s\n", text);
}

// "NAME=value" lines, ends with NULL.
static const char *get(void *self, const char *name)
{
    const char *const *lines = self;
    const size_t len = strlen(name);

    for (; *lines; lines++) {
        if (strncmp(*lines, name, len) == 0 && (*lines)[len] == '=')
            return *lines + len + 1;
    }
    return NULL;
}

static uint64_t refused;

static void read_lines(struct variables *out, const char *const *lines)
{
    const uint64_t before = stats_get(&sdk_stats, SDK_invalid_settings);

    told[0] = '\0';
    tl_log_hook_set(hook, NULL);
    variables_read(out, get, (void *)lines);
    refused = stats_get(&sdk_stats, SDK_invalid_settings) - before;
}

#define READ(variables, ...) read_lines((variables), (const char *const[]){__VA_ARGS__, NULL})

static void nothing_set_is_the_ring_and_the_defaults(void **state)
{
    struct variables v;

    (void)state;
    read_lines(&v, (const char *const[]){NULL});
    assert_int_equal(refused, 0);
    for (int signal = 0; signal < 3; signal++) {
        assert_int_equal(v.signals[signal].exporter_count, 1);
        assert_int_equal(v.signals[signal].exporters[0], CHOICE_RING);
        assert_int_equal(v.signals[signal].otlp.protocol, OTLP_HTTP_PROTOBUF);
        assert_null(v.signals[signal].otlp.endpoint);
        assert_null(v.signals[signal].otlp.headers[0]);
        assert_string_equal(v.signals[signal].otlp.compression, "none");
        assert_int_equal(v.signals[signal].otlp.timeout_ms, 10000);
    }
    assert_false(v.is_disabled);
    assert_int_equal(v.log_level, TL_INFO);
    assert_true(v.sampler.is_parent_based);
    assert_int_equal(v.sampler.choice, SAMPLER_CHOICE_ON);
    assert_int_equal(v.span_batch.delay_ms, 5000);
    assert_int_equal(v.span_batch.export_timeout_ms, 30000);
    assert_int_equal(v.span_batch.max_queue_records, 2048);
    assert_int_equal(v.span_batch.max_batch_records, 512);
    assert_int_equal(v.log_batch.delay_ms, 1000);
    assert_int_equal(v.span_limits.attribute_count, 0);
    assert_int_equal(v.metric_interval_ms, 60000);
    assert_int_equal(v.metric_timeout_ms, 30000);
    assert_string_equal(v.temporality, "cumulative");
    assert_false(v.is_exponential);
    assert_int_equal(v.exemplar_filter, TL_EXEMPLARS_TRACE_BASED);
    assert_string_equal(v.prometheus_host, "localhost");
    assert_int_equal(v.prometheus_port, 9464);
    variables_done(&v);
}

static void empty_is_unset(void **state)
{
    struct variables v;

    (void)state;
    READ(&v, "OTEL_SDK_DISABLED=", "OTEL_TRACES_EXPORTER= ", "OTEL_BSP_SCHEDULE_DELAY=",
         "OTEL_CONFIG_FILE=", "OTEL_TRACES_SAMPLER=");
    assert_int_equal(refused, 0);
    assert_int_equal(v.signals[TL_TRACES].exporters[0], CHOICE_RING);
    assert_int_equal(v.span_batch.delay_ms, 5000);
    variables_done(&v);
}

static void disabled_is_true_in_any_case_alone(void **state)
{
    struct variables v;

    (void)state;
    READ(&v, "OTEL_SDK_DISABLED=TRUE");
    assert_true(v.is_disabled);
    variables_done(&v);
    READ(&v, "OTEL_SDK_DISABLED=1");
    assert_false(v.is_disabled);
    assert_int_equal(refused, 1);
    assert_string_equal(told,
                        "OTEL_SDK_DISABLED: '1' is neither true nor false and taken as false\n");
    variables_done(&v);
    READ(&v, "OTEL_SDK_DISABLED=False");
    assert_false(v.is_disabled);
    assert_int_equal(refused, 0);
    variables_done(&v);
}

static void log_level_is_any_of_its_words(void **state)
{
    static const struct {
        const char *line;
        int level;
    } rows[] = {{"OTEL_LOG_LEVEL=Debug", TL_DEBUG},
                {"OTEL_LOG_LEVEL=warn", TL_WARN},
                {"OTEL_LOG_LEVEL=WARNING", TL_WARN},
                {"OTEL_LOG_LEVEL=error", TL_ERROR},
                {"OTEL_LOG_LEVEL=loud", TL_INFO}};
    struct variables v;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        READ(&v, rows[i].line);
        assert_int_equal(v.log_level, rows[i].level);
        assert_int_equal(refused, i == 4);
        variables_done(&v);
    }
    READ(&v, "OTEL_LOG_LEVEL=none");
    assert_true(v.log_level > TL_FATAL);
    variables_done(&v);
}

static void an_endpoint_alone_means_otlp_and_gets_the_signals_path(void **state)
{
    struct variables v;

    (void)state;
    READ(&v, "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318/base/",
         "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=https://m.example",
         "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://logs:1/my/path?x=y");
    assert_int_equal(v.signals[TL_TRACES].exporters[0], CHOICE_OTLP);
    assert_string_equal(v.signals[TL_TRACES].otlp.endpoint, "http://collector:4318/base/v1/traces");
    assert_string_equal(v.signals[TL_METRICS].otlp.endpoint, "https://m.example/");
    assert_string_equal(v.signals[TL_LOGS].otlp.endpoint, "http://logs:1/my/path?x=y");
    variables_done(&v);
    // One signal's endpoint is that signal's alone.
    READ(&v, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://t:4318/v1/traces");
    assert_int_equal(v.signals[TL_TRACES].exporters[0], CHOICE_OTLP);
    assert_int_equal(v.signals[TL_METRICS].exporters[0], CHOICE_RING);
    assert_int_equal(v.signals[TL_LOGS].exporters[0], CHOICE_RING);
    variables_done(&v);
    READ(&v, "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
         "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=HTTP/JSON",
         "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=c:4317");
    assert_string_equal(v.signals[TL_TRACES].otlp.endpoint, "http://c:4317");
    assert_int_equal(v.signals[TL_TRACES].otlp.protocol, OTLP_GRPC);
    assert_string_equal(v.signals[TL_METRICS].otlp.endpoint, "c:4317");
    assert_int_equal(v.signals[TL_LOGS].otlp.protocol, OTLP_HTTP_JSON);
    assert_string_equal(v.signals[TL_LOGS].otlp.endpoint, "http://c:4317/v1/logs");
    variables_done(&v);
}

static void otlp_variables_of_a_signal_win(void **state)
{
    struct variables v;
    const struct otlp_variables *traces = &v.signals[TL_TRACES].otlp;
    const struct otlp_variables *logs = &v.signals[TL_LOGS].otlp;

    (void)state;
    READ(&v, "OTEL_EXPORTER_OTLP_HEADERS=api-key= s%20e,x=1,", "OTEL_EXPORTER_OTLP_TIMEOUT=5",
         "OTEL_EXPORTER_OTLP_TRACES_HEADERS=t=2", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=0",
         "OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION=None",
         "OTEL_EXPORTER_OTLP_INSECURE=true", "OTEL_EXPORTER_OTLP_LOGS_INSECURE=false",
         "OTEL_EXPORTER_OTLP_CERTIFICATE=/ca", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE=/tca",
         "OTEL_EXPORTER_OTLP_CLIENT_KEY=/key", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=/cert");
    assert_int_equal(refused, 0);
    assert_string_equal(traces->headers[0], "t");
    assert_string_equal(traces->headers[1], "2");
    assert_null(traces->headers[2]);
    assert_string_equal(logs->headers[0], "api-key");
    assert_string_equal(logs->headers[1], "s e");
    assert_string_equal(logs->headers[3], "1");
    assert_null(logs->headers[4]);
    assert_true(traces->timeout_ms == VARIABLE_NO_LIMIT_MS);
    assert_int_equal(logs->timeout_ms, 5);
    assert_string_equal(traces->compression, "gzip");
    assert_string_equal(logs->compression, "none");
    assert_true(traces->is_insecure);
    assert_false(logs->is_insecure);
    assert_string_equal(traces->ca_file, "/tca");
    assert_string_equal(logs->ca_file, "/ca");
    assert_string_equal(logs->client_key_file, "/key");
    assert_string_equal(logs->client_certificate_file, "/cert");
    variables_done(&v);
}

static void bad_otlp_values_are_told_once_and_ignored(void **state)
{
    struct variables v;

    (void)state;
    READ(&v, "OTEL_EXPORTER_OTLP_TIMEOUT=-5", "OTEL_EXPORTER_OTLP_HEADERS=secret",
         "OTEL_EXPORTER_OTLP_COMPRESSION=zip", "OTEL_EXPORTER_OTLP_PROTOCOL=udp");
    assert_int_equal(refused, 4);
    assert_null(strstr(told, "secret"));
    assert_int_equal(v.signals[TL_LOGS].otlp.timeout_ms, 10000);
    assert_null(v.signals[TL_LOGS].otlp.headers[0]);
    variables_done(&v);
    READ(&v, "OTEL_EXPORTER_OTLP_HEADERS=a=b%0d%0aevil: 1");
    assert_int_equal(refused, 1);
    variables_done(&v);
    READ(&v, "OTEL_EXPORTER_OTLP_HEADERS=a=%00");
    assert_int_equal(refused, 1);
    variables_done(&v);
}

static void exporters_are_lists_of_known_words(void **state)
{
    struct variables v;

    (void)state;
    READ(&v, "OTEL_TRACES_EXPORTER=otlp, Console,otlp", "OTEL_METRICS_EXPORTER=prometheus,otlp",
         "OTEL_LOGS_EXPORTER=none");
    assert_int_equal(refused, 0);
    assert_int_equal(v.signals[TL_TRACES].exporter_count, 2);
    assert_int_equal(v.signals[TL_TRACES].exporters[0], CHOICE_OTLP);
    assert_int_equal(v.signals[TL_TRACES].exporters[1], CHOICE_CONSOLE);
    assert_int_equal(v.signals[TL_METRICS].exporters[0], CHOICE_PROMETHEUS);
    assert_int_equal(v.signals[TL_METRICS].exporters[1], CHOICE_OTLP);
    assert_int_equal(v.signals[TL_LOGS].exporter_count, 0);
    variables_done(&v);
    READ(&v, "OTEL_TRACES_EXPORTER=prometheus", "OTEL_METRICS_EXPORTER=otlp/stdout",
         "OTEL_LOGS_EXPORTER=throughline", "OTEL_EXPORTER_OTLP_ENDPOINT=http://x");
    assert_int_equal(refused, 1);
    assert_string_equal(told,
                        "OTEL_TRACES_EXPORTER: 'prometheus' is not an exporter for this signal\n");
    assert_int_equal(v.signals[TL_TRACES].exporters[0], CHOICE_OTLP);
    assert_int_equal(v.signals[TL_METRICS].exporters[0], CHOICE_STDOUT);
    assert_int_equal(v.signals[TL_LOGS].exporters[0], CHOICE_RING);
    variables_done(&v);
}

static void samplers_and_their_arguments(void **state)
{
    struct variables v;

    (void)state;
    READ(&v, "OTEL_TRACES_SAMPLER=Always_Off", "OTEL_TRACES_SAMPLER_ARG=unused");
    assert_int_equal(refused, 0);
    assert_false(v.sampler.is_parent_based);
    assert_int_equal(v.sampler.choice, SAMPLER_CHOICE_OFF);
    variables_done(&v);
    READ(&v, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.25");
    assert_true(v.sampler.is_parent_based);
    assert_int_equal(v.sampler.choice, SAMPLER_CHOICE_RATIO);
    assert_true(v.sampler.ratio == 0.25);
    variables_done(&v);
    READ(&v, "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=1.5");
    assert_int_equal(refused, 1);
    assert_true(v.sampler.ratio == 1);
    variables_done(&v);
    READ(&v, "OTEL_TRACES_SAMPLER=parentbased_jaeger_remote",
         "OTEL_TRACES_SAMPLER_ARG=endpoint=http://j:14250,pollingIntervalMs=5000,"
         "initialSamplingRate=0.5");
    assert_int_equal(v.sampler.choice, SAMPLER_CHOICE_JAEGER);
    assert_string_equal(v.sampler.endpoint, "http://j:14250");
    assert_int_equal(v.sampler.poll_ms, 5000);
    assert_true(v.sampler.initial_ratio == 0.5);
    variables_done(&v);
    READ(&v, "OTEL_TRACES_SAMPLER=jaeger_remote",
         "OTEL_TRACES_SAMPLER_ARG=pollingIntervalMs=x,initialSamplingRate=7,nonsense");
    assert_int_equal(refused, 3);
    assert_int_equal(v.sampler.poll_ms, 60000);
    variables_done(&v);
    READ(&v, "OTEL_TRACES_SAMPLER=coin");
    assert_int_equal(refused, 1);
    assert_true(v.sampler.is_parent_based);
    variables_done(&v);
}

static void batches_read_their_four_numbers(void **state)
{
    struct variables v;

    (void)state;
    READ(&v, "OTEL_BSP_SCHEDULE_DELAY=1", "OTEL_BSP_EXPORT_TIMEOUT=0",
         "OTEL_BSP_MAX_QUEUE_SIZE=100", "OTEL_BLRP_SCHEDULE_DELAY=2", "OTEL_BLRP_EXPORT_TIMEOUT=3",
         "OTEL_BLRP_MAX_QUEUE_SIZE=5000", "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE=4000");
    assert_int_equal(refused, 0);
    assert_int_equal(v.span_batch.delay_ms, 1);
    assert_true(v.span_batch.export_timeout_ms == VARIABLE_NO_LIMIT_MS);
    assert_int_equal(v.span_batch.max_queue_records, 100);
    assert_int_equal(v.span_batch.max_batch_records, 100);
    assert_int_equal(v.log_batch.delay_ms, 2);
    assert_int_equal(v.log_batch.export_timeout_ms, 3);
    assert_int_equal(v.log_batch.max_queue_records, 5000);
    assert_int_equal(v.log_batch.max_batch_records, 4000);
    variables_done(&v);
    READ(&v, "OTEL_BSP_SCHEDULE_DELAY=1.5", "OTEL_BSP_MAX_QUEUE_SIZE=0",
         "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=9999");
    assert_int_equal(refused, 3);
    assert_non_null(strstr(told, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '9999' is more than"));
    assert_int_equal(v.span_batch.delay_ms, 5000);
    assert_int_equal(v.span_batch.max_queue_records, 2048);
    assert_int_equal(v.span_batch.max_batch_records, 2048);
    variables_done(&v);
}

static void limits_of_a_record_come_before_the_general_ones(void **state)
{
    struct variables v;

    (void)state;
    READ(&v, "OTEL_ATTRIBUTE_COUNT_LIMIT=10", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=20",
         "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=11", "OTEL_SPAN_EVENT_COUNT_LIMIT=12",
         "OTEL_SPAN_LINK_COUNT_LIMIT=13", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT=14",
         "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT=0",
         "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT=99999999999");
    assert_int_equal(refused, 0);
    assert_int_equal(v.span_limits.attribute_count, 11);
    assert_int_equal(v.span_limits.attribute_value_length, 20);
    assert_int_equal(v.span_limits.event_count, 12);
    assert_int_equal(v.span_limits.link_count, 13);
    assert_int_equal(v.span_limits.event_attribute_count, 14);
    assert_int_equal(v.span_limits.link_attribute_count, TL_NONE);
    assert_int_equal(v.log_limits.attribute_count, 10);
    assert_int_equal(v.log_limits.attribute_value_length, TL_UNLIMITED);
    variables_done(&v);
    READ(&v, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT=7", "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT=8",
         "OTEL_ATTRIBUTE_COUNT_LIMIT=many");
    assert_int_equal(refused, 1);
    assert_int_equal(v.span_limits.attribute_value_length, 7);
    assert_int_equal(v.log_limits.attribute_count, 8);
    assert_int_equal(v.span_limits.attribute_count, 0);
    variables_done(&v);
}

static void metrics_read_interval_filter_temporality_and_aggregation(void **state)
{
    struct variables v;

    (void)state;
    READ(&v, "OTEL_METRIC_EXPORT_INTERVAL=500", "OTEL_METRIC_EXPORT_TIMEOUT=400",
         "OTEL_METRICS_EXEMPLAR_FILTER=ALWAYS_ON",
         "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=LowMemory",
         "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION="
         "base2_exponential_bucket_histogram",
         "OTEL_EXPORTER_PROMETHEUS_HOST=0.0.0.0", "OTEL_EXPORTER_PROMETHEUS_PORT=9000");
    assert_int_equal(refused, 0);
    assert_int_equal(v.metric_interval_ms, 500);
    assert_int_equal(v.metric_timeout_ms, 400);
    assert_int_equal(v.exemplar_filter, TL_EXEMPLARS_ALWAYS_ON);
    assert_string_equal(v.temporality, "lowmemory");
    assert_true(v.is_exponential);
    assert_string_equal(v.prometheus_host, "0.0.0.0");
    assert_int_equal(v.prometheus_port, 9000);
    variables_done(&v);
    READ(&v, "OTEL_METRIC_EXPORT_INTERVAL=0", "OTEL_METRICS_EXEMPLAR_FILTER=some",
         "OTEL_EXPORTER_PROMETHEUS_PORT=65536");
    assert_int_equal(refused, 3);
    assert_int_equal(v.metric_interval_ms, 60000);
    assert_int_equal(v.prometheus_port, 9464);
    variables_done(&v);
}

static void a_config_file_hides_every_other_variable(void **state)
{
    struct variables v;

    (void)state;
    READ(&v, "OTEL_CONFIG_FILE=/etc/otel.yaml", "OTEL_SDK_DISABLED=true",
         "OTEL_LOG_LEVEL=nonsense");
    assert_string_equal(v.config_file, "/etc/otel.yaml");
    assert_false(v.is_disabled);
    assert_int_equal(refused, 0);
    variables_done(&v);
}

static void a_huge_value_is_refused(void **state)
{
    char *line = malloc(VARIABLE_BYTES_MAX + 64);
    struct variables v;

    (void)state;
    strncpy(line, "OTEL_EXPORTER_OTLP_ENDPOINT=", 64);
    memset(line + 28, 'x', VARIABLE_BYTES_MAX + 1);
    line[28 + VARIABLE_BYTES_MAX + 1] = '\0';
    READ(&v, line);
    assert_true(refused >= 1);
    assert_null(v.signals[TL_TRACES].otlp.endpoint);
    variables_done(&v);
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_set_is_the_ring_and_the_defaults),
        cmocka_unit_test(empty_is_unset),
        cmocka_unit_test(disabled_is_true_in_any_case_alone),
        cmocka_unit_test(log_level_is_any_of_its_words),
        cmocka_unit_test(an_endpoint_alone_means_otlp_and_gets_the_signals_path),
        cmocka_unit_test(otlp_variables_of_a_signal_win),
        cmocka_unit_test(bad_otlp_values_are_told_once_and_ignored),
        cmocka_unit_test(exporters_are_lists_of_known_words),
        cmocka_unit_test(samplers_and_their_arguments),
        cmocka_unit_test(batches_read_their_four_numbers),
        cmocka_unit_test(limits_of_a_record_come_before_the_general_ones),
        cmocka_unit_test(metrics_read_interval_filter_temporality_and_aggregation),
        cmocka_unit_test(a_config_file_hides_every_other_variable),
        cmocka_unit_test(a_huge_value_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
