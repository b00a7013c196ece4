// SPDX-License-Identifier: Apache-2.0
// Which request a thread works on, and on whose behalf it writes. The rules, in order of trust: a
// forwarded traceparent names the request exactly; in a process with a thread a request, the thread
// does; in a proxy with an event loop, the same first line does, or what was read last since the
// loop waited. Whatever these leave open has no parent: a wrong one is worse than none.

#pragma once

#include "ebpf/bpf/frames.h"

#define SAME_PARENT_NS 60000000000ULL // how long a parent that came twice stays doubtful

// Programs that pass requests on in one event loop a thread.
static __always_inline __u8 proxy_of(const char *comm)
{
    const __u64 name = *(const __u64 *)comm;

    if (name == 0x786e69676e) // "nginx"
        return PROXY_LOOP;
    if (name == 0x79786f72706168 || (name & 0xffffffffff) == 0x796f766e65) // "haproxy", "envoy"
        return PROXY_LINE;
    return PROXY_NONE;
}

// The connection whose request it is, as long as that was not answered. NULL: it is over.
static __always_inline struct conn *request_conn(const struct request *request)
{
    const __u64 cookie = request->cookie;
    struct conn *conn = bpf_map_lookup_elem(&connections, &cookie);

    if (!conn || (conn->phase != CONN_AWAITS && conn->phase != CONN_HEAD_OPEN) ||
        *(__u64 *)conn->request.span_id != *(const __u64 *)request->span_id)
        return 0;
    return conn;
}

static __always_inline __u64 process_of(__u64 who)
{
    return who >> 32 << 32;
}

static __always_inline void open_count(__u64 who, __s64 more)
{
    const __s64 none = 0;
    __s64 *open;

    bpf_map_update_elem(&open_requests, &who, &none, BPF_NOEXIST);
    open = bpf_map_lookup_elem(&open_requests, &who);
    if (open)
        __sync_fetch_and_add(open, more);
}

static __always_inline bool is_only_one(__u64 who)
{
    const __s64 *open = bpf_map_lookup_elem(&open_requests, &who);

    return open && *open == 1;
}

static __always_inline void line_end(const struct conn *conn)
{
    const struct line_key key = {.tgid = conn->reader >> 32, .line_hash = conn->request.line_hash};
    struct line *line = key.line_hash ? bpf_map_lookup_elem(&lines, &key) : 0;

    if (!line)
        return;
    if (line->open > 1)
        __sync_fetch_and_add(&line->open, -1);
    else
        bpf_map_delete_elem(&lines, &key);
}

// The request of a connection is over.
static __always_inline void request_end(struct conn *conn)
{
    if (conn->phase == CONN_IDLE)
        return;
    open_count(conn->reader, -1);
    open_count(process_of(conn->reader), -1);
    line_end(conn);
    conn->phase = CONN_IDLE;
}

// A request begins: on a connection that the process accepted, or as a message delivered to it.
static __always_inline void request_begin(struct conn *conn, const struct tap_data *record,
                                          __u64 who, __u8 phase)
{
    struct request *request = &conn->request;

    trace_id_make(request->trace_id);
    span_id_make(request->span_id);
    __builtin_memset(request->parent_id, 0, sizeof request->parent_id);
    request->cookie = record->head.cookie;
    request->begun_ns = record->head.time_ns;
    request->line_hash = 0;
    request->flags = 1;
    request->is_valid = 1;
    request->proxy = proxy_of(record->comm);
    conn->reader = who;
    conn->phase = phase;
    open_count(who, 1);
    open_count(process_of(who), 1);
    count(TAP_REQUESTS);
}

// Takes over the trace and the parent that came with it.
static __always_inline bool request_context(struct request *request,
                                            const struct traceparent *traceparent,
                                            struct inbound_key *out_key)
{
    if (traceparent_read(traceparent, out_key) != 0)
        return false;
    __builtin_memcpy(request->trace_id, out_key->trace_id, 16);
    __builtin_memcpy(request->parent_id, out_key->parent_id, 8);
    request->flags = out_key->flags;
    return true;
}

// Its head named a parent.
static __always_inline void request_parent(struct request *request,
                                           const struct traceparent *traceparent, __u64 who)
{
    struct inbound_key key = {};
    struct request *other;

    if (!request_context(request, traceparent, &key))
        return;
    key.tgid = who >> 32;
    other = bpf_map_lookup_elem(&inbound, &key);
    if (other && (other->is_valid ? request_conn(other) != 0
                                  : request->begun_ns - other->begun_ns < SAME_PARENT_NS)) {
        // Two open requests with the same parent: which one is passed on is open, and stays so.
        other->is_valid = 0;
        other->begun_ns = request->begun_ns;
        return;
    }
    bpf_map_update_elem(&inbound, &key, request, BPF_ANY);
}

// A proxy's request is known by its first line while no other open one has the same.
static __always_inline void line_begin(struct request *request, __u32 line_hash, __u64 who)
{
    const struct line_key key = {.tgid = who >> 32, .line_hash = line_hash};
    struct line made = {.open = 1};
    struct line *line;

    if (request->proxy == PROXY_NONE || !line_hash)
        return;
    request->line_hash = line_hash;
    line = bpf_map_lookup_elem(&lines, &key);
    if (line) {
        line->request.is_valid = 0;
        __sync_fetch_and_add(&line->open, 1);
        return;
    }
    made.request = *request;
    bpf_map_update_elem(&lines, &key, &made, BPF_ANY);
}

static __always_inline void thread_takes(__u64 who, const struct request *request)
{
    bpf_map_update_elem(&threads, &who, request, BPF_ANY);
}

// What the thread works on, when that is sure. NULL: nothing, or nobody can say.
static __always_inline const struct request *thread_current(__u64 who)
{
    const struct request *current = bpf_map_lookup_elem(&threads, &who);
    const struct conn *conn = current ? request_conn(current) : 0;

    if (!conn)
        return 0;
    if (current->proxy != PROXY_NONE)
        return current->proxy == PROXY_LOOP ? current : 0;
    // A loop that is no known proxy may go on with any request that is open in its process; a
    // thread, with any that it has read.
    return is_only_one(conn->is_polled ? process_of(who) : who) ? current : 0;
}

static __always_inline void thread_drops(__u64 who)
{
    bpf_map_delete_elem(&threads, &who);
}

// The thread waits for events: in an event loop it may go on with anybody's.
static __always_inline void thread_waits(__u64 who)
{
    const struct request *current = bpf_map_lookup_elem(&threads, &who);
    const struct conn *conn = current ? request_conn(current) : 0;

    if (current && (!conn || conn->is_polled))
        thread_drops(who);
}

// Something came in on a connection that the process opened itself, or its end, or an error.
static __always_inline void answer_arrives(__u64 who, const struct conn *conn)
{
    const struct request *current = bpf_map_lookup_elem(&threads, &who);
    const struct conn *served = current ? request_conn(current) : 0;

    if (served && !served->is_polled)
        return;
    // A proxy goes on with the request that this answer belongs to; in programs that are no known
    // proxies that is not sure.
    if (conn->request.is_valid && conn->request.proxy == PROXY_LOOP && conn->writer == who &&
        request_conn(&conn->request))
        thread_takes(who, &conn->request);
    else if (current)
        thread_drops(who);
}

// On whose behalf the thread writes to a connection that the process opened: conn->request.
static __always_inline void writer_find(__u64 who, struct conn *conn)
{
    const struct request *current = thread_current(who);
    // A proxy connects for a request, then waits, then writes.
    const bool is_connected_for = conn->is_fresh && conn->request.is_valid &&
                                  conn->request.proxy == PROXY_LOOP && request_conn(&conn->request);

    conn->is_fresh = 0;
    conn->writer = who;
    if (is_connected_for && (!current || current->proxy == PROXY_LOOP))
        return;
    if (!current) {
        conn->request.is_valid = 0;
        return;
    }
    conn->request = *current;
    // One read, one request: what a timer of the loop sends next is another's.
    if (current->proxy == PROXY_LOOP)
        thread_drops(who);
}

// A proxy that passes on the very first line of one open request passes on that request; where not
// all requests are seen, the line can only say which one it is not.
static __always_inline void line_find(struct conn *conn, __u32 line_hash)
{
    const struct line_key key = {.tgid = conn->writer >> 32, .line_hash = line_hash};
    const struct line *line = bpf_map_lookup_elem(&lines, &key);

    if (!line)
        return;
    if (line->request.is_valid && request_conn(&line->request) &&
        !bpf_map_lookup_elem(&opaque, &key.tgid))
        conn->request = line->request;
    else if (conn->request.line_hash != line_hash)
        conn->request.is_valid = 0; // not the one that the loop suggests
}

// The request whose traceparent a message carries; false: the application wrote it.
static __always_inline bool forwarded_find(__u64 who, const struct traceparent *traceparent,
                                           struct request *inout_request)
{
    struct inbound_key key = {};
    const struct request *found;

    if (traceparent_read(traceparent, &key) != 0)
        return false;
    key.tgid = who >> 32;
    found = bpf_map_lookup_elem(&inbound, &key);
    if (!found)
        return false;
    if (found->is_valid) {
        *inout_request = *found;
        return true;
    }
    // Ambiguous by the wire: the thread may still know.
    return inout_request->is_valid &&
           *(__u64 *)inout_request->parent_id == *(__u64 *)key.parent_id &&
           *(__u64 *)inout_request->trace_id == *(__u64 *)key.trace_id &&
           *(__u64 *)(inout_request->trace_id + 8) == *(__u64 *)(key.trace_id + 8);
}
