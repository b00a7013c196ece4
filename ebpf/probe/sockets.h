// SPDX-License-Identifier: Apache-2.0
// The socket tap: loads the kernel side, attaches it to one cgroup, turns its records into
// segments. One thread calls everything but probe_exclude, which any thread may call.

#pragma once

#include "libtrace/base/why.h"
#include "libtrace/conversation/segment.h"

struct sockets_probe;

// Who wrote or read the bytes. Text lives for the call.
struct probe_process {
    uint32_t pid;
    struct str name;     // comm(5): up to 15 bytes
    bool is_peer_traced; // the other end is a followed process of this node
};

struct probe_plan {
    struct str cgroup; // below the v2 mount; "/": every process of the node
    bool is_writing;   // context into messages
    void *self;
    // A connection was opened; its process may not be known yet.
    void (*open)(void *self, const struct connection *connection);
    void (*data)(void *self, const struct segment *segment, const struct probe_process *process,
                 enum conn_role role);
    void (*close)(void *self, uint64_t conn, uint64_t time_ns);
};

// -EPERM: not privileged. -EOPNOTSUPP: this kernel cannot (no BTF, no cgroup v2, a program was
// refused); the reason says what.
int sockets_probe_start(const struct probe_plan *plan, struct sockets_probe **out_probe,
                        struct why *why);

// Waits up to `timeout_ms` and delivers what is there. The number of records, or -errno.
int sockets_probe_poll(struct sockets_probe *probe, int timeout_ms);

// These processes, and no others, are left alone: they report by themselves.
void sockets_probe_exclude(struct sockets_probe *probe, const uint32_t *pids, size_t count);

// Whether this kernel needs a second map, with a stream verdict, for programs that ask how much
// there is to read (ebpf/probe/sockmap.h).
bool sockets_probe_is_checking(const struct sockets_probe *probe);

void sockets_probe_stop(struct sockets_probe *probe);
