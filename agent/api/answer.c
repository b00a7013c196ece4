// SPDX-License-Identifier: Apache-2.0
// Throughline's own JSON: 64-bit numbers as strings, ids in hexadecimal.

#include "agent/api/answer.h"

#include <errno.h>
#include <math.h>

#include "libtrace/base/clock.h"
#include "libtrace/base/hex.h"
#include "libtrace/otlp/json_text.h"

enum { SERIES_BUCKETS = 60 };

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

// The entries of one service, by duration: kept until the service changes.
struct service_answer {
    struct bytes *out;
    struct bytes durations; // uint64_t each
    char name[512];
    size_t name_len;
    uint64_t count;
    uint64_t errors;
    uint64_t since_ns;
    uint64_t now_ns;
    uint64_t bucket_counts[SERIES_BUCKETS];
    uint64_t bucket_errors[SERIES_BUCKETS];
};

static double quantile_ms(const struct service_answer *answer, double q)
{
    const size_t index = (size_t)(q * (double)(answer->count - 1) + 0.5);
    uint64_t ns;

    memcpy(&ns, answer->durations.at + index * sizeof ns, sizeof ns);
    return (double)ns / 1e6;
}

static void service_end(struct service_answer *answer)
{
    struct bytes *out = answer->out;
    const uint64_t span_ns = answer->now_ns - answer->since_ns;

    if (answer->count == 0 || answer->durations.is_failed)
        return;
    bytes_add_str(out, out->at[out->len - 1] == '[' ? STR("{") : STR(",{"));
    key_text(out, "name", (struct str){answer->name, answer->name_len});
    bytes_format(out,
                 ",\"spans\":%llu,\"rate\":%.4f,\"error_rate\":%.4f,\"p50_ms\":%.3f,"
                 "\"p99_ms\":%.3f,\"series\":[",
                 (unsigned long long)answer->count, (double)answer->count / ((double)span_ns / 1e9),
                 (double)answer->errors / (double)answer->count, quantile_ms(answer, 0.5),
                 quantile_ms(answer, 0.99));
    for (unsigned i = 0; i < SERIES_BUCKETS; i++) {
        bytes_format(out, "%s{\"t_ns\":\"%llu\",\"count\":%llu,\"errors\":%llu}", i ? "," : "",
                     (unsigned long long)(answer->since_ns + span_ns / SERIES_BUCKETS * i),
                     (unsigned long long)answer->bucket_counts[i],
                     (unsigned long long)answer->bucket_errors[i]);
    }
    bytes_add_str(out, STR("]}"));
}

static bool add_entry(void *self, const struct entry_span *entry)
{
    struct service_answer *answer = self;
    const struct str name = {answer->name, answer->name_len};
    uint64_t bucket = 0;

    if (answer->count == 0 || !str_equal(name, entry->service)) {
        service_end(answer);
        answer->name_len =
            entry->service.len < sizeof answer->name ? entry->service.len : sizeof answer->name;
        memcpy(answer->name, entry->service.at, answer->name_len);
        answer->durations.len = 0;
        answer->count = answer->errors = 0;
        memset(answer->bucket_counts, 0, sizeof answer->bucket_counts);
        memset(answer->bucket_errors, 0, sizeof answer->bucket_errors);
    }
    if (entry->start_ns > answer->since_ns)
        bucket = (entry->start_ns - answer->since_ns) /
                 ((answer->now_ns - answer->since_ns) / SERIES_BUCKETS + 1);
    if (bucket >= SERIES_BUCKETS)
        bucket = SERIES_BUCKETS - 1;
    bytes_add(&answer->durations, &entry->duration_ns, sizeof entry->duration_ns);
    answer->count++;
    answer->errors += entry->is_error;
    answer->bucket_counts[bucket]++;
    answer->bucket_errors[bucket] += entry->is_error;
    return true;
}

int answer_services(struct store *store, uint64_t since_ns, uint64_t now_ns, struct bytes *out)
{
    struct service_answer answer = {.out = out, .since_ns = since_ns, .now_ns = now_ns};
    int failed;

    bytes_add_str(out, STR("{\"services\":["));
    failed = store_entries(store, since_ns, add_entry, &answer);
    service_end(&answer);
    bytes_done(&answer.durations);
    bytes_add_str(out, STR("]}"));
    return failed;
}

static bool add_edge(void *self, const struct store_edge *edge)
{
    struct bytes *out = self;

    bytes_add_str(out, out->at[out->len - 1] == '[' ? STR("{") : STR(",{"));
    key_text(out, "from", edge->from);
    bytes_add_byte(out, ',');
    key_text(out, "to", edge->to);
    bytes_format(out,
                 ",\"kind\":\"%s\",\"count\":%llu,\"errors\":%llu,\"mean_ms\":%.3f,"
                 "\"max_ms\":%.3f}",
                 edge->kind, (unsigned long long)edge->count, (unsigned long long)edge->errors,
                 (double)edge->total_ns / (double)edge->count / 1e6, (double)edge->max_ns / 1e6);
    return !out->is_failed;
}

int answer_map(struct store *store, uint64_t since_ns, struct bytes *out)
{
    int failed;

    bytes_add_str(out, STR("{\"edges\":["));
    failed = store_edges(store, since_ns, add_edge, out);
    bytes_add_str(out, STR("]}"));
    return failed;
}
