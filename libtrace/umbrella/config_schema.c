// SPDX-License-Identifier: Apache-2.0
// The schema, a line each: NAME KIND WORDS. '!' behind a kind: never null; behind a property: must
// be there. '*': other properties are left out. A number's words are its bounds, a list's the least
// count and the item's shape, those of a map or of `one` (a component) PROPERTY:SHAPE.

#include "libtrace/umbrella/config_schema.h"

#include <stdlib.h>

#define LIMITS                                                                                     \
    "attribute_value_length_limit:limit attribute_value_depth_limit:least1 "                       \
    "attribute_count_limit:limit"
#define OTLP                                                                                       \
    "endpoint:text headers:pairs headers_list:text compression:text max_request_size:limit "       \
    "max_response_size:least1 timeout:ms "
#define METRIC "temporality_preference:temporality default_histogram_aggregation:histogram"

// clang-format off
static const char schema[] =
    // Values
    "any any\n"
    "flag bool\n"
    "text text\n"
    "text! text!\n"
    "texts list! 1 text!\n"
    "version scalar!\n"
    "ratio number 0 1\n"
    "number number! -9223372036854775807 9223372036854775807\n"
    "ms int 0 31536000000\n"
    "count int 1 4294967293\n"
    "limit int 0 9223372036854775807\n"
    "least1 int 1 9223372036854775807\n"
    "port int 0 65535\n"
    "nothing map\n"
    "severity choice trace trace2 trace3 trace4 debug debug2 debug3 debug4 info info2 info3 info4 "
        "warn warn2 warn3 warn4 error error2 error3 error4 fatal fatal2 fatal3 fatal4\n"
    "include map! included:texts excluded:texts\n"
    // The file
    "root map! * file_format!:version disabled:flag log_level:severity attribute_limits:limits "
        "logger_provider:logs meter_provider:metrics propagator:propagator tracer_provider:traces "
        "resource:resource instrumentation/development:any distribution:any\n"
    "limits map! " LIMITS "\n"
    // Exporters
    "pair map! name!:text! value!:text\n"
    "pairs list! 1 pair\n"
    "http_tls map ca_file:text key_file:text cert_file:text\n"
    "grpc_tls map ca_file:text key_file:text cert_file:text insecure:flag\n"
    "encoding choice protobuf json\n"
    "temporality choice cumulative delta low_memory\n"
    "histogram choice explicit_bucket_histogram base2_exponential_bucket_histogram\n"
    "otlp_http map " OTLP "tls:http_tls encoding:encoding\n"
    "otlp_grpc map " OTLP "tls:grpc_tls\n"
    "otlp_file map output_stream:text\n"
    "exporter one! otlp_http:otlp_http otlp_grpc:otlp_grpc otlp_file/development:otlp_file "
        "console:nothing\n"
    "metric_http map " OTLP "tls:http_tls encoding:encoding " METRIC "\n"
    "metric_grpc map " OTLP "tls:grpc_tls " METRIC "\n"
    "metric_file map output_stream:text " METRIC "\n"
    "metric_console map " METRIC "\n"
    "push one! otlp_http:metric_http otlp_grpc:metric_grpc otlp_file/development:metric_file "
        "console:metric_console\n"
    "translation choice underscore_escaping_with_suffixes "
        "underscore_escaping_without_suffixes/development "
        "no_utf8_escaping_with_suffixes/development no_translation/development\n"
    "prometheus map host:text port:port scope_info_enabled:flag "
        "target_info_enabled/development:flag resource_constant_labels:include "
        "translation_strategy:translation\n"
    "pulled one! prometheus/development:prometheus\n"
    // Traces
    "batch map! schedule_delay:ms export_timeout:ms max_queue_size:count "
        "max_export_batch_size:count exporter!:exporter\n"
    "simple map! exporter!:exporter\n"
    "processor one! batch:batch simple:simple\n"
    "processors list! 1 processor\n"
    "span_limits map! " LIMITS " event_count_limit:limit link_count_limit:limit "
        "event_attribute_count_limit:limit link_attribute_count_limit:limit\n"
    "sampled map ratio:ratio\n"
    "always_record map! root!:sampler\n"
    "parent_based map root:sampler remote_parent_sampled:sampler "
        "remote_parent_not_sampled:sampler local_parent_sampled:sampler "
        "local_parent_not_sampled:sampler\n"
    "jaeger map! endpoint!:text! interval:ms initial_sampler!:sampler\n"
    "sampler one! always_off:nothing always_on:nothing always_record:always_record "
        "composite/development:composable jaeger_remote/development:jaeger "
        "parent_based:parent_based probability/development:sampled "
        "trace_id_ratio_based:sampled\n"
    "kind choice internal server client producer consumer\n"
    "kinds list! 1 kind\n"
    "standing choice none remote local\n"
    "standings list! 1 standing\n"
    "values map! key!:text! values!:texts\n"
    "patterns map! key!:text! included:texts excluded:texts\n"
    "rule map! attribute_values:values attribute_patterns:patterns span_kinds:kinds "
        "parent:standings sampler!:composable\n"
    "rules list! 1 rule\n"
    "rule_based map rules:rules\n"
    "parent_threshold map! root!:composable\n"
    "composable one! always_off:nothing always_on:nothing parent_threshold:parent_threshold "
        "probability:sampled rule_based:rule_based\n"
    "ids one! random:nothing\n"
    "enabled map! enabled:flag\n"
    "tracer map! name!:text! config!:enabled\n"
    "tracers list! 1 tracer\n"
    "tracer_configurator map! default_config:enabled tracers:tracers\n"
    "traces map! processors!:processors limits:span_limits sampler:sampler id_generator:ids "
        "tracer_configurator/development:tracer_configurator\n"
    // Metrics
    "cardinality map! default:count counter:count gauge:count histogram:count "
        "observable_counter:count observable_gauge:count observable_up_down_counter:count "
        "up_down_counter:count\n"
    "producer one! opencensus:nothing\n"
    "producers list! 1 producer\n"
    "periodic map! interval:ms timeout:ms max_export_batch_size/development:count "
        "exporter!:push producers:producers cardinality_limits:cardinality\n"
    "pull map! exporter!:pulled producers:producers cardinality_limits:cardinality\n"
    "reader one! periodic:periodic pull:pull\n"
    "readers list! 1 reader\n"
    "instrument choice counter gauge histogram observable_counter observable_gauge "
        "observable_up_down_counter up_down_counter\n"
    "selector map! instrument_name:text instrument_type:instrument unit:text meter_name:text "
        "meter_version:text meter_schema_url:text\n"
    "boundaries list! 0 number\n"
    "explicit map boundaries:boundaries record_min_max:flag\n"
    "scale int -10 20\n"
    "size int 2 4294967293\n"
    "exponential map max_scale:scale max_size:size record_min_max:flag\n"
    "aggregation one! default:nothing drop:nothing explicit_bucket_histogram:explicit "
        "base2_exponential_bucket_histogram:exponential last_value:nothing sum:nothing\n"
    "stream map! name:text description:text aggregation:aggregation "
        "aggregation_cardinality_limit:count attribute_keys:include\n"
    "view map! selector!:selector stream!:stream\n"
    "views list! 1 view\n"
    "exemplars choice always_on always_off trace_based\n"
    "metrics map! readers!:readers views:views exemplar_filter:exemplars "
        "meter_configurator/development:any\n"
    // Logs
    "logs map! processors!:processors limits:limits logger_configurator/development:any\n"
    // The rest
    "format one! tracecontext:nothing baggage:nothing b3:nothing b3multi:nothing\n"
    "formats list! 1 format\n"
    "propagator map! composite:formats composite_list:text\n"
    "attribute attribute!\n"
    "attributes list! 1 attribute\n"
    "attribute_map map! name!:text! value!:any type:attribute_type\n"
    "attribute_type choice string bool int double string_array bool_array int_array double_array\n"
    "detector one! container:nothing host:nothing process:nothing service:nothing\n"
    "detectors list! 1 detector\n"
    "detection map! attributes:include detectors:detectors\n"
    "resource map! attributes:attributes detection/development:detection schema_url:text "
        "attributes_list:text\n";
// clang-format on

static struct str word_take(struct str *text)
{
    const size_t end = str_find(*text, ' ');
    const struct str word = {text->at, end};

    *text = str_from(*text, end < text->len ? end + 1 : end);
    return word;
}

static struct str line_of(struct str name)
{
    struct str left = {schema, sizeof schema - 1};

    while (left.len) {
        const size_t end = str_find(left, '\n');
        struct str line = {left.at, end};

        if (str_equal(word_take(&line), name))
            return line;
        left = str_from(left, end + 1);
    }
    return (struct str){"any", 3};
}

static enum shape_kind kind_of(struct str word)
{
    static const char words[][10] = {"any",    "bool", "int",  "number", "text",     "scalar",
                                     "choice", "map",  "list", "one",    "attribute"};

    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (str_equal(word, str_of(words[i])))
            return (enum shape_kind)i;
    }
    return SHAPE_ANY;
}

// A number of the schema, which is well-formed.
static int64_t number_take(struct str *words)
{
    const struct str word = word_take(words);
    const bool is_negative = word.len && word.at[0] == '-';
    uint64_t value = 0;

    str_to_u64(str_from(word, is_negative), &value);
    return is_negative ? -(int64_t)value : (int64_t)value;
}

struct shape shape_of(struct str name)
{
    struct str words = line_of(name);
    struct str kind = word_take(&words);
    struct shape shape = {.is_not_null = kind.at[kind.len - 1] == '!'};

    kind.len -= shape.is_not_null;
    shape.kind = kind_of(kind);
    if (shape.kind == SHAPE_INT || shape.kind == SHAPE_NUMBER || shape.kind == SHAPE_LIST)
        shape.least = number_take(&words);
    if (shape.kind == SHAPE_INT || shape.kind == SHAPE_NUMBER)
        shape.most = number_take(&words);
    shape.takes_unknown = str_starts(words, STR("* "));
    shape.words = str_from(words, shape.takes_unknown ? 2 : 0);
    return shape;
}

bool property_next(struct str *inout_words, struct property *out_property)
{
    const struct str word = word_take(inout_words);
    const size_t colon = str_find(word, ':');

    if (word.len == 0)
        return false;
    out_property->name = (struct str){word.at, colon};
    out_property->shape = str_from(word, colon + 1);
    out_property->is_required = word.at[colon - 1] == '!';
    out_property->name.len -= out_property->is_required;
    return true;
}

bool property_find(const struct shape *shape, const char *name, struct property *out_property)
{
    struct str words = shape->words;

    while (property_next(&words, out_property)) {
        if (str_equal(out_property->name, str_of(name)))
            return true;
    }
    return false;
}

bool shape_has_word(const struct shape *shape, const char *word)
{
    struct str words = shape->words;

    while (words.len) {
        if (str_equal(word_take(&words), str_of(word)))
            return true;
    }
    return false;
}
