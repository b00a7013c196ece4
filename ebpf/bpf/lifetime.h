// SPDX-License-Identifier: Apache-2.0
// When connections begin and end, and who opens them.

#pragma once

#include "ebpf/bpf/correlate.h"

#define OPS(field) CONTEXT_LOAD(ops, struct bpf_sock_ops, field)

static __always_inline void ends_read(struct bpf_sock_ops *ops, struct tap_ends *ends)
{
    __u32 *local = (__u32 *)ends->local;
    __u32 *peer = (__u32 *)ends->peer;

    ends->local_port = OPS(local_port);
    ends->peer_port = bpf_ntohl(OPS(remote_port));
    if (OPS(family) == AF_INET) {
        local[2] = bpf_htonl(0xffff);
        local[3] = OPS(local_ip4);
        peer[2] = bpf_htonl(0xffff);
        peer[3] = OPS(remote_ip4);
        return;
    }
    local[0] = OPS(local_ip6[0]);
    local[1] = OPS(local_ip6[1]);
    local[2] = OPS(local_ip6[2]);
    local[3] = OPS(local_ip6[3]);
    peer[0] = OPS(remote_ip6[0]);
    peer[1] = OPS(remote_ip6[1]);
    peer[2] = OPS(remote_ip6[2]);
    peer[3] = OPS(remote_ip6[3]);
}

// The same connection as its other end would write it.
static __always_inline void ends_turn(const struct tap_ends *ends, struct tap_ends *out)
{
    __builtin_memcpy(out->local, ends->peer, sizeof out->local);
    __builtin_memcpy(out->peer, ends->local, sizeof out->peer);
    out->local_port = ends->peer_port;
    out->peer_port = ends->local_port;
    out->pad_ = 0;
}

// A client is noted, for the server that asks; both ends of a connection may be on this node.
static __always_inline void peer_note(struct conn *conn, const struct tap_ends *ends)
{
    const __u32 tgid = conn->writer >> 32;
    struct tap_ends turned;
    const __u32 *opener;

    if (conn->role == TAP_CLIENT) {
        ends_turn(ends, &turned);
        bpf_map_update_elem(&opened, &turned, &tgid, BPF_ANY);
        return;
    }
    opener = bpf_map_lookup_elem(&opened, ends);
    if (!opener)
        return;
    conn->peer_tgid = *opener;
    conn->is_peer_traced = 1;
}

static __always_inline void open_report(const struct tap_ends *ends, __u64 cookie,
                                        const struct conn *conn)
{
    struct tap_open *record = bpf_ringbuf_reserve(&events, sizeof *record, 0);

    count(TAP_RECORDS);
    if (!record) {
        count(TAP_RECORDS_DROPPED);
        return;
    }
    __builtin_memset(record, 0, sizeof *record);
    record->head.time_ns = bpf_ktime_get_ns();
    record->head.cookie = cookie;
    record->head.kind = TAP_OPEN;
    record->head.role = conn->role;
    record->head.context = conn->is_peer_traced ? TAP_PEER_TRACED : 0;
    record->ends = *ends;
    bpf_ringbuf_submit(record, wake_flag());
}

// Programs that are known to ask how much there is to read.
static __always_inline bool is_asking_name(__u64 name)
{
    return name == 0x786e69676e || // "nginx"
           name == 0x6176616a ||   // "java"
           name == 0x74656e746f64; // "dotnet"
}

// Who connects, and for which request, is known only here: the rest happens when packets arrive.
static __always_inline int connects(struct bpf_sock_addr *address)
{
    const __u64 who = current_who();
    const __u32 tgid = who >> 32;
    const struct request *current;
    struct bpf_sock *sk = address->sk;
    struct opening *opening;
    char comm[TAP_COMM_BYTES];

    if (address->protocol != IPPROTO_TCP || !sk || is_excluded(who))
        return 1;
    opening = bpf_sk_storage_get(&openings, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (!opening)
        return 1;
    opening->writer = who;
    opening->wants_check =
        needs_check && (bpf_map_lookup_elem(&asking, &tgid) || is_asking_name(program_name(comm)));
    current = thread_current(who);
    if (!current) {
        opening->request.is_valid = 0;
        return 1;
    }
    opening->request = *current;
    // One read, one request (writer_find).
    if (current->proxy == PROXY_LOOP)
        thread_drops(who);
    return 1;
}

// So that sk_msg sees what is sent. Accepted sockets stay as they are: nothing is put into answers.
static __always_inline void socket_map(struct bpf_sock_ops *ops, __u64 cookie, struct conn *conn,
                                       bool wants_check)
{
    long failed;

    if (!is_writing)
        return;
    if (wants_check)
        failed = bpf_sock_hash_update(ops, &sockets_checked, &cookie, BPF_ANY);
    else
        failed = bpf_sock_hash_update(ops, &sockets, &cookie, BPF_ANY);
    if (failed) {
        count(TAP_CONNECTIONS_FULL);
        return;
    }
    conn->is_checked = wants_check;
    conn->is_mapped = 1;
}

static __always_inline void established(struct bpf_sock_ops *ops, __u8 role)
{
    __u64 cookie = bpf_get_socket_cookie(ops);
    struct conn made = {.role = role, .is_fresh = 1};
    struct bpf_sock *sk = ops->sk;
    struct opening *opening;
    struct tap_ends ends = {};
    struct conn *conn;

    if (!sk)
        return;
    if (bpf_map_update_elem(&connections, &cookie, &made, BPF_ANY) != 0) {
        count(TAP_CONNECTIONS_FULL);
        return;
    }
    conn = bpf_map_lookup_elem(&connections, &cookie);
    if (!conn)
        return;
    bpf_sock_ops_cb_flags_set(ops, BPF_SOCK_OPS_STATE_CB_FLAG);
    if (role == TAP_CLIENT) {
        opening = bpf_sk_storage_get(&openings, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
        if (opening) {
            opening->cookie = cookie;
            conn->request = opening->request;
            conn->writer = opening->writer;
            socket_map(ops, cookie, conn, opening->wants_check);
        }
    }
    ends_read(ops, &ends);
    peer_note(conn, &ends);
    count(TAP_CONNECTIONS);
    open_report(&ends, cookie, conn);
}

static __always_inline void closed(struct bpf_sock_ops *ops)
{
    __u64 cookie = bpf_get_socket_cookie(ops);
    struct conn *conn = bpf_map_lookup_elem(&connections, &cookie);
    struct tap_ends ends = {};
    struct tap_ends turned;

    if (!conn)
        return;
    if (conn->role == TAP_CLIENT) {
        ends_read(ops, &ends);
        ends_turn(&ends, &turned);
        bpf_map_delete_elem(&opened, &turned);
    }
    if (conn->role == TAP_SERVER || conn->protocol == CONN_AMQP)
        request_end(conn);
    bpf_map_delete_elem(&connections, &cookie);
    head_report(cookie, TAP_CLOSE, wake_flag());
}
