// SPDX-License-Identifier: Apache-2.0
// Spans, resources and scopes, both ways. Field numbers: opentelemetry-proto trace/v1, common/v1.

#include "libtrace/otlp/span.h"

#include <errno.h>

#include "libtrace/otlp/varint.h"

enum { NESTING_MAX = 64 };

// How many fields of that number a message has, so that a list is taken from the arena at once.
static size_t count_of(struct str wire, uint64_t number)
{
    struct reader reader = reader_of(wire);
    struct wire_field token;
    size_t count = 0;

    while (wire_next(&reader, &token))
        count += token.number == number && token.type == WIRE_BYTES;
    return count;
}

static int value_read(struct str wire, struct arena *arena, unsigned depth, struct value *out);

static int attribute_read(struct str wire, struct arena *arena, unsigned depth,
                          struct attribute *out)
{
    struct reader reader = reader_of(wire);
    struct wire_field token;
    int failed = 0;

    while (!failed && wire_next(&reader, &token)) {
        if (token.type != WIRE_BYTES)
            continue;
        if (token.number == 1)
            out->key = token.body;
        else if (token.number == 2)
            failed = value_read(token.body, arena, depth, &out->value);
    }
    return failed ? failed : reader.is_failed ? -EBADMSG : 0;
}

static int attributes_read(struct str wire, uint64_t number, struct arena *arena, unsigned depth,
                           struct attribute_list *out)
{
    struct reader reader = reader_of(wire);
    const size_t count = count_of(wire, number);
    struct wire_field token;

    *out = (struct attribute_list){0};
    if (depth > NESTING_MAX)
        return -EBADMSG;
    if (count == 0)
        return 0;
    out->at = arena_take(arena, count * sizeof out->at[0]);
    if (!out->at)
        return -ENOMEM;
    while (wire_next(&reader, &token)) {
        int failed;

        if (token.number != number || token.type != WIRE_BYTES)
            continue;
        failed = attribute_read(token.body, arena, depth + 1, &out->at[out->count++]);
        if (failed)
            return failed;
    }
    return 0;
}

static int array_read(struct str wire, struct arena *arena, unsigned depth, struct value_list *out)
{
    struct reader reader = reader_of(wire);
    const size_t count = count_of(wire, 1);
    struct wire_field token;

    *out = (struct value_list){0};
    if (depth > NESTING_MAX)
        return -EBADMSG;
    if (count == 0)
        return 0;
    out->at = arena_take(arena, count * sizeof out->at[0]);
    if (!out->at)
        return -ENOMEM;
    while (wire_next(&reader, &token)) {
        int failed;

        if (token.number != 1 || token.type != WIRE_BYTES)
            continue;
        failed = value_read(token.body, arena, depth + 1, &out->at[out->count++]);
        if (failed)
            return failed;
    }
    return 0;
}

static int value_field(const struct wire_field *token, struct arena *arena, unsigned depth,
                       struct value *out)
{
    switch (token->number) {
    case 1:
        *out = (struct value){.type = VALUE_STRING, .string = token->body};
        return 0;
    case 2:
        *out = (struct value){.type = VALUE_BOOL, .boolean = token->value != 0};
        return 0;
    case 3:
        *out = (struct value){.type = VALUE_INT, .integer = (int64_t)token->value};
        return 0;
    case 4:
        *out = (struct value){.type = VALUE_DOUBLE};
        memcpy(&out->number, &token->value, sizeof out->number);
        return 0;
    case 5:
        *out = (struct value){.type = VALUE_ARRAY};
        return array_read(token->body, arena, depth, &out->array);
    case 6:
        *out = (struct value){.type = VALUE_MAP};
        return attributes_read(token->body, 1, arena, depth, &out->map);
    case 7:
        *out = (struct value){.type = VALUE_BYTES, .string = token->body};
        return 0;
    default:
        return 0;
    }
}

static int value_read(struct str wire, struct arena *arena, unsigned depth, struct value *out)
{
    struct reader reader = reader_of(wire);
    struct wire_field token;

    while (wire_next(&reader, &token)) {
        const int failed = value_field(&token, arena, depth, out);

        if (failed)
            return failed;
    }
    return reader.is_failed ? -EBADMSG : 0;
}

// An id of another length than the specification's is no id.
static void id_read(struct str body, uint8_t *out_id, size_t len)
{
    if (body.len == len)
        memcpy(out_id, body.at, len);
}

static int event_read(struct str wire, struct arena *arena, struct span_event *out)
{
    struct reader reader = reader_of(wire);
    struct wire_field token;

    while (wire_next(&reader, &token)) {
        if (token.number == 1)
            out->time_ns = token.value;
        else if (token.number == 2)
            out->name = token.body;
        else if (token.number == 4)
            out->dropped_attributes = (uint32_t)token.value;
    }
    return reader.is_failed ? -EBADMSG : attributes_read(wire, 3, arena, 0, &out->attributes);
}

static int link_read(struct str wire, struct arena *arena, struct span_link *out)
{
    struct reader reader = reader_of(wire);
    struct wire_field token;

    while (wire_next(&reader, &token)) {
        if (token.number == 1)
            id_read(token.body, out->trace_id, TRACE_ID_BYTES);
        else if (token.number == 2)
            id_read(token.body, out->span_id, SPAN_ID_BYTES);
        else if (token.number == 3)
            out->trace_state = token.body;
        else if (token.number == 5)
            out->dropped_attributes = (uint32_t)token.value;
        else if (token.number == 6)
            out->flags = (uint32_t)token.value;
    }
    return reader.is_failed ? -EBADMSG : attributes_read(wire, 4, arena, 0, &out->attributes);
}

static int status_read(struct str wire, struct span *out)
{
    struct reader reader = reader_of(wire);
    struct wire_field token;

    while (wire_next(&reader, &token)) {
        if (token.number == 2)
            out->status_message = token.body;
        else if (token.number == 3)
            out->status = (enum span_status)token.value;
    }
    return reader.is_failed ? -EBADMSG : 0;
}

static int span_lists(struct str wire, struct arena *arena, struct span *span)
{
    const size_t events = count_of(wire, 11);
    const size_t links = count_of(wire, 13);
    struct reader reader = reader_of(wire);
    struct wire_field token;
    int failed = attributes_read(wire, 9, arena, 0, &span->attributes);

    if (events)
        span->events = arena_take(arena, events * sizeof span->events[0]);
    if (links)
        span->links = arena_take(arena, links * sizeof span->links[0]);
    if ((events && !span->events) || (links && !span->links))
        return -ENOMEM;
    while (!failed && (events || links) && wire_next(&reader, &token)) {
        if (token.type != WIRE_BYTES)
            continue;
        if (token.number == 11)
            failed = event_read(token.body, arena, &span->events[span->event_count++]);
        else if (token.number == 13)
            failed = link_read(token.body, arena, &span->links[span->link_count++]);
    }
    return failed;
}

static int span_field(const struct wire_field *token, struct span *span)
{
    switch (token->number) {
    case 1:
        id_read(token->body, span->trace_id, TRACE_ID_BYTES);
        return 0;
    case 2:
        id_read(token->body, span->span_id, SPAN_ID_BYTES);
        return 0;
    case 3:
        span->trace_state = token->body;
        return 0;
    case 4:
        id_read(token->body, span->parent_id, SPAN_ID_BYTES);
        return 0;
    case 5:
        span->name = token->body;
        return 0;
    case 6:
        span->kind = (enum span_kind)token->value;
        return 0;
    case 7:
        span->start_ns = token->value;
        return 0;
    case 8:
        span->end_ns = token->value;
        return 0;
    case 10:
        span->dropped_attributes = (uint32_t)token->value;
        return 0;
    case 12:
        span->dropped_events = (uint32_t)token->value;
        return 0;
    case 14:
        span->dropped_links = (uint32_t)token->value;
        return 0;
    case 15:
        return status_read(token->body, span);
    case 16:
        span->flags = (uint32_t)token->value;
        return 0;
    default:
        return 0;
    }
}

int span_read(struct str wire, struct arena *arena, struct span *out_span, struct why *why)
{
    struct reader reader = reader_of(wire);
    struct span span = {0};
    struct wire_field token;
    int failed = 0;

    while (!failed && wire_next(&reader, &token))
        failed = span_field(&token, &span);
    if (!failed && reader.is_failed)
        failed = -EBADMSG;
    if (!failed)
        failed = span_lists(wire, arena, &span);
    if (failed)
        return why_fail(why, failed, failed == -ENOMEM ? "out of memory" : "Span is malformed");
    *out_span = span;
    return 0;
}

int resource_read(struct str wire, struct arena *arena, struct resource *out_resource,
                  struct why *why)
{
    struct reader reader = reader_of(wire);
    struct resource resource = {.schema_url = {"", 0}};
    struct wire_field token;
    int failed;

    while (wire_next(&reader, &token)) {
        if (token.number == 2)
            resource.dropped_attributes = (uint32_t)token.value;
    }
    failed = reader.is_failed ? -EBADMSG : attributes_read(wire, 1, arena, 0, &resource.attributes);
    if (failed)
        return why_fail(why, failed, "Resource is malformed");
    *out_resource = resource;
    return 0;
}

int scope_read(struct str wire, struct arena *arena, struct scope *out_scope, struct why *why)
{
    struct reader reader = reader_of(wire);
    struct scope scope = {.schema_url = {"", 0}};
    struct wire_field token;
    int failed;

    while (wire_next(&reader, &token)) {
        if (token.number == 1)
            scope.name = token.body;
        else if (token.number == 2)
            scope.version = token.body;
        else if (token.number == 4)
            scope.dropped_attributes = (uint32_t)token.value;
    }
    failed = reader.is_failed ? -EBADMSG : attributes_read(wire, 3, arena, 0, &scope.attributes);
    if (failed)
        return why_fail(why, failed, "InstrumentationScope is malformed");
    *out_scope = scope;
    return 0;
}

void message_end(struct bytes *out, size_t mark)
{
    uint8_t head[10];
    size_t body_bytes;
    size_t head_bytes;

    if (out->is_failed)
        return;
    body_bytes = out->len - mark;
    head_bytes = varint_put(head, body_bytes);
    if (!bytes_reserve(out, head_bytes))
        return;
    memmove(out->at + mark + head_bytes, out->at + mark, body_bytes);
    memcpy(out->at + mark, head, head_bytes);
    out->len += head_bytes;
}

// proto3: a scalar that is zero is not written.
static void number_write(struct bytes *out, uint32_t number, uint64_t value)
{
    if (value == 0)
        return;
    tag_write(out, number, WIRE_VARINT);
    varint_write(out, value);
}

static void text_write(struct bytes *out, uint32_t number, struct str text)
{
    if (text.len)
        body_write(out, number, text);
}

static void id_write(struct bytes *out, uint32_t number, const uint8_t *id, size_t len)
{
    if (id_is_valid(id, len))
        body_write(out, number, (struct str){(const char *)id, len});
}

static void attributes_write(struct bytes *out, uint32_t number, struct attribute_list list);

// A member of AnyValue's oneof is written even when it is zero: that is how it says its type.
static void value_write(struct bytes *out, const struct value *value)
{
    uint64_t bits;
    size_t mark;

    switch (value->type) {
    case VALUE_EMPTY:
        return;
    case VALUE_STRING:
        body_write(out, 1, value->string);
        return;
    case VALUE_BOOL:
        tag_write(out, 2, WIRE_VARINT);
        varint_write(out, value->boolean);
        return;
    case VALUE_INT:
        tag_write(out, 3, WIRE_VARINT);
        varint_write(out, (uint64_t)value->integer);
        return;
    case VALUE_DOUBLE:
        memcpy(&bits, &value->number, sizeof bits);
        fixed64_write(out, 4, bits);
        return;
    case VALUE_ARRAY:
        mark = message_begin(out, 5);
        for (size_t i = 0; i < value->array.count; i++) {
            const size_t inner = message_begin(out, 1);

            value_write(out, &value->array.at[i]);
            message_end(out, inner);
        }
        message_end(out, mark);
        return;
    case VALUE_MAP:
        mark = message_begin(out, 6);
        attributes_write(out, 1, value->map);
        message_end(out, mark);
        return;
    case VALUE_BYTES:
        body_write(out, 7, value->string);
        return;
    }
}

static void attributes_write(struct bytes *out, uint32_t number, struct attribute_list list)
{
    for (size_t i = 0; i < list.count; i++) {
        const size_t mark = message_begin(out, number);
        size_t inner;

        text_write(out, 1, list.at[i].key);
        inner = message_begin(out, 2);
        value_write(out, &list.at[i].value);
        message_end(out, inner);
        message_end(out, mark);
    }
}

static void events_write(struct bytes *out, const struct span *span)
{
    for (size_t i = 0; i < span->event_count; i++) {
        const struct span_event *event = &span->events[i];
        const size_t mark = message_begin(out, 11);

        fixed64_write(out, 1, event->time_ns);
        text_write(out, 2, event->name);
        attributes_write(out, 3, event->attributes);
        number_write(out, 4, event->dropped_attributes);
        message_end(out, mark);
    }
}

static void links_write(struct bytes *out, const struct span *span)
{
    for (size_t i = 0; i < span->link_count; i++) {
        const struct span_link *link = &span->links[i];
        const size_t mark = message_begin(out, 13);

        id_write(out, 1, link->trace_id, TRACE_ID_BYTES);
        id_write(out, 2, link->span_id, SPAN_ID_BYTES);
        text_write(out, 3, link->trace_state);
        attributes_write(out, 4, link->attributes);
        number_write(out, 5, link->dropped_attributes);
        if (link->flags)
            fixed32_write(out, 6, link->flags);
        message_end(out, mark);
    }
}

void span_write(struct bytes *out, const struct span *span)
{
    size_t mark;

    id_write(out, 1, span->trace_id, TRACE_ID_BYTES);
    id_write(out, 2, span->span_id, SPAN_ID_BYTES);
    text_write(out, 3, span->trace_state);
    id_write(out, 4, span->parent_id, SPAN_ID_BYTES);
    text_write(out, 5, span->name);
    number_write(out, 6, span->kind);
    fixed64_write(out, 7, span->start_ns);
    fixed64_write(out, 8, span->end_ns);
    attributes_write(out, 9, span->attributes);
    number_write(out, 10, span->dropped_attributes);
    events_write(out, span);
    number_write(out, 12, span->dropped_events);
    links_write(out, span);
    number_write(out, 14, span->dropped_links);
    if (span->status != SPAN_STATUS_UNSET || span->status_message.len) {
        mark = message_begin(out, 15);
        text_write(out, 2, span->status_message);
        number_write(out, 3, span->status);
        message_end(out, mark);
    }
    if (span->flags)
        fixed32_write(out, 16, span->flags);
}

void resource_write(struct bytes *out, const struct resource *resource)
{
    attributes_write(out, 1, resource->attributes);
    number_write(out, 2, resource->dropped_attributes);
}

void scope_write(struct bytes *out, const struct scope *scope)
{
    text_write(out, 1, scope->name);
    text_write(out, 2, scope->version);
    attributes_write(out, 3, scope->attributes);
    number_write(out, 4, scope->dropped_attributes);
}

void otlp_group_write(struct bytes *out, struct str resource, struct str resource_url,
                      struct str scope, struct str scope_url, const struct str *records,
                      size_t count)
{
    const size_t group = message_begin(out, 1);
    size_t members;

    body_write(out, 1, resource);
    members = message_begin(out, 2);
    body_write(out, 1, scope);
    for (size_t i = 0; i < count; i++)
        body_write(out, 2, records[i]);
    text_write(out, 3, scope_url);
    message_end(out, members);
    text_write(out, 3, resource_url);
    message_end(out, group);
}
