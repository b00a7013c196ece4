// SPDX-License-Identifier: Apache-2.0
// The `ot` member of a tracestate (specification 1.60, "TraceState Handling"): threshold and
// explicit randomness of consistent sampling. Pure; any thread.

#pragma once

#include "libtrace/base/str.h"

// 56 bits: one more than the largest randomness, so that nothing reaches it.
#define TRACE_STATE_NEVER (UINT64_C(1) << 56)

enum { TRACE_STATE_ROOM = 512, THRESHOLD_DIGITS = 14 };

struct trace_state_ot {
    bool has_threshold;
    bool has_randomness;
    uint64_t threshold;
    uint64_t randomness;
};

// What is well formed of `th` and `rv`.
struct trace_state_ot trace_state_ot_read(struct str state);

// The digits of a threshold without the zeros at their end; "0" for 0. Terminated; returns how
// many.
size_t threshold_write(char out_text[static THRESHOLD_DIGITS + 1], uint64_t threshold);

// The tracestate with that threshold, or without one (NULL): `ot` first, its other sub-keys and the
// other members kept in order. Where they find no room, long members and then the last ones go,
// as W3C Trace Context 3.3.1.5 says. Either `state` itself or text in `out_room`.
struct str trace_state_threshold_set(struct str state, const uint64_t *threshold,
                                     char out_room[static TRACE_STATE_ROOM]);
