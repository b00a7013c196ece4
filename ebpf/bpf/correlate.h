// SPDX-License-Identifier: Apache-2.0
// Which request a thread works on, and on whose behalf it writes. The rules, in order of trust:
// a forwarded traceparent names the request exactly; in a process with a thread a request, the
// thread does; in a proxy with an event loop, what was read last since the loop waited. Whatever
// these leave open has no parent: a wrong one is worse than none.

#pragma once

#include "ebpf/bpf/trace_context.h"

// Programs whose event loop is known to serve what it has just read.
static __always_inline bool is_proxy_name(const char *comm)
{
    const __u64 name = *(const __u64 *)comm;

    return name == 0x786e69676e ||                // "nginx"
           name == 0x79786f72706168 ||            // "haproxy"
           (name & 0xffffffffff) == 0x796f766e65; // "envoy"
}

// A request begins: on a connection that the process accepted, or as a message delivered to it.
static __always_inline void request_begin(struct conn *conn, const struct tap_data *record)
{
    struct request *request = &conn->request;

    trace_id_make(request->trace_id);
    span_id_make(request->span_id);
    __builtin_memset(request->parent_id, 0, sizeof request->parent_id);
    request->cookie = record->head.cookie;
    request->flags = 1;
    request->is_valid = 1;
    request->is_proxy = is_proxy_name(record->comm);
    count(TAP_REQUESTS);
}

// Its head named a parent.
static __always_inline void request_parent(struct request *request,
                                           const struct traceparent *traceparent, __u64 who)
{
    struct inbound_key key = {};
    struct request *other;

    if (traceparent_read(traceparent, request) != 0)
        return;
    __builtin_memcpy(key.trace_id, request->trace_id, 16);
    __builtin_memcpy(key.parent_id, request->parent_id, 8);
    key.tgid = who >> 32;
    other = bpf_map_lookup_elem(&inbound, &key);
    if (other && other->cookie != request->cookie)
        other->is_valid = 0; // two requests with the same parent: which one is passed on is open
    else
        bpf_map_update_elem(&inbound, &key, request, BPF_ANY);
}

static __always_inline void thread_takes(__u64 who, const struct request *request)
{
    bpf_map_update_elem(&threads, &who, request, BPF_ANY);
}

// The thread waits for events: in an event loop it may go on with anybody's.
static __always_inline void thread_waits(__u64 who)
{
    const struct request *current = bpf_map_lookup_elem(&threads, &who);

    if (current && is_of_event_loop(current))
        bpf_map_delete_elem(&threads, &who);
}

// What a delivery began is no longer sure: another one came before the process wrote anything.
static __always_inline void thread_loses(__u64 who, __u64 cookie)
{
    const struct request *current = bpf_map_lookup_elem(&threads, &who);

    if (current && current->cookie == cookie)
        bpf_map_delete_elem(&threads, &who);
}

// Something came in on a connection that the process opened itself.
static __always_inline void answer_arrives(__u64 who, struct conn *conn, __u32 word)
{
    const struct request *current = bpf_map_lookup_elem(&threads, &who);

    // 1xx is not the answer yet; user space reads the rest.
    if (conn->protocol == CONN_HTTP1 && word == 0x48545450)
        conn->phase = CONN_IDLE;
    if (current && !is_of_event_loop(current))
        return;
    // An event loop goes on with the request that this answer belongs to; in programs that are no
    // known proxies that is not sure.
    if (conn->request.is_valid && conn->request.is_proxy && conn->writer == who)
        thread_takes(who, &conn->request);
    else if (current)
        bpf_map_delete_elem(&threads, &who);
}

// On whose behalf the thread writes to a connection that the process opened: conn->request.
static __always_inline void writer_find(__u64 who, struct conn *conn)
{
    const struct request *current = bpf_map_lookup_elem(&threads, &who);
    // A proxy connects for a request, then waits, then writes.
    const bool is_connected_for =
        conn->is_fresh && conn->request.is_valid && conn->request.is_proxy;

    conn->is_fresh = 0;
    conn->writer = who;
    if (is_connected_for && (!current || is_of_event_loop(current)))
        return;
    if (current)
        conn->request = *current;
    else
        conn->request.is_valid = 0;
}

// The request whose traceparent a message carries; false: the application wrote it.
static __always_inline bool forwarded_find(__u64 who, const struct traceparent *traceparent,
                                           struct request *inout_request)
{
    struct request carried = {};
    struct inbound_key key = {};
    const struct request *found;

    if (traceparent_read(traceparent, &carried) != 0)
        return false;
    __builtin_memcpy(key.trace_id, carried.trace_id, 16);
    __builtin_memcpy(key.parent_id, carried.parent_id, 8);
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
           *(__u64 *)inout_request->parent_id == *(__u64 *)carried.parent_id &&
           *(__u64 *)inout_request->trace_id == *(__u64 *)carried.trace_id &&
           *(__u64 *)(inout_request->trace_id + 8) == *(__u64 *)(carried.trace_id + 8);
}
