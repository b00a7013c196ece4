// SPDX-License-Identifier: Apache-2.0
// What every tap makes and the assembler takes: some bytes of one direction of one connection.
// Pure data; bytes are borrowed for the call.

#pragma once

#include "libtrace/base/str.h"

enum direction { DIRECTION_OUT, DIRECTION_IN }; // as the traced process sees it: written, read

enum conn_role { CONN_ROLE_UNKNOWN, CONN_ROLE_CLIENT, CONN_ROLE_SERVER };

// Which trace a message belongs to, as far as the tap knows. All-zero ids: not known.
struct segment_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];   // the id this message's own span must get (it may be on the wire)
    uint8_t parent_id[8]; // zero: root
    uint8_t flags;        // W3C flags
    bool is_known;
    bool is_written;  // the traceparent in the bytes is the tap's: its parent id is this span's own
    bool is_inferred; // joined by time and identity, not by the wire or a thread
};

struct segment {
    uint64_t conn; // unique for the life of the assembler: the socket cookie
    enum direction direction;
    uint64_t offset;  // of the first byte in this direction's stream; may begin anywhere
    uint64_t time_ns; // since 1970
    struct str bytes;
    uint32_t lost_bytes; // that follow `bytes` and were not copied
    struct segment_context context;
};

// What is known of a connection when it is first seen. Addresses are text without port.
struct connection {
    uint64_t conn;
    enum conn_role role;
    uint32_t pid;
    struct str local_address;
    uint16_t local_port;
    struct str peer_address;
    uint16_t peer_port;
    bool is_peer_traced; // the other end is a traced process here: its client span tells
};
