// SPDX-License-Identifier: Apache-2.0
// A log record as OTLP bytes (opentelemetry-proto logs.proto: LogRecord). Pure; any thread.

#pragma once

#include <throughline/sdk.h>

enum {
    // The text of a body is cut so that the record is no longer than this: a ring on a machine of
    // many processors has room for little more in one piece.
    LOG_RECORD_BYTES = 60 * 1024,
    LOG_EXCEPTION_ATTRIBUTES = 3,
};

struct log_limits {
    uint32_t attribute_count; // UINT32_MAX: none
    int64_t length_max;       // of attribute values, in characters; -1: none
};

// A record and what its encoding needs to know. The record is borrowed: its `span` is whose trace
// it belongs to, NULL or without ids: none; `context` is not looked at.
struct log_writing {
    const struct tl_log_record *record;
    const struct log_limits *limits;
    size_t attribute_count;
    struct tl_value body; // the record's, perhaps cut
    struct tl_attribute exception[LOG_EXCEPTION_ATTRIBUTES];
    size_t exception_count;
};

void log_writing_init(struct log_writing *writing, const struct tl_log_record *record,
                      const struct log_limits *limits);

// What log_record_put needs at most, quickly.
size_t log_record_room(const struct log_writing *writing);

// Exactly what log_record_put writes. Cuts the text of a body that is too long, and counts that.
size_t log_record_fit(struct log_writing *writing);

// The body of a LogRecord; returns its end.
uint8_t *log_record_put(uint8_t *to, const struct log_writing *writing);
