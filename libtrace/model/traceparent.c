// SPDX-License-Identifier: Apache-2.0
// W3C Trace Context, section 3.2: version - trace-id - parent-id - flags.

#include "libtrace/model/traceparent.h"

#include "libtrace/base/hex.h"

enum { FLAGS_KNOWN = 3 };

// Lower case only (3.2.2).
static bool lower_hex(struct str text, uint8_t *out_bytes, size_t len)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] >= 'A' && text.at[i] <= 'F')
            return false;
    }
    return hex_read(text, out_bytes, len);
}

bool traceparent_read(struct str text, struct traceparent *out_traceparent)
{
    struct traceparent read = {.flags = 0};
    const char *at = text.at;
    uint8_t version;

    if (!at || text.len < TRACEPARENT_BYTES || at[2] != '-' || at[35] != '-' || at[52] != '-' ||
        !lower_hex((struct str){at, 2}, &version, 1) || version == 0xff ||
        !lower_hex((struct str){at + 3, 32}, read.trace_id, TRACE_ID_BYTES) ||
        !lower_hex((struct str){at + 36, 16}, read.span_id, SPAN_ID_BYTES) ||
        !lower_hex((struct str){at + 53, 2}, &read.flags, 1) ||
        !id_is_valid(read.trace_id, TRACE_ID_BYTES) || !id_is_valid(read.span_id, SPAN_ID_BYTES))
        return false;
    // Version 00 is exactly 55 characters; a later one may go on behind a dash (3.2.4).
    if ((version == 0 && text.len != TRACEPARENT_BYTES) ||
        (text.len > TRACEPARENT_BYTES && at[TRACEPARENT_BYTES] != '-'))
        return false;
    read.flags &= FLAGS_KNOWN;
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
    hex_write(out_text + 3, traceparent->trace_id, TRACE_ID_BYTES);
    out_text[35] = '-';
    hex_write(out_text + 36, traceparent->span_id, SPAN_ID_BYTES);
    out_text[52] = '-';
    hex_write(out_text + 53, &flags, 1);
    return true;
}
