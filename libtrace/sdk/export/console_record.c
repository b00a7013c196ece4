// SPDX-License-Identifier: Apache-2.0
// Spans and log records. Field numbers: opentelemetry-proto trace/v1 and logs/v1.

#include "libtrace/sdk/export/console_record.h"

#include "libtrace/otlp/json_text.h"
#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/export/console_text.h"

static struct str name_of(const char *const *names, size_t count, uint64_t number)
{
    return str_of(number < count ? names[number] : "unknown");
}

// ` event="name"+1.5ms{ key=value}` (Span.Event: 1 time, 2 name, 3 attributes).
static void event_write(struct bytes *out, struct str wire, uint64_t start_ns)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;
    struct str name = {"", 0};
    uint64_t time_ns = 0;

    while (wire_next(&reader, &field)) {
        if (field.number == 1)
            time_ns = field.value;
        if (field.number == 2 && field.body.at)
            name = field.body;
    }
    bytes_add_str(out, STR(" event="));
    json_text_write(out, name);
    bytes_add_byte(out, time_ns < start_ns ? '-' : '+');
    console_duration_write(out, time_ns < start_ns ? start_ns - time_ns : time_ns - start_ns);
    bytes_add_byte(out, '{');
    console_attributes_write(out, wire, 3);
    bytes_add_byte(out, '}');
}

// Span.Link: 1 trace_id, 2 span_id, 4 attributes.
static void link_write(struct bytes *out, struct str wire)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;

    bytes_add_str(out, STR(" link={"));
    while (wire_next(&reader, &field)) {
        if ((field.number == 1 || field.number == 2) && field.body.at)
            console_id_write(out, field.number == 1 ? "trace" : "span", field.body);
    }
    console_attributes_write(out, wire, 4);
    bytes_add_byte(out, '}');
}

// Status: 2 message, 3 code.
static void status_write(struct bytes *out, struct str wire)
{
    static const char *const names[] = {"unset", "ok", "error"};
    struct reader reader = reader_of(wire);
    struct wire_field field;
    struct str message = {"", 0};
    uint64_t code = 0;

    while (wire_next(&reader, &field)) {
        if (field.number == 2 && field.body.at)
            message = field.body;
        if (field.number == 3)
            code = field.value;
    }
    bytes_format(out, " status=%s", name_of(names, sizeof names / sizeof names[0], code).at);
    if (message.len) {
        bytes_add_byte(out, ':');
        json_text_write(out, message);
    }
}

struct span_parts {
    struct str trace_id, span_id, parent_id, trace_state, name, status;
    uint64_t kind, start_ns, end_ns;
};

static struct span_parts span_parts_of(struct str wire)
{
    struct reader reader = reader_of(wire);
    struct span_parts parts = {0};
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        switch (field.number) {
        case 1:
            parts.trace_id = field.body;
            break;
        case 2:
            parts.span_id = field.body;
            break;
        case 3:
            parts.trace_state = field.body;
            break;
        case 4:
            parts.parent_id = field.body;
            break;
        case 5:
            parts.name = field.body;
            break;
        case 6:
            parts.kind = field.value;
            break;
        case 7:
            parts.start_ns = field.value;
            break;
        case 8:
            parts.end_ns = field.value;
            break;
        case 15:
            parts.status = field.body;
            break;
        default:
            break;
        }
    }
    return parts;
}

void console_span_write(struct bytes *out, const struct otlp_record *record)
{
    static const char *const kinds[] = {"unspecified", "internal", "server",
                                        "client",      "producer", "consumer"};
    const struct span_parts parts = span_parts_of(record->record);
    struct reader reader = reader_of(record->record);
    struct wire_field field;

    console_time_write(out, parts.start_ns);
    bytes_format(out, " span %s ", name_of(kinds, sizeof kinds / sizeof kinds[0], parts.kind).at);
    json_text_write(out, parts.name);
    bytes_add_byte(out, ' ');
    console_duration_write(out, parts.end_ns > parts.start_ns ? parts.end_ns - parts.start_ns : 0);
    console_id_write(out, "trace", parts.trace_id);
    console_id_write(out, "span", parts.span_id);
    console_id_write(out, "parent", parts.parent_id);
    if (parts.trace_state.len) {
        bytes_add_str(out, STR(" tracestate="));
        json_text_write(out, parts.trace_state);
    }
    if (parts.status.len)
        status_write(out, parts.status);
    console_scope_write(out, record->scope);
    console_attributes_write(out, record->record, 9);
    while (wire_next(&reader, &field)) {
        if (field.number == 11 && field.body.at)
            event_write(out, field.body, parts.start_ns);
        if (field.number == 13 && field.body.at)
            link_write(out, field.body);
    }
    bytes_add_byte(out, '\n');
}

struct log_parts {
    struct str text, body, trace_id, span_id, event_name;
    uint64_t time_ns, observed_ns, severity;
};

static struct log_parts log_parts_of(struct str wire)
{
    struct reader reader = reader_of(wire);
    struct log_parts parts = {0};
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        switch (field.number) {
        case 1:
            parts.time_ns = field.value;
            break;
        case 2:
            parts.severity = field.value;
            break;
        case 3:
            parts.text = field.body;
            break;
        case 5:
            parts.body = field.body;
            break;
        case 9:
            parts.trace_id = field.body;
            break;
        case 10:
            parts.span_id = field.body;
            break;
        case 11:
            parts.observed_ns = field.value;
            break;
        case 12:
            parts.event_name = field.body;
            break;
        default:
            break;
        }
    }
    return parts;
}

void console_log_write(struct bytes *out, const struct otlp_record *record)
{
    // Four of each: TRACE, TRACE2, ... (logs data model, "SeverityNumber").
    static const char *const severities[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};
    const struct log_parts parts = log_parts_of(record->record);

    console_time_write(out, parts.time_ns ? parts.time_ns : parts.observed_ns);
    bytes_add_str(out, STR(" log "));
    if (parts.text.len)
        json_text_write(out, parts.text);
    else
        bytes_add_str(out, parts.severity == 0 ? STR("-")
                                               : name_of(severities, 6, (parts.severity - 1) / 4));
    bytes_add_byte(out, ' ');
    console_value_write(out, parts.body);
    if (parts.event_name.len) {
        bytes_add_str(out, STR(" event="));
        json_text_write(out, parts.event_name);
    }
    console_id_write(out, "trace", parts.trace_id);
    console_id_write(out, "span", parts.span_id);
    console_scope_write(out, record->scope);
    console_attributes_write(out, record->record, 6);
    bytes_add_byte(out, '\n');
}
