// SPDX-License-Identifier: Apache-2.0
// Owns the loaded programs, their links and the ring buffer's reader.

#include "ebpf/probe/sockets.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sockets.skel.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ebpf/probe/cgroup.h"
#include "ebpf/probe/pin.h"
#include "ebpf/probe/sockmap.h"
#include "ebpf/probe/stats.h"
#include "ebpf/shared/sockets.h"
#include "libtrace/base/clock.h"

enum { LINKS_MAX = 4, ALIVE_MS = 3000, SWEEP_S = 10 };

// Linux gives it this number (PROC_PID_INIT_INO).
#define FIRST_PID_NAMESPACE 0xEFFFFFFCU

struct sockets_probe {
    struct probe_plan plan;
    struct sockets_bpf *bpf;
    struct ring_buffer *ring;
    struct bpf_link *links[LINKS_MAX];
    size_t link_count;
    bool needs_check;       // a second map of sockets, with a stream verdict
    char pin[PIN_PATH_MAX]; // of that map; empty: it is not pinned
    char path[CGROUP_PATH_MAX];
    uint64_t swept_ns;
    int cgroup;
    int64_t unix_ahead_ns; // what CLOCK_REALTIME is ahead of CLOCK_MONOTONIC
    uint64_t clock_checked_ns;
    uint64_t counted[TAP_COUNTERS];
    uint32_t excluded[TAP_EXCLUDED_MAX];
    size_t excluded_count;
};

// libbpf talks to stderr unless told otherwise; what failed is in its return values.
static int say_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
    (void)level;
    (void)format;
    (void)arguments;
    return 0;
}

static void clock_check(struct sockets_probe *probe)
{
    const uint64_t now_ns = clock_mono_ns();

    if (probe->clock_checked_ns && now_ns - probe->clock_checked_ns < NS_PER_SECOND)
        return;
    probe->clock_checked_ns = now_ns;
    probe->unix_ahead_ns = (int64_t)(clock_unix_ns() - now_ns);
}

static uint64_t unix_ns(const struct sockets_probe *probe, uint64_t mono_ns)
{
    return mono_ns + (uint64_t)probe->unix_ahead_ns;
}

static bool address_format(const uint8_t address[static 16], char out[static INET6_ADDRSTRLEN])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (memcmp(address, mapped, sizeof mapped) == 0)
        return inet_ntop(AF_INET, address + sizeof mapped, out, INET6_ADDRSTRLEN) != NULL;
    return inet_ntop(AF_INET6, address, out, INET6_ADDRSTRLEN) != NULL;
}

static void open_take(struct sockets_probe *probe, const struct tap_open *open)
{
    char local[INET6_ADDRSTRLEN];
    char peer[INET6_ADDRSTRLEN];
    struct connection connection = {
        .conn = open->head.cookie,
        .role = open->head.role == TAP_SERVER ? CONN_ROLE_SERVER : CONN_ROLE_CLIENT,
        .local_port = open->ends.local_port,
        .peer_port = open->ends.peer_port,
        .is_peer_traced = open->head.context & TAP_PEER_TRACED,
    };

    if (!address_format(open->ends.local, local) || !address_format(open->ends.peer, peer)) {
        stats_add(&probe_stats, PROBE_malformed, 1);
        return;
    }
    connection.local_address = str_of(local);
    connection.peer_address = str_of(peer);
    probe->plan.open(probe->plan.self, &connection);
}

static void data_take(struct sockets_probe *probe, const struct tap_data *data, size_t room)
{
    const bool is_known = data->head.context & TAP_CONTEXT_KNOWN;
    struct segment segment = {
        .conn = data->head.cookie,
        .direction = data->head.direction == TAP_IN ? DIRECTION_IN : DIRECTION_OUT,
        .offset = data->offset,
        .time_ns = unix_ns(probe, data->head.time_ns),
        .bytes = {(const char *)data->data, data->copied},
        .context = {.flags = data->flags,
                    .is_known = is_known,
                    .is_written = data->head.context & TAP_CONTEXT_WRITTEN},
    };
    const struct probe_process process = {
        .pid = data->head.tgid,
        .is_peer_traced = data->head.context & TAP_PEER_TRACED,
        .name = {data->comm, strnlen(data->comm, sizeof data->comm)},
    };

    if (data->copied > room || data->copied > data->bytes) {
        stats_add(&probe_stats, PROBE_malformed, 1);
        return;
    }
    segment.lost_bytes = data->bytes - data->copied;
    memcpy(segment.context.trace_id, data->trace_id, sizeof data->trace_id);
    memcpy(segment.context.span_id, data->span_id, sizeof data->span_id);
    memcpy(segment.context.parent_id, data->parent_id, sizeof data->parent_id);
    probe->plan.data(probe->plan.self, &segment, &process,
                     data->head.role == TAP_SERVER ? CONN_ROLE_SERVER : CONN_ROLE_CLIENT);
}

// The socket leaves the map at once: from now on the kernel tells its program right.
static void asked_take(struct sockets_probe *probe, const struct tap_head *head)
{
    bpf_map_delete_elem(bpf_map__fd(probe->bpf->maps.sockets), &head->cookie);
    stats_add(&probe_stats, PROBE_asked, 1);
}

static int record_take(void *probe_, void *bytes, size_t len)
{
    struct sockets_probe *probe = probe_;
    const struct tap_head *head = bytes;

    if (len < sizeof *head) {
        stats_add(&probe_stats, PROBE_malformed, 1);
        return 0;
    }
    if (head->kind == TAP_OPEN && len >= sizeof(struct tap_open))
        open_take(probe, bytes);
    else if (head->kind == TAP_DATA && len >= sizeof(struct tap_data))
        data_take(probe, bytes, len - sizeof(struct tap_data));
    else if (head->kind == TAP_ASKED)
        asked_take(probe, head);
    else if (head->kind == TAP_CLOSE)
        probe->plan.close(probe->plan.self, head->cookie, unix_ns(probe, head->time_ns));
    else
        stats_add(&probe_stats, PROBE_malformed, 1);
    return 0;
}

// Adds what the kernel side counted since the last time.
static void counters_take(struct sockets_probe *probe)
{
    const int map = bpf_map__fd(probe->bpf->maps.counters);
    const int cpus = libbpf_num_possible_cpus();
    uint64_t values[1024];

    if (cpus <= 0 || (size_t)cpus > sizeof values / sizeof values[0])
        return;
    for (uint32_t row = 0; row < TAP_COUNTERS; row++) {
        uint64_t sum = 0;

        if (bpf_map_lookup_elem(map, &row, values) != 0)
            continue;
        for (int cpu = 0; cpu < cpus; cpu++)
            sum += values[cpu];
        stats_add(&probe_stats, row, sum - probe->counted[row]);
        probe->counted[row] = sum;
    }
}

// A kernel side that nobody reads, because we died, lets everything pass.
static void heartbeat(struct sockets_probe *probe)
{
    probe->bpf->bss->alive_until_ns = clock_mono_ns() + ALIVE_MS * NS_PER_MS;
}

int sockets_probe_poll(struct sockets_probe *probe, int timeout_ms)
{
    int got;

    heartbeat(probe);
    clock_check(probe);
    if (probe->clock_checked_ns - probe->swept_ns > SWEEP_S * NS_PER_SECOND) {
        probe->swept_ns = probe->clock_checked_ns;
        cgroup_sweep(probe->path);
    }
    got = ring_buffer__poll(probe->ring, timeout_ms);
    // The kernel side wakes us late on purpose: what waits is taken now.
    if (got == 0)
        got = ring_buffer__consume(probe->ring);
    counters_take(probe);
    return got == -EINTR ? 0 : got;
}

static bool is_listed(const uint32_t *pids, size_t count, uint32_t pid)
{
    for (size_t i = 0; i < count; i++) {
        if (pids[i] == pid)
            return true;
    }
    return false;
}

void sockets_probe_exclude(struct sockets_probe *probe, const uint32_t *pids, size_t count)
{
    const int map = bpf_map__fd(probe->bpf->maps.excluded);
    const uint8_t yes = 1;

    if (count > TAP_EXCLUDED_MAX)
        count = TAP_EXCLUDED_MAX;
    for (size_t i = 0; i < probe->excluded_count; i++) {
        if (!is_listed(pids, count, probe->excluded[i]))
            bpf_map_delete_elem(map, &probe->excluded[i]);
    }
    for (size_t i = 0; i < count; i++)
        bpf_map_update_elem(map, &pids[i], &yes, BPF_ANY);
    memcpy(probe->excluded, pids, count * sizeof pids[0]);
    probe->excluded_count = count;
}

static int link_keep(struct sockets_probe *probe, struct bpf_link *link, const char *what,
                     struct why *why)
{
    if (!link)
        return why_fail(why, -EOPNOTSUPP, "%s cannot be attached: %s", what,
                        strerrordesc_np(errno));
    probe->links[probe->link_count++] = link;
    return 0;
}

static int program_attach(const struct bpf_program *program, const struct bpf_map *map,
                          enum bpf_attach_type type, struct why *why)
{
    if (bpf_prog_attach(bpf_program__fd(program), bpf_map__fd(map), type, 0) == 0)
        return 0;
    return why_fail(why, -EOPNOTSUPP, "%s cannot be attached: %s", bpf_program__name(program),
                    strerrordesc_np(errno));
}

// The programs of the maps of sockets. They stay with the map, however long it lives.
static int map_attach(struct sockets_probe *probe, struct why *why)
{
    const struct sockets_bpf *bpf = probe->bpf;
    int failed =
        program_attach(bpf->progs.sockets_send, bpf->maps.sockets, BPF_SK_MSG_VERDICT, why);

    if (failed || !probe->needs_check)
        return failed;
    failed =
        program_attach(bpf->progs.sockets_send, bpf->maps.sockets_checked, BPF_SK_MSG_VERDICT, why);
    if (!failed)
        failed = program_attach(bpf->progs.sockets_receive, bpf->maps.sockets_checked,
                                BPF_SK_SKB_STREAM_VERDICT, why);
    return failed;
}

static int attach(struct sockets_probe *probe, struct why *why)
{
    struct sockets_bpf *bpf = probe->bpf;
    const uint32_t first = 0;
    int failed;

    if (bpf_map_update_elem(bpf_map__fd(bpf->maps.traced), &first, &probe->cgroup, BPF_ANY) != 0)
        return why_fail(why, -errno, "the cgroup cannot be watched: %s", strerrordesc_np(errno));
    failed = map_attach(probe, why);
    if (failed)
        return failed;
    failed = link_keep(probe, bpf_program__attach(bpf->progs.sockets_call), "tp_btf/sys_exit", why);
    if (!failed)
        failed =
            link_keep(probe, bpf_program__attach_cgroup(bpf->progs.sockets_connect4, probe->cgroup),
                      "cgroup/connect4", why);
    if (!failed)
        failed =
            link_keep(probe, bpf_program__attach_cgroup(bpf->progs.sockets_connect6, probe->cgroup),
                      "cgroup/connect6", why);
    // Last: connections are followed from here on.
    if (!failed)
        failed =
            link_keep(probe, bpf_program__attach_cgroup(bpf->progs.sockets_change, probe->cgroup),
                      "sockops", why);
    return failed;
}

// Opens the cgroup, for us alone: two taps on one would write two contexts.
static int cgroup_take(struct sockets_probe *probe, struct why *why)
{
    const int failed = cgroup_make(probe->plan.cgroup, probe->path, why);

    if (failed)
        return failed;
    probe->cgroup = open(probe->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (probe->cgroup < 0)
        return why_fail(why, -errno, "'%s' cannot be opened: %s", probe->path,
                        strerrordesc_np(errno));
    if (flock(probe->cgroup, LOCK_EX | LOCK_NB) != 0) {
        // It is another's: nothing of it is ours to sweep.
        close(probe->cgroup);
        probe->cgroup = -1;
        return why_fail(why, -EBUSY, "another agent traces the cgroup '%s'", probe->path);
    }
    cgroup_hold(probe->path);
    cgroup_sweep(probe->path);
    return 0;
}

static const char pin_prefix[] = "throughline-sockets-";

// Where bytes wait in the map on their way to a program, the map must outlive us; the agent that
// comes next takes it over.
static int map_pin(struct sockets_probe *probe, struct why *why)
{
    struct stat cgroup;
    char name[64];
    int failed;

    if (fstat(probe->cgroup, &cgroup) != 0)
        return why_fail(why, -errno, "the cgroup cannot be looked at: %s", strerrordesc_np(errno));
    pin_sweep(pin_prefix, cgroup_is_there);
    if (snprintf(name, sizeof name, "%s%llu", pin_prefix, (unsigned long long)cgroup.st_ino) >=
        (int)sizeof name)
        return why_fail(why, -ENAMETOOLONG, "the name of the map is too long");
    failed = pin_path(name, probe->pin, why);
    if (!failed)
        failed = bpf_map__set_pin_path(probe->bpf->maps.sockets_checked, probe->pin);
    return failed;
}

static int load(struct sockets_probe *probe, struct why *why)
{
    struct stat pid_namespace;
    int failed;

    if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
        return why_fail(why, -EOPNOTSUPP,
                        "the kernel has no BTF (/sys/kernel/btf/vmlinux); one built with "
                        "CONFIG_DEBUG_INFO_BTF is needed");
    libbpf_set_print(say_nothing);
    failed = probe->plan.is_writing ? sockmap_needs_verdict(&probe->needs_check, why) : 0;
    if (failed)
        return failed;
    probe->bpf = sockets_bpf__open();
    if (!probe->bpf)
        return why_fail(why, -EOPNOTSUPP, "the programs cannot be opened: %s",
                        strerrordesc_np(errno));
    failed = probe->needs_check ? map_pin(probe, why) : 0;
    if (failed)
        return failed;
    probe->bpf->rodata->is_writing = probe->plan.is_writing;
    probe->bpf->rodata->needs_check = probe->needs_check;
    if (stat("/proc/self/ns/pid", &pid_namespace) == 0 &&
        pid_namespace.st_ino != FIRST_PID_NAMESPACE) {
        probe->bpf->rodata->pid_namespace_dev = pid_namespace.st_dev;
        probe->bpf->rodata->pid_namespace_ino = pid_namespace.st_ino;
    }
    failed = sockets_bpf__load(probe->bpf);
    if (failed == -EPERM || failed == -EACCES)
        return why_fail(why, -EPERM,
                        "loading needs root, or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN");
    if (failed)
        return why_fail(why, -EOPNOTSUPP, "the kernel refused the programs: %s",
                        strerrordesc_np(-failed));
    probe->ring = ring_buffer__new(bpf_map__fd(probe->bpf->maps.events), record_take, probe, NULL);
    if (!probe->ring)
        return why_fail(why, -ENOMEM, "no memory for the ring buffer");
    return 0;
}

int sockets_probe_start(const struct probe_plan *plan, struct sockets_probe **out_probe,
                        struct why *why)
{
    struct sockets_probe *probe = calloc(1, sizeof *probe);
    int failed;

    if (!probe)
        return why_fail(why, -ENOMEM, "no memory");
    probe->plan = *plan;
    probe->cgroup = -1;
    failed = cgroup_take(probe, why);
    if (!failed)
        failed = load(probe, why);
    if (!failed) {
        heartbeat(probe);
        failed = attach(probe, why);
    }
    if (failed) {
        sockets_probe_stop(probe);
        return failed;
    }
    *out_probe = probe;
    return 0;
}

bool sockets_probe_is_checking(const struct sockets_probe *probe)
{
    return probe->needs_check;
}

// A pinned map that no connection is in any more has nothing to lose.
static void map_unpin(struct sockets_probe *probe)
{
    uint64_t first;

    if (probe->pin[0] && probe->bpf &&
        bpf_map_get_next_key(bpf_map__fd(probe->bpf->maps.sockets_checked), NULL, &first) != 0)
        pin_remove(probe->pin);
}

void sockets_probe_stop(struct sockets_probe *probe)
{
    if (!probe)
        return;
    while (probe->link_count)
        bpf_link__destroy(probe->links[--probe->link_count]);
    if (probe->bpf && probe->bpf->bss)
        probe->bpf->bss->alive_until_ns = 0;
    map_unpin(probe);
    ring_buffer__free(probe->ring);
    sockets_bpf__destroy(probe->bpf);
    if (probe->cgroup >= 0) {
        cgroup_leave(probe->path);
        close(probe->cgroup);
    }
    free(probe);
}
