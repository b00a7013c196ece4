// SPDX-License-Identifier: Apache-2.0
// The ring of this process and how it reaches the node agent. Any thread; nothing here blocks.

#pragma once

#include "libtrace/base/ring.h"

// The ring, made on first use; NULL without memory or when the SDK is disabled. *out_scope is the
// table entry that records refer to.
struct ring *hand_over_ring(uint32_t *out_scope);

// At most once a second: connects to the agent and passes the ring, or notices that it is gone.
void hand_over_tick(uint64_t now_ns);

bool hand_over_is_disabled(void);
