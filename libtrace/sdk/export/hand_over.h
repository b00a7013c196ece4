// SPDX-License-Identifier: Apache-2.0
// How a ring reaches the node agent, over a unix socket. Under its caller's lock; nothing here
// blocks.

#pragma once

#include "libtrace/base/ring.h"

// Reads THROUGHLINE_SOCKET; once, before another thread may change the environment.
void hand_over_path_read(void);

// Connects and passes the ring: true when an agent has it now. Its end of the socket is ours to
// watch: as long as it is open the agent owns the reading.
bool hand_over_pass(const struct ring *ring);

// True while an agent has the ring.
bool hand_over_is_held(void);

// In the child of a fork: the parent's socket is let go.
void hand_over_forget(void);
