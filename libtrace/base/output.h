// SPDX-License-Identifier: Apache-2.0
// Writing where a reader may have gone away, inside a program that is not ours. Any thread.

#pragma once

#include <signal.h>

#include "libtrace/base/str.h"

// Between the two calls a write to a closed pipe or connection gives EPIPE and no SIGPIPE reaches
// the program; one that was pending before stays. On the same thread, not nested.
struct sigpipe_hold {
    sigset_t before;
    bool was_pending;
};
void sigpipe_hold(struct sigpipe_hold *hold);
void sigpipe_release(const struct sigpipe_hold *hold);

// Writes all of it, waiting for room at most until the deadline (CLOCK_MONOTONIC; 0: none).
// 0, -ETIMEDOUT or another -errno; *out_written says how far it came, also then.
int output_write(int fd, struct str text, uint64_t deadline_mono_ns, size_t *out_written);
