// SPDX-License-Identifier: Apache-2.0
// W3C Trace Context's traceparent as text and as ids (section 3.2: version - trace-id - parent-id -
// flags). Pure. Inline: a service does both for every request, and what was read stays in
// registers.

#pragma once

#include "libtrace/base/hex.h"
#include "libtrace/model/span.h"

enum { TRACEPARENT_BYTES = 55, TRACEPARENT_TEXT = TRACEPARENT_BYTES + 1 };

enum { TRACEPARENT_FLAGS = 3 }; // the two that level 2 knows: sampled, random

struct traceparent {
    uint8_t trace_id[TRACE_ID_BYTES];
    uint8_t span_id[SPAN_ID_BYTES]; // the sender's: who receives it calls it parent-id
    uint8_t flags;                  // the two that level 2 knows
};

// Reads a header's value into ids and flags. On failure they are untouched.
static inline bool traceparent_ids_read(struct str text, uint8_t *out_trace_id,
                                        uint8_t *out_span_id, uint8_t *out_flags)
{
    const char *at = text.at;
    uint64_t wrong = 0;
    uint64_t ids[3];
    unsigned version;
    unsigned flags;

    if (!at || text.len < TRACEPARENT_BYTES)
        return false;
    // Lower case only (3.2.2).
    version = hex_read_lower_1(at);
    flags = hex_read_lower_1(at + 53);
    ids[0] = hex_read_lower_8(at + 3, &wrong);
    ids[1] = hex_read_lower_8(at + 19, &wrong);
    ids[2] = hex_read_lower_8(at + 36, &wrong);
    if (wrong || version >= 0xff || flags > 0xff || at[2] != '-' || at[35] != '-' ||
        at[52] != '-' || (ids[0] | ids[1]) == 0 || ids[2] == 0)
        return false;
    // Version 00 is exactly 55 characters; a later one may go on behind a dash (3.2.4).
    if (text.len > TRACEPARENT_BYTES && (version == 0 || at[TRACEPARENT_BYTES] != '-'))
        return false;
    memcpy(out_trace_id, ids, TRACE_ID_BYTES);
    memcpy(out_span_id, ids + 2, SPAN_ID_BYTES);
    *out_flags = (uint8_t)(flags & TRACEPARENT_FLAGS);
    return true;
}

// Version 00, terminated. False, and an empty text, when an id is all zero.
static inline bool traceparent_ids_write(const uint8_t *trace_id, const uint8_t *span_id,
                                         uint8_t flags, char out_text[TRACEPARENT_TEXT])
{
    out_text[0] = '\0';
    if (!id_is_valid(trace_id, TRACE_ID_BYTES) || !id_is_valid(span_id, SPAN_ID_BYTES))
        return false;
    memcpy(out_text, "00-", 3);
    hex_write_8(out_text + 3, trace_id);
    hex_write_8(out_text + 19, trace_id + 8);
    out_text[35] = '-';
    hex_write_8(out_text + 36, span_id);
    memcpy(out_text + 52, "-0", 2);
    // The flags that nobody knows yet are sent as zero (3.2.2.4).
    out_text[54] = (char)('0' + (flags & TRACEPARENT_FLAGS));
    out_text[55] = '\0';
    return true;
}

// The same for a struct.
bool traceparent_read(struct str text, struct traceparent *out_traceparent);
bool traceparent_write(const struct traceparent *traceparent, char out_text[TRACEPARENT_TEXT]);
