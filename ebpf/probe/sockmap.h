// SPDX-License-Identifier: Apache-2.0
// Whether a socket in a sockmap still tells how much there is to read. Some kernels (6.18 is one)
// answer 0 to FIONREAD for it, and nginx, Java and others then wait for ever; with a stream verdict
// program on the map those kernels answer right. So it is tried, on a connection of our own.

#pragma once

#include <stdbool.h>

#include "libtrace/base/why.h"

// Says whether the map must have a stream verdict program. -EPERM: not privileged. -EOPNOTSUPP:
// neither way is right, or it could not be tried.
int sockmap_needs_verdict(bool *out_needs, struct why *why);
