// SPDX-License-Identifier: Apache-2.0
// The global providers of OTEL_*, made with the public calls.

#include "libtrace/umbrella/providers.h"

#include <stdio.h>

#include <throughline/config.h>

#include "libtrace/sdk/context/propagate.h"
#include "libtrace/sdk/global.h"
#include "libtrace/sdk/resource/process_context.h"
#include "libtrace/sdk/resource/resource.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"

static const char *const signal_words[] = {"traces", "metrics", "logs"};

static void otlp_options(const struct otlp_variables *otlp, struct tl_otlp_options *out)
{
    *out = (struct tl_otlp_options){
        .traces_endpoint = otlp->endpoint,
        .metrics_endpoint = otlp->endpoint,
        .logs_endpoint = otlp->endpoint,
        .is_json = otlp->protocol == OTLP_HTTP_JSON,
        .is_insecure = otlp->is_insecure,
        .compression = otlp->compression,
        .headers = otlp->headers[0] ? (const char *const *)otlp->headers : NULL,
        .timeout_ms = otlp->timeout_ms,
        .ca_file = otlp->ca_file,
        .client_key_file = otlp->client_key_file,
        .client_certificate_file = otlp->client_certificate_file,
    };
}

// False: told and counted; the caller takes the ring.
static bool exporter_make(const struct variables *variables, enum tl_signal signal,
                          enum exporter_choice choice, struct tl_exporter_v1 *out_exporter)
{
    const struct otlp_variables *otlp = &variables->signals[signal].otlp;
    struct tl_otlp_options options;
    char reason[256] = "";
    int failed;

    if (choice == CHOICE_CONSOLE) {
        failed = tl_exporter_console(1, out_exporter, reason);
    } else if (choice == CHOICE_STDOUT) {
        failed = tl_exporter_otlp_file(NULL, out_exporter, reason);
    } else {
        otlp_options(otlp, &options);
        failed = otlp->protocol == OTLP_GRPC
                     ? tl_exporter_otlp_grpc(&options, out_exporter, reason)
                     : tl_exporter_otlp_http(&options, out_exporter, reason);
    }
    if (failed == 0)
        return true;
    stats_add(&sdk_stats, SDK_invalid_settings, 1);
    say(TL_ERROR, "%s go to the agent's ring: %s", signal_words[signal], reason);
    return false;
}

struct tl_sampler *provider_sampler(const struct sampler_variables *sampler)
{
    struct tl_sampler *root = NULL;
    const char *service = NULL;
    struct tl_resource *resource;
    struct tl_attribute attribute;

    switch (sampler->choice) {
    case SAMPLER_CHOICE_ON:
        root = tl_sampler_always_on();
        break;
    case SAMPLER_CHOICE_OFF:
        root = tl_sampler_always_off();
        break;
    case SAMPLER_CHOICE_RATIO:
        root = tl_sampler_ratio(sampler->ratio);
        break;
    case SAMPLER_CHOICE_JAEGER:
        resource = tl_resource_default();
        for (size_t i = 0; tl_resource_at(resource, i, &attribute); i++) {
            if (attribute.key && strcmp(attribute.key, "service.name") == 0 &&
                attribute.value.type == TL_TYPE_STRING)
                service = attribute.value.as.string;
        }
        root = tl_sampler_jaeger_remote(sampler->endpoint, service, sampler->poll_ms,
                                        tl_sampler_ratio(sampler->initial_ratio));
        tl_resource_unref(resource);
        break;
    }
    if (!root || !sampler->is_parent_based)
        return root;
    return tl_sampler_parent_based(root, NULL, NULL, NULL, NULL);
}

struct tl_tracer_provider *provider_traces(const struct variables *variables)
{
    const struct signal_variables *signal = &variables->signals[TL_TRACES];
    struct tl_span_processor processors[VARIABLE_EXPORTERS_MAX];
    struct tl_exporter_v1 exporter;
    size_t count = 0;

    for (; count < signal->exporter_count; count++) {
        const enum exporter_choice choice = signal->exporters[count];

        if (choice == CHOICE_RING || !exporter_make(variables, TL_TRACES, choice, &exporter))
            processors[count] = tl_span_processor_ring();
        else if (choice == CHOICE_CONSOLE)
            processors[count] = tl_span_processor_simple(&exporter);
        else
            processors[count] = tl_span_processor_batch(&exporter, &variables->span_batch);
    }
    return tl_tracer_provider_new(&(struct tl_tracer_provider_options){
        .sampler = provider_sampler(&variables->sampler),
        .processors = processors,
        .processor_count = count,
        .limits = variables->span_limits,
    });
}

static void reader_options(const struct variables *variables, struct tl_reader_options *out)
{
    *out = (struct tl_reader_options){
        .interval_ms = variables->metric_interval_ms,
        .export_timeout_ms = variables->metric_timeout_ms,
    };
    if (variables->is_exponential)
        out->aggregation[TL_HISTOGRAM].kind = TL_AGGREGATION_EXPONENTIAL_HISTOGRAM;
}

static struct tl_metric_reader *reader_make(const struct variables *variables,
                                            enum exporter_choice choice)
{
    struct tl_prometheus_options prometheus = {.host = variables->prometheus_host,
                                               .port = variables->prometheus_port,
                                               .any_port = variables->prometheus_port == 0};
    struct tl_metric_reader *reader;
    struct tl_reader_options options;
    struct tl_exporter_v1 exporter;
    char reason[256] = "";
    uint16_t port;

    if (choice == CHOICE_PROMETHEUS) {
        reader = tl_reader_prometheus(&prometheus, &port, reason);
        if (reader)
            return reader;
        stats_add(&sdk_stats, SDK_invalid_settings, 1);
        say(TL_ERROR, "metrics go to the agent's ring: %s", reason);
        choice = CHOICE_RING;
    }
    reader_options(variables, &options);
    if (choice == CHOICE_OTLP)
        tl_reader_temporality(&options, variables->temporality);
    if (choice != CHOICE_RING && exporter_make(variables, TL_METRICS, choice, &exporter))
        return tl_reader_periodic(&exporter, &options);
    return tl_reader_ring(&options);
}

struct tl_meter_provider *provider_metrics(const struct variables *variables)
{
    const struct signal_variables *signal = &variables->signals[TL_METRICS];
    struct tl_metric_reader *readers[VARIABLE_EXPORTERS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < signal->exporter_count; i++) {
        readers[count] = reader_make(variables, signal->exporters[i]);
        count += readers[count] != NULL;
    }
    return tl_meter_provider_new(&(struct tl_meter_provider_options){
        .readers = readers,
        .reader_count = count,
        .exemplar_filter = variables->exemplar_filter,
    });
}

struct tl_logger_provider *provider_logs(const struct variables *variables)
{
    const struct signal_variables *signal = &variables->signals[TL_LOGS];
    struct tl_log_processor processors[VARIABLE_EXPORTERS_MAX];
    struct tl_exporter_v1 exporter;
    size_t count = 0;

    for (; count < signal->exporter_count; count++) {
        const enum exporter_choice choice = signal->exporters[count];

        if (choice == CHOICE_RING || !exporter_make(variables, TL_LOGS, choice, &exporter))
            processors[count] = tl_log_processor_ring();
        else if (choice == CHOICE_CONSOLE)
            processors[count] = tl_log_processor_simple(&exporter);
        else
            processors[count] = tl_log_processor_batch(&exporter, &variables->log_batch);
    }
    return tl_logger_provider_new(&(struct tl_logger_provider_options){
        .processors = processors,
        .processor_count = count,
        .limits = variables->log_limits,
    });
}

static void refuse_file(const char *reason)
{
    // Nothing is made: the file may have said that nothing be sent, or where to.
    say(TL_ERROR, "OTEL_CONFIG_FILE: %s", reason);
    propagator_default_set(NULL);
}

static void file_make(const char *path)
{
    char reason[512] = "";
    struct tl_components made = {NULL};
    struct tl_config *config = tl_config_parse_file(path, reason);

    if (!config || tl_config_create(config, &made, reason) != 0) {
        refuse_file(reason);
        tl_config_free(config);
        return;
    }
    global_default_tracer_provider(made.tracer_provider);
    global_default_meter_provider(made.meter_provider);
    global_default_logger_provider(made.logger_provider);
    propagator_default_set(made.propagator);
    resource_default_set(made.resource);
    tl_config_free(config);
}

void variables_make(void)
{
    struct variables variables;

    variables_read(&variables, variable_getenv, NULL);
    // Disabled: no provider, so nothing records; propagators read OTEL_PROPAGATORS themselves.
    if (variables.config_file) {
        file_make(variables.config_file);
    } else if (!variables.is_disabled) {
        global_default_tracer_provider(provider_traces(&variables));
        global_default_meter_provider(provider_metrics(&variables));
        global_default_logger_provider(provider_logs(&variables));
    }
    // Where the node's agent and profilers look; on a host that cannot, nobody finds it.
    if (!variables.is_disabled)
        process_context_publish(NULL, variables.has_thread_context);
    variables_done(&variables);
}
