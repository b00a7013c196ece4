// SPDX-License-Identifier: Apache-2.0
// W3C Trace Context, section 3.2: version - trace-id - parent-id - flags. Read and written eight
// digits at a time: a service does both for every request.

#include "libtrace/model/traceparent.h"

#include "libtrace/base/hex.h"

enum { FLAGS_KNOWN = 3 };

bool traceparent_read(struct str text, struct traceparent *out_traceparent)
{
    struct traceparent read;
    const char *at = text.at;
    char ends[8];
    uint8_t around[4]; // version, flags, and both again
    uint64_t wrong;

    if (!at || text.len < TRACEPARENT_BYTES)
        return false;
    memcpy(ends, at, 2);
    memcpy(ends + 2, at + 53, 2);
    memcpy(ends + 4, ends, 4);
    // Lower case only (3.2.2).
    wrong = hex_read_lower_4(ends, around);
    for (size_t i = 0; i < TRACE_ID_BYTES; i += 4)
        wrong |= hex_read_lower_4(at + 3 + 2 * i, read.trace_id + i);
    for (size_t i = 0; i < SPAN_ID_BYTES; i += 4)
        wrong |= hex_read_lower_4(at + 36 + 2 * i, read.span_id + i);
    if (wrong || at[2] != '-' || at[35] != '-' || at[52] != '-' || around[0] == 0xff ||
        !id_is_valid(read.trace_id, TRACE_ID_BYTES) || !id_is_valid(read.span_id, SPAN_ID_BYTES))
        return false;
    // Version 00 is exactly 55 characters; a later one may go on behind a dash (3.2.4).
    if (text.len > TRACEPARENT_BYTES && (around[0] == 0 || at[TRACEPARENT_BYTES] != '-'))
        return false;
    read.flags = around[1] & FLAGS_KNOWN;
    *out_traceparent = read;
    return true;
}

bool traceparent_write(const struct traceparent *traceparent, char out_text[TRACEPARENT_TEXT])
{
    const uint8_t flags = traceparent->flags & FLAGS_KNOWN; // the others are sent as zero (3.2.2.4)

    out_text[0] = '\0';
    if (!id_is_valid(traceparent->trace_id, TRACE_ID_BYTES) ||
        !id_is_valid(traceparent->span_id, SPAN_ID_BYTES))
        return false;
    memcpy(out_text, "00-", 3);
    for (size_t i = 0; i < TRACE_ID_BYTES; i += 4)
        hex_write_4(out_text + 3 + 2 * i, traceparent->trace_id + i);
    out_text[35] = '-';
    for (size_t i = 0; i < SPAN_ID_BYTES; i += 4)
        hex_write_4(out_text + 36 + 2 * i, traceparent->span_id + i);
    memcpy(out_text + 52, "-0", 2);
    out_text[54] = (char)('0' + flags);
    out_text[55] = '\0';
    return true;
}
