// SPDX-License-Identifier: Apache-2.0
// The few kernel structs we read, with the few fields; CO-RE finds where they are in the running
// kernel. Include this first: the order of the headers below is their own.

#pragma once

// clang-format off
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
// clang-format on

enum { AF_INET = 2, AF_INET6 = 10, IPPROTO_TCP = 6, TCP_CLOSE = 7 };
enum { EAGAIN = 11 };
enum { S_IFMT = 0170000, S_IFSOCK = 0140000 };
enum { MSG_PEEK = 0x02, MSG_TRUNC = 0x20, MSG_ERRQUEUE = 0x2000 };
enum { EPOLL_CTL_DEL = 2, FIONREAD = 0x541b };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
    unsigned long r10;
    unsigned long r8;
    unsigned long dx;
    unsigned long si;
    unsigned long di;
    unsigned long orig_ax;
};
#define SYSCALL_NUMBER(regs) ((regs)->orig_ax)
#define SYSCALL_ARG1(regs) ((regs)->di)
#define SYSCALL_ARG2(regs) ((regs)->si)
#define SYSCALL_ARG3(regs) ((regs)->dx)
#define SYSCALL_ARG4(regs) ((regs)->r10)
enum {
    NR_READ = 0,
    NR_WRITE = 1,
    NR_POLL = 7,
    NR_IOCTL = 16,
    NR_READV = 19,
    NR_WRITEV = 20,
    NR_SENDFILE = 40,
    NR_SENDTO = 44,
    NR_RECVFROM = 45,
    NR_SENDMSG = 46,
    NR_RECVMSG = 47,
    NR_GETSOCKOPT = 55,
    NR_EPOLL_WAIT = 232,
    NR_EPOLL_CTL = 233,
    NR_PPOLL = 271,
    NR_EPOLL_PWAIT = 281,
    NR_EPOLL_PWAIT2 = 441,
};
// A 32-bit process has other numbers; its system calls are not looked at.
enum { TS_COMPAT = 2 };
#else
#error "system call numbers of this architecture are not known yet"
#endif

struct atomic64 {
    __s64 counter;
};

struct sock_common {
    struct atomic64 skc_cookie;
};

struct sock {
    struct sock_common __sk_common;
    int sk_sndbuf;
    int sk_wmem_queued;
};

struct tcp_sock {
    __u32 write_seq;
    __u32 notsent_lowat;
};

struct socket {
    struct sock *sk;
};

struct inode {
    unsigned short i_mode;
};

struct file {
    void *private_data;
    struct inode *f_inode;
};

struct fdtable {
    unsigned int max_fds;
    struct file **fd;
};

struct files_struct {
    struct fdtable *fdt;
};

struct thread_info {
    __u32 status;
};

struct task_struct {
    struct thread_info thread_info;
    struct task_struct *group_leader;
    struct files_struct *files;
    char comm[16];
};

#pragma clang attribute pop

// User space, so these are what they are.
struct user_iovec {
    void *base;
    __u64 len;
};

struct user_pollfd {
    __s32 fd;
    __u32 events;
};

struct user_message {
    void *name;
    __u32 name_len;
    __u32 pad_;
    struct user_iovec *parts;
    __u64 part_count;
};

// One load of a 32-bit context field at its constant offset: clang would compute the address once
// for several fields, which the verifier refuses for a context.
#define CONTEXT_LOAD(context, type, field)                                                         \
    ({                                                                                             \
        __u32 value_;                                                                              \
        asm volatile("%0 = *(u32 *)(%1 + %2)"                                                      \
                     : "=r"(value_)                                                                \
                     : "r"(context), "i"(__builtin_offsetof(type, field)));                        \
        value_;                                                                                    \
    })
