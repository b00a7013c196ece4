// SPDX-License-Identifier: Apache-2.0
// Where the body of a message ends. Pure; holds no bytes.

#pragma once

#include "libtrace/protocols/protocol.h"

enum body_state {
    BODY_GOES_ON,
    BODY_ENDED,
    BODY_LOST, // the end cannot be told from here on
};

struct body_reader {
    enum body kind;
    uint64_t left;  // of the body, or of the chunk
    unsigned phase; // of BODY_CHUNKED
    unsigned line_bytes;
};

// `message` has its head read. An empty body has ended at once.
enum body_state body_begin(struct body_reader *reader, const struct message *message);

// Takes bytes up to the end of the body; out_used says how many.
enum body_state body_take(struct body_reader *reader, struct str bytes, size_t *out_used);

// `lost` bytes were not seen. BODY_LOST also when they reach beyond the end.
enum body_state body_pass(struct body_reader *reader, uint64_t lost);
