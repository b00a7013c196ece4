// SPDX-License-Identifier: Apache-2.0
// Jaeger's query JSON: ids in hexadecimal, times in microseconds, tags with types.

#include "agent/api/jaeger.h"

#include <errno.h>

#include "agent/api/answer.h"
#include "agent/api/jaeger_tags.h"
#include "libtrace/base/hex.h"
#include "libtrace/otlp/json_text.h"

static void comma(struct bytes *out)
{
    if (out->len && out->at[out->len - 1] != '[')
        bytes_add_byte(out, ',');
}

// A list of names being written.
struct names {
    struct bytes *out;
    struct str kind; // only this one, when it is not empty
    struct str last; // of names that come sorted, so that one of two kinds is written once
    char last_text[512];
    unsigned count;
};

static bool add_name(void *self, struct str name, enum span_kind kind)
{
    struct names *names = self;

    (void)kind;
    if (names->count && str_equal(names->last, name))
        return true;
    names->last = (struct str){names->last_text, 0};
    if (name.len <= sizeof names->last_text) {
        memcpy(names->last_text, name.at, name.len);
        names->last.len = name.len;
    }
    names->count++;
    comma(names->out);
    json_text_write(names->out, name);
    return !names->out->is_failed;
}

static bool add_operation(void *self, struct str name, enum span_kind kind)
{
    struct names *names = self;
    const struct str kind_text = str_of(span_kind_text(kind));

    if (names->kind.len && !str_equal(names->kind, kind_text))
        return true;
    names->count++;
    comma(names->out);
    bytes_add_str(names->out, STR("{\"name\":"));
    json_text_write(names->out, name);
    bytes_format(names->out, ",\"spanKind\":\"%.*s\"}", STR_ARGS(kind_text));
    return !names->out->is_failed;
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

enum { PROCESSES_COMPARED = 64 };

// Spans of one resource share a process. Only the last ones are compared, so that a trace with a
// resource of its own for each span stays linear; a process written twice is still right.
struct jaeger_trace_text {
    struct bytes spans;
    struct bytes processes;
    struct bytes process; // the one being looked for
    size_t begins[PROCESSES_COMPARED];
    size_t lengths[PROCESSES_COMPARED];
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

// The number of the span's process, written when it is new.
static unsigned process_of(struct jaeger_trace_text *text, const struct stored_span *stored)
{
    struct bytes *process = &text->process;
    const unsigned count = text->process_count;
    const unsigned compared = count < PROCESSES_COMPARED ? count : PROCESSES_COMPARED;
    unsigned slot;

    process->len = 0;
    bytes_add_str(process, STR("{\"serviceName\":"));
    json_text_write(process, attribute_string(stored->resource.attributes, STR("service.name")));
    bytes_add_str(process, STR(",\"tags\":["));
    tags_write(process, stored->resource.attributes, STR("service.name"));
    bytes_add_str(process, STR("]}"));
    for (unsigned i = 0; i < compared; i++) {
        const unsigned number = count - i;
        const struct str known = {(const char *)text->processes.at +
                                      text->begins[(number - 1) % PROCESSES_COMPARED],
                                  text->lengths[(number - 1) % PROCESSES_COMPARED]};

        if (str_equal(known, bytes_str(process)))
            return number;
    }
    bytes_format(&text->processes, "%s\"p%u\":", count ? "," : "", count + 1);
    slot = count % PROCESSES_COMPARED;
    text->begins[slot] = text->processes.len;
    text->lengths[slot] = process->len;
    bytes_add_str(&text->processes, bytes_str(process));
    text->process_count++;
    return text->process_count;
}

static void own_tags_write(struct bytes *out, const struct stored_span *stored)
{
    static const struct value yes = {.type = VALUE_BOOL, .boolean = true};
    const struct span *span = &stored->span;

    text_tag(out, "span.kind", str_of(span_kind_text(span->kind)));
    if (stored->scope.name.len)
        text_tag(out, "otel.scope.name", stored->scope.name);
    if (stored->scope.version.len)
        text_tag(out, "otel.scope.version", stored->scope.version);
    if (span->trace_state.len)
        text_tag(out, "w3c.tracestate", span->trace_state);
    if (span->status == SPAN_STATUS_OK)
        text_tag(out, "otel.status_code", STR("OK"));
    if (span->status != SPAN_STATUS_ERROR)
        return;
    tag_write(out, STR("error"), &yes);
    text_tag(out, "otel.status_code", STR("ERROR"));
    if (span->status_message.len)
        text_tag(out, "otel.status_description", span->status_message);
}

static bool add_span(void *self, const struct stored_span *stored)
{
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
    own_tags_write(out, stored);
    bytes_add_byte(out, ']');
    logs_write(out, span);
    bytes_format(out, ",\"processID\":\"p%u\",\"warnings\":null}", process_of(text, stored));
    return !out->is_failed;
}

static int trace_write(struct store *store, const uint8_t *trace_id, struct bytes *out)
{
    struct jaeger_trace_text text = {.spans = {.limit = 256 << 20},
                                     .processes = {.limit = 256 << 20},
                                     .process = {.limit = 16 << 20}};
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
    bytes_done(&text.process);
    return failed;
}

static void open_data(struct bytes *out)
{
    bytes_add_str(out, STR("{\"data\":["));
}

static int close_data(struct bytes *out, unsigned total, int failed)
{
    bytes_format(out, "],\"total\":%u,\"limit\":0,\"offset\":0,\"errors\":null}", total);
    return failed;
}

int jaeger_services(struct store *store, struct bytes *out)
{
    struct names names = {.out = out};
    int failed;

    open_data(out);
    failed = store_services(store, add_name, &names);
    return close_data(out, names.count, failed);
}

int jaeger_operations(struct store *store, struct str service, struct str kind, struct bytes *out)
{
    struct names names = {.out = out, .kind = kind};
    int failed;

    open_data(out);
    failed = store_operations(store, service, add_operation, &names);
    return close_data(out, names.count, failed);
}

int jaeger_operation_names(struct store *store, struct str service, struct bytes *out)
{
    struct names names = {.out = out};
    int failed;

    open_data(out);
    failed = store_operations(store, service, add_name, &names);
    return close_data(out, names.count, failed);
}

int jaeger_trace(struct store *store, const uint8_t trace_id[static 16], struct bytes *out)
{
    open_data(out);
    return close_data(out, 0, trace_write(store, trace_id, out));
}

int jaeger_traces_of(struct store *store, const uint8_t (*ids)[16], size_t count, struct bytes *out)
{
    int failed = 0;

    open_data(out);
    for (size_t i = 0; i < count && !failed; i++) {
        failed = trace_write(store, ids[i], out);
        if (failed == -ENOENT)
            failed = 0;
    }
    return close_data(out, 0, failed);
}

static bool add_id(void *self, const struct trace_summary *summary)
{
    bytes_add(self, summary->trace_id, 16);
    return true;
}

// Traces whose tags must be looked at one by one: the newest TAGGED_MAX are.
static int tagged_write(struct store *store, const struct bytes *ids,
                        const struct jaeger_tags *tags, unsigned limit, struct bytes *out)
{
    int failed = 0;

    for (size_t at = 0; !failed && limit && at + 16 <= ids->len; at += 16) {
        if (!jaeger_tags_are_plain(tags) && !jaeger_tags_match(tags, store, ids->at + at))
            continue;
        failed = trace_write(store, ids->at + at, out);
        limit--;
    }
    return failed;
}

int jaeger_traces(struct store *store, const struct store_query *query, struct str tags_text,
                  struct bytes *out)
{
    enum { TAGGED_MAX = 1000 };
    struct bytes ids = {.limit = 1 << 20};
    struct store_query asked = *query;
    struct jaeger_tags *tags;
    int failed = jaeger_tags_new(tags_text, &tags);

    if (failed)
        return failed;
    asked.only_errors |= jaeger_tags_want_error(tags);
    if (!jaeger_tags_are_plain(tags))
        asked.limit = TAGGED_MAX;
    open_data(out);
    failed = store_search(store, &asked, add_id, &ids, NULL);
    if (!failed)
        failed = tagged_write(store, &ids, tags, query->limit, out);
    bytes_done(&ids);
    jaeger_tags_free(tags);
    return close_data(out, 0, failed);
}

static bool add_dependency(void *self, const struct store_edge *edge)
{
    struct bytes *out = self;

    if (edge->kind == EDGE_ENTRY)
        return true;
    comma(out);
    bytes_add_str(out, STR("{\"parent\":"));
    json_text_write(out, edge->from);
    bytes_add_str(out, STR(",\"child\":"));
    json_text_write(out, edge->to);
    bytes_format(out, ",\"callCount\":%llu}", (unsigned long long)edge->count);
    return !out->is_failed;
}

int jaeger_dependencies(struct store *store, uint64_t since_ns, uint64_t until_ns,
                        struct bytes *out)
{
    open_data(out);
    return close_data(out, 0, store_edges(store, since_ns, until_ns, add_dependency, out));
}
