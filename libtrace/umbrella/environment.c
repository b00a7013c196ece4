// SPDX-License-Identifier: Apache-2.0
// Which variable goes where.

#include "libtrace/umbrella/environment.h"

#include <stdio.h>
#include <stdlib.h>

#include "libtrace/base/decimal.h"
#include "libtrace/sdk/say.h"
#include "libtrace/umbrella/variable.h"

enum { ARENA_BYTES_MAX = 4 << 20, NAME_MAX = 96 };

static const char *const signal_words[] = {"TRACES", "METRICS", "LOGS"};
static const char *const signal_paths[] = {"v1/traces", "v1/metrics", "v1/logs"};

const char *variable_getenv(void *self, const char *name)
{
    (void)self;
    return getenv(name);
}

static void log_level_read(const struct variable_source *source, int *out)
{
    static const char *const words[] = {"trace", "debug", "info", "warn", "warning",
                                        "error", "fatal", "none", NULL};
    static const int levels[] = {TL_TRACE, TL_DEBUG, TL_INFO,  TL_WARN,
                                 TL_WARN,  TL_ERROR, TL_FATAL, TL_FATAL + 4};
    unsigned choice = 2;

    variable_choice(source, "OTEL_LOG_LEVEL", words, &choice);
    *out = levels[choice];
}

// "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT" for the signal, "OTEL_EXPORTER_OTLP_TIMEOUT" for all (-1).
static const char *otlp_name(char out[static NAME_MAX], int signal, const char *what)
{
    const int len = signal < 0 ? snprintf(out, NAME_MAX, "OTEL_EXPORTER_OTLP_%s", what)
                               : snprintf(out, NAME_MAX, "OTEL_EXPORTER_OTLP_%s_%s",
                                          signal_words[signal], what);

    return len > 0 && len < NAME_MAX ? out : "";
}

// The base's path and the signal's, with one slash between them. A query stays behind the path.
static const char *endpoint_join(struct arena *arena, struct str base, const char *path)
{
    const size_t query = str_find(base, '?');
    struct str head = {base.at, query};
    struct str joined;

    while (head.len && head.at[head.len - 1] == '/')
        head.len--;
    joined =
        arena_format(arena, "%.*s/%s%.*s", STR_ARGS(head), path, STR_ARGS(str_from(base, query)));
    return joined.at;
}

// Specification, "OTLP Exporter": the signal's endpoint is used as it is (no path: "/"), the base
// gets the signal's path; gRPC has no path.
static void endpoint_read(const struct variable_source *source, int signal,
                          struct otlp_variables *otlp)
{
    char name[NAME_MAX];
    const struct str base = variable_text(source, otlp_name(name, -1, "ENDPOINT"));
    const struct str own = variable_text(source, otlp_name(name, signal, "ENDPOINT"));
    const struct str scheme_end = STR("://");
    struct str rest = own;

    if (own.len == 0 && base.len == 0)
        return;
    if (own.len == 0) {
        otlp->endpoint = otlp->protocol == OTLP_GRPC
                             ? arena_format(source->arena, "%.*s", STR_ARGS(base)).at
                             : endpoint_join(source->arena, base, signal_paths[signal]);
        return;
    }
    while (rest.len && !str_starts(rest, scheme_end))
        rest = str_from(rest, 1);
    rest = rest.len ? str_from(rest, scheme_end.len) : own;
    otlp->endpoint =
        arena_format(source->arena, "%.*s%s", STR_ARGS(own),
                     otlp->protocol == OTLP_GRPC || str_has(rest, '/') || str_has(rest, '?') ? ""
                                                                                             : "/")
            .at;
}

static void otlp_read_from(const struct variable_source *source, int signal,
                           struct otlp_variables *otlp)
{
    static const char *const protocols[] = {"http/protobuf", "http/json", "grpc", NULL};
    static const char *const compressions[] = {"none", "gzip", NULL};
    char name[NAME_MAX];
    unsigned protocol = otlp->protocol;
    unsigned compression = otlp->compression && *otlp->compression == 'g';

    variable_choice(source, otlp_name(name, signal, "PROTOCOL"), protocols, &protocol);
    otlp->protocol = (enum otlp_protocol)protocol;
    variable_choice(source, otlp_name(name, signal, "COMPRESSION"), compressions, &compression);
    otlp->compression = compressions[compression];
    variable_pairs(source, otlp_name(name, signal, "HEADERS"), otlp->headers, VARIABLE_HEADERS_MAX);
    variable_wait(source, otlp_name(name, signal, "TIMEOUT"), &otlp->timeout_ms);
    variable_bool(source, otlp_name(name, signal, "INSECURE"), &otlp->is_insecure);
    variable_string(source, otlp_name(name, signal, "CERTIFICATE"), &otlp->ca_file);
    variable_string(source, otlp_name(name, signal, "CLIENT_KEY"), &otlp->client_key_file);
    variable_string(source, otlp_name(name, signal, "CLIENT_CERTIFICATE"),
                    &otlp->client_certificate_file);
}

static bool exporter_add(struct signal_variables *signal, enum exporter_choice choice)
{
    for (size_t i = 0; i < signal->exporter_count; i++) {
        if (signal->exporters[i] == choice)
            return true;
    }
    if (signal->exporter_count == VARIABLE_EXPORTERS_MAX)
        return false;
    signal->exporters[signal->exporter_count++] = choice;
    return true;
}

static bool exporter_read(struct str word, int signal, struct signal_variables *out)
{
    static const struct {
        const char *word;
        enum exporter_choice choice;
    } rows[] = {{"otlp", CHOICE_OTLP},
                {"console", CHOICE_CONSOLE},
                {"logging", CHOICE_CONSOLE},
                {"otlp/stdout", CHOICE_STDOUT},
                {"throughline", CHOICE_RING}};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (str_equal_nocase(word, str_of(rows[i].word)))
            return exporter_add(out, rows[i].choice);
    }
    if (signal == TL_METRICS && str_equal_nocase(word, STR("prometheus")))
        return exporter_add(out, CHOICE_PROMETHEUS);
    return str_equal_nocase(word, STR("none"));
}

// A list; unset: OTLP when an endpoint is named, else the agent's ring.
static void exporters_read(const struct variable_source *source, int signal,
                           struct signal_variables *out)
{
    char name[NAME_MAX];
    struct str left;
    unsigned known = 0;

    if (snprintf(name, sizeof name, "OTEL_%s_EXPORTER", signal_words[signal]) < 0)
        return;
    left = variable_text(source, name);
    while (left.len) {
        const size_t end = str_find(left, ',');
        const struct str word = str_trim((struct str){left.at, end});

        left = str_from(left, end + 1);
        if (word.len == 0)
            continue;
        if (exporter_read(word, signal, out))
            known++;
        else
            variable_refuse(name, word, "is not an exporter for this signal");
    }
    if (known == 0)
        exporter_add(out, out->otlp.endpoint ? CHOICE_OTLP : CHOICE_RING);
}

static void signal_read(const struct variable_source *source, int signal,
                        const struct otlp_variables *all, struct signal_variables *out)
{
    out->otlp = *all;
    otlp_read_from(source, signal, &out->otlp);
    endpoint_read(source, signal, &out->otlp);
    exporters_read(source, signal, out);
}

static void ratio_read(const char *name, struct str text, double *out)
{
    double ratio;

    if (text.len == 0)
        return;
    if (!decimal_read(text, &ratio) || ratio < 0 || ratio > 1)
        variable_refuse(name, text, "is not a ratio from 0 to 1");
    else
        *out = ratio;
}

// endpoint=http://host:port,pollingIntervalMs=5000,initialSamplingRate=0.25
static void jaeger_read(const struct variable_source *source, const char *name,
                        struct sampler_variables *sampler)
{
    struct str left = variable_text(source, name);

    while (left.len) {
        const size_t end = str_find(left, ',');
        const struct str part = str_trim((struct str){left.at, end});
        const size_t equals = str_find(part, '=');
        const struct str key = str_trim((struct str){part.at, equals});
        const struct str value = str_trim(str_from(part, equals + 1));

        left = str_from(left, end + 1);
        if (value.len == 0)
            variable_refuse(name, part, "says nothing");
        else if (str_equal(key, STR("endpoint")))
            sampler->endpoint = arena_format(source->arena, "%.*s", STR_ARGS(value)).at;
        else if (str_equal(key, STR("initialSamplingRate")))
            ratio_read(name, value, &sampler->initial_ratio);
        else if (!str_equal(key, STR("pollingIntervalMs")))
            variable_refuse(name, part, "is not a setting of jaeger_remote");
        else if (!str_to_u64(value, &sampler->poll_ms) || sampler->poll_ms > VARIABLE_NO_LIMIT_MS ||
                 sampler->poll_ms == 0) {
            variable_refuse(name, part, "is not a number of milliseconds");
            sampler->poll_ms = 60000;
        }
    }
}

static void sampler_read(const struct variable_source *source, struct sampler_variables *sampler)
{
    static const char *const words[] = {"parentbased_always_on",
                                        "parentbased_always_off",
                                        "parentbased_traceidratio",
                                        "parentbased_jaeger_remote",
                                        "always_on",
                                        "always_off",
                                        "traceidratio",
                                        "jaeger_remote",
                                        NULL};
    static const char argument[] = "OTEL_TRACES_SAMPLER_ARG";
    unsigned choice = 0;

    *sampler = (struct sampler_variables){.ratio = 1, .poll_ms = 60000, .initial_ratio = 0.001};
    variable_choice(source, "OTEL_TRACES_SAMPLER", words, &choice);
    sampler->is_parent_based = choice < 4;
    sampler->choice = (enum sampler_choice)(choice % 4);
    if (sampler->choice == SAMPLER_CHOICE_RATIO)
        ratio_read(argument, variable_text(source, argument), &sampler->ratio);
    if (sampler->choice == SAMPLER_CHOICE_JAEGER)
        jaeger_read(source, argument, sampler);
}

static void batch_read(const struct variable_source *source, const char *prefix, uint64_t delay_ms,
                       struct tl_batch_options *out)
{
    static const char *const words[] = {"SCHEDULE_DELAY", "EXPORT_TIMEOUT", "MAX_QUEUE_SIZE",
                                        "MAX_EXPORT_BATCH_SIZE"};
    uint64_t values[] = {delay_ms, 30000, 2048, 512};
    char name[NAME_MAX];

    for (size_t i = 0; i < 4; i++) {
        uint64_t value = values[i];

        if (snprintf(name, sizeof name, "OTEL_%s_%s", prefix, words[i]) < 0)
            continue;
        if (i == 1) {
            variable_wait(source, name, &values[i]);
            continue;
        }
        variable_number(source, name, i ? UINT32_MAX : VARIABLE_NO_LIMIT_MS, &value);
        if (value == 0 && i)
            variable_refuse(name, STR("0"), "would hold nothing");
        else
            values[i] = value ? value : 1; // no delay: as soon as can be
    }
    if (values[3] > values[2]) {
        // The default of 512 follows a smaller queue without a word.
        if (values[3] != 512)
            variable_refuse(name, variable_text(source, name), "is more than the queue holds");
        values[3] = values[2];
    }
    *out = (struct tl_batch_options){.delay_ms = values[0],
                                     .export_timeout_ms = values[1],
                                     .max_queue_records = (size_t)values[2],
                                     .max_batch_records = (size_t)values[3]};
}

// `general` counts where `name` is unset; 0 is the limit's own default.
static uint32_t limit_read(const struct variable_source *source, const char *name, uint32_t general)
{
    uint64_t value = UINT64_MAX;

    variable_number(source, name, UINT64_MAX - 1, &value);
    if (value == UINT64_MAX)
        return general;
    if (value == 0)
        return TL_NONE;
    return value >= TL_NONE ? TL_UNLIMITED : (uint32_t)value;
}

static void limits_read(const struct variable_source *source, struct variables *out)
{
    const uint32_t count = limit_read(source, "OTEL_ATTRIBUTE_COUNT_LIMIT", 0);
    const uint32_t length = limit_read(source, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", 0);
    struct tl_limits *span = &out->span_limits;
    struct tl_limits *log = &out->log_limits;

    span->attribute_count = limit_read(source, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", count);
    span->attribute_value_length =
        limit_read(source, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", length);
    span->event_count = limit_read(source, "OTEL_SPAN_EVENT_COUNT_LIMIT", 0);
    span->link_count = limit_read(source, "OTEL_SPAN_LINK_COUNT_LIMIT", 0);
    span->event_attribute_count = limit_read(source, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", count);
    span->link_attribute_count = limit_read(source, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", count);
    log->attribute_count = limit_read(source, "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", count);
    log->attribute_value_length =
        limit_read(source, "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", length);
}

static void metrics_read(const struct variable_source *source, struct variables *out)
{
    static const char *const filters[] = {"trace_based", "always_on", "always_off", NULL};
    static const char *const temporalities[] = {"cumulative", "delta", "lowmemory", NULL};
    static const char *const aggregations[] = {"explicit_bucket_histogram",
                                               "base2_exponential_bucket_histogram", NULL};
    unsigned filter = 0;
    unsigned temporality = 0;
    unsigned aggregation = 0;
    uint64_t interval_ms = 60000;
    uint64_t port = 9464;

    variable_number(source, "OTEL_METRIC_EXPORT_INTERVAL", VARIABLE_NO_LIMIT_MS, &interval_ms);
    if (interval_ms == 0) {
        variable_refuse("OTEL_METRIC_EXPORT_INTERVAL", STR("0"), "is no interval");
        interval_ms = 60000;
    }
    out->metric_interval_ms = interval_ms;
    out->metric_timeout_ms = 30000;
    variable_wait(source, "OTEL_METRIC_EXPORT_TIMEOUT", &out->metric_timeout_ms);
    variable_choice(source, "OTEL_METRICS_EXEMPLAR_FILTER", filters, &filter);
    out->exemplar_filter = (enum tl_exemplar_filter)filter;
    variable_choice(source, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporalities,
                    &temporality);
    out->temporality = temporalities[temporality];
    variable_choice(source, "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                    aggregations, &aggregation);
    out->is_exponential = aggregation == 1;
    out->prometheus_host = "localhost";
    variable_string(source, "OTEL_EXPORTER_PROMETHEUS_HOST", &out->prometheus_host);
    variable_number(source, "OTEL_EXPORTER_PROMETHEUS_PORT", UINT16_MAX, &port);
    out->prometheus_port = (uint16_t)port;
}

void variables_read(struct variables *out_variables, variable_get *get, void *self)
{
    const struct variable_source source = {get, self, &out_variables->arena};
    struct otlp_variables otlp = {.timeout_ms = 10000, .compression = "none"};

    *out_variables = (struct variables){.log_level = TL_INFO};
    arena_init(&out_variables->arena, ARENA_BYTES_MAX);
    variable_bool(&source, "THROUGHLINE_THREAD_CONTEXT", &out_variables->has_thread_context);
    variable_string(&source, "OTEL_CONFIG_FILE", &out_variables->config_file);
    if (!out_variables->config_file)
        variable_string(&source, "OTEL_EXPERIMENTAL_CONFIG_FILE", &out_variables->config_file);
    if (out_variables->config_file)
        return;
    log_level_read(&source, &out_variables->log_level);
    // What the others have wrong is told at this level already.
    say_level_set((enum tl_severity)out_variables->log_level);
    variable_bool(&source, "OTEL_SDK_DISABLED", &out_variables->is_disabled);
    if (out_variables->is_disabled)
        return;
    otlp_read_from(&source, -1, &otlp);
    for (int signal = 0; signal < 3; signal++)
        signal_read(&source, signal, &otlp, &out_variables->signals[signal]);
    sampler_read(&source, &out_variables->sampler);
    batch_read(&source, "BSP", 5000, &out_variables->span_batch);
    batch_read(&source, "BLRP", 1000, &out_variables->log_batch);
    limits_read(&source, out_variables);
    metrics_read(&source, out_variables);
}

void variables_done(struct variables *variables)
{
    arena_done(&variables->arena);
}
