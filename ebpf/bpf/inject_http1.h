// SPDX-License-Identifier: Apache-2.0
// A traceparent in the head of an HTTP/1 request (RFC 9112 2.1): a line of its own after the
// request line, or our span id in the one that a proxy passes on.

#pragma once

#include "ebpf/bpf/frames.h"
#include "ebpf/bpf/message.h"

enum { HTTP1_LINE_BYTES = 70, HTTP1_BLANKS_MAX = 4 };

// Puts the line in. SK_PASS or SK_DROP; *out_is_written says whether it is there.
static __noinline int http1_write(struct sk_msg_md *msg, __u32 at,
                                  const struct traceparent *traceparent, bool *out_is_written)
{
    __u8 *to;

    if (message_push(msg, at, HTTP1_LINE_BYTES) != 0) {
        count(TAP_WRITE_FAILED);
        return SK_PASS;
    }
    to = message_window(msg, at, HTTP1_LINE_BYTES);
    if (!to)
        return message_pop(msg, at, HTTP1_LINE_BYTES);
    __builtin_memcpy(to, "traceparent: ", 13);
    __builtin_memcpy(to + 13, traceparent->text, TRACEPARENT_BYTES);
    to[68] = '\r';
    to[69] = '\n';
    *out_is_written = true;
    count(TAP_WRITTEN_HTTP1);
    return SK_PASS;
}

// Reads the value behind the name, which ends at `name_end` of the record.
static __noinline int http1_value_at(const struct tap_data *record, __u32 name_end, __u32 *out_at,
                                     struct traceparent *out)
{
    __u8 blanks[HTTP1_BLANKS_MAX + 1] = {};
    __u32 at = name_end;

    if (name_end + sizeof blanks + TRACEPARENT_BYTES > record->copied)
        return -1;
    if (bpf_probe_read_kernel(blanks, sizeof blanks, record->data + at) != 0 || blanks[0] != ':')
        return -1;
    at++;
    for (__u32 i = 1; i <= HTTP1_BLANKS_MAX; i++) {
        if (blanks[i] != ' ' && blanks[i] != '\t')
            break;
        at++;
    }
    if (bpf_probe_read_kernel(out->text, TRACEPARENT_BYTES, record->data + at) != 0)
        return -1;
    *out_at = at;
    return 0;
}

// Puts our span id where the forwarded traceparent, whose value is at `at`, has its parent id.
static __noinline int http1_rewrite(struct sk_msg_md *msg, __u32 at,
                                    const struct traceparent *traceparent, bool *out_is_written)
{
    __u8 *to = message_window(msg, at, TRACEPARENT_BYTES);

    if (!to) {
        count(TAP_WRITE_FAILED);
        return SK_PASS;
    }
    __builtin_memcpy(to + 36, traceparent->text + 36, 16);
    *out_is_written = true;
    count(TAP_REWRITTEN_HTTP1);
    return SK_PASS;
}
