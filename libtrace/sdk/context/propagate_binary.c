// SPDX-License-Identifier: Apache-2.0
// OpenCensus' binary trace context (gRPC's grpc-trace-bin): a version and fields, each with its
// number: 0 the trace id, 1 the span id, 2 the options. Pure.

#include <throughline/propagate.h>

enum { BYTES = 29, TRACE_ID = 0, SPAN_ID = 1, OPTIONS = 2 };

size_t tl_binary_write(const struct tl_span_context *context, uint8_t out_bytes[29])
{
    if (!out_bytes || !tl_span_context_is_valid(context))
        return 0;
    out_bytes[0] = 0; // version
    out_bytes[1] = TRACE_ID;
    memcpy(out_bytes + 2, context->trace_id, 16);
    out_bytes[18] = SPAN_ID;
    memcpy(out_bytes + 19, context->span_id, 8);
    out_bytes[27] = OPTIONS;
    out_bytes[28] = context->flags & TL_FLAG_SAMPLED;
    return BYTES;
}

bool tl_binary_read(const uint8_t *bytes, size_t len, struct tl_span_context *out_context)
{
    static const uint8_t lengths[] = {16, 8, 1};
    struct tl_span_context read = {.is_remote = true};
    size_t at = 1;

    if (!bytes || !out_context || len == 0 || bytes[0] != 0)
        return false;
    // The first field that is unknown ends the reading: its length is unknown too.
    while (at < len && bytes[at] <= OPTIONS) {
        const uint8_t field = bytes[at++];

        if (len - at < lengths[field])
            return false;
        if (field == TRACE_ID)
            memcpy(read.trace_id, bytes + at, 16);
        else if (field == SPAN_ID)
            memcpy(read.span_id, bytes + at, 8);
        else
            read.flags = bytes[at] & TL_FLAG_SAMPLED;
        at += lengths[field];
    }
    if (!tl_span_context_is_valid(&read))
        return false;
    *out_context = read;
    return true;
}
