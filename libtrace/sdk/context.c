// SPDX-License-Identifier: Apache-2.0
// W3C Trace Context at the public API: traceparent both ways. Pure.

#include <throughline/throughline.h>

#include "libtrace/model/traceparent.h"

bool tl_traceparent_write(const struct tl_span_context *context, char out_text[56])
{
    struct traceparent traceparent;

    out_text[0] = '\0';
    if (!context)
        return false;
    memcpy(traceparent.trace_id, context->trace_id, TRACE_ID_BYTES);
    memcpy(traceparent.span_id, context->span_id, SPAN_ID_BYTES);
    traceparent.flags = context->flags;
    return traceparent_write(&traceparent, out_text);
}

bool tl_traceparent_read(const char *text, size_t len, struct tl_span_context *out_context)
{
    struct tl_span_context context = {.is_remote = true};
    struct traceparent traceparent;

    if (!traceparent_read((struct str){text, len}, &traceparent))
        return false;
    memcpy(context.trace_id, traceparent.trace_id, TRACE_ID_BYTES);
    memcpy(context.span_id, traceparent.span_id, SPAN_ID_BYTES);
    context.flags = traceparent.flags;
    *out_context = context;
    return true;
}
