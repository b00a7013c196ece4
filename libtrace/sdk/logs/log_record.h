// SPDX-License-Identifier: Apache-2.0
// A log record as OTLP bytes (opentelemetry-proto logs.proto: LogRecord). Pure; any thread.

#pragma once

#include <throughline/sdk.h>

enum {
    // The text of a body is cut so that the record is no longer than this: a ring on a machine of
    // many processors has room for little more in one piece.
    LOG_RECORD_BYTES = 60 * 1024,
    LOG_EXCEPTION_ATTRIBUTES = 3,
    LOG_SHORT_ATTRIBUTES = 8,
    LOG_SHORT_ROOM = 2048,
};

struct log_limits {
    uint32_t attribute_count; // UINT32_MAX: none
    int64_t length_max;       // of attribute values, in characters; -1: none
};

// A record and what its encoding needs to know. The record is borrowed; its span, context and
// observed time are not looked at: they are given here.
struct log_writing {
    const struct tl_log_record *record;
    const struct log_limits *limits;
    const struct tl_span_context *span; // whose trace it belongs to; NULL or without ids: none
    uint64_t observed_ns;
    size_t attribute_count;
    const struct tl_value *body; // the record's, or `cut`
    struct tl_value cut;
    struct tl_attribute exception[LOG_EXCEPTION_ATTRIBUTES];
    size_t exception_count;
};

// Fills the rest from `record`, `limits`, `span` and `observed_ns`.
void log_writing_init(struct log_writing *writing);

// The body of the usual LogRecord: few and short attributes, a short text, nothing to cut. `to` has
// LOG_SHORT_ROOM. Its end, or NULL: the record is not like that, and nothing of what was written
// counts.
uint8_t *log_record_short_put(uint8_t *to, const struct log_writing *writing);

// Exactly what log_record_put writes. Cuts the text of a body that is too long, and counts that.
size_t log_record_fit(struct log_writing *writing);

// The body of a LogRecord; returns its end.
uint8_t *log_record_put(uint8_t *to, const struct log_writing *writing);
