// SPDX-License-Identifier: Apache-2.0
// What system calls have read, and what they have written where sk_msg does not look. Requests
// begin and end here; what is not understood leaves no request behind.

#pragma once

#include "ebpf/bpf/correlate.h"
#include "ebpf/bpf/inject_amqp.h"
#include "ebpf/bpf/inject_http1.h"

enum { POLL_MAX = 64 };

// Bytes that a system call has read or written.
struct transfer {
    struct conn *conn;
    __u64 cookie;
    __u64 who;
    const void *from; // in user memory
    __u32 available;
    __u32 bytes;
    struct head head;
    __u8 direction;
    __u8 pad_[3];
};

// Which request the process serves on this connection is not known any more. It still is one: it
// stays counted.
static __always_inline void request_lose(struct transfer *transfer)
{
    const __u32 tgid = transfer->who >> 32;
    struct conn *conn = transfer->conn;
    const __u8 yes = 1;

    if (conn->phase == CONN_IDLE) {
        conn->reader = transfer->who;
        open_count(conn->reader, 1);
        open_count(process_of(conn->reader), 1);
    } else {
        line_end(conn);
    }
    conn->phase = CONN_LOST;
    conn->request.is_valid = 0;
    conn->request.line_hash = 0;
    bpf_map_update_elem(&opaque, &tgid, &yes, BPF_ANY);
    thread_drops(transfer->who);
}

// Requests that cannot be seen (TLS, HTTP/2, another protocol) come in here.
static __always_inline void client_unseen(const struct transfer *transfer)
{
    const __u32 tgid = transfer->who >> 32;
    const __u8 yes = 1;

    // A process that wakes itself through a pair of sockets serves nobody there.
    if (transfer->conn->peer_tgid == tgid)
        return;
    bpf_map_update_elem(&opaque, &tgid, &yes, BPF_ANY);
    thread_drops(transfer->who);
}

// The head of a request that a client sent, or more of it.
static __always_inline void request_read(struct tap_data *record, struct transfer *transfer,
                                         bool is_first, const __u32 limit)
{
    struct scan scan = {.mark = '\n', .is_text = 1};
    struct conn *conn = transfer->conn;
    struct traceparent traceparent = {};
    __s64 body_bytes;
    __u64 here;
    __u32 at;

    scan_record(record, &scan, limit);
    if (scan.name_end && http1_value_at(record, scan.name_end, &at, &traceparent) == 0)
        request_parent(&conn->request, &traceparent, transfer->who);
    if (is_first && scan.line_end && is_http1_line(record, scan.line_end))
        line_begin(&conn->request, scan.line_hash, transfer->who);
    conn->protocol = CONN_HTTP1;
    conn->body_left = 0;
    conn->is_chunked = 1; // until more is known
    if (scan.head_end) {
        body_bytes = http1_body_bytes(record, &scan);
        // An earlier piece may have had the length.
        if (!is_first && !scan.lengths)
            body_bytes = -1;
        here = record->bytes - scan.head_end;
        conn->phase = CONN_AWAITS;
        conn->is_chunked = body_bytes < 0;
        if (body_bytes >= 0 && here > (__u64)body_bytes) { // another request behind it
            request_to_record(record, &conn->request);
            request_lose(transfer);
            return;
        }
        if (body_bytes >= 0)
            conn->body_left = body_bytes - here;
    }
    request_to_record(record, &conn->request);
    thread_takes(transfer->who, &conn->request);
}

// Bytes from a client: a request, more of one, or what nobody can say.
static __always_inline void client_bytes(struct tap_data *record, struct transfer *transfer,
                                         const __u32 limit)
{
    struct conn *conn = transfer->conn;
    const bool is_open = conn->phase == CONN_HEAD_OPEN || conn->phase == CONN_AWAITS;

    if (conn->protocol == CONN_OTHER) {
        client_unseen(transfer);
        return;
    }
    if (conn->phase == CONN_LOST) {
        thread_drops(transfer->who);
        return;
    }
    if (conn->phase == CONN_HEAD_OPEN) {
        request_read(record, transfer, false, limit);
    } else if (conn->body_left || (is_open && conn->is_chunked)) {
        if (!conn->is_chunked && transfer->bytes > conn->body_left) {
            request_lose(transfer);
            return;
        }
        conn->body_left -= conn->is_chunked ? 0 : transfer->bytes;
        if (is_open)
            thread_takes(transfer->who, &conn->request);
    } else if (conn->phase == CONN_IDLE && is_http1_request(&transfer->head)) {
        request_begin(conn, record, transfer->who, CONN_HEAD_OPEN);
        request_read(record, transfer, true, limit);
    } else if (conn->protocol == CONN_UNKNOWN) {
        conn->protocol = CONN_OTHER;
        client_unseen(transfer);
    } else {
        request_lose(transfer);
    }
}

// Nobody can say which message is worked on; until the process writes, it still is one.
static __always_inline void delivery_lose(struct transfer *transfer)
{
    transfer->conn->phase = CONN_LOST;
    transfer->conn->request.is_valid = 0;
    thread_drops(transfer->who);
}

// A message that a broker delivers: the thread that reads it works on it until the process writes
// to the broker again. Several at once, or one before that: nobody can say which one is worked on.
static __always_inline void delivery_read(struct tap_data *record, struct transfer *transfer,
                                          const __u32 limit)
{
    struct scan scan = {.mark = AMQP_NAME_BYTES};
    struct conn *conn = transfer->conn;
    struct traceparent traceparent = {};
    struct inbound_key key = {};

    // More came before the process wrote anything: another message, or the rest of a long one.
    if (conn->phase != CONN_IDLE)
        delivery_lose(transfer);
    scan_record(record, &scan, limit);
    if (scan.names != 1 || conn->phase != CONN_IDLE ||
        amqp_value_at(record, scan.name_end, &traceparent) != 0)
        return;
    request_begin(conn, record, transfer->who, CONN_AWAITS);
    if (!request_context(&conn->request, &traceparent, &key)) {
        delivery_lose(transfer);
        return;
    }
    request_to_record(record, &conn->request);
    thread_takes(transfer->who, &conn->request);
}

// Bytes from a server that the process asked. A status of 1xx is no answer yet (RFC 9110 15.2).
static __always_inline void server_bytes(struct transfer *transfer)
{
    struct conn *conn = transfer->conn;
    const __u32 status = http1_status(&transfer->head);

    if (conn->protocol == CONN_HTTP1 && status == HTTP1_STATUS_SWITCHING)
        conn->protocol = CONN_OTHER;
    else if (conn->protocol == CONN_HTTP1 &&
             (status >= 200 || (status && transfer->bytes > HTTP1_INTERIM_BYTES)))
        conn->phase = CONN_IDLE;
    answer_arrives(transfer->who, conn);
}

static __always_inline void bytes_come(struct tap_data *record, struct transfer *transfer,
                                       const __u32 limit)
{
    const struct conn *conn = transfer->conn;

    if (conn->role == TAP_SERVER)
        client_bytes(record, transfer, limit);
    else if (conn->protocol == CONN_AMQP)
        delivery_read(record, transfer, limit);
    else
        server_bytes(transfer);
}

// What was written where sk_msg does not see it. Whatever a server writes ends the request, but
// 1xx.
static __always_inline void bytes_go(struct tap_data *record, struct transfer *transfer)
{
    struct conn *conn = transfer->conn;
    const __u32 status = http1_status(&transfer->head);

    if (conn->role == TAP_CLIENT) {
        writer_find(transfer->who, conn);
        parent_to_record(record, &conn->request);
        return;
    }
    if (status == HTTP1_STATUS_SWITCHING)
        conn->protocol = CONN_OTHER;
    if (status >= 100 && status < 200 && status != HTTP1_STATUS_SWITCHING)
        return;
    if (conn->phase != CONN_LOST)
        request_end(conn);
}

// What would have been concluded from the bytes cannot be.
static __always_inline void bytes_missed(struct transfer *transfer)
{
    struct conn *conn = transfer->conn;

    if (conn->role == TAP_CLIENT)
        answer_arrives(transfer->who, conn);
    else if (transfer->direction == TAP_IN)
        request_lose(transfer);
    else if (conn->phase != CONN_LOST)
        request_end(conn);
}

static __always_inline int transfer_with(struct transfer *transfer, const __u32 limit)
{
    struct conn *conn = transfer->conn;
    __u64 *offset = transfer->direction == TAP_IN ? &conn->in_offset : &conn->out_offset;
    struct capture capture = {
        .cookie = transfer->cookie,
        .who = transfer->who,
        .offset = __sync_fetch_and_add(offset, transfer->bytes),
        .from = transfer->from,
        .bytes = transfer->bytes,
        .available = transfer->available,
        .role = conn->role,
        .direction = transfer->direction,
        .is_user = 1,
        .is_peer_traced = conn->is_peer_traced,
    };
    struct tap_data *record = bpf_ringbuf_reserve(&events, sizeof *record + limit, 0);

    count(TAP_RECORDS);
    if (!record) {
        count(TAP_RECORDS_DROPPED);
        bytes_missed(transfer);
        return 0;
    }
    record_begin(record, &capture);
    record_fill(record, &capture, limit);
    if (transfer->direction == TAP_IN)
        bytes_come(record, transfer, limit);
    else
        bytes_go(record, transfer);
    bpf_ringbuf_submit(record, wake_flag());
    return 0;
}

static __noinline int transfer_small(struct transfer *transfer)
{
    return transfer_with(transfer, TAP_SMALL_BYTES);
}

static __noinline int transfer_usual(struct transfer *transfer)
{
    return transfer_with(transfer, TAP_USUAL_BYTES);
}

static __noinline int transfer_head(struct transfer *transfer)
{
    return transfer_with(transfer, TAP_HEAD_BYTES);
}

// Where the bytes are: the first part of a scattered call is looked at, the rest counted.
static __always_inline bool memory_find(__u64 number, const void *argument, struct transfer *out)
{
    struct user_message message = {};
    struct user_iovec part = {};

    if (number == NR_SENDFILE) // out of a file: counted only
        return true;
    if (number == NR_READ || number == NR_RECVFROM || number == NR_WRITE || number == NR_SENDTO) {
        out->from = argument;
        out->available = out->bytes;
        return true;
    }
    if (number == NR_RECVMSG || number == NR_SENDMSG) {
        if (bpf_probe_read_user(&message, sizeof message, argument) != 0)
            return false;
        argument = message.parts;
    }
    if (bpf_probe_read_user(&part, sizeof part, argument) != 0)
        return false;
    out->from = part.base;
    out->available = part.len < out->bytes ? part.len : out->bytes;
    return true;
}

static __always_inline bool is_write(__u64 number)
{
    return number == NR_WRITE || number == NR_WRITEV || number == NR_SENDTO ||
           number == NR_SENDMSG || number == NR_SENDFILE;
}

// Bytes that stay in the socket, or are no data of the stream.
static __always_inline bool is_look(struct pt_regs *regs, __u64 number)
{
    const __u64 flags = number == NR_RECVFROM  ? SYSCALL_ARG4(regs)
                        : number == NR_RECVMSG ? SYSCALL_ARG3(regs)
                                               : 0;

    return flags & (MSG_PEEK | MSG_TRUNC | MSG_ERRQUEUE);
}

// The end of a stream, or an error; that there is nothing yet is neither.
static __always_inline void transfer_fails(const struct transfer *transfer, long result)
{
    const struct conn *conn = transfer->conn;

    if (result != -EAGAIN && conn->role == TAP_CLIENT && conn->protocol != CONN_AMQP &&
        transfer->direction == TAP_IN)
        answer_arrives(transfer->who, conn);
}

static __always_inline void head_read(struct transfer *transfer)
{
    __u8 bytes[sizeof(struct head)] = {};
    __u32 len = transfer->available;

    asm volatile("" : "+r"(len));
    if (len > sizeof bytes)
        len = sizeof bytes;
    if (bpf_probe_read_user(bytes, len, transfer->from) == 0)
        head_set(&transfer->head, bytes);
}

static __always_inline int transfer_ends(struct pt_regs *regs, __u64 number, long result)
{
    struct transfer transfer = {};

    transfer.who = current_who();
    transfer.conn = conn_of_fd(SYSCALL_ARG1(regs), &transfer.cookie);
    if (!transfer.conn || is_excluded(transfer.who) || is_look(regs, number))
        return 0;
    transfer.direction = is_write(number) ? TAP_OUT : TAP_IN;
    if (transfer.direction == TAP_OUT && transfer.conn->is_mapped)
        return 0;
    if (result <= 0) {
        transfer_fails(&transfer, result);
        return 0;
    }
    transfer.bytes = result;
    if (transfer.direction == TAP_IN)
        transfer.conn->fd = SYSCALL_ARG1(regs);
    if (!memory_find(number, (const void *)SYSCALL_ARG2(regs), &transfer)) {
        bytes_missed(&transfer);
        return 0;
    }
    head_read(&transfer);
    if (transfer.available <= TAP_SMALL_BYTES)
        return transfer_small(&transfer);
    if (transfer.available <= TAP_USUAL_BYTES || transfer.direction == TAP_OUT ||
        !is_http1_request(&transfer.head))
        return transfer_usual(&transfer);
    return transfer_head(&transfer);
}

// Whether the connection that is served is among those that poll() waited for: then it is a loop,
// and may go on with anybody's. More than are looked at are surely one.
static __noinline bool is_among(const struct user_pollfd *list, __u64 count, __s32 fd)
{
    if (count < 2 || count > POLL_MAX)
        return count > POLL_MAX;
    for (__u32 i = 0; i < POLL_MAX; i++) {
        struct user_pollfd each = {.fd = -1};

        if (i >= count)
            break;
        if (bpf_probe_read_user(&each, sizeof each, &list[i]) == 0 && each.fd == fd)
            return true;
    }
    return false;
}

static __always_inline void poll_ends(struct pt_regs *regs)
{
    const __u64 who = current_who();
    const struct request *current = bpf_map_lookup_elem(&threads, &who);
    struct conn *conn = current ? request_conn(current) : 0;

    if (!conn)
        return;
    if (!conn->is_polled &&
        is_among((const struct user_pollfd *)SYSCALL_ARG1(regs), SYSCALL_ARG2(regs), conn->fd))
        conn->is_polled = 1;
    thread_waits(who);
}

// A loop asks why a connection failed: what it does next is for the request that it was opened for,
// which is not known any more.
static __always_inline void failure_asked(struct pt_regs *regs)
{
    const __u64 who = current_who();
    __u64 cookie;

    if (!conn_of_fd(SYSCALL_ARG1(regs), &cookie) && cookie)
        thread_waits(who);
}

// A program asks how much there is to read on a socket of the map without a stream verdict: this
// one leaves the map, and the program's next ones go into the other.
static __always_inline void amount_asked(struct pt_regs *regs)
{
    const __u32 tgid = current_who() >> 32;
    const __u8 yes = 1;
    struct conn *conn;
    __u64 cookie;

    if (!needs_check || (__u32)SYSCALL_ARG2(regs) != FIONREAD)
        return;
    conn = conn_of_fd(SYSCALL_ARG1(regs), &cookie);
    if (!conn || !conn->is_mapped || conn->is_checked)
        return;
    bpf_map_update_elem(&asking, &tgid, &yes, BPF_ANY);
    if (head_report(cookie, TAP_ASKED, BPF_RB_FORCE_WAKEUP))
        conn->is_mapped = 0;
}
