// SPDX-License-Identifier: Apache-2.0
// The table of OTLP. Longer than most files because it is one table: opentelemetry-proto 1.11,
// common, resource, trace, metrics and logs v1.

#include "libtrace/otlp/schema.h"

// clang-format off
static const struct message any_value, array_value, key_value, key_value_list;

static const struct field any_value_fields[] = {
    {1, FIELD_STRING, false, "stringValue", NULL},
    {2, FIELD_BOOL, false, "boolValue", NULL},
    {3, FIELD_INT64, false, "intValue", NULL},
    {4, FIELD_DOUBLE, false, "doubleValue", NULL},
    {5, FIELD_MESSAGE, false, "arrayValue", &array_value},
    {6, FIELD_MESSAGE, false, "kvlistValue", &key_value_list},
    {7, FIELD_BYTES, false, "bytesValue", NULL},
    {8, FIELD_INT32, false, "stringValueStrindex", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message any_value = {"AnyValue", false, any_value_fields, {[1] = 1, [2] = 2, [3] = 3, [4] = 4, [5] = 5, [6] = 6, [7] = 7, [8] = 8}};

static const struct field array_value_fields[] = {
    {1, FIELD_MESSAGE, true, "values", &any_value},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message array_value = {"ArrayValue", false, array_value_fields, {[1] = 1}};

static const struct field key_value_list_fields[] = {
    {1, FIELD_MESSAGE, true, "values", &key_value},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message key_value_list = {"KeyValueList", false, key_value_list_fields, {[1] = 1}};

static const struct field key_value_fields[] = {
    {1, FIELD_STRING, false, "key", NULL},
    {2, FIELD_MESSAGE, false, "value", &any_value},
    {3, FIELD_INT32, false, "keyStrindex", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message key_value = {"KeyValue", false, key_value_fields, {[1] = 1, [2] = 2, [3] = 3}};

static const struct field instrumentation_scope_fields[] = {
    {1, FIELD_STRING, false, "name", NULL},
    {2, FIELD_STRING, false, "version", NULL},
    {3, FIELD_MESSAGE, true, "attributes", &key_value},
    {4, FIELD_UINT32, false, "droppedAttributesCount", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message instrumentation_scope = {"InstrumentationScope", false, instrumentation_scope_fields, {[1] = 1, [2] = 2, [3] = 3, [4] = 4}};

static const struct field entity_ref_fields[] = {
    {1, FIELD_STRING, false, "schemaUrl", NULL},
    {2, FIELD_STRING, false, "type", NULL},
    {3, FIELD_STRING, true, "idKeys", NULL},
    {4, FIELD_STRING, true, "descriptionKeys", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message entity_ref = {"EntityRef", false, entity_ref_fields, {[1] = 1, [2] = 2, [3] = 3, [4] = 4}};

static const struct field resource_fields[] = {
    {1, FIELD_MESSAGE, true, "attributes", &key_value},
    {2, FIELD_UINT32, false, "droppedAttributesCount", NULL},
    {3, FIELD_MESSAGE, true, "entityRefs", &entity_ref},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message resource = {"Resource", false, resource_fields, {[1] = 1, [2] = 2, [3] = 3}};

static const struct field status_fields[] = {
    {2, FIELD_STRING, false, "message", NULL},
    {3, FIELD_ENUM, false, "code", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message status = {"Status", false, status_fields, {[2] = 1, [3] = 2}};

static const struct field span_event_fields[] = {
    {1, FIELD_FIXED64, false, "timeUnixNano", NULL},
    {2, FIELD_STRING, false, "name", NULL},
    {3, FIELD_MESSAGE, true, "attributes", &key_value},
    {4, FIELD_UINT32, false, "droppedAttributesCount", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message span_event = {"SpanEvent", false, span_event_fields, {[1] = 1, [2] = 2, [3] = 3, [4] = 4}};

static const struct field span_link_fields[] = {
    {1, FIELD_ID, false, "traceId", NULL},
    {2, FIELD_ID, false, "spanId", NULL},
    {3, FIELD_STRING, false, "traceState", NULL},
    {4, FIELD_MESSAGE, true, "attributes", &key_value},
    {5, FIELD_UINT32, false, "droppedAttributesCount", NULL},
    {6, FIELD_FIXED32, false, "flags", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message span_link = {"SpanLink", false, span_link_fields, {[1] = 1, [2] = 2, [3] = 3, [4] = 4, [5] = 5, [6] = 6}};

static const struct field span_fields[] = {
    {1, FIELD_ID, false, "traceId", NULL},
    {2, FIELD_ID, false, "spanId", NULL},
    {3, FIELD_STRING, false, "traceState", NULL},
    {4, FIELD_ID, false, "parentSpanId", NULL},
    {5, FIELD_STRING, false, "name", NULL},
    {6, FIELD_ENUM, false, "kind", NULL},
    {7, FIELD_FIXED64, false, "startTimeUnixNano", NULL},
    {8, FIELD_FIXED64, false, "endTimeUnixNano", NULL},
    {9, FIELD_MESSAGE, true, "attributes", &key_value},
    {10, FIELD_UINT32, false, "droppedAttributesCount", NULL},
    {11, FIELD_MESSAGE, true, "events", &span_event},
    {12, FIELD_UINT32, false, "droppedEventsCount", NULL},
    {13, FIELD_MESSAGE, true, "links", &span_link},
    {14, FIELD_UINT32, false, "droppedLinksCount", NULL},
    {15, FIELD_MESSAGE, false, "status", &status},
    {16, FIELD_FIXED32, false, "flags", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message span = {"Span", true, span_fields, {[1] = 1, [2] = 2, [3] = 3, [4] = 4, [5] = 5, [6] = 6, [7] = 7, [8] = 8, [9] = 9, [10] = 10, [11] = 11, [12] = 12, [13] = 13, [14] = 14, [15] = 15, [16] = 16}};

static const struct field exemplar_fields[] = {
    {7, FIELD_MESSAGE, true, "filteredAttributes", &key_value},
    {2, FIELD_FIXED64, false, "timeUnixNano", NULL},
    {3, FIELD_DOUBLE, false, "asDouble", NULL},
    {6, FIELD_SFIXED64, false, "asInt", NULL},
    {4, FIELD_ID, false, "spanId", NULL},
    {5, FIELD_ID, false, "traceId", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message exemplar = {"Exemplar", false, exemplar_fields, {[7] = 1, [2] = 2, [3] = 3, [6] = 4, [4] = 5, [5] = 6}};

static const struct field number_data_point_fields[] = {
    {7, FIELD_MESSAGE, true, "attributes", &key_value},
    {2, FIELD_FIXED64, false, "startTimeUnixNano", NULL},
    {3, FIELD_FIXED64, false, "timeUnixNano", NULL},
    {4, FIELD_DOUBLE, false, "asDouble", NULL},
    {6, FIELD_SFIXED64, false, "asInt", NULL},
    {5, FIELD_MESSAGE, true, "exemplars", &exemplar},
    {8, FIELD_UINT32, false, "flags", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message number_data_point = {"NumberDataPoint", true, number_data_point_fields, {[7] = 1, [2] = 2, [3] = 3, [4] = 4, [6] = 5, [5] = 6, [8] = 7}};

static const struct field histogram_data_point_fields[] = {
    {9, FIELD_MESSAGE, true, "attributes", &key_value},
    {2, FIELD_FIXED64, false, "startTimeUnixNano", NULL},
    {3, FIELD_FIXED64, false, "timeUnixNano", NULL},
    {4, FIELD_FIXED64, false, "count", NULL},
    {5, FIELD_DOUBLE, false, "sum", NULL},
    {6, FIELD_FIXED64, true, "bucketCounts", NULL},
    {7, FIELD_DOUBLE, true, "explicitBounds", NULL},
    {8, FIELD_MESSAGE, true, "exemplars", &exemplar},
    {10, FIELD_UINT32, false, "flags", NULL},
    {11, FIELD_DOUBLE, false, "min", NULL},
    {12, FIELD_DOUBLE, false, "max", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message histogram_data_point = {"HistogramDataPoint", true, histogram_data_point_fields, {[9] = 1, [2] = 2, [3] = 3, [4] = 4, [5] = 5, [6] = 6, [7] = 7, [8] = 8, [10] = 9, [11] = 10, [12] = 11}};

static const struct field buckets_fields[] = {
    {1, FIELD_SINT32, false, "offset", NULL},
    {2, FIELD_UINT64, true, "bucketCounts", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message buckets = {"Buckets", false, buckets_fields, {[1] = 1, [2] = 2}};

static const struct field exponential_histogram_data_point_fields[] = {
    {1, FIELD_MESSAGE, true, "attributes", &key_value},
    {2, FIELD_FIXED64, false, "startTimeUnixNano", NULL},
    {3, FIELD_FIXED64, false, "timeUnixNano", NULL},
    {4, FIELD_FIXED64, false, "count", NULL},
    {5, FIELD_DOUBLE, false, "sum", NULL},
    {6, FIELD_SINT32, false, "scale", NULL},
    {7, FIELD_FIXED64, false, "zeroCount", NULL},
    {8, FIELD_MESSAGE, false, "positive", &buckets},
    {9, FIELD_MESSAGE, false, "negative", &buckets},
    {10, FIELD_UINT32, false, "flags", NULL},
    {11, FIELD_MESSAGE, true, "exemplars", &exemplar},
    {12, FIELD_DOUBLE, false, "min", NULL},
    {13, FIELD_DOUBLE, false, "max", NULL},
    {14, FIELD_DOUBLE, false, "zeroThreshold", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message exponential_histogram_data_point = {"ExponentialHistogramDataPoint", true, exponential_histogram_data_point_fields, {[1] = 1, [2] = 2, [3] = 3, [4] = 4, [5] = 5, [6] = 6, [7] = 7, [8] = 8, [9] = 9, [10] = 10, [11] = 11, [12] = 12, [13] = 13, [14] = 14}};

static const struct field value_at_quantile_fields[] = {
    {1, FIELD_DOUBLE, false, "quantile", NULL},
    {2, FIELD_DOUBLE, false, "value", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message value_at_quantile = {"ValueAtQuantile", false, value_at_quantile_fields, {[1] = 1, [2] = 2}};

static const struct field summary_data_point_fields[] = {
    {7, FIELD_MESSAGE, true, "attributes", &key_value},
    {2, FIELD_FIXED64, false, "startTimeUnixNano", NULL},
    {3, FIELD_FIXED64, false, "timeUnixNano", NULL},
    {4, FIELD_FIXED64, false, "count", NULL},
    {5, FIELD_DOUBLE, false, "sum", NULL},
    {6, FIELD_MESSAGE, true, "quantileValues", &value_at_quantile},
    {8, FIELD_UINT32, false, "flags", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message summary_data_point = {"SummaryDataPoint", true, summary_data_point_fields, {[7] = 1, [2] = 2, [3] = 3, [4] = 4, [5] = 5, [6] = 6, [8] = 7}};

static const struct field gauge_fields[] = {
    {1, FIELD_MESSAGE, true, "dataPoints", &number_data_point},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message gauge = {"Gauge", false, gauge_fields, {[1] = 1}};

static const struct field sum_fields[] = {
    {1, FIELD_MESSAGE, true, "dataPoints", &number_data_point},
    {2, FIELD_ENUM, false, "aggregationTemporality", NULL},
    {3, FIELD_BOOL, false, "isMonotonic", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message sum = {"Sum", false, sum_fields, {[1] = 1, [2] = 2, [3] = 3}};

static const struct field histogram_fields[] = {
    {1, FIELD_MESSAGE, true, "dataPoints", &histogram_data_point},
    {2, FIELD_ENUM, false, "aggregationTemporality", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message histogram = {"Histogram", false, histogram_fields, {[1] = 1, [2] = 2}};

static const struct field exponential_histogram_fields[] = {
    {1, FIELD_MESSAGE, true, "dataPoints", &exponential_histogram_data_point},
    {2, FIELD_ENUM, false, "aggregationTemporality", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message exponential_histogram = {"ExponentialHistogram", false, exponential_histogram_fields, {[1] = 1, [2] = 2}};

static const struct field summary_fields[] = {
    {1, FIELD_MESSAGE, true, "dataPoints", &summary_data_point},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message summary = {"Summary", false, summary_fields, {[1] = 1}};

static const struct field metric_fields[] = {
    {1, FIELD_STRING, false, "name", NULL},
    {2, FIELD_STRING, false, "description", NULL},
    {3, FIELD_STRING, false, "unit", NULL},
    {5, FIELD_MESSAGE, false, "gauge", &gauge},
    {7, FIELD_MESSAGE, false, "sum", &sum},
    {9, FIELD_MESSAGE, false, "histogram", &histogram},
    {10, FIELD_MESSAGE, false, "exponentialHistogram", &exponential_histogram},
    {11, FIELD_MESSAGE, false, "summary", &summary},
    {12, FIELD_MESSAGE, true, "metadata", &key_value},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message metric = {"Metric", false, metric_fields, {[1] = 1, [2] = 2, [3] = 3, [5] = 4, [7] = 5, [9] = 6, [10] = 7, [11] = 8, [12] = 9}};

static const struct field log_record_fields[] = {
    {1, FIELD_FIXED64, false, "timeUnixNano", NULL},
    {11, FIELD_FIXED64, false, "observedTimeUnixNano", NULL},
    {2, FIELD_ENUM, false, "severityNumber", NULL},
    {3, FIELD_STRING, false, "severityText", NULL},
    {5, FIELD_MESSAGE, false, "body", &any_value},
    {6, FIELD_MESSAGE, true, "attributes", &key_value},
    {7, FIELD_UINT32, false, "droppedAttributesCount", NULL},
    {8, FIELD_FIXED32, false, "flags", NULL},
    {9, FIELD_ID, false, "traceId", NULL},
    {10, FIELD_ID, false, "spanId", NULL},
    {12, FIELD_STRING, false, "eventName", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message log_record = {"LogRecord", true, log_record_fields, {[1] = 1, [11] = 2, [2] = 3, [3] = 4, [5] = 5, [6] = 6, [7] = 7, [8] = 8, [9] = 9, [10] = 10, [12] = 11}};

static const struct field scope_spans_fields[] = {
    {1, FIELD_MESSAGE, false, "scope", &instrumentation_scope},
    {2, FIELD_MESSAGE, true, "spans", &span},
    {3, FIELD_STRING, false, "schemaUrl", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message scope_spans = {"ScopeSpans", false, scope_spans_fields, {[1] = 1, [2] = 2, [3] = 3}};

static const struct field resource_spans_fields[] = {
    {1, FIELD_MESSAGE, false, "resource", &resource},
    {2, FIELD_MESSAGE, true, "scopeSpans", &scope_spans},
    {3, FIELD_STRING, false, "schemaUrl", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message resource_spans = {"ResourceSpans", false, resource_spans_fields, {[1] = 1, [2] = 2, [3] = 3}};

static const struct field traces_request_fields[] = {
    {1, FIELD_MESSAGE, true, "resourceSpans", &resource_spans},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message traces_request = {"TracesRequest", false, traces_request_fields, {[1] = 1}};

static const struct field scope_metrics_fields[] = {
    {1, FIELD_MESSAGE, false, "scope", &instrumentation_scope},
    {2, FIELD_MESSAGE, true, "metrics", &metric},
    {3, FIELD_STRING, false, "schemaUrl", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message scope_metrics = {"ScopeMetrics", false, scope_metrics_fields, {[1] = 1, [2] = 2, [3] = 3}};

static const struct field resource_metrics_fields[] = {
    {1, FIELD_MESSAGE, false, "resource", &resource},
    {2, FIELD_MESSAGE, true, "scopeMetrics", &scope_metrics},
    {3, FIELD_STRING, false, "schemaUrl", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message resource_metrics = {"ResourceMetrics", false, resource_metrics_fields, {[1] = 1, [2] = 2, [3] = 3}};

static const struct field metrics_request_fields[] = {
    {1, FIELD_MESSAGE, true, "resourceMetrics", &resource_metrics},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message metrics_request = {"MetricsRequest", false, metrics_request_fields, {[1] = 1}};

static const struct field scope_logs_fields[] = {
    {1, FIELD_MESSAGE, false, "scope", &instrumentation_scope},
    {2, FIELD_MESSAGE, true, "logRecords", &log_record},
    {3, FIELD_STRING, false, "schemaUrl", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message scope_logs = {"ScopeLogs", false, scope_logs_fields, {[1] = 1, [2] = 2, [3] = 3}};

static const struct field resource_logs_fields[] = {
    {1, FIELD_MESSAGE, false, "resource", &resource},
    {2, FIELD_MESSAGE, true, "scopeLogs", &scope_logs},
    {3, FIELD_STRING, false, "schemaUrl", NULL},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message resource_logs = {"ResourceLogs", false, resource_logs_fields, {[1] = 1, [2] = 2, [3] = 3}};

static const struct field logs_request_fields[] = {
    {1, FIELD_MESSAGE, true, "resourceLogs", &resource_logs},
    {0, FIELD_STRING, false, NULL, NULL},
};
static const struct message logs_request = {"LogsRequest", false, logs_request_fields, {[1] = 1}};
// clang-format on

const struct message *schema_request(enum signal signal)
{
    switch (signal) {
    case SIGNAL_METRICS:
        return &metrics_request;
    case SIGNAL_LOGS:
        return &logs_request;
    case SIGNAL_TRACES:
    case SIGNAL_COUNT:
        break;
    }
    return &traces_request;
}

const struct message *schema_attribute(void)
{
    return &key_value;
}
