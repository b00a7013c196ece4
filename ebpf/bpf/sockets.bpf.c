// SPDX-License-Identifier: Apache-2.0
// The socket tap. TCP connections of one cgroup: sockops sees them open and close, sk_msg what is
// sent on those that the process opened (and puts context into it), the exit of a system call the
// rest. Nothing else of the kernel is touched: no kprobe, no fentry, no write into user memory.

#include "ebpf/bpf/correlate.h"
#include "ebpf/bpf/inject_amqp.h"
#include "ebpf/bpf/inject_http1.h"

char LICENSE[] SEC("license") = "GPL";

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
static __always_inline bool peer_note(const struct tap_ends *ends, __u8 role)
{
    struct tap_ends turned;
    const __u8 yes = 1;

    if (role == TAP_SERVER)
        return bpf_map_lookup_elem(&opened, ends) != 0;
    ends_turn(ends, &turned);
    bpf_map_update_elem(&opened, &turned, &yes, BPF_ANY);
    return false;
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

static __always_inline void close_report(__u64 cookie)
{
    struct tap_head *record = bpf_ringbuf_reserve(&events, sizeof *record, 0);

    count(TAP_RECORDS);
    if (!record) {
        count(TAP_RECORDS_DROPPED);
        return;
    }
    __builtin_memset(record, 0, sizeof *record);
    record->time_ns = bpf_ktime_get_ns();
    record->cookie = cookie;
    record->kind = TAP_CLOSE;
    bpf_ringbuf_submit(record, wake_flag());
}

// So that sk_msg sees what is sent. Accepted sockets stay as they are: nothing is put into answers.
static __always_inline void socket_map(struct bpf_sock_ops *ops, __u64 cookie, struct conn *conn)
{
    struct bpf_sock *sk = ops->sk;

    if (sk && bpf_sk_storage_get(&cookies, sk, &cookie, BPF_SK_STORAGE_GET_F_CREATE) &&
        bpf_sock_hash_update(ops, &sockets, &cookie, BPF_NOEXIST) == 0)
        conn->is_mapped = 1;
    else
        count(TAP_CONNECTIONS_FULL);
}

static __always_inline void established(struct bpf_sock_ops *ops, __u8 role)
{
    __u64 cookie = bpf_get_socket_cookie(ops);
    struct conn made = {.role = role, .is_fresh = 1};
    struct tap_ends ends = {};
    struct conn *conn;

    // connect() has made it already; what accept() will give has not.
    bpf_map_update_elem(&connections, &cookie, &made, BPF_NOEXIST);
    conn = bpf_map_lookup_elem(&connections, &cookie);
    if (!conn) {
        count(TAP_CONNECTIONS_FULL);
        return;
    }
    bpf_sock_ops_cb_flags_set(ops, BPF_SOCK_OPS_STATE_CB_FLAG);
    if (role == TAP_CLIENT)
        socket_map(ops, cookie, conn);
    ends_read(ops, &ends);
    conn->is_peer_traced = peer_note(&ends, role);
    count(TAP_CONNECTIONS);
    open_report(&ends, cookie, conn);
}

static __always_inline void closed(struct bpf_sock_ops *ops)
{
    __u64 cookie = bpf_get_socket_cookie(ops);
    const struct conn *conn = bpf_map_lookup_elem(&connections, &cookie);
    struct tap_ends ends = {};
    struct tap_ends turned;

    if (!conn)
        return;
    if (conn->role == TAP_CLIENT) {
        ends_read(ops, &ends);
        ends_turn(&ends, &turned);
        bpf_map_delete_elem(&opened, &turned);
    }
    bpf_map_delete_elem(&connections, &cookie);
    close_report(cookie);
}

SEC("sockops")
int sockets_change(struct bpf_sock_ops *ops)
{
    if (ops->family != AF_INET && ops->family != AF_INET6)
        return 1;
    switch (ops->op) {
    case BPF_SOCK_OPS_TCP_CONNECT_CB: // so that a connection that fails is forgotten, too
        bpf_sock_ops_cb_flags_set(ops, BPF_SOCK_OPS_STATE_CB_FLAG);
        break;
    case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
        established(ops, TAP_CLIENT);
        break;
    case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
        established(ops, TAP_SERVER);
        break;
    case BPF_SOCK_OPS_STATE_CB:
        if (ops->args[1] == TCP_CLOSE)
            closed(ops);
        break;
    }
    return 1;
}

// Who connects, and for which request, is known only here: the rest happens when packets arrive.
static __always_inline int connects(struct bpf_sock_addr *address)
{
    struct conn made = {.role = TAP_CLIENT, .is_fresh = 1};
    const __u64 who = current_who();
    const struct request *current;
    __u64 cookie;

    if (address->protocol != IPPROTO_TCP || is_excluded(who))
        return 1;
    cookie = bpf_get_socket_cookie(address);
    current = bpf_map_lookup_elem(&threads, &who);
    if (current)
        made.request = *current;
    made.writer = who;
    if (bpf_map_update_elem(&connections, &cookie, &made, BPF_ANY) != 0)
        count(TAP_CONNECTIONS_FULL);
    return 1;
}

SEC("cgroup/connect4")
int sockets_connect4(struct bpf_sock_addr *address)
{
    return connects(address);
}

SEC("cgroup/connect6")
int sockets_connect6(struct bpf_sock_addr *address)
{
    return connects(address);
}

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

// An HTTP request on its way out. SK_PASS or SK_DROP.
static __noinline int http1_send(struct sk_msg_md *msg, struct tap_data *record, __u64 who,
                                 struct request *request, const __u32 limit)
{
    struct scan scan = {.mark = '\n', .is_text = 1};
    struct traceparent traceparent = {};
    struct span_context context;
    bool is_written = false;
    __u32 at = 0;
    int verdict;

    scan_record(record, &scan, limit);
    if (!scan.head_end) {
        parent_to_record(record, request);
        count(TAP_HEAD_OPEN);
        return SK_PASS;
    }
    if (scan.name_end) {
        if (http1_value_at(record, scan.name_end, &at, &traceparent) != 0 ||
            !forwarded_find(who, &traceparent, request)) {
            count(TAP_LEFT_ALONE);
            return SK_PASS;
        }
        context_make(&context, request);
        traceparent_make(&traceparent, &context);
        verdict = http1_rewrite(msg, at, &traceparent, &is_written);
    } else {
        context_make(&context, request);
        traceparent_make(&traceparent, &context);
        verdict = http1_write(msg, scan.line_end, &traceparent, &is_written);
    }
    context_to_record(record, &context);
    if (is_written)
        record->head.context |= TAP_CONTEXT_WRITTEN;
    return verdict;
}

struct sending {
    struct conn *conn;
    __u64 cookie;
    __u64 who;
    __u32 size;
    __u8 is_request; // of HTTP
    __u8 is_amqp;
    __u8 pad_[2];
};

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

    count(TAP_RECORDS);
    if (!record) {
        struct amqp off = {.is_off = 1};

        count(TAP_RECORDS_DROPPED);
        conn->out_offset += sending->size;
        // Frames are still followed.
        return sending->is_amqp ? amqp_write(msg, conn, &off) : SK_PASS;
    }
    record_begin(record, &capture);
    if (sending->is_request) {
        message_capture(msg, record, &capture, limit);
        verdict = http1_send(msg, record, sending->who, &conn->request, limit);
    } else if (sending->is_amqp) {
        struct amqp amqp = {.is_off = 0};

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

SEC("sk_msg")
int sockets_send(struct sk_msg_md *msg)
{
    struct sending sending = {};
    struct bpf_sock *sk = msg->sk;
    __u64 *cookie = sk ? bpf_sk_storage_get(&cookies, sk, 0, 0) : 0;
    struct conn *conn = cookie ? bpf_map_lookup_elem(&connections, cookie) : 0;
    __u32 word = 0;
    __u8 *head;

    sending.who = current_who();
    sending.size = message_bytes(msg);
    if (!conn || !sending.size || is_excluded(sending.who) || bpf_ktime_get_ns() > alive_until_ns)
        return SK_PASS;
    sending.conn = conn;
    sending.cookie = *cookie;
    if (sending.size >= 4) {
        head = message_window(msg, 0, 4);
        if (head)
            word = first_word(head);
    }
    writer_find(sending.who, conn);
    if (conn->protocol == CONN_UNKNOWN && conn->out_offset == 0 && word == 0x414d5150) { // AMQP
        sending.is_amqp = 1;
    } else if (conn->protocol == CONN_AMQP) {
        conn->phase = CONN_IDLE;
        sending.is_amqp = 1;
    } else if (conn->phase != CONN_AWAITS && is_http1_request(word)) {
        conn->protocol = CONN_HTTP1;
        conn->phase = CONN_AWAITS;
        sending.is_request = 1;
    }
    // Room for the line that may be added.
    if (sending.size <= TAP_SMALL_BYTES - HTTP1_LINE_BYTES)
        return send_small(msg, &sending);
    if (!sending.is_request || sending.size <= TAP_USUAL_BYTES - HTTP1_LINE_BYTES)
        return send_usual(msg, &sending);
    return send_head(msg, &sending);
}

// Bytes that a system call has read or written.
struct transfer {
    struct conn *conn;
    __u64 cookie;
    __u64 who;
    const void *from; // in user memory
    __u32 available;
    __u32 bytes;
    __u32 word; // the first four
    __u8 direction;
    __u8 pad_[3];
};

// The head of a request that a client sent, or more of it.
static __always_inline void request_read(struct tap_data *record, struct transfer *transfer,
                                         const __u32 limit)
{
    struct scan scan = {.mark = '\n', .is_text = 1};
    struct conn *conn = transfer->conn;
    struct traceparent traceparent = {};
    __u32 at;

    scan_record(record, &scan, limit);
    if (scan.name_end && http1_value_at(record, scan.name_end, &at, &traceparent) == 0)
        request_parent(&conn->request, &traceparent, transfer->who);
    if (scan.head_end || record->copied < record->bytes)
        conn->phase = CONN_AWAITS;
    request_to_record(record, &conn->request);
    thread_takes(transfer->who, &conn->request);
}

// A message that a broker delivers: the thread that reads it works on it until the process writes
// to the broker again. Several at once, or one before that: nobody can say which one is worked on.
static __always_inline void delivery_read(struct tap_data *record, struct transfer *transfer,
                                          const __u32 limit)
{
    struct scan scan = {.mark = AMQP_NAME_BYTES};
    struct conn *conn = transfer->conn;
    struct traceparent traceparent = {};

    scan_record(record, &scan, limit);
    if (scan.names == 0 || amqp_value_at(record, scan.name_end, &traceparent) != 0)
        return;
    if (scan.names > 1 || conn->phase == CONN_AWAITS) {
        thread_loses(transfer->who, transfer->cookie);
        return;
    }
    request_begin(conn, record);
    if (traceparent_read(&traceparent, &conn->request) != 0) {
        conn->request.is_valid = 0;
        return;
    }
    conn->phase = CONN_AWAITS;
    request_to_record(record, &conn->request);
    thread_takes(transfer->who, &conn->request);
}

// What was read, and what follows from it.
static __always_inline void bytes_come(struct tap_data *record, struct transfer *transfer,
                                       const __u32 limit)
{
    struct conn *conn = transfer->conn;

    if (conn->role == TAP_CLIENT && conn->protocol == CONN_AMQP) {
        delivery_read(record, transfer, limit);
    } else if (conn->role == TAP_CLIENT) {
        answer_arrives(transfer->who, conn, transfer->word);
    } else {
        if (conn->phase == CONN_IDLE && is_http1_request(transfer->word)) {
            request_begin(conn, record);
            conn->phase = CONN_HEAD_OPEN;
        }
        if (conn->phase == CONN_HEAD_OPEN)
            request_read(record, transfer, limit);
        else if (conn->request.is_valid)
            thread_takes(transfer->who, &conn->request); // more of its body
    }
}

// What was written where sk_msg does not see it.
static __always_inline void bytes_go(struct tap_data *record, struct transfer *transfer)
{
    struct conn *conn = transfer->conn;

    if (conn->role == TAP_SERVER) {
        if (is_http1_answer(transfer->word))
            conn->phase = CONN_IDLE;
        return;
    }
    writer_find(transfer->who, conn);
    parent_to_record(record, &conn->request);
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

static __always_inline void end_of_stream(const struct conn *conn, __u64 cookie, __u64 who)
{
    const struct request *current = bpf_map_lookup_elem(&threads, &who);

    if (conn->role == TAP_SERVER && current && current->cookie == cookie)
        bpf_map_delete_elem(&threads, &who);
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

static __always_inline int transfer_ends(struct pt_regs *regs, __u64 number, long result)
{
    struct transfer transfer = {};
    __u8 word[4] = {};

    if (result < 0)
        return 0;
    transfer.who = current_who();
    transfer.conn = conn_of_fd(SYSCALL_ARG1(regs), &transfer.cookie);
    if (!transfer.conn || is_excluded(transfer.who) || is_look(regs, number))
        return 0;
    transfer.direction = is_write(number) ? TAP_OUT : TAP_IN;
    if (transfer.direction == TAP_OUT && transfer.conn->is_mapped)
        return 0;
    if (result == 0) {
        if (transfer.direction == TAP_IN)
            end_of_stream(transfer.conn, transfer.cookie, transfer.who);
        return 0;
    }
    transfer.bytes = result;
    if (!memory_find(number, (const void *)SYSCALL_ARG2(regs), &transfer))
        return 0;
    if (transfer.available >= sizeof word &&
        bpf_probe_read_user(word, sizeof word, transfer.from) == 0)
        transfer.word = first_word(word);
    if (transfer.available <= TAP_SMALL_BYTES)
        return transfer_small(&transfer);
    if (transfer.available <= TAP_USUAL_BYTES || transfer.direction == TAP_OUT ||
        !is_http1_request(transfer.word))
        return transfer_usual(&transfer);
    return transfer_head(&transfer);
}

// For kernels that tell a socket of a map how much it has to read only when what comes in goes
// through a program (ebpf/probe/sockmap.c): lets everything pass.
SEC("sk_skb/stream_verdict")
int sockets_receive(struct __sk_buff *skb)
{
    return SK_PASS;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sockets_call, struct pt_regs *regs, long result)
{
    const __u64 number = SYSCALL_NUMBER(regs);
    struct task_struct *task;
    struct conn *conn;
    __u64 cookie;

    switch (number) {
    case NR_READ:
    case NR_WRITE:
    case NR_READV:
    case NR_WRITEV:
    case NR_SENDFILE:
    case NR_SENDTO:
    case NR_RECVFROM:
    case NR_SENDMSG:
    case NR_RECVMSG:
    case NR_EPOLL_WAIT:
    case NR_EPOLL_CTL:
    case NR_EPOLL_PWAIT:
    case NR_EPOLL_PWAIT2:
        break;
    default:
        return 0;
    }
    if (bpf_current_task_under_cgroup(&traced, 0) != 1)
        return 0;
    task = (struct task_struct *)bpf_get_current_task_btf();
    if (task->thread_info.status & TS_COMPAT)
        return 0;
    switch (number) {
    case NR_EPOLL_CTL:
        if (result != 0 || SYSCALL_ARG2(regs) == EPOLL_CTL_DEL)
            return 0;
        conn = conn_of_fd(SYSCALL_ARG3(regs), &cookie);
        if (conn)
            conn->is_polled = 1;
        return 0;
    case NR_EPOLL_WAIT:
    case NR_EPOLL_PWAIT:
    case NR_EPOLL_PWAIT2:
        thread_waits(current_who());
        return 0;
    default:
        return transfer_ends(regs, number, result);
    }
}
