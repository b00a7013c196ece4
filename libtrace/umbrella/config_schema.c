// SPDX-License-Identifier: Apache-2.0
// The table of the schema, in the order of the file: what a property is called and what it takes.

#include "libtrace/umbrella/config_schema.h"

#define LIST(...)                                                                                  \
    (const struct property[])                                                                      \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, NULL, false                                                                      \
        }                                                                                          \
    }
#define OBJECT(...)                                                                                \
    {                                                                                              \
        .kind = SHAPE_MAP, .is_not_null = true, .properties = LIST(__VA_ARGS__)                    \
    }
#define OPTIONAL_OBJECT(...)                                                                       \
    {                                                                                              \
        .kind = SHAPE_MAP, .properties = LIST(__VA_ARGS__)                                         \
    }
#define COMPONENT(...)                                                                             \
    {                                                                                              \
        .kind = SHAPE_COMPONENT, .is_not_null = true, .properties = LIST(__VA_ARGS__)              \
    }
#define ITEMS(shape, count)                                                                        \
    {                                                                                              \
        .kind = SHAPE_LIST, .is_not_null = true, .least = (count), .item = (shape)                 \
    }
#define CHOICE(...)                                                                                \
    {                                                                                              \
        .kind = SHAPE_CHOICE, .choices = (const char *const[])                                     \
        {                                                                                          \
            __VA_ARGS__, NULL                                                                      \
        }                                                                                          \
    }

enum { MILLISECONDS_MAX = INT64_C(31536000000), COUNT_MAX = INT64_C(4294967293) };

static const struct shape flag = {.kind = SHAPE_BOOL};
static const struct shape text = {.kind = SHAPE_TEXT};
static const struct shape due_text = {.kind = SHAPE_TEXT, .is_not_null = true};
static const struct shape version = {.kind = SHAPE_SCALAR, .is_not_null = true};
static const struct shape texts = ITEMS(&due_text, 1);
static const struct shape ratio = {.kind = SHAPE_NUMBER, .least = 0, .most = 1};
static const struct shape number = {
    .kind = SHAPE_NUMBER, .is_not_null = true, .least = INT64_MIN, .most = INT64_MAX};
static const struct shape milliseconds = {.kind = SHAPE_INT, .most = MILLISECONDS_MAX};
static const struct shape count = {.kind = SHAPE_INT, .least = 1, .most = COUNT_MAX};
static const struct shape limit = {.kind = SHAPE_INT, .most = INT64_MAX};
static const struct shape depth = {.kind = SHAPE_INT, .least = 1, .most = INT64_MAX};
static const struct shape bytes = {.kind = SHAPE_INT, .most = INT64_MAX};
static const struct shape some_bytes = {.kind = SHAPE_INT, .least = 1, .most = INT64_MAX};
static const struct shape port = {.kind = SHAPE_INT, .most = 65535};
static const struct shape nothing = {.kind = SHAPE_MAP,
                                     .properties = (const struct property[]){{NULL, NULL, false}}};
static const struct shape anything = {.kind = SHAPE_ANY};

static const struct shape severity =
    CHOICE("trace", "trace2", "trace3", "trace4", "debug", "debug2", "debug3", "debug4", "info",
           "info2", "info3", "info4", "warn", "warn2", "warn3", "warn4", "error", "error2",
           "error3", "error4", "fatal", "fatal2", "fatal3", "fatal4");

// ---- Exporters
static const struct shape pair = OBJECT({"name", &due_text, true}, {"value", &text, true});
static const struct shape pairs = ITEMS(&pair, 1);
static const struct shape http_tls = OPTIONAL_OBJECT(
    {"ca_file", &text, false}, {"key_file", &text, false}, {"cert_file", &text, false});
static const struct shape grpc_tls =
    OPTIONAL_OBJECT({"ca_file", &text, false}, {"key_file", &text, false},
                    {"cert_file", &text, false}, {"insecure", &flag, false});
static const struct shape encoding = CHOICE("protobuf", "json");
static const struct shape temporality = CHOICE("cumulative", "delta", "low_memory");
static const struct shape histogram =
    CHOICE("explicit_bucket_histogram", "base2_exponential_bucket_histogram");

#define OTLP(tls_shape)                                                                            \
    {"endpoint", &text, false}, {"tls", (tls_shape), false}, {"headers", &pairs, false},           \
        {"headers_list", &text, false}, {"compression", &text, false},                             \
        {"max_request_size", &bytes, false}, {"max_response_size", &some_bytes, false},            \
    {                                                                                              \
        "timeout", &milliseconds, false                                                            \
    }
#define METRIC                                                                                     \
    {"temporality_preference", &temporality, false},                                               \
    {                                                                                              \
        "default_histogram_aggregation", &histogram, false                                         \
    }

static const struct shape otlp_http =
    OPTIONAL_OBJECT(OTLP(&http_tls), {"encoding", &encoding, false});
static const struct shape otlp_grpc = OPTIONAL_OBJECT(OTLP(&grpc_tls));
static const struct shape otlp_file = OPTIONAL_OBJECT({"output_stream", &text, false});
static const struct shape exporter =
    COMPONENT({"otlp_http", &otlp_http, false}, {"otlp_grpc", &otlp_grpc, false},
              {"otlp_file/development", &otlp_file, false}, {"console", &nothing, false});

static const struct shape metric_otlp_http =
    OPTIONAL_OBJECT(OTLP(&http_tls), {"encoding", &encoding, false}, METRIC);
static const struct shape metric_otlp_grpc = OPTIONAL_OBJECT(OTLP(&grpc_tls), METRIC);
static const struct shape metric_otlp_file =
    OPTIONAL_OBJECT({"output_stream", &text, false}, METRIC);
static const struct shape metric_console = OPTIONAL_OBJECT(METRIC);
static const struct shape push_exporter = COMPONENT(
    {"otlp_http", &metric_otlp_http, false}, {"otlp_grpc", &metric_otlp_grpc, false},
    {"otlp_file/development", &metric_otlp_file, false}, {"console", &metric_console, false});

static const struct shape include =
    OBJECT({"included", &texts, false}, {"excluded", &texts, false});
static const struct shape translation =
    CHOICE("underscore_escaping_with_suffixes", "underscore_escaping_without_suffixes/development",
           "no_utf8_escaping_with_suffixes/development", "no_translation/development");
static const struct shape prometheus = OPTIONAL_OBJECT(
    {"host", &text, false}, {"port", &port, false}, {"scope_info_enabled", &flag, false},
    {"target_info_enabled/development", &flag, false},
    {"resource_constant_labels", &include, false}, {"translation_strategy", &translation, false});
static const struct shape pull_exporter = COMPONENT({"prometheus/development", &prometheus, false});

// ---- Traces
#define BATCH                                                                                      \
    {"schedule_delay", &milliseconds, false}, {"export_timeout", &milliseconds, false},            \
        {"max_queue_size", &count, false}, {"max_export_batch_size", &count, false},               \
    {                                                                                              \
        "exporter", &exporter, true                                                                \
    }
#define ATTRIBUTE_LIMITS                                                                           \
    {"attribute_value_length_limit", &limit, false},                                               \
        {"attribute_value_depth_limit", &depth, false},                                            \
    {                                                                                              \
        "attribute_count_limit", &limit, false                                                     \
    }

static const struct shape batch = OBJECT(BATCH);
static const struct shape simple = OBJECT({"exporter", &exporter, true});
static const struct shape span_processor =
    COMPONENT({"batch", &batch, false}, {"simple", &simple, false});
static const struct shape span_processors = ITEMS(&span_processor, 1);
static const struct shape span_limits = OBJECT(
    ATTRIBUTE_LIMITS, {"event_count_limit", &limit, false}, {"link_count_limit", &limit, false},
    {"event_attribute_count_limit", &limit, false}, {"link_attribute_count_limit", &limit, false});

static const struct shape sampler; // parent-based and others hold samplers
static const struct shape composable;

static const struct shape sampled = OPTIONAL_OBJECT({"ratio", &ratio, false});
static const struct shape always_record = OBJECT({"root", &sampler, true});
static const struct shape parent_based = OPTIONAL_OBJECT(
    {"root", &sampler, false}, {"remote_parent_sampled", &sampler, false},
    {"remote_parent_not_sampled", &sampler, false}, {"local_parent_sampled", &sampler, false},
    {"local_parent_not_sampled", &sampler, false});
static const struct shape jaeger_remote =
    OBJECT({"endpoint", &due_text, true}, {"interval", &milliseconds, false},
           {"initial_sampler", &sampler, true});
static const struct shape sampler = COMPONENT(
    {"always_off", &nothing, false}, {"always_on", &nothing, false},
    {"always_record", &always_record, false}, {"composite/development", &composable, false},
    {"jaeger_remote/development", &jaeger_remote, false}, {"parent_based", &parent_based, false},
    {"probability/development", &sampled, false}, {"trace_id_ratio_based", &sampled, false});

static const struct shape kind = CHOICE("internal", "server", "client", "producer", "consumer");
static const struct shape kinds = ITEMS(&kind, 1);
static const struct shape standing = CHOICE("none", "remote", "local");
static const struct shape standings = ITEMS(&standing, 1);
static const struct shape rule_values = OBJECT({"key", &due_text, true}, {"values", &texts, true});
static const struct shape rule_patterns =
    OBJECT({"key", &due_text, true}, {"included", &texts, false}, {"excluded", &texts, false});
static const struct shape rule = OBJECT(
    {"attribute_values", &rule_values, false}, {"attribute_patterns", &rule_patterns, false},
    {"span_kinds", &kinds, false}, {"parent", &standings, false}, {"sampler", &composable, true});
static const struct shape rules = ITEMS(&rule, 1);
static const struct shape rule_based = OPTIONAL_OBJECT({"rules", &rules, false});
static const struct shape parent_threshold = OBJECT({"root", &composable, true});
static const struct shape composable =
    COMPONENT({"always_off", &nothing, false}, {"always_on", &nothing, false},
              {"parent_threshold", &parent_threshold, false}, {"probability", &sampled, false},
              {"rule_based", &rule_based, false});

static const struct shape id_generator = COMPONENT({"random", &nothing, false});
static const struct shape tracer_config = OBJECT({"enabled", &flag, false});
static const struct shape tracer_match =
    OBJECT({"name", &due_text, true}, {"config", &tracer_config, true});
static const struct shape tracer_matches = ITEMS(&tracer_match, 1);
static const struct shape tracer_configurator =
    OBJECT({"default_config", &tracer_config, false}, {"tracers", &tracer_matches, false});
static const struct shape tracer_provider =
    OBJECT({"processors", &span_processors, true}, {"limits", &span_limits, false},
           {"sampler", &sampler, false}, {"id_generator", &id_generator, false},
           {"tracer_configurator/development", &tracer_configurator, false});

// ---- Metrics
static const struct shape cardinality =
    OBJECT({"default", &count, false}, {"counter", &count, false}, {"gauge", &count, false},
           {"histogram", &count, false}, {"observable_counter", &count, false},
           {"observable_gauge", &count, false}, {"observable_up_down_counter", &count, false},
           {"up_down_counter", &count, false});
static const struct shape producer = COMPONENT({"opencensus", &nothing, false});
static const struct shape producers = ITEMS(&producer, 1);
static const struct shape periodic =
    OBJECT({"interval", &milliseconds, false}, {"timeout", &milliseconds, false},
           {"max_export_batch_size/development", &count, false}, {"exporter", &push_exporter, true},
           {"producers", &producers, false}, {"cardinality_limits", &cardinality, false});
static const struct shape pull =
    OBJECT({"exporter", &pull_exporter, true}, {"producers", &producers, false},
           {"cardinality_limits", &cardinality, false});
static const struct shape reader =
    COMPONENT({"periodic", &periodic, false}, {"pull", &pull, false});
static const struct shape readers = ITEMS(&reader, 1);

static const struct shape instrument =
    CHOICE("counter", "gauge", "histogram", "observable_counter", "observable_gauge",
           "observable_up_down_counter", "up_down_counter");
static const struct shape selector =
    OBJECT({"instrument_name", &text, false}, {"instrument_type", &instrument, false},
           {"unit", &text, false}, {"meter_name", &text, false}, {"meter_version", &text, false},
           {"meter_schema_url", &text, false});
static const struct shape boundaries = ITEMS(&number, 0);
static const struct shape explicit_histogram =
    OPTIONAL_OBJECT({"boundaries", &boundaries, false}, {"record_min_max", &flag, false});
static const struct shape scale = {.kind = SHAPE_INT, .least = -10, .most = 20};
static const struct shape size = {.kind = SHAPE_INT, .least = 2, .most = COUNT_MAX};
static const struct shape exponential_histogram = OPTIONAL_OBJECT(
    {"max_scale", &scale, false}, {"max_size", &size, false}, {"record_min_max", &flag, false});
// Ours alone: the schema names no component of others here.
static const struct shape aggregation =
    COMPONENT({"default", &nothing, false}, {"drop", &nothing, false},
              {"explicit_bucket_histogram", &explicit_histogram, false},
              {"base2_exponential_bucket_histogram", &exponential_histogram, false},
              {"last_value", &nothing, false}, {"sum", &nothing, false});
static const struct shape stream = OBJECT(
    {"name", &text, false}, {"description", &text, false}, {"aggregation", &aggregation, false},
    {"aggregation_cardinality_limit", &count, false}, {"attribute_keys", &include, false});
static const struct shape view = OBJECT({"selector", &selector, true}, {"stream", &stream, true});
static const struct shape views = ITEMS(&view, 1);
static const struct shape exemplar_filter = CHOICE("always_on", "always_off", "trace_based");
static const struct shape meter_provider =
    OBJECT({"readers", &readers, true}, {"views", &views, false},
           {"exemplar_filter", &exemplar_filter, false},
           {"meter_configurator/development", &anything, false});

// ---- Logs
static const struct shape log_processor =
    COMPONENT({"batch", &batch, false}, {"simple", &simple, false});
static const struct shape log_processors = ITEMS(&log_processor, 1);
static const struct shape log_limits = OBJECT(ATTRIBUTE_LIMITS);
static const struct shape logger_provider =
    OBJECT({"processors", &log_processors, true}, {"limits", &log_limits, false},
           {"logger_configurator/development", &anything, false});

// ---- The rest
static const struct shape propagator_item =
    COMPONENT({"tracecontext", &nothing, false}, {"baggage", &nothing, false},
              {"b3", &nothing, false}, {"b3multi", &nothing, false});
static const struct shape propagator_items = ITEMS(&propagator_item, 1);
static const struct shape propagator =
    OBJECT({"composite", &propagator_items, false}, {"composite_list", &text, false});

static const struct shape attribute = {.kind = SHAPE_ATTRIBUTE, .is_not_null = true};
static const struct shape attributes = ITEMS(&attribute, 1);
static const struct shape detector =
    COMPONENT({"container", &nothing, false}, {"host", &nothing, false},
              {"process", &nothing, false}, {"service", &nothing, false});
static const struct shape detectors = ITEMS(&detector, 1);
static const struct shape detection =
    OBJECT({"attributes", &include, false}, {"detectors", &detectors, false});
static const struct shape resource =
    OBJECT({"attributes", &attributes, false}, {"detection/development", &detection, false},
           {"schema_url", &text, false}, {"attributes_list", &text, false});

static const struct shape attribute_limits = OBJECT(ATTRIBUTE_LIMITS);

const struct shape config_root_shape = {
    .kind = SHAPE_MAP,
    .is_not_null = true,
    .takes_unknown = true,
    .properties =
        LIST({"file_format", &version, true}, {"disabled", &flag, false},
             {"log_level", &severity, false}, {"attribute_limits", &attribute_limits, false},
             {"logger_provider", &logger_provider, false},
             {"meter_provider", &meter_provider, false}, {"propagator", &propagator, false},
             {"tracer_provider", &tracer_provider, false}, {"resource", &resource, false},
             {"instrumentation/development", &anything, false}, {"distribution", &anything, false}),
};
