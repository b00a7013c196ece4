// SPDX-License-Identifier: Apache-2.0
// Records on their way to user space. A reservation must have a constant size, so there are three;
// the reader is woken when an eighth of the ring is full, and looks by itself before.

#pragma once

#include "ebpf/bpf/state.h"

enum { RING_BYTES = 1 << 24 };

// What a record is made of.
struct capture {
    __u64 cookie;
    __u64 who;
    __u64 offset;
    const void *from;
    __u32 bytes;
    __u32 available; // behind `from`
    __u8 role;
    __u8 direction;
    __u8 is_user; // `from` is user memory
    __u8 is_peer_traced;
    __u8 pad_[4];
};

static __always_inline __u64 wake_flag(void)
{
    return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > RING_BYTES / 8 ? BPF_RB_FORCE_WAKEUP
                                                                          : BPF_RB_NO_WAKEUP;
}

static __always_inline void record_begin(struct tap_data *record, const struct capture *capture)
{
    __builtin_memset(record, 0, sizeof *record);
    record->head.time_ns = bpf_ktime_get_ns();
    record->head.cookie = capture->cookie;
    record->head.tgid = capture->who >> 32;
    record->head.kind = TAP_DATA;
    record->head.role = capture->role;
    record->head.direction = capture->direction;
    record->head.context = capture->is_peer_traced ? TAP_PEER_TRACED : 0;
    record->offset = capture->offset;
    record->bytes = capture->bytes;
    program_name(record->comm);
}

// Copies what is to be had. `limit` is what the record holds.
static __always_inline void record_fill(struct tap_data *record, const struct capture *capture,
                                        const __u32 limit)
{
    __u32 bytes = capture->bytes;
    long failed;

    if (bytes > capture->available)
        bytes = capture->available;
    // The verifier must see the bound on the very register that the helper takes.
    asm volatile("" : "+r"(bytes));
    if (bytes > limit)
        bytes = limit;
    failed = capture->is_user ? bpf_probe_read_user(record->data, bytes, capture->from)
                              : bpf_probe_read_kernel(record->data, bytes, capture->from);
    record->copied = failed ? 0 : bytes;
}

// A request that the process serves: its own span.
static __always_inline void request_to_record(struct tap_data *record,
                                              const struct request *request)
{
    __builtin_memcpy(record->trace_id, request->trace_id, sizeof record->trace_id);
    __builtin_memcpy(record->span_id, request->span_id, sizeof record->span_id);
    __builtin_memcpy(record->parent_id, request->parent_id, sizeof record->parent_id);
    record->flags = request->flags;
    record->head.context |= TAP_CONTEXT_KNOWN;
}

// A message written for a request, with nothing put into it: user space makes the span's id.
static __always_inline void parent_to_record(struct tap_data *record, const struct request *request)
{
    if (!request->is_valid)
        return;
    __builtin_memcpy(record->trace_id, request->trace_id, sizeof record->trace_id);
    __builtin_memcpy(record->parent_id, request->span_id, sizeof record->parent_id);
    record->flags = request->flags;
    record->head.context |= TAP_CONTEXT_KNOWN;
}

// A record that is nothing but its head. False: the ring is full.
static __always_inline bool head_report(__u64 cookie, __u8 kind, __u64 wake)
{
    struct tap_head *head = bpf_ringbuf_reserve(&events, sizeof *head, 0);

    count(TAP_RECORDS);
    if (!head) {
        count(TAP_RECORDS_DROPPED);
        return false;
    }
    __builtin_memset(head, 0, sizeof *head);
    head->time_ns = bpf_ktime_get_ns();
    head->cookie = cookie;
    head->kind = kind;
    bpf_ringbuf_submit(head, wake);
    return true;
}
