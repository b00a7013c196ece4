// SPDX-License-Identifier: Apache-2.0
// What is sent on connections that the process opened: captured as it goes on the wire, with the
// context that is put into it. Writes only where a message is known to begin.

#pragma once

#include "ebpf/bpf/correlate.h"
#include "ebpf/bpf/inject_amqp.h"
#include "ebpf/bpf/inject_http1.h"

struct sending {
    struct conn *conn;
    __u64 address; // of the socket
    __u64 cookie;
    __u64 who;
    __u32 size;
    __u8 is_request; // of HTTP
    __u8 is_amqp;
    __u8 pad_[2];
};

// A whole message in one piece from its start, as far as a record can hold it.
static __always_inline void message_capture(struct sk_msg_md *msg, struct tap_data *record,
                                            struct capture *capture, const __u32 limit)
{
    const __u32 size = message_bytes(msg);

    bpf_msg_pull_data(msg, 0, size > limit ? limit : size, 0);
    capture->from = (void *)(long)msg->data;
    capture->available = (__u64)(long)msg->data_end - (__u64)(long)msg->data;
    capture->bytes = size;
    record->bytes = size;
    record_fill(record, capture, limit);
}

// Where the request that begins here ends. False: it is no request to write into; and when it is
// not clear where the next one begins, none is written into any more.
static __always_inline bool request_goes(struct conn *conn, const struct tap_data *record,
                                         const struct scan *scan)
{
    const bool is_whole = scan->head_end && is_http1_line(record, scan->line_end);
    const __s64 body_bytes = is_whole ? http1_body_bytes(record, scan) : -1;
    const __u64 here = is_whole ? record->bytes - scan->head_end : 0;

    conn->phase = CONN_AWAITS;
    conn->protocol = body_bytes < 0 || here > (__u64)body_bytes ? CONN_OTHER : CONN_HTTP1;
    if (conn->protocol == CONN_HTTP1)
        conn->body_left = body_bytes - here;
    if (!is_whole)
        count(TAP_HEAD_OPEN);
    // A chunked body: this head is whole, the next one's place is not known.
    return is_whole && (body_bytes >= 0 ? here <= (__u64)body_bytes : scan->codings > 0);
}

// What is to be done with a request, and where.
enum { SEND_LEAVE = -1, SEND_REPLACE = 1 << 30, SEND_PLACE = SEND_REPLACE - 1 };

// On whose behalf the request goes, and the place of its traceparent: SEND_REPLACE is set when one
// is there.
static __noinline int request_look(struct tap_data *record, struct conn *conn, const __u32 limit)
{
    struct scan scan = {.mark = '\n', .is_text = 1};
    struct traceparent traceparent = {};
    __u32 at = 0;

    scan_record(record, &scan, limit);
    if (!request_goes(conn, record, &scan)) {
        parent_to_record(record, &conn->request);
        return SEND_LEAVE;
    }
    line_find(conn, scan.line_hash);
    if (!scan.name_end)
        return scan.line_end;
    if (http1_value_at(record, scan.name_end, &at, &traceparent) != 0 ||
        !forwarded_find(conn->writer, &traceparent, &conn->request)) {
        count(TAP_LEFT_ALONE);
        return SEND_LEAVE;
    }
    return at | SEND_REPLACE;
}

// An HTTP request on its way out. SK_PASS or SK_DROP.
static __noinline int http1_send(struct sk_msg_md *msg, struct tap_data *record, int place,
                                 const struct request *request)
{
    struct traceparent traceparent = {};
    struct span_context context;
    bool is_written = false;
    int verdict;

    context_make(&context, request);
    traceparent_make(&traceparent, &context);
    if (place & SEND_REPLACE)
        verdict = http1_rewrite(msg, place & SEND_PLACE, &traceparent, &is_written);
    else
        verdict = http1_write(msg, place, &traceparent, &is_written);
    context_to_record(record, &context);
    if (is_written)
        record->head.context |= TAP_CONTEXT_WRITTEN;
    return verdict;
}

// When a socket does not take a message whole, the kernel tells the program too few bytes for each
// entry that is still to come: they would be sent twice. So entries are written only when the
// message surely fits, with all that is written into it.
static __always_inline bool amqp_fits(__u64 address, __u32 size)
{
    const struct sock *sk = (const struct sock *)address;
    const struct tcp_sock *tcp = (const struct tcp_sock *)address;
    const __s64 room =
        (__s64)BPF_CORE_READ(sk, sk_sndbuf) - (__s64)BPF_CORE_READ(sk, sk_wmem_queued);

    if (room > 2 * (__s64)size + AMQP_SLACK_BYTES && BPF_CORE_READ(tcp, notsent_lowat) == 0)
        return true;
    count(TAP_NO_ROOM);
    return false;
}

// What the socket did not take of the last message comes again now.
static __always_inline void rest_comes_again(struct conn *conn, __u32 missing)
{
    count(TAP_CUT);
    conn->out_offset -= missing;
    if (conn->protocol == CONN_HTTP1)
        conn->body_left += missing;
    else if (conn->protocol == CONN_AMQP)
        conn->protocol = CONN_OTHER; // frames cannot be followed backwards
}

// Captures, writes context, captures what was changed again. One instance for each record size.
static __always_inline int send_with(struct sk_msg_md *msg, struct sending *sending,
                                     const __u32 limit)
{
    struct conn *conn = sending->conn;
    struct capture capture = {
        .cookie = sending->cookie,
        .who = sending->who,
        .offset = conn->out_offset,
        .role = conn->role,
        .direction = TAP_OUT,
        .is_peer_traced = conn->is_peer_traced,
    };
    struct tap_data *record = bpf_ringbuf_reserve(&events, sizeof *record + limit, 0);
    int verdict = SK_PASS;
    int place;

    count(TAP_RECORDS);
    if (!record) {
        struct amqp off = {.is_off = 1};

        count(TAP_RECORDS_DROPPED);
        conn->out_offset += sending->size;
        if (sending->is_amqp) // frames are still followed
            return amqp_write(msg, conn, &off);
        // A head that was not looked at: where the next one begins is not known.
        if (sending->is_request)
            conn->protocol = CONN_OTHER;
        return SK_PASS;
    }
    record_begin(record, &capture);
    if (sending->is_request) {
        message_capture(msg, record, &capture, limit);
        place = request_look(record, conn, limit);
        if (place >= 0)
            verdict = http1_send(msg, record, place, &conn->request);
    } else if (sending->is_amqp) {
        struct amqp amqp = {.is_off = !amqp_fits(sending->address, sending->size)};

        context_make(&amqp.context, &conn->request);
        verdict = amqp_write(msg, conn, &amqp);
        if (amqp.written) {
            context_to_record(record, &amqp.context);
            record->head.context |= TAP_CONTEXT_WRITTEN;
        }
    } else {
        parent_to_record(record, &conn->request);
    }
    if (record->head.context & TAP_CONTEXT_WRITTEN)
        message_join(msg);
    if (!sending->is_request || record->head.context & TAP_CONTEXT_WRITTEN)
        message_capture(msg, record, &capture, limit);
    conn->out_offset += capture.bytes;
    bpf_ringbuf_submit(record, wake_flag());
    return verdict;
}

static __noinline int send_small(struct sk_msg_md *msg, struct sending *sending)
{
    return send_with(msg, sending, TAP_SMALL_BYTES);
}

static __noinline int send_usual(struct sk_msg_md *msg, struct sending *sending)
{
    return send_with(msg, sending, TAP_USUAL_BYTES);
}

static __noinline int send_head(struct sk_msg_md *msg, struct sending *sending)
{
    return send_with(msg, sending, TAP_HEAD_BYTES);
}

// Whether an HTTP request may begin here. What comes where none may makes the connection OTHER.
static __always_inline bool request_may_begin(struct conn *conn, const struct head *head,
                                              __u32 size)
{
    if (conn->protocol == CONN_OTHER)
        return false;
    if (conn->body_left >= size) {
        conn->body_left -= size;
        return false;
    }
    if (conn->body_left || conn->phase == CONN_AWAITS || !is_http1_request(head)) {
        conn->protocol = CONN_OTHER;
        return false;
    }
    return true;
}

static __always_inline int send_sized(struct sk_msg_md *msg, struct sending *sending)
{
    // Room for the line that may be added.
    if (sending->size <= TAP_SMALL_BYTES - HTTP1_LINE_BYTES)
        return send_small(msg, sending);
    if (!sending->is_request || sending->size <= TAP_USUAL_BYTES - HTTP1_LINE_BYTES)
        return send_usual(msg, sending);
    return send_head(msg, sending);
}

static __always_inline int message_send(struct sk_msg_md *msg, const struct opening *opening,
                                        struct conn *conn, __u64 who)
{
    // Through memory: the verifier allows no arithmetic on what it knows to be a socket.
    const __u64 address = *(const volatile __u64 *)&opening->address;
    struct sending sending = {.conn = conn,
                              .address = address,
                              .cookie = opening->cookie,
                              .who = who,
                              .size = message_bytes(msg)};
    const struct tcp_sock *tcp = (const struct tcp_sock *)address;
    const __u32 seq = BPF_CORE_READ(tcp, write_seq);
    int verdict;
    struct head head = {};
    // A method, or AMQP's protocol header, which is all of its message.
    __u8 *bytes = sending.size >= 8 ? message_window(msg, 0, 8) : 0;

    if (conn->is_sent && conn->next_seq != seq)
        rest_comes_again(conn, conn->next_seq - seq);
    if (bytes) {
        head.word[0] = word_at(bytes);
        head.word[1] = word_at(bytes + 4);
    }
    if (conn->protocol == CONN_UNKNOWN && head.word[0] == 0x414d5150) // AMQP
        sending.is_amqp = 1;
    else if (conn->protocol == CONN_AMQP)
        sending.is_amqp = 1;
    else
        sending.is_request = request_may_begin(conn, &head, sending.size);
    // What goes on with a request goes on for whom that was begun.
    if (sending.is_request || conn->protocol != CONN_HTTP1)
        writer_find(who, conn);
    if (conn->protocol == CONN_AMQP)
        request_end(conn);
    verdict = send_sized(msg, &sending);
    conn->next_seq = seq + message_bytes(msg);
    conn->is_sent = 1;
    return verdict;
}
