// SPDX-License-Identifier: Apache-2.0
// Segments in, spans out: two byte streams per connection become messages, messages become
// exchanges, exchanges become spans. Pure: no clock, no I/O, no kernel. One thread.

#pragma once

#include "libtrace/conversation/segment.h"
#include "libtrace/model/span.h"

struct assembler;

struct assembler_limits {
    size_t max_connections; // the least recently used one makes room
    // Buffered bytes and open exchanges of one connection, both directions; 256 KiB is usual.
    size_t max_bytes_each;
    // An exchange is told when its response began, its end cannot be seen any more and the
    // connection is silent for this long. 0: one second.
    uint64_t silence_ns;
};

// `connection` and `span` live for the call only.
typedef void assembler_emit(void *self, const struct connection *connection,
                            const struct span *span);

struct assembler_plan {
    struct assembler_limits limits;
    assembler_emit *emit;
    void *emit_self;
    // Any 64 random bits, for ids that no tap gave.
    uint64_t (*random)(void *random_self);
    void *random_self;
};

// Knows every protocol of libtrace/protocols. NULL without memory.
struct assembler *assembler_new(const struct assembler_plan *plan);

// Tells nothing more: what is open is counted as dropped.
void assembler_free(struct assembler *assembler);

// Says what is known of a connection; may come again with more. 0 or -ENOMEM.
int assembler_open(struct assembler *assembler, const struct connection *connection);

// A segment of a connection nobody opened opens it with nothing known.
void assembler_segment(struct assembler *assembler, const struct segment *segment);

// Ends the connection: what can be told of open exchanges is told. One that had no answer ends now.
void assembler_close(struct assembler *assembler, uint64_t conn, uint64_t time_ns);

// Tells what waits for nothing but silence, and forgets connections that were silent for `idle_ns`:
// what can be told of their open exchanges is told. To be called about once a second.
void assembler_tick(struct assembler *assembler, uint64_t now_ns, uint64_t idle_ns);
