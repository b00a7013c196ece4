// SPDX-License-Identifier: Apache-2.0
// Which trace and span a message is, from what the tap knows and what the message carries. Pure.

#pragma once

#include "libtrace/conversation/segment.h"
#include "libtrace/model/span.h"

struct identity {
    uint8_t trace_id[TRACE_ID_BYTES];
    uint8_t span_id[SPAN_ID_BYTES];
    uint8_t parent_id[SPAN_ID_BYTES]; // all zero: root
    uint32_t flags;                   // as of a span
    bool is_inferred;
};

struct identity_source {
    enum direction direction;
    bool is_first;          // the first message of the segment: the context's span id is for it
    struct str traceparent; // of the message; empty: none
    const struct segment_context *context;
    uint64_t (*random)(void *random_self);
    void *random_self;
};

struct identity identity_choose(const struct identity_source *source);
