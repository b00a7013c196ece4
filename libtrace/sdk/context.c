// SPDX-License-Identifier: Apache-2.0
// W3C Trace Context: traceparent both ways. Pure.

#include <throughline/throughline.h>

#include "libtrace/base/hex.h"

static bool is_valid(const uint8_t *id, size_t len)
{
    uint8_t any = 0;

    for (size_t i = 0; i < len; i++)
        any |= id[i];
    return any != 0;
}

bool tl_traceparent_write(const struct tl_context *context, char out_text[56])
{
    out_text[0] = '\0';
    if (!context || !is_valid(context->trace_id, 16) || !is_valid(context->span_id, 8))
        return false;
    memcpy(out_text, "00-", 3);
    hex_write(out_text + 3, context->trace_id, 16);
    out_text[35] = '-';
    hex_write(out_text + 36, context->span_id, 8);
    out_text[52] = '-';
    // Level 2 knows two flags; the others are sent as zero (3.2.2.4).
    hex_write(out_text + 53, &(uint8_t){context->flags & 3}, 1);
    return true;
}

// Lower case only (3.2.2).
static bool lower_hex(struct str text, uint8_t *out_bytes, size_t len)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] >= 'A' && text.at[i] <= 'F')
            return false;
    }
    return hex_read(text, out_bytes, len);
}

bool tl_traceparent_read(const char *text, size_t len, struct tl_context *out_context)
{
    struct tl_context context = {.is_remote = true};
    uint8_t version;

    if (!text || len < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-' ||
        !lower_hex((struct str){text, 2}, &version, 1) || version == 0xff ||
        !lower_hex((struct str){text + 3, 32}, context.trace_id, 16) ||
        !lower_hex((struct str){text + 36, 16}, context.span_id, 8) ||
        !lower_hex((struct str){text + 53, 2}, &context.flags, 1) ||
        !is_valid(context.trace_id, 16) || !is_valid(context.span_id, 8))
        return false;
    // Version 00 is exactly 55 characters; a later one may go on behind a dash (3.2.4).
    if ((version == 0 && len != 55) || (len > 55 && text[55] != '-'))
        return false;
    context.flags &= 3;
    *out_context = context;
    return true;
}
