// SPDX-License-Identifier: Apache-2.0
// An outgoing message while sk_msg has it: looking at it and changing it.

#pragma once

#include "ebpf/bpf/trace_context.h"

enum { LINEAR_BYTES_MAX = 32768 };

static __always_inline __u32 message_bytes(struct sk_msg_md *msg)
{
    return CONTEXT_LOAD(msg, struct sk_msg_md, size);
}

// `len` bytes (a constant) at offset `at`, in one piece; NULL when they are not there. What an
// earlier call gave is no longer valid.
static __always_inline __u8 *message_window(struct sk_msg_md *msg, __u32 at, const __u32 len)
{
    __u8 *from;
    __u8 *end;

    if (bpf_msg_pull_data(msg, at, at + len, 0) != 0)
        return 0;
    from = (__u8 *)(long)msg->data;
    end = (__u8 *)(long)msg->data_end;
    return from + len <= end ? from : 0;
}

// One scatterlist entry again: the kernel would send each entry as a segment of its own, and on
// sockets without TCP_NODELAY Nagle and delayed acknowledgements make that 40 ms a message.
static __always_inline void message_join(struct sk_msg_md *msg)
{
    const __u32 size = message_bytes(msg);

    bpf_msg_pull_data(msg, 0, size > LINEAR_BYTES_MAX ? LINEAR_BYTES_MAX : size, 0);
}

// Makes room. 0, or a negative error with the message as it was.
static __always_inline int message_push(struct sk_msg_md *msg, __u32 at, __u32 len)
{
    return bpf_msg_push_data(msg, at, len, 0) == 0 ? 0 : -1;
}

// Takes back room that could not be filled. SK_DROP when even that fails: better no message than a
// broken one.
static __always_inline int message_pop(struct sk_msg_md *msg, __u32 at, __u32 len)
{
    count(TAP_WRITE_FAILED);
    if (bpf_msg_pop_data(msg, at, len, 0) == 0)
        return SK_PASS;
    count(TAP_BLOCKED);
    return SK_DROP;
}
