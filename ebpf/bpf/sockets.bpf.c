// SPDX-License-Identifier: Apache-2.0
// The socket tap. TCP connections of one cgroup: sockops sees them open and close, sk_msg what is
// sent on those that the process opened (and puts context into it), the exit of a system call the
// rest. Nothing else of the kernel is touched: no kprobe, no fentry, no write into user memory.

#include "ebpf/bpf/lifetime.h"
#include "ebpf/bpf/send.h"
#include "ebpf/bpf/transfer.h"

char LICENSE[] SEC("license") = "GPL";

SEC("sockops")
int sockets_change(struct bpf_sock_ops *ops)
{
    if (ops->family != AF_INET && ops->family != AF_INET6)
        return 1;
    switch (ops->op) {
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

SEC("sk_msg")
int sockets_send(struct sk_msg_md *msg)
{
    struct bpf_sock *sk = msg->sk;
    struct opening *opening = sk ? bpf_sk_storage_get(&openings, sk, 0, 0) : 0;
    const __u64 cookie = opening ? opening->cookie : 0;
    struct conn *conn = cookie ? bpf_map_lookup_elem(&connections, &cookie) : 0;
    const __u64 who = current_who();

    if (!conn || !conn->is_mapped || !message_bytes(msg) || is_excluded(who) ||
        bpf_ktime_get_ns() > alive_until_ns)
        return SK_PASS;
    opening->address = (__u64)(long)sk;
    return message_send(msg, opening, conn, who);
}

// For kernels that tell a socket of a map how much it has to read only when what comes in goes
// through a program (ebpf/probe/sockmap.c): lets everything pass.
SEC("sk_skb/stream_verdict")
int sockets_receive(struct __sk_buff *skb)
{
    return SK_PASS;
}

static __always_inline bool is_looked_at(__u64 number)
{
    switch (number) {
    case NR_READ:
    case NR_WRITE:
    case NR_POLL:
    case NR_IOCTL:
    case NR_READV:
    case NR_WRITEV:
    case NR_SENDFILE:
    case NR_SENDTO:
    case NR_RECVFROM:
    case NR_SENDMSG:
    case NR_RECVMSG:
    case NR_GETSOCKOPT:
    case NR_EPOLL_WAIT:
    case NR_EPOLL_CTL:
    case NR_PPOLL:
    case NR_EPOLL_PWAIT:
    case NR_EPOLL_PWAIT2:
        return true;
    default:
        return false;
    }
}

static __always_inline void polled(struct pt_regs *regs, long result)
{
    struct conn *conn;
    __u64 cookie;

    if (result != 0 || SYSCALL_ARG2(regs) == EPOLL_CTL_DEL)
        return;
    conn = conn_of_fd(SYSCALL_ARG3(regs), &cookie);
    if (conn)
        conn->is_polled = 1;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sockets_call, struct pt_regs *regs, long result)
{
    const __u64 number = SYSCALL_NUMBER(regs);
    struct task_struct *task;

    if (!is_looked_at(number) || bpf_current_task_under_cgroup(&traced, 0) != 1)
        return 0;
    task = (struct task_struct *)bpf_get_current_task_btf();
    if (task->thread_info.status & TS_COMPAT)
        return 0;
    switch (number) {
    case NR_EPOLL_CTL:
        polled(regs, result);
        return 0;
    case NR_EPOLL_WAIT:
    case NR_EPOLL_PWAIT:
    case NR_EPOLL_PWAIT2:
        thread_waits(current_who());
        return 0;
    case NR_POLL:
    case NR_PPOLL:
        poll_ends(regs);
        return 0;
    case NR_GETSOCKOPT:
        failure_asked(regs);
        return 0;
    case NR_IOCTL:
        amount_asked(regs);
        return 0;
    default:
        return transfer_ends(regs, number, result);
    }
}
