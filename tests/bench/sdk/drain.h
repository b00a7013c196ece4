// SPDX-License-Identifier: Apache-2.0
// The agent's side of the ring, as small as can be: a process of its own that takes the ring and
// empties it, counting records.

#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// The count, in memory shared with the process that drains; NULL without it. `with_agent`: starts
// that process and sets THROUGHLINE_SOCKET; it ends with this one.
_Atomic uint64_t *drain_start(bool with_agent);
