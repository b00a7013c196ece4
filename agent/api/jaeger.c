// SPDX-License-Identifier: Apache-2.0
// Jaeger's query JSON: ids in hexadecimal, times in microseconds, tags with types.

#include "agent/api/answer.h"

#include "libtrace/base/hex.h"
#include "libtrace/otlp/json_text.h"

static void comma(struct bytes *out)
{
    if (out->len && out->at[out->len - 1] != '[')
        bytes_add_byte(out, ',');
}

static bool add_name(void *self, struct str name, enum span_kind kind)
{
    struct bytes *out = self;

    (void)kind;
    comma(out);
    json_text_write(out, name);
    return !out->is_failed;
}

static bool add_operation(void *self, struct str name, enum span_kind kind)
{
    struct bytes *out = self;

    comma(out);
    bytes_add_str(out, STR("{\"name\":"));
    json_text_write(out, name);
    bytes_format(out, ",\"spanKind\":\"%s\"}", span_kind_text(kind));
    return !out->is_failed;
}

static void tag_write(struct bytes *out, struct str key, const struct value *value)
{
    static const char *const types[] = {
        [VALUE_EMPTY] = "string", [VALUE_STRING] = "string",  [VALUE_BOOL] = "bool",
        [VALUE_INT] = "int64",    [VALUE_DOUBLE] = "float64", [VALUE_ARRAY] = "string",
        [VALUE_MAP] = "string",   [VALUE_BYTES] = "binary"};
    struct bytes text = {.limit = 16 << 20};

    comma(out);
    bytes_add_str(out, STR("{\"key\":"));
    json_text_write(out, key);
    bytes_format(out, ",\"type\":\"%s\",\"value\":", types[value->type]);
    if (value->type == VALUE_ARRAY || value->type == VALUE_MAP) {
        value_json(&text, value);
        json_text_write(out, bytes_str(&text));
    } else {
        value_json(out, value);
    }
    bytes_add_byte(out, '}');
    bytes_done(&text);
}

static void tags_write(struct bytes *out, struct attribute_list list, struct str but)
{
    for (size_t i = 0; i < list.count; i++) {
        if (!str_equal(list.at[i].key, but))
            tag_write(out, list.at[i].key, &list.at[i].value);
    }
}

static void text_tag(struct bytes *out, const char *key, struct str text)
{
    const struct value value = {.type = VALUE_STRING, .string = text};

    tag_write(out, str_of(key), &value);
}

struct jaeger_trace_text {
    struct bytes spans;
    struct bytes processes;
    unsigned process_count;
};

static void id_text(struct bytes *out, const uint8_t *id, size_t len)
{
    char text[33];

    hex_write(text, id, len);
    bytes_format(out, "\"%s\"", text);
}

static void references_write(struct bytes *out, const struct span *span)
{
    bytes_add_str(out, STR(",\"references\":["));
    if (id_is_valid(span->parent_id, 8)) {
        bytes_add_str(out, STR("{\"refType\":\"CHILD_OF\",\"traceID\":"));
        id_text(out, span->trace_id, 16);
        bytes_add_str(out, STR(",\"spanID\":"));
        id_text(out, span->parent_id, 8);
        bytes_add_byte(out, '}');
    }
    for (size_t i = 0; i < span->link_count; i++) {
        comma(out);
        bytes_add_str(out, STR("{\"refType\":\"FOLLOWS_FROM\",\"traceID\":"));
        id_text(out, span->links[i].trace_id, 16);
        bytes_add_str(out, STR(",\"spanID\":"));
        id_text(out, span->links[i].span_id, 8);
        bytes_add_byte(out, '}');
    }
    bytes_add_byte(out, ']');
}

static void logs_write(struct bytes *out, const struct span *span)
{
    bytes_add_str(out, STR(",\"logs\":["));
    for (size_t i = 0; i < span->event_count; i++) {
        comma(out);
        bytes_format(out, "{\"timestamp\":%llu,\"fields\":[",
                     (unsigned long long)span->events[i].time_ns / 1000);
        text_tag(out, "event", span->events[i].name);
        tags_write(out, span->events[i].attributes, STR(""));
        bytes_add_str(out, STR("]}"));
    }
    bytes_add_byte(out, ']');
}

static bool add_span(void *self, const struct stored_span *stored)
{
    static const struct value yes = {.type = VALUE_BOOL, .boolean = true};
    struct jaeger_trace_text *text = self;
    struct bytes *out = &text->spans;
    const struct span *span = &stored->span;
    const uint64_t duration_ns = span->end_ns > span->start_ns ? span->end_ns - span->start_ns : 0;

    bytes_add_str(out, out->len ? STR(",{\"traceID\":") : STR("{\"traceID\":"));
    id_text(out, span->trace_id, 16);
    bytes_add_str(out, STR(",\"spanID\":"));
    id_text(out, span->span_id, 8);
    bytes_format(out, ",\"flags\":%u,\"operationName\":", span->flags & 0xff);
    json_text_write(out, span->name);
    references_write(out, span);
    bytes_format(out, ",\"startTime\":%llu,\"duration\":%llu,\"tags\":[",
                 (unsigned long long)span->start_ns / 1000, (unsigned long long)duration_ns / 1000);
    tags_write(out, span->attributes, STR(""));
    text_tag(out, "span.kind", str_of(span_kind_text(span->kind)));
    if (stored->scope.name.len)
        text_tag(out, "otel.scope.name", stored->scope.name);
    if (span->status == SPAN_STATUS_ERROR) {
        tag_write(out, STR("error"), &yes);
        text_tag(out, "otel.status_code", STR("ERROR"));
        if (span->status_message.len)
            text_tag(out, "otel.status_description", span->status_message);
    }
    bytes_add_byte(out, ']');
    logs_write(out, span);
    bytes_format(out, ",\"processID\":\"p%u\",\"warnings\":null}", ++text->process_count);
    out = &text->processes;
    bytes_format(out, "%s\"p%u\":{\"serviceName\":", out->len ? "," : "", text->process_count);
    json_text_write(out, attribute_string(stored->resource.attributes, STR("service.name")));
    bytes_add_str(out, STR(",\"tags\":["));
    tags_write(out, stored->resource.attributes, STR("service.name"));
    bytes_add_str(out, STR("]}"));
    return !out->is_failed;
}

static int trace_write(struct store *store, const uint8_t *trace_id, struct bytes *out)
{
    struct jaeger_trace_text text = {.spans = {.limit = 256 << 20},
                                     .processes = {.limit = 256 << 20}};
    const int failed = store_trace(store, trace_id, add_span, &text, NULL);

    if (!failed) {
        comma(out);
        bytes_add_str(out, STR("{\"traceID\":"));
        id_text(out, trace_id, 16);
        bytes_add_str(out, STR(",\"spans\":["));
        bytes_add_str(out, bytes_str(&text.spans));
        bytes_add_str(out, STR("],\"processes\":{"));
        bytes_add_str(out, bytes_str(&text.processes));
        bytes_add_str(out, STR("},\"warnings\":null}"));
    }
    bytes_done(&text.spans);
    bytes_done(&text.processes);
    return failed;
}

static void open_data(struct bytes *out)
{
    bytes_add_str(out, STR("{\"data\":["));
}

static int close_data(struct bytes *out, int failed)
{
    bytes_add_str(out, STR("],\"total\":0,\"limit\":0,\"offset\":0,\"errors\":null}"));
    return failed;
}

int jaeger_services(struct store *store, struct bytes *out)
{
    open_data(out);
    return close_data(out, store_services(store, add_name, out));
}

int jaeger_operations(struct store *store, struct str service, bool with_kind, struct bytes *out)
{
    open_data(out);
    return close_data(out,
                      store_operations(store, service, with_kind ? add_operation : add_name, out));
}

int jaeger_trace(struct store *store, const uint8_t trace_id[static 16], struct bytes *out)
{
    open_data(out);
    return close_data(out, trace_write(store, trace_id, out));
}

static bool add_id(void *self, const struct trace_summary *summary)
{
    bytes_add(self, summary->trace_id, 16);
    return true;
}

int jaeger_traces(struct store *store, const struct store_query *query, struct bytes *out)
{
    struct bytes ids = {.limit = 1 << 20};
    int failed = store_search(store, query, add_id, &ids, NULL);

    open_data(out);
    for (size_t at = 0; !failed && at + 16 <= ids.len; at += 16)
        failed = trace_write(store, ids.at + at, out);
    bytes_done(&ids);
    return close_data(out, failed);
}

static bool add_dependency(void *self, const struct store_edge *edge)
{
    struct bytes *out = self;

    comma(out);
    bytes_add_str(out, STR("{\"parent\":"));
    json_text_write(out, edge->from);
    bytes_add_str(out, STR(",\"child\":"));
    json_text_write(out, edge->to);
    bytes_format(out, ",\"callCount\":%llu}", (unsigned long long)edge->count);
    return !out->is_failed;
}

int jaeger_dependencies(struct store *store, uint64_t since_ns, struct bytes *out)
{
    open_data(out);
    return close_data(out, store_edges(store, since_ns, add_dependency, out));
}
