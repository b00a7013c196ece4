// SPDX-License-Identifier: Apache-2.0
// W3C Trace Context's traceparent as text and as ids. Pure.

#pragma once

#include "libtrace/model/span.h"

enum { TRACEPARENT_BYTES = 55, TRACEPARENT_TEXT = TRACEPARENT_BYTES + 1 };

struct traceparent {
    uint8_t trace_id[TRACE_ID_BYTES];
    uint8_t span_id[SPAN_ID_BYTES]; // the sender's: who receives it calls it parent-id
    uint8_t flags;                  // the two that level 2 knows
};

// Reads a header's value. On failure out_traceparent is untouched.
bool traceparent_read(struct str text, struct traceparent *out_traceparent);

// Version 00, terminated. False, and an empty text, when an id is all zero.
bool traceparent_write(const struct traceparent *traceparent, char out_text[TRACEPARENT_TEXT]);
