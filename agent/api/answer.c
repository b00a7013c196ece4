// SPDX-License-Identifier: Apache-2.0
// Throughline's own JSON: 64-bit numbers as strings, ids in hexadecimal.

#include "agent/api/answer.h"

#include <errno.h>
#include <math.h>

#include "libtrace/base/hex.h"
#include "libtrace/otlp/json_text.h"

static const int64_t SAFE_INTEGER = (INT64_C(1) << 53) - 1;

static void key_text(struct bytes *out, const char *key, struct str text)
{
    bytes_format(out, "\"%s\":", key);
    json_text_write(out, text);
}

static void hex_text(struct bytes *out, const char *key, const uint8_t *id, size_t len)
{
    char text[33] = "";

    if (id_is_valid(id, len))
        hex_write(text, id, len);
    bytes_format(out, "\"%s\":\"%s\"", key, text);
}

static void attributes_json(struct bytes *out, struct attribute_list list)
{
    bytes_add_byte(out, '[');
    for (size_t i = 0; i < list.count; i++) {
        bytes_add_str(out, i ? STR(",{") : STR("{"));
        key_text(out, "key", list.at[i].key);
        bytes_add_str(out, STR(",\"value\":"));
        value_json(out, &list.at[i].value);
        bytes_add_byte(out, '}');
    }
    bytes_add_byte(out, ']');
}

void value_json(struct bytes *out, const struct value *value)
{
    switch (value->type) {
    case VALUE_EMPTY:
        bytes_add_str(out, STR("null"));
        return;
    case VALUE_STRING:
        json_text_write(out, value->string);
        return;
    case VALUE_BOOL:
        bytes_add_str(out, value->boolean ? STR("true") : STR("false"));
        return;
    case VALUE_INT:
        // Beyond 53 bits a number is no longer exact in a browser.
        if (value->integer > SAFE_INTEGER || value->integer < -SAFE_INTEGER)
            bytes_format(out, "\"%lld\"", (long long)value->integer);
        else
            bytes_format(out, "%lld", (long long)value->integer);
        return;
    case VALUE_DOUBLE:
        if (isfinite(value->number))
            bytes_format(out, "%.17g", value->number);
        else
            bytes_format(out, "\"%f\"", value->number);
        return;
    case VALUE_ARRAY:
        bytes_add_byte(out, '[');
        for (size_t i = 0; i < value->array.count; i++) {
            bytes_add_str(out, i ? STR(",") : STR(""));
            value_json(out, &value->array.at[i]);
        }
        bytes_add_byte(out, ']');
        return;
    case VALUE_MAP:
        attributes_json(out, value->map);
        return;
    case VALUE_BYTES:
        bytes_add_byte(out, '"');
        for (size_t i = 0; i < value->string.len; i++) {
            char digits[3];

            hex_write(digits, (const uint8_t *)value->string.at + i, 1);
            bytes_add(out, digits, 2);
        }
        bytes_add_byte(out, '"');
        return;
    }
}

struct trace_answer {
    struct bytes spans;
    uint64_t start_ns;
    uint64_t end_ns;
};

static void events_json(struct bytes *out, const struct span *span)
{
    bytes_add_str(out, STR(",\"events\":["));
    for (size_t i = 0; i < span->event_count; i++) {
        bytes_format(out, "%s{\"time_ns\":\"%llu\",", i ? "," : "",
                     (unsigned long long)span->events[i].time_ns);
        key_text(out, "name", span->events[i].name);
        bytes_add_str(out, STR(",\"attributes\":"));
        attributes_json(out, span->events[i].attributes);
        bytes_add_byte(out, '}');
    }
    bytes_add_str(out, STR("],\"links\":["));
    for (size_t i = 0; i < span->link_count; i++) {
        bytes_add_str(out, i ? STR(",{") : STR("{"));
        hex_text(out, "trace_id", span->links[i].trace_id, 16);
        bytes_add_byte(out, ',');
        hex_text(out, "span_id", span->links[i].span_id, 8);
        bytes_add_str(out, STR(",\"attributes\":"));
        attributes_json(out, span->links[i].attributes);
        bytes_add_byte(out, '}');
    }
    bytes_add_byte(out, ']');
}

static bool add_span(void *self, const struct stored_span *stored)
{
    static const char *const statuses[] = {"unset", "ok", "error"};
    struct trace_answer *answer = self;
    struct bytes *out = &answer->spans;
    const struct span *span = &stored->span;

    if (answer->start_ns == 0 || span->start_ns < answer->start_ns)
        answer->start_ns = span->start_ns;
    if (span->end_ns > answer->end_ns)
        answer->end_ns = span->end_ns;
    bytes_add_str(out, out->len ? STR(",{") : STR("{"));
    hex_text(out, "span_id", span->span_id, 8);
    bytes_add_byte(out, ',');
    hex_text(out, "parent_id", span->parent_id, 8);
    bytes_add_byte(out, ',');
    key_text(out, "name", span->name);
    bytes_format(out, ",\"kind\":\"%s\",", span_kind_text(span->kind));
    key_text(out, "service", attribute_string(stored->resource.attributes, STR("service.name")));
    bytes_add_byte(out, ',');
    key_text(out, "scope", stored->scope.name);
    bytes_format(
        out, ",\"start_ns\":\"%llu\",\"duration_ns\":\"%llu\",\"status\":\"%s\",",
        (unsigned long long)span->start_ns,
        (unsigned long long)(span->end_ns > span->start_ns ? span->end_ns - span->start_ns : 0),
        statuses[span->status <= SPAN_STATUS_ERROR ? span->status : 0]);
    key_text(out, "status_message", span->status_message);
    bytes_add_byte(out, ',');
    key_text(out, "trace_state", span->trace_state);
    bytes_add_str(out, STR(",\"attributes\":"));
    attributes_json(out, span->attributes);
    events_json(out, span);
    bytes_add_str(out, STR(",\"resource\":"));
    attributes_json(out, stored->resource.attributes);
    bytes_add_byte(out, '}');
    return !out->is_failed;
}

int answer_trace(struct store *store, const uint8_t trace_id[static 16], struct bytes *out)
{
    struct trace_answer answer = {.spans = {.limit = 256 << 20}};
    const int failed = store_trace(store, trace_id, add_span, &answer, NULL);

    if (!failed) {
        bytes_add_byte(out, '{');
        hex_text(out, "trace_id", trace_id, 16);
        bytes_format(out, ",\"start_ns\":\"%llu\",\"duration_ns\":\"%llu\",\"spans\":[",
                     (unsigned long long)answer.start_ns,
                     (unsigned long long)(answer.end_ns - answer.start_ns));
        bytes_add_str(out, bytes_str(&answer.spans));
        bytes_add_str(out, STR("]}"));
    }
    bytes_done(&answer.spans);
    return failed;
}

static void names_json(struct bytes *out, struct str lines)
{
    bytes_add_byte(out, '[');
    while (lines.len) {
        const size_t end = str_find(lines, '\n');

        json_text_write(out, (struct str){lines.at, end});
        lines = str_from(lines, end + 1);
        bytes_add_str(out, lines.len ? STR(",") : STR(""));
    }
    bytes_add_byte(out, ']');
}

static bool add_summary(void *self, const struct trace_summary *summary)
{
    struct bytes *out = self;

    if (out->at[out->len - 1] != '[')
        bytes_add_byte(out, ',');
    bytes_add_byte(out, '{');
    hex_text(out, "trace_id", summary->trace_id, 16);
    bytes_add_byte(out, ',');
    key_text(out, "root_service", summary->root_service);
    bytes_add_byte(out, ',');
    key_text(out, "root_name", summary->root_name);
    if (summary->culprit_service.len) {
        bytes_add_byte(out, ',');
        key_text(out, "culprit_service", summary->culprit_service);
        bytes_add_byte(out, ',');
        key_text(out, "culprit_name", summary->culprit_name);
    }
    bytes_format(out,
                 ",\"start_ns\":\"%llu\",\"duration_ns\":\"%llu\",\"spans\":%llu,"
                 "\"errors\":%llu,\"complete\":%s,\"services\":",
                 (unsigned long long)summary->start_ns,
                 (unsigned long long)(summary->end_ns - summary->start_ns),
                 (unsigned long long)summary->spans, (unsigned long long)summary->errors,
                 summary->has_root ? "true" : "false");
    names_json(out, summary->services);
    bytes_add_byte(out, '}');
    return !out->is_failed;
}

int answer_traces(struct store *store, const struct store_query *query, struct bytes *out)
{
    int failed;

    bytes_add_str(out, STR("{\"traces\":["));
    failed = store_search(store, query, add_summary, out, NULL);
    bytes_add_str(out, STR("]}"));
    return failed;
}
