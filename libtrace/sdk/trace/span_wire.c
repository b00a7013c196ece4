// SPDX-License-Identifier: Apache-2.0
// A span as an OTLP Span message, and what a processor may read of it. Field numbers:
// opentelemetry-proto trace.proto.

#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/encode.h"
#include "libtrace/sdk/trace/span.h"

static size_t count_size(uint32_t count)
{
    return count ? 1 + varint_size(count) : 0;
}

static size_t status_size(const struct span *span)
{
    return 2 + (span->message.len ? 1 + varint_size(span->message.len) + span->message.len : 0);
}

size_t span_size(const struct span *span)
{
    const size_t name_len = span->name_len;
    const size_t state_len = span->context.trace_state_len;
    size_t size = 18 + 10 + 2 + 9 + 9 + 6; // ids, kind, times, flags

    size += span->has_parent ? 10 : 0;
    size += 1 + varint_size(name_len) + name_len;
    size += state_len ? 1 + varint_size(state_len) + state_len : 0;
    size += count_size(span->dropped_attributes) + count_size(span->dropped_events) +
            count_size(span->dropped_links);
    if (span->status)
        size += 1 + varint_size(status_size(span)) + status_size(span);
    return size + span->body.len;
}

static uint8_t *count_put(uint8_t *to, uint8_t number, uint32_t count)
{
    if (!count)
        return to;
    *to++ = (uint8_t)(number << 3 | WIRE_VARINT);
    return to + varint_put(to, count);
}

static uint8_t *time_put(uint8_t *to, uint8_t number, uint64_t ns)
{
    *to++ = (uint8_t)(number << 3 | WIRE_FIXED64);
    memcpy(to, &ns, 8); // little-endian, as every machine we run on
    return to + 8;
}

static uint8_t *status_put(uint8_t *to, const struct span *span)
{
    *to++ = 15 << 3 | WIRE_BYTES;
    to += varint_put(to, status_size(span));
    if (span->message.len) {
        *to++ = 2 << 3 | WIRE_BYTES;
        to += varint_put(to, span->message.len);
        memcpy(to, span->message.at, span->message.len);
        to += span->message.len;
    }
    *to++ = 3 << 3 | WIRE_VARINT;
    *to++ = span->status;
    return to;
}

uint8_t *span_put(uint8_t *to, const struct span *span)
{
    const uint32_t flags = span->context.flags | 0x100u | (span->parent_is_remote ? 0x200u : 0);

    to[0] = 1 << 3 | WIRE_BYTES;
    to[1] = 16;
    memcpy(to + 2, span->context.trace_id, 16);
    to[18] = 2 << 3 | WIRE_BYTES;
    to[19] = 8;
    memcpy(to + 20, span->context.span_id, 8);
    to += 28;
    if (span->context.trace_state_len) {
        *to++ = 3 << 3 | WIRE_BYTES;
        to += varint_put(to, span->context.trace_state_len);
        memcpy(to, span->context.trace_state, span->context.trace_state_len);
        to += span->context.trace_state_len;
    }
    if (span->has_parent) {
        to[0] = 4 << 3 | WIRE_BYTES;
        to[1] = 8;
        memcpy(to + 2, span->parent_id, 8);
        to += 10;
    }
    *to++ = 5 << 3 | WIRE_BYTES;
    to += varint_put(to, span->name_len);
    // Whole words, up to seven bytes too many: the times follow, and gcc 12 would make "rep movsq"
    // of a bounded memcpy, which takes 28 ns for ten bytes.
    for (unsigned i = 0; i < span->name_len; i += 8)
        memcpy(to + i, span->name + i, 8);
    to += span->name_len;
    *to++ = 6 << 3 | WIRE_VARINT;
    *to++ = span->kind;
    to = time_put(to, 7, span->start_ns);
    to = time_put(to, 8, span->end_ns);
    if (span->body.len)
        memcpy(to, span->body.at, span->body.len);
    to += span->body.len;
    to = count_put(to, 10, span->dropped_attributes);
    to = count_put(to, 12, span->dropped_events);
    to = count_put(to, 14, span->dropped_links);
    if (span->status)
        to = status_put(to, span);
    // Field 16 needs two bytes of tag.
    to += varint_put(to, 16 << 3 | WIRE_FIXED32);
    memcpy(to, &flags, 4);
    return to + 4;
}

// The span of a handle that may be read now: it records, or its processors look at it.
static struct span *readable(const struct tl_span *handle)
{
    struct span *span = handle ? span_of(handle) : NULL;
    const uint32_t tag = span ? atomic_load_explicit(&span->tag, memory_order_acquire) : 0;
    const enum span_state state = (enum span_state)(tag & 0xff);

    if (!span || (uint16_t)(tag >> 8) != generation_of(handle) || !span_is_of_process(span))
        return NULL;
    return state == SPAN_RECORDING || state == SPAN_ENDING || state == SPAN_READING ? span : NULL;
}

// The default one holds a reference of its own: it stays.
static const struct tl_resource *resource_of(const struct tl_tracer_provider *provider)
{
    struct tl_resource *standard;

    if (provider->resource)
        return provider->resource;
    standard = tl_resource_default();
    tl_resource_unref(standard);
    return standard;
}

bool tl_span_view(const struct tl_span *handle, struct tl_span_view *out_view)
{
    struct span *span = readable(handle);

    if (!span || !out_view)
        return false;
    span_lock(span);
    *out_view = (struct tl_span_view){
        .context = span->context,
        .name = span->name,
        .name_len = span->name_len,
        .kind = (enum tl_kind)span->kind,
        .status = (enum tl_status)span->status,
        .status_message = (const char *)span->message.at,
        .status_message_len = span->message.len,
        .start_ns = span->start_ns,
        .end_ns = span->end_ns,
        .attribute_count = span->attribute_count,
        .event_count = span->event_count,
        .link_count = span->link_count,
        .dropped_attributes = span->dropped_attributes,
        .dropped_events = span->dropped_events,
        .dropped_links = span->dropped_links,
        .scope = &span->tracer->scope.as,
        .resource = resource_of(span->tracer->provider),
    };
    if (span->has_parent) {
        memcpy(out_view->parent.trace_id, span->context.trace_id, 16);
        memcpy(out_view->parent.span_id, span->parent_id, 8);
        out_view->parent.flags = span->parent_flags;
        out_view->parent.is_remote = span->parent_is_remote;
    }
    span_unlock(span);
    return true;
}

// AnyValue: string 1, bool 2, int 3, double 4, bytes 7.
static struct tl_value value_read(struct str wire)
{
    struct tl_value value = {TL_TYPE_EMPTY, 0, {NULL}};
    struct reader reader = reader_of(wire);
    const uint8_t number = reader_u8(&reader) >> 3;
    struct str text;
    uint64_t bits;

    switch (number) {
    case 1:
    case 7:
        text = reader_take(&reader, varint_read(&reader));
        value.type = number == 1 ? TL_TYPE_STRING : TL_TYPE_BYTES;
        value.count = text.len;
        value.as.string = text.at;
        return value;
    case 2:
        value.type = TL_TYPE_BOOL;
        value.as.boolean = varint_read(&reader) != 0;
        return value;
    case 3:
        value.type = TL_TYPE_INT;
        value.as.integer = (int64_t)varint_read(&reader);
        return value;
    case 4:
        value.type = TL_TYPE_DOUBLE;
        bits = reader_le64(&reader);
        memcpy(&value.as.number, &bits, 8);
        return value;
    default:
        return value;
    }
}

static bool attribute_find_in(const struct span *span, struct str key, struct tl_value *out_value)
{
    struct reader reader = reader_of(bytes_str(&span->body));

    while (reader.at < reader.end && !reader.is_failed) {
        const uint8_t tag = reader_u8(&reader);
        struct reader pair = reader_of(reader_take(&reader, varint_read(&reader)));

        if (tag != (9 << 3 | WIRE_BYTES))
            continue;
        reader_u8(&pair);
        if (!str_equal(reader_take(&pair, varint_read(&pair)), key))
            continue;
        reader_u8(&pair);
        *out_value = value_read(reader_take(&pair, varint_read(&pair)));
        return true;
    }
    return false;
}

bool tl_span_attribute(const struct tl_span *handle, const char *key, struct tl_value *out_value)
{
    struct span *span = key && out_value ? readable(handle) : NULL;
    bool is_found;

    if (!span)
        return false;
    span_lock(span);
    is_found = attribute_find_in(span, str_of(key), out_value);
    span_unlock(span);
    return is_found;
}

size_t tl_span_encode(const struct tl_span *handle, uint8_t *out_bytes, size_t room)
{
    struct span *span = readable(handle);
    size_t size;

    if (!span)
        return 0;
    span_lock(span);
    size = span_size(span);
    if (out_bytes && size <= room)
        span_put(out_bytes, span);
    span_unlock(span);
    return size;
}
