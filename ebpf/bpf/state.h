// SPDX-License-Identifier: Apache-2.0
// What the kernel side remembers: connections, and the request that each thread works on.

#pragma once

#include "ebpf/bpf/kernel.h"
#include "ebpf/shared/sockets.h"

enum { CONNECTIONS_MAX = 65536, THREADS_MAX = 65536, INBOUND_MAX = 65536 };

// One request that a process is serving: what goes out on its behalf becomes a child of span_id.
struct request {
    __u8 trace_id[16];
    __u8 span_id[8];   // of the server span
    __u8 parent_id[8]; // as read from the wire; zero: the server span is a root
    __u64 cookie;      // of the connection it came by
    __u64 begun_ns;
    __u32 line_hash; // of method and target; 0: not known
    __u8 flags;
    __u8 is_valid;
    __u8 proxy; // enum proxy
    __u8 pad_;
};

// CONN_OTHER is for good: what is not understood from its first byte on is never written into.
enum conn_protocol { CONN_UNKNOWN, CONN_HTTP1, CONN_AMQP, CONN_OTHER };

// All but CONN_IDLE count as one open request of the process that serves.
enum conn_phase {
    CONN_IDLE,
    CONN_HEAD_OPEN, // accepted: a request's head has begun and not ended
    CONN_AWAITS,    // a request went out or came in; its answer has not begun
    CONN_LOST,      // accepted, for good: nobody knows which request is served
};

// How far the event loop of a program is known.
enum proxy {
    PROXY_NONE,
    PROXY_LOOP, // it serves what it has just read
    PROXY_LINE, // it reads from several first; it passes first lines on as they are
};

struct conn {
    struct request request; // server: being served; client: on whose behalf was written last
    __u64 writer;           // pid and tid that wrote last, or connected
    __u64 reader;           // pid and tid that read the request
    __u64 in_offset;
    __u64 out_offset;
    __u64 body_left;      // of the request's body, still to come
    __s32 fd;             // of the last read
    __u32 peer_tgid;      // accepted: the process of this node that opened it
    __u32 next_seq;       // where the next message must begin, if the last one was taken whole
    __u32 amqp_skip;      // bytes of the current frame that are still to pass
    __u8 amqp_head[8];    // of a frame whose head was cut by the end of a message
    __u8 amqp_head_bytes; // gathered of it
    __u8 role;
    __u8 protocol;
    __u8 phase;
    __u8 is_chunked;     // the body's length is not known before its end
    __u8 is_polled;      // somebody waits for it among others
    __u8 is_fresh;       // opened: nothing was written yet
    __u8 is_sent;        // next_seq is set
    __u8 is_mapped;      // sk_msg sees what is sent
    __u8 is_checked;     // in the map with a stream verdict
    __u8 is_peer_traced; // the other end is followed on this node, too
    __u8 pad_[5];
};

// Who opens a connection, and for which request; goes with the socket.
struct opening {
    struct request request;
    __u64 writer;
    __u64 cookie;
    __u64 address; // of the socket, to read from
    __u64 wants_check;
};

// A traceparent that came in, so that a proxy which passes it on can be told exactly.
struct inbound_key {
    __u8 trace_id[16];
    __u8 parent_id[8];
    __u32 tgid;
    __u8 flags;
    __u8 pad_[3];
};

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, CONNECTIONS_MAX);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, __u64);
    __type(value, struct conn);
} connections SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_SOCKHASH);
    __uint(max_entries, CONNECTIONS_MAX);
    __type(key, __u64);
    __type(value, __u64);
} sockets SEC(".maps");

// Of programs that ask how much there is to read, on kernels that answer wrong for a socket in a
// map without a stream verdict (ebpf/probe/sockmap.h).
struct {
    __uint(type, BPF_MAP_TYPE_SOCKHASH);
    __uint(max_entries, CONNECTIONS_MAX);
    __type(key, __u64);
    __type(value, __u64);
} sockets_checked SEC(".maps");

// Processes that were seen asking.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, TAP_EXCLUDED_MAX);
    __type(key, __u32);
    __type(value, __u8);
} asking SEC(".maps");

// Processes with a connection whose requests are not seen (TLS, HTTP/2): what is open is not all.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, TAP_EXCLUDED_MAX);
    __type(key, __u32);
    __type(value, __u8);
} opaque SEC(".maps");

// Requests that are open, by the thread that read them (pid and tid) and by process (pid and 0).
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, THREADS_MAX);
    __type(key, __u64);
    __type(value, __s64);
} open_requests SEC(".maps");

// Requests of proxies that are open, by process and the hash of their first line.
struct line_key {
    __u32 tgid;
    __u32 line_hash;
};

struct line {
    struct request request; // not valid when there are several
    __s64 open;
};

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, THREADS_MAX);
    __type(key, struct line_key);
    __type(value, struct line);
} lines SEC(".maps");

// The ends of what followed processes opened, as the other end would write them; and which process.
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, CONNECTIONS_MAX);
    __type(key, struct tap_ends);
    __type(value, __u32);
} opened SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_SK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct opening);
} openings SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, THREADS_MAX);
    __type(key, __u64);
    __type(value, struct request);
} threads SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, INBOUND_MAX);
    __type(key, struct inbound_key);
    __type(value, struct request);
} inbound SEC(".maps");

// Processes that report by themselves.
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, TAP_EXCLUDED_MAX);
    __type(key, __u32);
    __type(value, __u8);
} excluded SEC(".maps");

// Index 0: the cgroup whose processes are traced.
struct {
    __uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} traced SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, TAP_COUNTERS);
    __type(key, __u32);
    __type(value, __u64);
} counters SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 1 << 24);
} events SEC(".maps");

// Set before loading: whether context is written at all, and whether this kernel needs the second
// map of sockets.
const volatile bool is_writing = true;
const volatile bool needs_check;

// Moved on by user space while it lives (CLOCK_MONOTONIC): after it, every message just passes.
__u64 alive_until_ns;

static __always_inline void count(__u32 counter)
{
    __u64 *value = bpf_map_lookup_elem(&counters, &counter);

    if (value)
        __sync_fetch_and_add(value, 1);
}

// The PID namespace of user space, when it is not the first one: process ids mean something only
// there. Set before loading, so that elsewhere the verifier never sees the branch.
const volatile __u64 pid_namespace_dev;
const volatile __u64 pid_namespace_ino;

// Process and thread, as user space knows them. Of a process outside its namespace: as the host
// does.
static __always_inline __u64 current_who(void)
{
    struct bpf_pidns_info info = {};

    if (pid_namespace_ino &&
        bpf_get_ns_current_pid_tgid(pid_namespace_dev, pid_namespace_ino, &info, sizeof info) == 0)
        return (__u64)info.tgid << 32 | info.pid;
    return bpf_get_current_pid_tgid();
}

static __always_inline bool is_excluded(__u64 who)
{
    const __u32 tgid = who >> 32;

    return bpf_map_lookup_elem(&excluded, &tgid) != 0;
}

// The name of the program, not of the thread: the first eight bytes of it, as a number.
static __always_inline __u64 program_name(char *out_comm)
{
    struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();

    bpf_probe_read_kernel(out_comm, TAP_COMM_BYTES, task->group_leader->comm);
    return *(__u64 *)out_comm;
}

// The connection behind a descriptor of the current process; NULL: none that is followed. The
// cookie is 0 when the descriptor is no socket that has one.
static __always_inline struct conn *conn_of_fd(__u32 fd, __u64 *out_cookie)
{
    struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
    struct fdtable *table = task->files->fdt;
    struct file **slots = table->fd;
    struct file *file = 0;
    struct socket *socket;
    __u64 cookie;

    *out_cookie = 0;
    if (fd >= table->max_fds || bpf_probe_read_kernel(&file, sizeof file, &slots[fd]) != 0 || !file)
        return 0;
    if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
        return 0;
    socket = BPF_CORE_READ(file, private_data);
    cookie = BPF_CORE_READ(socket, sk, __sk_common.skc_cookie.counter);
    if (!cookie)
        return 0;
    *out_cookie = cookie;
    return bpf_map_lookup_elem(&connections, &cookie);
}
