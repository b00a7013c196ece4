// SPDX-License-Identifier: Apache-2.0
// Two walks over the same attributes, one that adds up and one that writes: what is kept is decided
// in one place, attribute_next.

#include "libtrace/sdk/logs/log_record.h"

#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/encode.h"
#include "libtrace/sdk/encode_short.h"
#include "libtrace/sdk/stats.h"

// Times, severity, flags, ids, the count of dropped attributes, tags and lengths.
enum { FIXED_BYTES_MAX = 96, SHORT_BODY = 100 };

// Over the record's attributes, then those of its exception.
struct walk {
    size_t at;
    uint32_t kept;
    uint32_t dropped;
};

static bool is_same_key(const struct tl_attribute *a, const struct tl_attribute *b)
{
    return a->key_len == b->key_len && b->key && memcmp(a->key, b->key, a->key_len) == 0;
}

// Keys are unique in a record: the last one of a key counts (specification, "Common").
static bool is_overwritten(const struct log_writing *writing, size_t index)
{
    const struct tl_attribute *list = writing->record->attributes;

    for (size_t i = index + 1; i < writing->attribute_count; i++) {
        if (is_same_key(&list[index], &list[i]) && attribute_is_valid(&list[i]))
            return true;
    }
    return false;
}

// The next attribute that is written; NULL: no more.
static inline const struct tl_attribute *attribute_next(const struct log_writing *writing,
                                                        struct walk *walk)
{
    const struct tl_log_record *record = writing->record;
    const size_t count = writing->attribute_count;

    while (walk->at < count + writing->exception_count) {
        const size_t at = walk->at++;
        const struct tl_attribute *attribute =
            at < count ? &record->attributes[at] : &writing->exception[at - count];

        if (at < count && attribute_is_valid(attribute) && is_overwritten(writing, at))
            continue;
        if (!attribute_is_valid(attribute) || walk->kept >= writing->limits->attribute_count) {
            walk->dropped++;
            continue;
        }
        walk->kept++;
        return attribute;
    }
    return NULL;
}

static bool has_key(const struct log_writing *writing, const struct tl_attribute *wanted)
{
    for (size_t i = 0; i < writing->attribute_count; i++) {
        if (is_same_key(wanted, &writing->record->attributes[i]))
            return true;
    }
    return false;
}

// Semantic conventions, "Exceptions in logs"; what the caller gave wins.
static void exception_add(struct log_writing *writing, const struct tl_exception *exception)
{
    const struct tl_attribute attributes[LOG_EXCEPTION_ATTRIBUTES] = {
        TL_STR("exception.type", exception->type),
        TL_STR("exception.message", exception->message),
        TL_STR("exception.stacktrace", exception->stacktrace),
    };

    for (size_t i = 0; i < LOG_EXCEPTION_ATTRIBUTES; i++) {
        if (attributes[i].value.as.string && !has_key(writing, &attributes[i]))
            writing->exception[writing->exception_count++] = attributes[i];
    }
}

static const struct tl_value no_body;

void log_writing_init(struct log_writing *writing)
{
    const struct tl_log_record *record = writing->record;

    writing->attribute_count = record->attributes ? record->attribute_count : 0;
    // Not a copy: what the caller has just stored in small pieces is slow to load in large ones.
    writing->body = value_is_valid(&record->body) ? &record->body : &no_body;
    writing->exception_count = 0;
    if (record->exception)
        exception_add(writing, record->exception);
}

static size_t name_len(const char *name)
{
    return name ? text_cut(name, strlen(name), TL_NAME_MAX) : 0;
}

static bool severity_is_known(enum tl_severity severity)
{
    return severity >= TL_TRACE && (int)severity <= 24;
}

static size_t body_size(const struct tl_value *body)
{
    const size_t len = value_len(body, ENCODE_UNLIMITED);

    return body->type == TL_TYPE_EMPTY ? 0 : 1 + varint_size(len) + len;
}

static size_t size_without_body(const struct log_writing *writing)
{
    const struct tl_log_record *record = writing->record;
    const size_t severity_text = name_len(record->severity_text);
    const size_t event_name = name_len(record->event_name);
    size_t size = record->time_ns ? 18 : 9;
    struct walk walk = {0};
    const struct tl_attribute *attribute;

    size += severity_is_known(record->severity) ? 2 : 0;
    size += severity_text ? text_size(record->severity_text, severity_text) : 0;
    size += event_name ? text_size(record->event_name, event_name) : 0;
    for (attribute = attribute_next(writing, &walk); attribute;
         attribute = attribute_next(writing, &walk))
        size += attribute_size(attribute, writing->limits->length_max);
    size += walk.dropped ? 1 + varint_size(walk.dropped) : 0;
    return size + (tl_span_context_is_valid(writing->span) ? 5 + 18 + 10 : 0);
}

size_t log_record_fit(struct log_writing *writing)
{
    const size_t others = size_without_body(writing);
    const size_t size = others + body_size(writing->body);
    // Each byte that is left out is at least one less, and lengths take up to ten.
    const size_t over = size > LOG_RECORD_BYTES ? size - LOG_RECORD_BYTES + 16 : 0;

    if (over == 0 || writing->body->type != TL_TYPE_STRING || writing->body->count < over)
        return size;
    writing->cut = *writing->body;
    writing->cut.count =
        text_cut(writing->cut.as.string, writing->cut.count, writing->cut.count - over);
    writing->body = &writing->cut;
    stats_add(&sdk_stats, SDK_bodies_cut, 1);
    return others + body_size(writing->body);
}

static uint8_t *body_put(uint8_t *to, const struct tl_value *body)
{
    size_t len;

    *to++ = 5 << 3 | WIRE_BYTES;
    if (body->type == TL_TYPE_STRING && body->count < SHORT_BODY) {
        // The length in front takes one byte unless much of the text is replaced.
        uint8_t *end = text_put(to + 1, 1, body->as.string, body->count);

        len = (size_t)(end - to - 1);
        *to = (uint8_t)len;
        if (len < 128)
            return end;
    }
    to += varint_put(to, value_len(body, ENCODE_UNLIMITED));
    return value_put(to, body, ENCODE_UNLIMITED);
}

static uint8_t *time_put(uint8_t *to, unsigned number, uint64_t ns)
{
    *to++ = (uint8_t)(number << 3 | WIRE_FIXED64);
    memcpy(to, &ns, 8); // little-endian, as every machine we run on
    return to + 8;
}

static uint8_t *span_put(uint8_t *to, const struct tl_span_context *span)
{
    const uint32_t flags = span->flags;

    *to++ = 8 << 3 | WIRE_FIXED32;
    memcpy(to, &flags, 4);
    to += 4;
    *to++ = 9 << 3 | WIRE_BYTES;
    *to++ = 16;
    memcpy(to, span->trace_id, 16);
    to += 16;
    *to++ = 10 << 3 | WIRE_BYTES;
    *to++ = 8;
    memcpy(to, span->span_id, 8);
    return to + 8;
}

static uint8_t *head_put(uint8_t *to, const struct log_writing *writing)
{
    const struct tl_log_record *record = writing->record;

    if (record->time_ns)
        to = time_put(to, 1, record->time_ns);
    to = time_put(to, 11, writing->observed_ns);
    if (severity_is_known(record->severity)) {
        *to++ = 2 << 3 | WIRE_VARINT;
        *to++ = (uint8_t)record->severity;
    }
    return to;
}

uint8_t *log_record_put(uint8_t *to, const struct log_writing *writing)
{
    const struct tl_log_record *record = writing->record;
    struct walk walk = {0};
    const struct tl_attribute *attribute;

    to = head_put(to, writing);
    if (record->severity_text && *record->severity_text)
        to = text_put(to, 3, record->severity_text, name_len(record->severity_text));
    if (writing->body->type != TL_TYPE_EMPTY)
        to = body_put(to, writing->body);
    for (attribute = attribute_next(writing, &walk); attribute;
         attribute = attribute_next(writing, &walk))
        to = attribute_put(to, 6, attribute, writing->limits->length_max);
    if (walk.dropped) {
        *to++ = 7 << 3 | WIRE_VARINT;
        to += varint_put(to, walk.dropped);
    }
    if (tl_span_context_is_valid(writing->span))
        to = span_put(to, writing->span);
    if (record->event_name && *record->event_name)
        to = text_put(to, 12, record->event_name, name_len(record->event_name));
    return to;
}

static bool is_new_key(const struct tl_attribute *list, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (is_same_key(&list[i], &list[index]))
            return false;
    }
    return true;
}

static bool is_usual(const struct log_writing *writing)
{
    const struct tl_log_record *record = writing->record;
    const struct tl_value *body = writing->body;

    return writing->attribute_count <= LOG_SHORT_ATTRIBUTES &&
           writing->attribute_count <= writing->limits->attribute_count &&
           writing->limits->length_max < 0 && writing->exception_count == 0 &&
           !record->severity_text && !record->event_name &&
           (body->type == TL_TYPE_EMPTY ||
            (body->type == TL_TYPE_STRING && body->count < SHORT_BODY));
}

uint8_t *log_record_short_put(uint8_t *to, const struct log_writing *writing)
{
    const struct tl_attribute *list = writing->record->attributes;

    if (!is_usual(writing))
        return NULL;
    to = head_put(to, writing);
    if (writing->body->type != TL_TYPE_EMPTY)
        to = body_put(to, writing->body);
    for (size_t i = 0; i < writing->attribute_count; i++) {
        if (!attribute_is_valid(&list[i]) || !attribute_is_short(&list[i]) || !is_new_key(list, i))
            return NULL;
        to = attribute_short_put(to, 6, &list[i]);
        if (!to)
            return NULL;
    }
    return tl_span_context_is_valid(writing->span) ? span_put(to, writing->span) : to;
}
