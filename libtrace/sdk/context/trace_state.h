// SPDX-License-Identifier: Apache-2.0
// tracestate by the rules of W3C Trace Context level 2, section 3.3. Pure.

#pragma once

#include "libtrace/base/str.h"

enum {
    TRACE_STATE_MEMBERS_MAX = 32,
    TRACE_STATE_KEY_MAX = 256,
    TRACE_STATE_VALUE_MAX = 256,
    // 32 members with their equals signs, and commas between.
    TRACE_STATE_BYTES_MAX = TRACE_STATE_MEMBERS_MAX * (256 + 1 + 256) + 31,
};

// Whether the text is a list of 1 to 32 members with nothing between them but single commas.
bool trace_state_is_valid(struct str text);

// Copies the members of one header line to `to` (room for line.len + 1), behind the *inout_members
// that are there, without the blanks and empty members that a line may have. Returns the length, or
// -1 when a member is malformed or they are too many: then the whole tracestate is none.
int trace_state_add(char *to, struct str line, unsigned *inout_members);
