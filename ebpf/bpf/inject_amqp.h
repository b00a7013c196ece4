// SPDX-License-Identifier: Apache-2.0
// A traceparent in the headers table of an AMQP 0-9-1 message that a client publishes
// (specification 2.3.5 frames, 4.2.6.1 content header). Frames are followed by their lengths over
// any number of messages; a content header that is cut passes as it is.

#pragma once

#include "ebpf/bpf/message.h"

enum {
    AMQP_STEPS_MAX = 600,     // frames that are looked at in one message
    AMQP_FRAME_BYTES = 4096,  // that any peer takes (specification 4.2.3, frame-min-size)
    AMQP_NAME_BYTES = 11,     // of "traceparent"
    AMQP_SLACK_BYTES = 16384, // for what the kernel adds to a message's memory
    AMQP_HEAD_BYTES = 7,
    AMQP_FIXED_BYTES = 21, // frame head, class, weight, body size, flags
    AMQP_ENTRY_BYTES = 72, // name with length, type, value with length
    AMQP_TABLE_BYTES = 76, // the same with a table's length in front
    AMQP_FRAME_HEADER = 2,
    AMQP_CLASS_BASIC = 60,
    AMQP_HAS_TYPE = 0x8000,
    AMQP_HAS_ENCODING = 0x4000,
    AMQP_HAS_HEADERS = 0x2000,
    AMQP_SEARCH_BYTES = 4096,    // of a content header, for a traceparent that is there already
    AMQP_PIECE_BYTES = 128,      // of them at once
    AMQP_NAME_HEAD = 0x0b747261, // the name's length, "tra"
};

// What a message's frames share. Plain data: global functions take no pointers inside.
struct amqp {
    struct span_context context; // the span id is of the message written last
    __u32 written;
    __u32 is_off; // nobody would hear of what is written
};

// Reads the value of an entry whose name ends at `name_end` of the record.
static __noinline int amqp_value_at(const struct tap_data *record, __u32 name_end,
                                    struct traceparent *out)
{
    __u8 type[5] = {};

    if (name_end + sizeof type + TRACEPARENT_BYTES > record->copied)
        return -1;
    if (bpf_probe_read_kernel(type, sizeof type, record->data + name_end) != 0 || type[0] != 'S' ||
        type[1] || type[2] || type[3] || type[4] != TRACEPARENT_BYTES)
        return -1;
    return bpf_probe_read_kernel(out->text, TRACEPARENT_BYTES,
                                 record->data + name_end + sizeof type) == 0
               ? 0
               : -1;
}

static __always_inline __u32 be32(const __u8 *at)
{
    return (__u32)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

static __always_inline void be32_write(__u8 *to, __u32 value)
{
    to[0] = value >> 24;
    to[1] = value >> 16;
    to[2] = value >> 8;
    to[3] = value;
}

// Where the headers table (or the place for one) begins; 0 when the header is not as expected.
static __always_inline __u32 amqp_table_at(struct sk_msg_md *msg, __u32 pos, __u32 flags)
{
    __u32 at = pos + AMQP_FIXED_BYTES;
    __u8 *window;

    if (flags & AMQP_HAS_TYPE) {
        window = message_window(msg, at, 1);
        if (!window)
            return 0;
        at += 1 + window[0];
    }
    if (flags & AMQP_HAS_ENCODING) {
        window = message_window(msg, at, 1);
        if (!window)
            return 0;
        at += 1 + window[0];
    }
    return at;
}

// Searches up to AMQP_PIECE_BYTES on from `at`. Global, so verified once. Negative: not to be had.
__noinline int amqp_search(struct sk_msg_md *msg, struct scan *scan, __u32 at, __u32 len)
{
    const __u8 *window;
    const __u8 *end;

    if (!msg || !scan || bpf_msg_pull_data(msg, at, at + len, 0) != 0)
        return -1;
    window = (const __u8 *)(long)msg->data;
    end = (const __u8 *)(long)msg->data_end;
    for (__u32 i = 0; i < AMQP_PIECE_BYTES; i++) {
        if (window + i + 1 > end)
            break;
        scan->before = scan->before << 8 | scan->last >> 56;
        scan->last = scan->last << 8 | window[i];
        if (scan->last == SCAN_NAME_TAIL && (__u32)scan->before == AMQP_NAME_HEAD)
            scan->names++;
    }
    return 0;
}

// A table that names a traceparent already is left alone; so is one where that cannot be told.
static __always_inline bool amqp_has_traceparent(struct sk_msg_md *msg, __u32 from, __u32 len)
{
    struct scan scan = {};

    if (len > AMQP_SEARCH_BYTES)
        return true;
    for (__u32 at = 0; at < AMQP_SEARCH_BYTES; at += AMQP_PIECE_BYTES) {
        const __u32 left = len - at;

        if (at >= len)
            break;
        if (amqp_search(msg, &scan, from + at, left < AMQP_PIECE_BYTES ? left : AMQP_PIECE_BYTES) !=
            0)
            return true;
    }
    return scan.names > 0;
}

// Writes the entry at `at`, behind a table's length when there is no table yet.
static __always_inline int amqp_entry_write(struct sk_msg_md *msg, __u32 at, bool has_table,
                                            const struct traceparent *traceparent)
{
    __u8 *to;

    if (!has_table) {
        to = message_window(msg, at, 4);
        if (!to)
            return -1;
        be32_write(to, AMQP_ENTRY_BYTES);
        at += 4;
    }
    to = message_window(msg, at, AMQP_ENTRY_BYTES);
    if (!to)
        return -1;
    to[0] = 11;
    __builtin_memcpy(to + 1, "traceparent", 11);
    to[12] = 'S';
    be32_write(to + 13, TRACEPARENT_BYTES);
    __builtin_memcpy(to + 17, traceparent->text, TRACEPARENT_BYTES);
    return 0;
}

static __always_inline bool amqp_flags(struct sk_msg_md *msg, __u32 pos, __u32 *out_flags)
{
    const __u8 *window = message_window(msg, pos, AMQP_FIXED_BYTES);

    if (!window || window[7] != 0 || window[8] != AMQP_CLASS_BASIC)
        return false;
    *out_flags = (__u32)window[19] << 8 | window[20];
    return !(*out_flags & 1); // more flags follow: no client sends this
}

// Makes room at `at`, fills it, and commits the lengths last. The payload's new length, or -1 for a
// message that must be dropped.
static __always_inline int amqp_entry_add(struct sk_msg_md *msg, __u32 pos, __u32 len, __u32 at,
                                          __u32 flags, const struct traceparent *traceparent)
{
    const bool has_table = flags & AMQP_HAS_HEADERS;
    const __u32 more = has_table ? AMQP_ENTRY_BYTES : AMQP_TABLE_BYTES;
    __u32 table_bytes = AMQP_ENTRY_BYTES;
    __u8 *window;

    if (has_table) {
        window = message_window(msg, at, 4);
        if (!window)
            return len;
        table_bytes += be32(window);
        at += 4;
    }
    if (message_push(msg, at, more) != 0) {
        count(TAP_WRITE_FAILED);
        return len;
    }
    if (amqp_entry_write(msg, at, has_table, traceparent) != 0)
        return message_pop(msg, at, more) == SK_PASS ? (int)len : -1;
    if (has_table) {
        window = message_window(msg, at - 4, 4);
        if (!window)
            return message_pop(msg, at, more) == SK_PASS ? (int)len : -1;
        be32_write(window, table_bytes);
    }
    window = message_window(msg, pos, AMQP_FIXED_BYTES);
    if (!window)
        return -1; // the table's length is changed already
    be32_write(window + 3, len + more);
    window[19] = (flags | AMQP_HAS_HEADERS) >> 8;
    window[20] = flags;
    return len + more;
}

// The content header at `pos`, whose payload has `len` bytes. As amqp_entry_add.
__noinline int amqp_header_write(struct sk_msg_md *msg, struct amqp *amqp, __u32 pos, __u32 len)
{
    struct traceparent traceparent = {};
    __u32 flags = 0;
    __u32 at;
    int new_len;

    if (!msg || !amqp)
        return len;
    if (len + AMQP_TABLE_BYTES + AMQP_HEAD_BYTES + 1 > AMQP_FRAME_BYTES ||
        !amqp_flags(msg, pos, &flags))
        return len;
    at = amqp_table_at(msg, pos, flags);
    if (!at || at > pos + AMQP_HEAD_BYTES + len)
        return len;
    if (amqp_has_traceparent(msg, pos + AMQP_HEAD_BYTES, len)) {
        count(TAP_LEFT_ALONE);
        return len;
    }
    span_id_make(amqp->context.span_id);
    traceparent_make(&traceparent, &amqp->context);
    new_len = amqp_entry_add(msg, pos, len, at, flags, &traceparent);
    if (new_len > (int)len) {
        amqp->written++;
        count(TAP_WRITTEN_AMQP);
    }
    return new_len;
}

// One frame, or what is left of one. Returns the next position, or -1: drop the message.
__noinline int amqp_step(struct sk_msg_md *msg, struct conn *conn, struct amqp *amqp, __u32 pos,
                         __u32 size)
{
    __u8 *window;
    __u32 len;
    int new_len;

    if (!msg || !conn || !amqp)
        return size;
    if (conn->amqp_skip) {
        const __u32 left = size - pos;
        const __u32 skip = conn->amqp_skip;

        conn->amqp_skip = skip > left ? skip - left : 0;
        return skip > left ? size : pos + skip;
    }
    if (conn->amqp_head_bytes || pos + AMQP_HEAD_BYTES > size) {
        // A frame's head in two messages: its first bytes are gone already.
        window = message_window(msg, pos, 1);
        if (!window)
            return size;
        conn->amqp_head[conn->amqp_head_bytes & 7] = window[0];
        conn->amqp_head_bytes++;
        if (conn->amqp_head_bytes < AMQP_HEAD_BYTES)
            return pos + 1;
        conn->amqp_head_bytes = 0;
        conn->amqp_skip = be32(conn->amqp_head + 3) + 1;
        return pos + 1;
    }
    window = message_window(msg, pos, AMQP_HEAD_BYTES);
    if (!window)
        return size;
    len = be32(window + 3);
    new_len = len;
    if (window[0] == AMQP_FRAME_HEADER && len >= 14 && !amqp->is_off) {
        if (pos + AMQP_HEAD_BYTES + len > size)
            count(TAP_HEAD_OPEN);
        else
            new_len = amqp_header_write(msg, amqp, pos, len);
        if (new_len < 0)
            return -1;
    }
    // The whole frame at once, when it is here.
    new_len += AMQP_HEAD_BYTES + 1;
    size += new_len - len - AMQP_HEAD_BYTES - 1;
    if (pos + new_len <= size)
        return pos + new_len;
    conn->amqp_skip = pos + new_len - size;
    return size;
}

// SK_PASS or SK_DROP.
static __noinline int amqp_write(struct sk_msg_md *msg, struct conn *conn, struct amqp *amqp)
{
    __u32 pos = 0;

    if (conn->protocol == CONN_UNKNOWN) {
        conn->protocol = CONN_AMQP;
        conn->amqp_skip = 8; // the protocol header
    }
    for (__u32 i = 0; i < AMQP_STEPS_MAX; i++) {
        const __u32 size = message_bytes(msg);
        int next;

        if (pos >= size)
            return SK_PASS;
        next = amqp_step(msg, conn, amqp, pos, size);
        if (next < 0)
            return SK_DROP;
        pos = next;
    }
    // More frames in one message than are followed: where the next one begins is lost.
    conn->protocol = CONN_OTHER;
    count(TAP_HEAD_OPEN);
    return SK_PASS;
}
