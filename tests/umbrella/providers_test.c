// SPDX-License-Identifier: Apache-2.0
// The global providers that OTEL_* and OTEL_CONFIG_FILE make.

#include "tests/support/check.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <throughline/config.h>

#include "libtrace/sdk/context/propagate.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"
#include "libtrace/umbrella/environment.h"
#include "tests/umbrella/made.h"

static unsigned tracers;
static unsigned meters;
static unsigned loggers;
static unsigned propagators;
static char told[2048];

void __wrap_global_default_tracer_provider(struct tl_tracer_provider *provider);
void __wrap_global_default_tracer_provider(struct tl_tracer_provider *provider)
{
    tracers += provider != NULL;
    free(provider);
}

void __wrap_global_default_meter_provider(struct tl_meter_provider *provider);
void __wrap_global_default_meter_provider(struct tl_meter_provider *provider)
{
    meters += provider != NULL;
    free(provider);
}

void __wrap_global_default_logger_provider(struct tl_logger_provider *provider);
void __wrap_global_default_logger_provider(struct tl_logger_provider *provider)
{
    loggers += provider != NULL;
    free(provider);
}

void __wrap_propagator_default_set(struct tl_propagator *propagator);
void __wrap_propagator_default_set(struct tl_propagator *propagator)
{
    propagators += propagator != NULL;
    tl_propagator_unref(propagator);
}

void __wrap_resource_default_set(struct tl_resource *resource);
void __wrap_resource_default_set(struct tl_resource *resource)
{
    tl_resource_unref(resource);
}

static void hook(void *self, enum tl_severity severity, const char *text)
{
    const size_t len = strlen(told);

    (void)self;
    (void)severity;
    snprintf(told + len, sizeof told - len, "%s\n", text);
}

static const char *const names[] = {
    "OTEL_METRIC_EXPORT_TIMEOUT",
    "OTEL_LOG_LEVEL",
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
    "OTEL_LOGS_EXPORTER",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_CONFIG_FILE",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_SERVICE_NAME",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_METRICS_EXEMPLAR_FILTER",
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "OTEL_BLRP_SCHEDULE_DELAY",
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
    "OTEL_EXPORTER_PROMETHEUS_PORT",
};

// "NAME", "value", ..., NULL.
static void make(const char *const *pairs)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
    for (; *pairs; pairs += 2)
        setenv(pairs[0], pairs[1], 1);
    made_reset();
    tracers = meters = loggers = propagators = 0;
    told[0] = '\0';
    variables_make();
}

#define MAKE(...) make((const char *const[]){__VA_ARGS__, NULL})

static void expect(const char *expected)
{
    assert_str(bytes_str(&made), expected);
}

static void nothing_named_is_the_ring_for_every_signal(void **state)
{
    (void)state;
    make((const char *const[]){NULL});
    expect("traces: resource { } schema -\n"
           "  processor ring\n"
           "  sampler ParentBased{root=AlwaysOnSampler,remoteParentSampled=AlwaysOnSampler,"
           "remoteParentNotSampled=AlwaysOffSampler,localParentSampled=AlwaysOnSampler,"
           "localParentNotSampled=AlwaysOffSampler}\n"
           "  limits\n"
           "metrics: resource { } schema -\n"
           "  reader ring every 60000/30000 max 0 temporality 0000000 histogram 0 limits "
           "0 0 0 0 0 0 0\n"
           "  exemplars 0\n"
           "logs: resource { } schema -\n"
           "  processor ring\n"
           "  limits\n");
    assert_int_equal(tracers + meters + loggers, 3);
    assert_string_equal(told, "");
}

static void disabled_makes_nothing(void **state)
{
    (void)state;
    MAKE("OTEL_SDK_DISABLED", "true", "OTEL_TRACES_EXPORTER", "otlp");
    expect("");
    assert_int_equal(tracers + meters + loggers, 0);
}

static void exporters_and_their_settings_reach_the_pipes(void **state)
{
    (void)state;
    MAKE("OTEL_TRACES_EXPORTER", "otlp,console", "OTEL_METRICS_EXPORTER", "otlp,prometheus",
         "OTEL_LOGS_EXPORTER", "otlp/stdout", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1",
         "OTEL_EXPORTER_OTLP_HEADERS", "k=v", "OTEL_TRACES_SAMPLER", "traceidratio",
         "OTEL_TRACES_SAMPLER_ARG", "0.5", "OTEL_BSP_SCHEDULE_DELAY", "77",
         "OTEL_SPAN_EVENT_COUNT_LIMIT", "9", "OTEL_METRICS_EXEMPLAR_FILTER", "always_on",
         "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "0", "OTEL_METRIC_EXPORT_INTERVAL", "500",
         "OTEL_METRIC_EXPORT_TIMEOUT", "400", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
         "delta", "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
         "base2_exponential_bucket_histogram", "OTEL_EXPORTER_PROMETHEUS_PORT", "9999",
         "OTEL_BLRP_SCHEDULE_DELAY", "88");
    expect("traces: resource { } schema -\n"
           "  processor batch 77/30000/2048/512 -> otlp_http(http://c:1/v1/traces|"
           "http://c:1/v1/traces|http://c:1/v1/traces protobuf none timeout 10000 k=v)\n"
           "  processor simple -> console(1)\n"
           "  sampler TraceIdRatioBased{0.5}\n"
           "  limits events=9\n"
           "metrics: resource { } schema -\n"
           "  reader periodic -> otlp_http(http://c:1/v1/metrics|http://c:1/v1/metrics|"
           "http://c:1/v1/metrics protobuf none timeout 10000 k=v) every 500/400 max 0 "
           "temporality 2222222 histogram 5 limits 0 0 0 0 0 0 0\n"
           "  reader prometheus localhost:9999\n"
           "  exemplars 1\n"
           "logs: resource { } schema -\n"
           "  processor batch 88/30000/2048/512 -> file(-)\n"
           "  limits attributes=none\n");
    assert_string_equal(told, "");
}

static void none_has_a_provider_without_exporters(void **state)
{
    (void)state;
    MAKE("OTEL_TRACES_EXPORTER", "none", "OTEL_METRICS_EXPORTER", "none", "OTEL_LOGS_EXPORTER",
         "none", "OTEL_TRACES_SAMPLER", "always_off");
    expect("traces: resource { } schema -\n"
           "  sampler AlwaysOffSampler\n"
           "  limits\n"
           "metrics: resource { } schema -\n"
           "  exemplars 0\n"
           "logs: resource { } schema -\n"
           "  limits\n");
}

static void without_its_module_a_signal_goes_to_the_ring(void **state)
{
    const uint64_t before = stats_get(&sdk_stats, SDK_invalid_settings);

    (void)state;
    made_fails = "otlp_grpc";
    MAKE("OTEL_TRACES_EXPORTER", "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc",
         "OTEL_METRICS_EXPORTER", "none", "OTEL_LOGS_EXPORTER", "none");
    made_fails = NULL;
    assert_int_equal(stats_get(&sdk_stats, SDK_invalid_settings), before + 1);
    assert_string_equal(told, "traces go to the agent's ring: no module otlp_grpc\n");
    bytes_add_byte(&made, '\0');
    assert_non_null(strstr((const char *)made.at, "processor ring"));
    made_fails = "prometheus";
    MAKE("OTEL_TRACES_EXPORTER", "none", "OTEL_METRICS_EXPORTER", "prometheus",
         "OTEL_LOGS_EXPORTER", "none");
    made_fails = NULL;
    bytes_add_byte(&made, '\0');
    assert_non_null(strstr((const char *)made.at, "reader ring"));
}

static void file_write(char *path, const char *text)
{
    const int fd = mkstemp(path);

    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void a_config_file_wins_over_everything(void **state)
{
    char path[] = "/tmp/throughline-providers-XXXXXX";

    (void)state;
    file_write(path, "file_format: \"1.1\"\n"
                     "propagator: {composite: [{b3: }]}\n"
                     "tracer_provider: {processors: [{simple: {exporter: {console: }}}]}\n");
    MAKE("OTEL_CONFIG_FILE", path, "OTEL_SDK_DISABLED", "true", "OTEL_TRACES_EXPORTER", "otlp",
         "OTEL_SERVICE_NAME", "from-the-environment");
    unlink(path);
    assert_string_equal(told, "");
    assert_int_equal(tracers, 1);
    assert_int_equal(meters + loggers, 0);
    assert_int_equal(propagators, 1);
    bytes_add_byte(&made, '\0');
    assert_non_null(strstr((const char *)made.at, "service.name=unknown_service"));
    assert_non_null(strstr((const char *)made.at, "processor simple -> console(1)"));
}

static void a_config_file_that_cannot_be_used_makes_nothing(void **state)
{
    char path[] = "/tmp/throughline-providers-XXXXXX";

    (void)state;
    MAKE("OTEL_CONFIG_FILE", "/nonexistent/otel.yaml");
    expect("");
    assert_non_null(strstr(
        told,
        "OTEL_CONFIG_FILE: /nonexistent/otel.yaml: cannot be opened: No such file or directory"));
    file_write(path, "file_format: \"1.1\"\ntracer_provider: {processor: []}\n");
    MAKE("OTEL_CONFIG_FILE", path, "OTEL_TRACES_EXPORTER", "console");
    unlink(path);
    expect("");
    assert_non_null(strstr(told, ":2:19: tracer_provider: 'processor' is not a property"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_named_is_the_ring_for_every_signal),
        cmocka_unit_test(disabled_makes_nothing),
        cmocka_unit_test(exporters_and_their_settings_reach_the_pipes),
        cmocka_unit_test(none_has_a_provider_without_exporters),
        cmocka_unit_test(without_its_module_a_signal_goes_to_the_ring),
        cmocka_unit_test(a_config_file_wins_over_everything),
        cmocka_unit_test(a_config_file_that_cannot_be_used_makes_nothing),
    };
    int failed;

    tl_module_add(tl_module_yaml());
    tl_log_hook_set(hook, NULL);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    bytes_done(&made);
    return failed;
}
