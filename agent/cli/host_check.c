// SPDX-License-Identifier: Apache-2.0
// What the kernel lets us do, asked of the kernel itself: a version alone says little.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/cli/finding.h"
#include "ebpf/probe/cgroup.h"
#include "ebpf/probe/sockmap.h"

enum { KERNEL_MAJOR = 5, KERNEL_MINOR = 8 }; // the BPF ring buffer

static void kernel_check(struct findings *findings)
{
    struct utsname name;
    int major = 0;
    int minor = 0;

    if (uname(&name) != 0 || sscanf(name.release, "%d.%d", &major, &minor) != 2) {
        finding_add(findings, "kernel", FINDING_NOTE, "the version cannot be read");
        return;
    }
    if (major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR)) {
        finding_add(findings, "kernel", FINDING_OK, "Linux %.100s", name.release);
        return;
    }
    finding_add(findings, "kernel", FINDING_MISSING, "Linux %.100s is older than %d.%d",
                name.release, KERNEL_MAJOR, KERNEL_MINOR);
    finding_advise(findings, "boot a kernel of Debian 12 or later; OTLP and rings work without it");
}

// kernel_lockdown(7): the mode in force stands in brackets.
static void lockdown_check(struct findings *findings)
{
    FILE *file = fopen("/sys/kernel/security/lockdown", "re");
    char line[128] = "";
    const char *open;
    char *close;

    if (file && !fgets(line, sizeof line, file))
        line[0] = '\0';
    if (file)
        fclose(file);
    open = strchr(line, '[');
    close = strchr(line, ']');
    if (!open || !close || close < open) {
        finding_add(findings, "lockdown", FINDING_OK, "not in force");
        return;
    }
    *close = '\0';
    if (strcmp(open + 1, "confidentiality") != 0) {
        finding_add(findings, "lockdown", FINDING_OK, "%.60s: nothing we use is shut off",
                    open + 1);
        return;
    }
    finding_add(findings, "lockdown", FINDING_NOTE,
                "confidentiality: BPF programs may be refused kernel memory");
    finding_advise(findings, "if the programs below are refused, boot with lockdown=integrity");
}

static void btf_check(struct findings *findings)
{
    static const char path[] = "/sys/kernel/btf/vmlinux";

    if (access(path, R_OK) == 0) {
        finding_add(findings, "BTF", FINDING_OK, "%s", path);
        return;
    }
    finding_add(findings, "BTF", FINDING_MISSING, "%s: %s", path, strerrordesc_np(errno));
    finding_advise(findings, "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, as Debian's are");
}

static void cgroup_check(struct findings *findings)
{
    char path[CGROUP_PATH_MAX];
    struct why why = {""};

    if (cgroup_mount(path, &why) == 0) {
        finding_add(findings, "cgroup v2", FINDING_OK, "%.200s", path);
        return;
    }
    finding_add(findings, "cgroup v2", FINDING_MISSING, "%.200s", why.text);
    finding_advise(findings, "mount -t cgroup2 none /sys/fs/cgroup/unified");
}

static unsigned long long capabilities(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    unsigned long long effective = 0;
    char line[256];

    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "CapEff: %llx", &effective) == 1)
            break;
    }
    if (file)
        fclose(file);
    return effective;
}

static bool privileges_check(struct findings *findings)
{
    static const struct {
        int number;
        const char *name;
        bool is_in_sys_admin;
    } needed[] = {
        {CAP_BPF, "CAP_BPF", true},
        {CAP_PERFMON, "CAP_PERFMON", true},
        {CAP_NET_ADMIN, "CAP_NET_ADMIN", false},
    };
    const unsigned long long effective = capabilities();
    const bool is_admin = effective >> CAP_SYS_ADMIN & 1;
    char missing[64] = "";
    size_t len = 0;

    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if ((effective >> needed[i].number & 1) || (is_admin && needed[i].is_in_sys_admin))
            continue;
        len += (size_t)snprintf(missing + len, sizeof missing - len, "%s%s", len ? ", " : "",
                                needed[i].name);
    }
    if (!len) {
        finding_add(findings, "privileges", FINDING_OK, "user %d may load and attach BPF programs",
                    (int)geteuid());
        return true;
    }
    finding_add(findings, "privileges", FINDING_MISSING, "user %d has no %s", (int)geteuid(),
                missing);
    finding_advise(findings, "run as root, or once: setcap cap_bpf,cap_perfmon,cap_net_admin+ep "
                             "\"$(command -v throughline)\"");
    return false;
}

static void bpf_say(struct findings *findings, const char *name, const char *purpose, int supported,
                    bool is_privileged)
{
    if (supported > 0) {
        finding_add(findings, name, FINDING_OK, "%s", purpose);
        return;
    }
    finding_add(findings, name, FINDING_MISSING, "%s: %s", purpose,
                supported < 0   ? strerrordesc_np(-supported)
                : is_privileged ? "this kernel refuses it"
                                : "not without the privileges above");
    finding_advise(findings, "%s",
                   is_privileged ? "boot a kernel with CONFIG_BPF_SYSCALL, CONFIG_CGROUP_BPF, "
                                   "CONFIG_NET_SOCK_MSG and CONFIG_BPF_EVENTS"
                                 : "see privileges");
}

// libbpf's own probe asks for fentry, which lockdown takes away and we do without.
static int tracepoint_try(void)
{
    static const struct bpf_insn nothing[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
        {.code = BPF_JMP | BPF_EXIT},
    };
    const int type = libbpf_find_vmlinux_btf_id("sys_exit", BPF_TRACE_RAW_TP);
    LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_RAW_TP);
    int fd;

    if (type < 0)
        return 0;
    options.attach_btf_id = (__u32)type;
    fd = bpf_prog_load(BPF_PROG_TYPE_TRACING, NULL, "GPL", nothing,
                       sizeof nothing / sizeof nothing[0], &options);
    if (fd < 0)
        return 0;
    close(fd);
    return 1;
}

// docs/reference/ebpf.md, "What it does to connections".
static void sockmap_check(struct findings *findings)
{
    struct why why = {""};
    bool needs_verdict = false;

    if (sockmap_needs_verdict(&needs_verdict, &why) != 0) {
        finding_add(findings, "BPF sockmap", FINDING_MISSING, "%s", why.text);
        finding_advise(findings,
                       "receivers: {ebpf: {inject: false}} looks without writing context");
    } else if (needs_verdict) {
        finding_add(findings, "BPF sockmap", FINDING_NOTE,
                    "FIONREAD is wrong for its sockets: nginx, java, dotnet and who asks get a "
                    "stream verdict");
        finding_advise(findings,
                       "receivers: {ebpf: {inject: false}} leaves every connection as it is");
    } else {
        finding_add(findings, "BPF sockmap", FINDING_OK, "its sockets read as others do");
    }
}

// Each is loaded once, as small as can be, and thrown away.
static void bpf_check(struct findings *findings, bool is_privileged)
{
    static const struct {
        const char *name;
        const char *purpose;
        enum bpf_prog_type type;
    } programs[] = {
        {"BPF sock_ops", "sees connections begin and end", BPF_PROG_TYPE_SOCK_OPS},
        {"BPF cgroup/connect", "knows who connects", BPF_PROG_TYPE_CGROUP_SOCK_ADDR},
        {"BPF sk_msg", "puts context on the wire", BPF_PROG_TYPE_SK_MSG},
    };
    static const struct {
        const char *name;
        const char *purpose;
        enum bpf_map_type type;
    } maps[] = {
        {"BPF ring buffer", "carries records to the agent", BPF_MAP_TYPE_RINGBUF},
        {"BPF sockhash", "holds the traced sockets", BPF_MAP_TYPE_SOCKHASH},
    };

    libbpf_set_print(NULL);
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
        bpf_say(findings, programs[i].name, programs[i].purpose,
                libbpf_probe_bpf_prog_type(programs[i].type, NULL), is_privileged);
    bpf_say(findings, "BPF tracing", "sees what is read and written", tracepoint_try(),
            is_privileged);
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++)
        bpf_say(findings, maps[i].name, maps[i].purpose,
                libbpf_probe_bpf_map_type(maps[i].type, NULL), is_privileged);
    if (is_privileged)
        sockmap_check(findings);
}

// Before Linux 5.11 maps counted against this limit; root's is raised by libbpf.
static void memlock_check(struct findings *findings)
{
    struct rlimit limit = {0};

    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return;
    if (limit.rlim_cur == RLIM_INFINITY)
        finding_add(findings, "memlock", FINDING_OK, "no limit");
    else
        finding_add(findings, "memlock", FINDING_OK,
                    "%llu KiB; kernels since 5.11 count BPF memory elsewhere",
                    (unsigned long long)limit.rlim_cur >> 10);
}

void host_check(struct findings *findings)
{
    bool is_privileged;

    kernel_check(findings);
    lockdown_check(findings);
    btf_check(findings);
    cgroup_check(findings);
    is_privileged = privileges_check(findings);
    bpf_check(findings, is_privileged);
    memlock_check(findings);
}
