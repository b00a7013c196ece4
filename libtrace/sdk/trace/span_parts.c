// SPDX-License-Identifier: Apache-2.0
// Attributes, events and links: encoded into the span's body when they are given, one after the
// other (opentelemetry-proto trace.proto, Span: attributes 9, events 11, links 13).

#include <errno.h>

#include "libtrace/base/clock.h"
#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/encode_short.h"
#include "libtrace/sdk/stats.h"
#include "libtrace/sdk/trace/span.h"

enum { ATTRIBUTES = 9, EVENTS = 11, LINKS = 13, LENGTH_ROOM = 4 };

// Room in a buffer, without a trace in errno or the buffer when there is none.
static uint8_t *room_make(struct bytes *bytes, size_t more)
{
    const int saved = errno;
    uint8_t *to;

    if (bytes->capacity - bytes->len >= more)
        return bytes->at + bytes->len;
    if (!bytes->at && more < BODY_BYTES_FIRST)
        more = BODY_BYTES_FIRST;
    to = bytes_reserve(bytes, more);
    bytes->is_failed = false;
    errno = saved;
    return to;
}

// One of 128 bits for a key. Two keys may share one; then the body is searched.
static unsigned key_bit(const char *key, size_t len)
{
    uint64_t head = 0;
    uint64_t tail = 0;

    if (len >= 8) {
        memcpy(&head, key, 8);
        memcpy(&tail, key + len - 8, 8);
    } else {
        for (size_t i = 0; i < len; i++)
            head = head << 8 | (uint8_t)key[i];
    }
    return (unsigned)(((head ^ tail * 31 ^ len) * UINT64_C(0x9E3779B97F4A7C15)) >> 57);
}

static bool is_key_of(struct str pair, const struct tl_attribute *attribute)
{
    struct reader reader = reader_of(pair);

    // KeyValue: key is field 1, and comes first.
    reader_u8(&reader);
    return str_equal(reader_take(&reader, varint_read(&reader)),
                     (struct str){attribute->key, attribute->key_len});
}

// Takes the attribute of that key out of the body; false: there is none.
static bool attribute_remove(struct span *span, const struct tl_attribute *attribute)
{
    struct reader reader = reader_of(bytes_str(&span->body));

    while (reader.at < reader.end && !reader.is_failed) {
        uint8_t *const from = (uint8_t *)reader.at;
        const uint8_t tag = reader_u8(&reader);
        const struct str part = reader_take(&reader, varint_read(&reader));

        if (tag != (ATTRIBUTES << 3 | WIRE_BYTES) || !is_key_of(part, attribute))
            continue;
        memmove(from, reader.at, reader_left(&reader));
        span->body.len -= (size_t)(reader.at - from);
        return true;
    }
    return false;
}

// Any attribute: it may be one that cannot be, one whose key is there, or too long.
static void attribute_add(struct span *span, const struct tl_attribute *attribute)
{
    const struct tl_tracer_provider *provider = span->tracer->provider;
    unsigned bit;
    uint8_t *to;

    if (!attribute_is_valid(attribute)) {
        stats_add(&sdk_stats, SDK_invalid_values, 1);
        return;
    }
    bit = key_bit(attribute->key, attribute->key_len);
    if (span->keys[bit >> 6] >> (bit & 63) & 1 && attribute_remove(span, attribute))
        span->attribute_count--;
    else if (span->attribute_count >= provider->limits.attribute_count) {
        span->dropped_attributes++;
        return;
    }
    to = room_make(&span->body, attribute_room_within(attribute, provider->length_max));
    if (!to) {
        span->dropped_attributes++;
        return;
    }
    span->keys[bit >> 6] |= UINT64_C(1) << (bit & 63);
    span->attribute_count++;
    span->body.len =
        (size_t)(attribute_put(to, ATTRIBUTES, attribute, provider->length_max) - span->body.at);
}

// The usual ones, as many as come in a row; the span's fields are kept in registers meanwhile.
// Returns how many were taken.
static size_t attributes_short_add(struct span *span, const struct tl_attribute *attributes,
                                   size_t count)
{
    const struct tl_tracer_provider *provider = span->tracer->provider;
    const size_t most = provider->limits.attribute_count - span->attribute_count;
    uint8_t *to = span->body.at + span->body.len;
    const uint8_t *const end = span->body.at + span->body.capacity;
    uint64_t keys[2] = {span->keys[0], span->keys[1]};
    size_t i = 0;

    if (provider->length_max >= 0 || span->attribute_count >= provider->limits.attribute_count)
        return 0;
    for (; i < count && i < most && (size_t)(end - to) >= ATTRIBUTE_SHORT_ROOM; i++) {
        const struct tl_attribute *attribute = &attributes[i];
        uint8_t *after;
        unsigned bit;

        if (!attribute_is_valid(attribute) || !attribute_is_short(attribute))
            break;
        bit = key_bit(attribute->key, attribute->key_len);
        if (keys[bit >> 6] >> (bit & 63) & 1)
            break;
        after = attribute_short_put(to, ATTRIBUTES, attribute);
        if (!after)
            break;
        to = after;
        keys[bit >> 6] |= UINT64_C(1) << (bit & 63);
    }
    span->keys[0] = keys[0];
    span->keys[1] = keys[1];
    span->attribute_count += (uint32_t)i;
    span->body.len = (size_t)(to - span->body.at);
    return i;
}

void span_attributes_add(struct span *span, const struct tl_attribute *attributes, size_t count)
{
    size_t i = 0;

    if (!attributes)
        return;
    if (!span->body.at)
        room_make(&span->body, 1);
    while (i < count) {
        if (span->body.at)
            i += attributes_short_add(span, attributes + i, count - i);
        if (i < count)
            attribute_add(span, &attributes[i++]);
    }
}

// A part begins with room for its length; what is written behind moves up once it is known.
static bool part_begin(struct span *span, size_t room, size_t *out_mark)
{
    if (!room_make(&span->body, room + 1 + LENGTH_ROOM))
        return false;
    *out_mark = span->body.len;
    span->body.len += 1 + LENGTH_ROOM;
    return true;
}

static void part_end(struct span *span, size_t mark, unsigned number)
{
    uint8_t *at = span->body.at + mark;
    uint8_t *const inner = at + 1 + LENGTH_ROOM;
    const size_t len = span->body.len - mark - 1 - LENGTH_ROOM;

    *at++ = (uint8_t)(number << 3 | WIRE_BYTES);
    at += varint_put(at, len);
    memmove(at, inner, len);
    span->body.len = mark + (size_t)(at - (span->body.at + mark)) + len;
}

// Attributes of an event or a link; a count of those left out follows them.
static void inner_attributes(struct span *span, unsigned number, uint32_t most,
                             const struct tl_attribute *attributes, size_t count)
{
    const uint32_t left_out = attributes_write(&span->body, number, attributes, count, most,
                                               span->tracer->provider->length_max);
    uint8_t *to;

    span->body.is_failed = false;
    if (!left_out)
        return;
    to = room_make(&span->body, 12);
    if (!to)
        return;
    *to++ = (uint8_t)((number + 1) << 3 | WIRE_VARINT);
    to += varint_put(to, left_out);
    span->body.len = (size_t)(to - span->body.at);
}

// Event: time_unix_nano 1, name 2, attributes 3, dropped_attributes_count 4.
static void event_add(struct span *span, const char *name, uint64_t time_ns,
                      const struct tl_attribute *attributes, size_t count)
{
    const size_t len = name ? text_cut(name, strlen(name), TL_NAME_MAX) : 0;
    size_t mark;
    uint8_t *to;

    if (span->event_count >= span->tracer->provider->limits.event_count ||
        !part_begin(span, 3 * len + 32, &mark)) {
        span->dropped_events++;
        return;
    }
    to = span->body.at + span->body.len;
    *to++ = 1 << 3 | WIRE_FIXED64;
    memcpy(to, &time_ns, 8);
    to = text_put(to + 8, 2, name, len);
    span->body.len = (size_t)(to - span->body.at);
    inner_attributes(span, 3, span->tracer->provider->limits.event_attribute_count, attributes,
                     count);
    part_end(span, mark, EVENTS);
    span->event_count++;
}

// Link: trace_id 1, span_id 2, trace_state 3, attributes 4, dropped_attributes_count 5, flags 6.
void span_link_add(struct span *span, const struct tl_link *link)
{
    const struct tl_span_context *context = &link->context;
    const size_t state_len = context->trace_state ? context->trace_state_len : 0;
    const uint32_t flags = context->flags | 0x100u | (context->is_remote ? 0x200u : 0);
    size_t mark;
    uint8_t *to;

    // A link to nowhere is kept only for what it says (specification, "Link").
    if (!tl_span_context_is_valid(context) && !link->attribute_count && !state_len)
        return;
    if (span->link_count >= span->tracer->provider->limits.link_count ||
        !part_begin(span, 64 + state_len, &mark)) {
        span->dropped_links++;
        return;
    }
    to = span->body.at + span->body.len;
    *to++ = 1 << 3 | WIRE_BYTES;
    *to++ = 16;
    memcpy(to, context->trace_id, 16);
    to += 16;
    *to++ = 2 << 3 | WIRE_BYTES;
    *to++ = 8;
    memcpy(to, context->span_id, 8);
    to += 8;
    to += varint_put(to, 6 << 3 | WIRE_FIXED32);
    memcpy(to, &flags, 4);
    to += 4;
    if (state_len) {
        *to++ = 3 << 3 | WIRE_BYTES;
        to += varint_put(to, state_len);
        memcpy(to, context->trace_state, state_len);
        to += state_len;
    }
    span->body.len = (size_t)(to - span->body.at);
    inner_attributes(span, 4, span->tracer->provider->limits.link_attribute_count, link->attributes,
                     link->attribute_count);
    part_end(span, mark, LINKS);
    span->link_count++;
}

void tl_span_set(struct tl_span *handle, const struct tl_attribute *attributes, size_t count)
{
    struct span *span = span_hold(handle);

    if (!span)
        return;
    span_attributes_add(span, attributes, count);
    span_unlock(span);
}

void tl_span_set_one(struct tl_span *handle, struct tl_attribute attribute)
{
    tl_span_set(handle, &attribute, 1);
}

void tl_span_event_at(struct tl_span *handle, const char *name, uint64_t time_ns,
                      const struct tl_attribute *attributes, size_t count)
{
    struct span *span = span_hold(handle);

    if (!span)
        return;
    event_add(span, name, time_ns ? time_ns : clock_unix_ns(), attributes, count);
    span_unlock(span);
}

void tl_span_event(struct tl_span *handle, const char *name, const struct tl_attribute *attributes,
                   size_t count)
{
    tl_span_event_at(handle, name, 0, attributes, count);
}

void tl_span_link_with(struct tl_span *handle, const struct tl_link *link)
{
    struct span *span = link ? span_hold(handle) : NULL;

    if (!span)
        return;
    span_link_add(span, link);
    span_unlock(span);
}

void tl_span_link(struct tl_span *handle, const struct tl_span_context *to)
{
    struct tl_link link = {.attributes = NULL};

    if (!to)
        return;
    link.context = *to;
    tl_span_link_with(handle, &link);
}

static bool is_given(const struct tl_attribute *attributes, size_t count, const char *key)
{
    for (size_t i = 0; attributes && i < count; i++) {
        if (str_equal((struct str){attributes[i].key, attributes[i].key_len}, str_of(key)))
            return true;
    }
    return false;
}

void tl_span_exception(struct tl_span *handle, const struct tl_exception *exception,
                       const struct tl_attribute *attributes, size_t count)
{
    enum { MORE_MAX = 64 };
    struct tl_attribute list[MORE_MAX + 3];
    const struct tl_attribute ours[] = {
        TL_STR("exception.type", exception ? exception->type : NULL),
        TL_STR("exception.message", exception ? exception->message : NULL),
        TL_STR("exception.stacktrace", exception ? exception->stacktrace : NULL),
    };
    size_t total = 0;

    if (!tl_span_wants(handle))
        return;
    for (size_t i = 0; i < TL_COUNT(ours); i++) {
        if (ours[i].value.as.string && !is_given(attributes, count, ours[i].key))
            list[total++] = ours[i];
    }
    for (size_t i = 0; attributes && i < count && i < MORE_MAX; i++)
        list[total++] = attributes[i];
    tl_span_event(handle, "exception", list, total);
}
