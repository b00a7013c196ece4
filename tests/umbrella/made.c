// SPDX-License-Identifier: Apache-2.0
// The wrapped constructors. Providers are a line of text; nothing runs.

#include "tests/umbrella/made.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <throughline/sdk.h>

struct bytes made;
const char *made_fails;

void made_reset(void)
{
    made.len = 0;
    bytes_format(&made, "%s", "");
}

// A thing made is its description.
static struct bytes *thing_new(void)
{
    return calloc(1, sizeof(struct bytes));
}

static void thing_free(void *self)
{
    struct bytes *thing = self;

    if (thing)
        bytes_done(thing);
    free(thing);
}

static const char *or_none(const char *text)
{
    return text ? text : "-";
}

static int fail(const char *kind, char why[256])
{
    if (!made_fails || strcmp(made_fails, kind) != 0)
        return 0;
    snprintf(why, 256, "no module %s", kind);
    return -ENOENT;
}

static void resource_write(struct bytes *out, const struct tl_resource *resource)
{
    struct tl_attribute attribute;

    bytes_format(out, " resource {");
    for (size_t i = 0; tl_resource_at(resource, i, &attribute); i++) {
        if (strncmp(attribute.key, "telemetry.sdk", 13) == 0)
            continue;
        if (attribute.value.type == TL_TYPE_STRING)
            bytes_format(out, " %s=%.*s", attribute.key,
                         strncmp(attribute.value.as.string, "unknown_service", 15) == 0
                             ? 15
                             : (int)attribute.value.count,
                         attribute.value.as.string);
        else if (attribute.value.type == TL_TYPE_INT)
            bytes_format(out, " %s=%lld", attribute.key, (long long)attribute.value.as.integer);
        else if (attribute.value.type == TL_TYPE_BOOL)
            bytes_format(out, " %s=%s", attribute.key, attribute.value.as.boolean ? "yes" : "no");
        else if (attribute.value.type == TL_TYPE_DOUBLE)
            bytes_format(out, " %s=%g", attribute.key, attribute.value.as.number);
        else
            bytes_format(out, " %s=(%d:%zu)", attribute.key, attribute.value.type,
                         attribute.value.count);
    }
    bytes_format(out, " } schema %s\n",
                 resource && *tl_resource_schema_url(resource) ? tl_resource_schema_url(resource)
                                                               : "-");
}

static int exporter_done(struct tl_exporter_v1 *out_exporter, struct bytes *thing)
{
    *out_exporter =
        (struct tl_exporter_v1){.size = sizeof *out_exporter, .self = thing, .free = thing_free};
    return 0;
}

static int otlp(const char *kind, const struct tl_otlp_options *options,
                struct tl_exporter_v1 *out_exporter, char why[256])
{
    struct bytes *thing;

    if (fail(kind, why) != 0)
        return -ENOENT;
    thing = thing_new();
    bytes_format(thing, "%s(%s|%s|%s %s %s timeout %llu", kind, or_none(options->traces_endpoint),
                 or_none(options->metrics_endpoint), or_none(options->logs_endpoint),
                 options->is_json ? "json" : "protobuf", or_none(options->compression),
                 (unsigned long long)options->timeout_ms);
    if (options->is_insecure)
        bytes_format(thing, " insecure");
    if (options->ca_file || options->client_key_file)
        bytes_format(thing, " tls %s %s %s", or_none(options->ca_file),
                     or_none(options->client_key_file), or_none(options->client_certificate_file));
    for (size_t i = 0; options->headers && options->headers[i]; i += 2)
        bytes_format(thing, " %s=%s", options->headers[i], options->headers[i + 1]);
    if (options->max_request_bytes)
        bytes_format(thing, " sizes %llu %llu", (unsigned long long)options->max_request_bytes,
                     (unsigned long long)options->max_response_bytes);
    bytes_format(thing, ")");
    return exporter_done(out_exporter, thing);
}

int __wrap_tl_exporter_otlp_http(const struct tl_otlp_options *options,
                                 struct tl_exporter_v1 *out_exporter, char why[256]);
int __wrap_tl_exporter_otlp_http(const struct tl_otlp_options *options,
                                 struct tl_exporter_v1 *out_exporter, char why[256])
{
    return otlp("otlp_http", options, out_exporter, why);
}

int __wrap_tl_exporter_otlp_grpc(const struct tl_otlp_options *options,
                                 struct tl_exporter_v1 *out_exporter, char why[256]);
int __wrap_tl_exporter_otlp_grpc(const struct tl_otlp_options *options,
                                 struct tl_exporter_v1 *out_exporter, char why[256])
{
    return otlp("otlp_grpc", options, out_exporter, why);
}

int __wrap_tl_exporter_otlp_file(const char *path, struct tl_exporter_v1 *out_exporter,
                                 char why[256]);
int __wrap_tl_exporter_otlp_file(const char *path, struct tl_exporter_v1 *out_exporter,
                                 char why[256])
{
    struct bytes *thing;

    if (fail("file", why) != 0)
        return -ENOENT;
    thing = thing_new();
    bytes_format(thing, "file(%s)", or_none(path));
    return exporter_done(out_exporter, thing);
}

int __wrap_tl_exporter_console(int fd, struct tl_exporter_v1 *out_exporter, char why[256]);
int __wrap_tl_exporter_console(int fd, struct tl_exporter_v1 *out_exporter, char why[256])
{
    struct bytes *thing = thing_new();

    (void)why;
    bytes_format(thing, "console(%d)", fd);
    return exporter_done(out_exporter, thing);
}

// Takes the exporter.
static struct bytes *piped(const char *kind, const struct tl_exporter_v1 *exporter,
                           const struct tl_batch_options *batch)
{
    struct bytes *thing = thing_new();
    const struct bytes *inner = exporter ? exporter->self : NULL;

    bytes_format(thing, "%s", kind);
    if (batch)
        bytes_format(thing, " %llu/%llu/%zu/%zu", (unsigned long long)batch->delay_ms,
                     (unsigned long long)batch->export_timeout_ms, batch->max_queue_records,
                     batch->max_batch_records);
    if (inner)
        bytes_format(thing, " -> %.*s", (int)inner->len, (const char *)inner->at);
    if (exporter && exporter->free)
        exporter->free(exporter->self);
    return thing;
}

static struct tl_span_processor span_processor(struct bytes *thing)
{
    return (struct tl_span_processor){.self = thing, .free = thing_free};
}

static struct tl_log_processor log_processor(struct bytes *thing)
{
    return (struct tl_log_processor){.self = thing, .free = thing_free};
}

struct tl_span_processor __wrap_tl_span_processor_batch(const struct tl_exporter_v1 *exporter,
                                                        const struct tl_batch_options *options);
struct tl_span_processor __wrap_tl_span_processor_batch(const struct tl_exporter_v1 *exporter,
                                                        const struct tl_batch_options *options)
{
    return span_processor(piped("batch", exporter, options));
}

struct tl_span_processor __wrap_tl_span_processor_simple(const struct tl_exporter_v1 *exporter);
struct tl_span_processor __wrap_tl_span_processor_simple(const struct tl_exporter_v1 *exporter)
{
    return span_processor(piped("simple", exporter, NULL));
}

struct tl_span_processor __wrap_tl_span_processor_ring(void);
struct tl_span_processor __wrap_tl_span_processor_ring(void)
{
    return span_processor(piped("ring", NULL, NULL));
}

struct tl_log_processor __wrap_tl_log_processor_batch(const struct tl_exporter_v1 *exporter,
                                                      const struct tl_batch_options *options);
struct tl_log_processor __wrap_tl_log_processor_batch(const struct tl_exporter_v1 *exporter,
                                                      const struct tl_batch_options *options)
{
    return log_processor(piped("batch", exporter, options));
}

struct tl_log_processor __wrap_tl_log_processor_simple(const struct tl_exporter_v1 *exporter);
struct tl_log_processor __wrap_tl_log_processor_simple(const struct tl_exporter_v1 *exporter)
{
    return log_processor(piped("simple", exporter, NULL));
}

struct tl_log_processor __wrap_tl_log_processor_ring(void);
struct tl_log_processor __wrap_tl_log_processor_ring(void)
{
    return log_processor(piped("ring", NULL, NULL));
}

static struct tl_metric_reader *reader(const char *kind, const struct tl_exporter_v1 *exporter,
                                       const struct tl_reader_options *options)
{
    struct bytes *thing = piped(kind, exporter, NULL);

    bytes_format(thing, " every %llu/%llu max %zu temporality",
                 (unsigned long long)options->interval_ms,
                 (unsigned long long)options->export_timeout_ms, options->max_export_records);
    for (int i = 1; i < 8; i++)
        bytes_format(thing, "%s%d", i == 1 ? " " : "", options->temporality[i]);
    bytes_format(thing, " histogram %d limits", options->aggregation[TL_HISTOGRAM].kind);
    for (int i = 1; i < 8; i++)
        bytes_format(thing, " %u", options->cardinality_limit[i]);
    return (struct tl_metric_reader *)thing;
}

struct tl_metric_reader *__wrap_tl_reader_periodic(const struct tl_exporter_v1 *exporter,
                                                   const struct tl_reader_options *options);
struct tl_metric_reader *__wrap_tl_reader_periodic(const struct tl_exporter_v1 *exporter,
                                                   const struct tl_reader_options *options)
{
    return reader("periodic", exporter, options);
}

struct tl_metric_reader *__wrap_tl_reader_ring(const struct tl_reader_options *options);
struct tl_metric_reader *__wrap_tl_reader_ring(const struct tl_reader_options *options)
{
    return reader("ring", NULL, options);
}

struct tl_metric_reader *__wrap_tl_reader_prometheus(const struct tl_prometheus_options *options,
                                                     uint16_t *out_port, char why[256]);
struct tl_metric_reader *__wrap_tl_reader_prometheus(const struct tl_prometheus_options *options,
                                                     uint16_t *out_port, char why[256])
{
    struct bytes *thing;

    if (fail("prometheus", why) != 0)
        return NULL;
    thing = thing_new();
    *out_port = options->port;
    bytes_format(thing, "prometheus %s:%u%s%s%s%s", options->host, options->port,
                 options->without_scope ? " no-scope" : "",
                 options->without_total ? " no-total" : "",
                 options->without_units ? " no-units" : "",
                 options->without_target_info ? " no-target" : "");
    return (struct tl_metric_reader *)thing;
}

void __wrap_tl_reader_temporality(struct tl_reader_options *options, const char *preference);
void __wrap_tl_reader_temporality(struct tl_reader_options *options, const char *preference)
{
    for (int i = 1; i < 8; i++)
        options->temporality[i] = *preference == 'c' ? TL_CUMULATIVE : TL_DELTA;
    options->temporality[TL_OBSERVABLE_COUNTER] = *preference == 'd' ? TL_DELTA : TL_CUMULATIVE;
}

static void things_write(struct bytes *out, struct bytes *thing, const char *name)
{
    bytes_format(out, "  %s %.*s\n", name, (int)thing->len, (const char *)thing->at);
    thing_free(thing);
}

static void limit_write(struct bytes *out, const char *name, uint32_t limit)
{
    if (limit == 0)
        return;
    if (limit == TL_NONE || limit == TL_UNLIMITED)
        bytes_format(out, " %s=%s", name, limit == TL_NONE ? "none" : "unlimited");
    else
        bytes_format(out, " %s=%u", name, limit);
}

static void limits_write(struct bytes *out, const struct tl_limits *limits)
{
    bytes_format(out, "  limits");
    limit_write(out, "attributes", limits->attribute_count);
    limit_write(out, "length", limits->attribute_value_length);
    limit_write(out, "events", limits->event_count);
    limit_write(out, "links", limits->link_count);
    limit_write(out, "event-attributes", limits->event_attribute_count);
    limit_write(out, "link-attributes", limits->link_attribute_count);
    bytes_format(out, "\n");
}

struct tl_tracer_provider *
__wrap_tl_tracer_provider_new(const struct tl_tracer_provider_options *options);
struct tl_tracer_provider *
__wrap_tl_tracer_provider_new(const struct tl_tracer_provider_options *options)
{
    bytes_format(&made, "traces:");
    resource_write(&made, options->resource);
    for (size_t i = 0; i < options->processor_count; i++) {
        if (options->processors[i].free == thing_free)
            things_write(&made, options->processors[i].self, "processor");
        else
            bytes_format(&made, "  processor of others\n");
    }
    bytes_format(&made, "  sampler %s\n", tl_sampler_description(options->sampler));
    limits_write(&made, &options->limits);
    tl_sampler_unref(options->sampler);
    tl_resource_unref(options->resource);
    return (struct tl_tracer_provider *)strdup("traces");
}

void __wrap_tl_tracer_provider_free(struct tl_tracer_provider *provider);
void __wrap_tl_tracer_provider_free(struct tl_tracer_provider *provider)
{
    free(provider);
}

struct tl_logger_provider *
__wrap_tl_logger_provider_new(const struct tl_logger_provider_options *options);
struct tl_logger_provider *
__wrap_tl_logger_provider_new(const struct tl_logger_provider_options *options)
{
    bytes_format(&made, "logs:");
    resource_write(&made, options->resource);
    for (size_t i = 0; i < options->processor_count; i++)
        things_write(&made, options->processors[i].self, "processor");
    limits_write(&made, &options->limits);
    tl_resource_unref(options->resource);
    return (struct tl_logger_provider *)strdup("logs");
}

void __wrap_tl_logger_provider_free(struct tl_logger_provider *provider);
void __wrap_tl_logger_provider_free(struct tl_logger_provider *provider)
{
    free(provider);
}

static void view_write(struct bytes *out, const struct tl_view *view)
{
    bytes_format(out, "  view %s kind %d unit %s meter %s %s %s => %s '%s'",
                 or_none(view->instrument_name), view->instrument_kind,
                 or_none(view->instrument_unit), or_none(view->meter_name),
                 or_none(view->meter_version), or_none(view->meter_schema_url), or_none(view->name),
                 or_none(view->description));
    bytes_format(out, " aggregation %d", view->aggregation.kind);
    for (size_t i = 0; i < view->aggregation.boundary_count; i++)
        bytes_format(out, "%s%g", i ? "," : " ", view->aggregation.boundaries[i]);
    if (view->aggregation.no_min_max)
        bytes_format(out, " no-min-max");
    if (view->aggregation.max_size || view->aggregation.has_max_scale)
        bytes_format(out, " size %u scale %d", view->aggregation.max_size,
                     view->aggregation.max_scale);
    if (view->cardinality_limit)
        bytes_format(out, " limit %u", view->cardinality_limit);
    for (size_t i = 0; i < view->attribute_key_count; i++)
        bytes_format(out, " +%s", view->attribute_keys[i]);
    for (size_t i = 0; i < view->excluded_key_count; i++)
        bytes_format(out, " -%s", view->excluded_keys[i]);
    bytes_format(out, "\n");
}

struct tl_meter_provider *
__wrap_tl_meter_provider_new(const struct tl_meter_provider_options *options);
struct tl_meter_provider *
__wrap_tl_meter_provider_new(const struct tl_meter_provider_options *options)
{
    bytes_format(&made, "metrics:");
    resource_write(&made, options->resource);
    for (size_t i = 0; i < options->reader_count; i++)
        things_write(&made, (struct bytes *)options->readers[i], "reader");
    for (size_t i = 0; i < options->view_count; i++)
        view_write(&made, &options->views[i]);
    bytes_format(&made, "  exemplars %d\n", options->exemplar_filter);
    tl_resource_unref(options->resource);
    return (struct tl_meter_provider *)strdup("metrics");
}

void __wrap_tl_meter_provider_free(struct tl_meter_provider *provider);
void __wrap_tl_meter_provider_free(struct tl_meter_provider *provider)
{
    free(provider);
}
