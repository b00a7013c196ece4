// SPDX-License-Identifier: Apache-2.0
// A span, a resource and a scope as decoded: everything points into the batch or an arena.

#pragma once

#include "libtrace/model/attribute.h"

enum { TRACE_ID_BYTES = 16, SPAN_ID_BYTES = 8, TRACE_ID_TEXT = 33, SPAN_ID_TEXT = 17 };

// opentelemetry-proto trace.proto, Span.SpanKind and Status.StatusCode.
enum span_kind {
    SPAN_KIND_UNSPECIFIED,
    SPAN_KIND_INTERNAL,
    SPAN_KIND_SERVER,
    SPAN_KIND_CLIENT,
    SPAN_KIND_PRODUCER,
    SPAN_KIND_CONSUMER,
};

enum span_status { SPAN_STATUS_UNSET, SPAN_STATUS_OK, SPAN_STATUS_ERROR };

struct span_event {
    uint64_t time_ns;
    struct str name;
    struct attribute_list attributes;
    uint32_t dropped_attributes;
};

struct span_link {
    uint8_t trace_id[TRACE_ID_BYTES];
    uint8_t span_id[SPAN_ID_BYTES];
    struct str trace_state;
    struct attribute_list attributes;
    uint32_t dropped_attributes;
    uint32_t flags;
};

struct span {
    uint8_t trace_id[TRACE_ID_BYTES];
    uint8_t span_id[SPAN_ID_BYTES];
    uint8_t parent_id[SPAN_ID_BYTES]; // all zero: none
    struct str trace_state;
    struct str name;
    enum span_kind kind;
    uint32_t flags;    // W3C flags in bits 0-7; bit 8 has_is_remote, bit 9 is_remote
    uint64_t start_ns; // since 1970
    uint64_t end_ns;
    struct attribute_list attributes;
    uint32_t dropped_attributes;
    struct span_event *events;
    size_t event_count;
    uint32_t dropped_events;
    struct span_link *links;
    size_t link_count;
    uint32_t dropped_links;
    enum span_status status;
    struct str status_message;
};

struct resource {
    struct attribute_list attributes;
    uint32_t dropped_attributes;
    struct str schema_url;
};

struct scope {
    struct str name;
    struct str version;
    struct attribute_list attributes;
    uint32_t dropped_attributes;
    struct str schema_url;
};

// True when any byte is set: an all-zero id is invalid (W3C trace context 3.2.2). By words: every
// request that carries a context is asked.
static inline bool id_is_valid(const uint8_t *id, size_t len)
{
    uint64_t any = 0;
    uint64_t word;
    size_t i = 0;

    for (; i + 8 <= len; i += 8) {
        memcpy(&word, id + i, 8);
        any |= word;
    }
    for (; i < len; i++)
        any |= id[i];
    return any != 0;
}

// "server", "client", ... as people read it; never NULL.
const char *span_kind_text(enum span_kind kind);
