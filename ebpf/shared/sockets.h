// SPDX-License-Identifier: Apache-2.0
// What the kernel side of the socket tap tells user space: records of one ring buffer, and
// counters. Both sides include this, so: fixed widths, explicit padding, no pointers.

#pragma once

#include <linux/types.h>

enum {
    TAP_SMALL_BYTES = 512,
    TAP_USUAL_BYTES = 4096, // the most that is copied of a message that is no HTTP head
    TAP_HEAD_BYTES = 16384, // the most that is copied of an HTTP head
    TAP_COMM_BYTES = 16,
    TAP_EXCLUDED_MAX = 4096, // processes
};

// TAP_ASKED: a program asked for what the kernel would tell wrong; the socket must leave its map.
enum tap_kind { TAP_OPEN, TAP_DATA, TAP_CLOSE, TAP_ASKED };

enum tap_direction { TAP_OUT, TAP_IN };

enum tap_role { TAP_CLIENT, TAP_SERVER };

enum tap_context {
    TAP_CONTEXT_KNOWN = 1,   // the ids are set
    TAP_CONTEXT_WRITTEN = 2, // the traceparent in the bytes is ours: its parent id is span_id
    TAP_PEER_TRACED = 4,     // the other end is followed on this node, too
};

struct tap_head {
    __u64 time_ns; // CLOCK_MONOTONIC
    __u64 cookie;  // of the socket
    __u32 tgid;
    __u8 kind;
    __u8 role;
    __u8 direction;
    __u8 context;
};
_Static_assert(sizeof(struct tap_head) == 24, "ring layout");

// The two ends of a connection. IPv6 in network order, IPv4 mapped into it; ports in host order.
struct tap_ends {
    __u8 local[16];
    __u8 peer[16];
    __u16 local_port;
    __u16 peer_port;
    __u32 pad_;
};

struct tap_open {
    struct tap_head head;
    struct tap_ends ends;
};
_Static_assert(sizeof(struct tap_open) == 64, "ring layout");

// The record in the ring may be longer than `copied` says: what follows is not initialised.
struct tap_data {
    struct tap_head head;
    __u64 offset; // of the first byte in this direction's stream
    __u32 bytes;  // of the message
    __u32 copied; // of them here
    __u8 trace_id[16];
    __u8 span_id[8];
    __u8 parent_id[8];
    char comm[TAP_COMM_BYTES];
    __u8 flags; // W3C flags
    __u8 pad_[7];
    __u8 data[];
};
_Static_assert(sizeof(struct tap_data) == 96, "ring layout");

// A row each in ebpf/probe/stats.def, in this order.
enum tap_counter {
    TAP_RECORDS,          // that the kernel side wanted to hand over
    TAP_RECORDS_DROPPED,  // because the ring was full
    TAP_CONNECTIONS,      // seen
    TAP_CONNECTIONS_FULL, // not followed because a map was full
    TAP_REQUESTS,         // HTTP requests and delivered messages that were read
    TAP_WRITTEN_HTTP1,    // requests that got a traceparent
    TAP_REWRITTEN_HTTP1,  // requests whose forwarded traceparent got our parent id
    TAP_WRITTEN_AMQP,     // messages that got a traceparent
    TAP_LEFT_ALONE,       // messages that carried a traceparent of their own
    TAP_HEAD_OPEN,        // messages left alone because where they begin or end was not clear
    TAP_NO_ROOM,          // AMQP messages left alone because the socket might not take them whole
    TAP_CUT,              // messages that the socket did not take whole: their rest comes again
    TAP_WRITE_FAILED,     // messages that the kernel would not let us change
    TAP_BLOCKED,          // messages dropped because a half-made change could not be undone
    TAP_COUNTERS,
};
