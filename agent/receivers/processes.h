// SPDX-License-Identifier: Apache-2.0
// Who the processes are whose traffic is seen: the resource of each, read once from /proc while it
// lives. One thread.

#pragma once

#include "libtrace/base/bytes.h"

struct process {
    uint32_t pid;
    uint64_t seen_ns;
    uint64_t read_ns;
    uint64_t started;      // clock ticks after boot; 0: it was gone before it could be read
    struct bytes resource; // encoded
    struct process *next;
};

struct processes;

struct processes *processes_new(void);
void processes_free(struct processes *processes);

// The process, read now if it is new or the id was given to another. `name` is what the kernel
// calls it, for one that is gone already. NULL without memory. Valid until processes_forget.
struct process *processes_find(struct processes *processes, uint32_t pid, struct str name,
                               uint64_t now_ns);

// Forgets what was not seen since `before_ns`.
void processes_forget(struct processes *processes, uint64_t before_ns);
