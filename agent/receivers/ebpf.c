// SPDX-License-Identifier: Apache-2.0
// One thread: takes what the socket tap saw, has the assembler make spans of it, hands these in by
// process. Owns the tap, the assembler and the table of processes.

#include "agent/receivers/ebpf.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#include "agent/log.h"
#include "agent/receivers/processes.h"
#include "agent/stats.h"
#include "ebpf/probe/sockets.h"
#include "libtrace/base/clock.h"
#include "libtrace/conversation/assembler.h"
#include "libtrace/flow/peers.h"
#include "libtrace/otlp/span.h"

enum {
    POLL_MS = 50,
    BATCH_SPANS = 2048,
    BATCH_BYTES = 16 << 20,
    CONNECTION_IDLE_S = 24 * 3600, // a pool may be silent for long; what is closed is told
    PROCESS_IDLE_S = 60,
    PEERS_MAX = 512,
};

struct made_span {
    struct process *process;
    uint32_t at;
    uint32_t len;
};

struct ebpf_receiver {
    struct str cgroup;
    bool is_injecting;
    uint64_t max_connections;
    // Not settings.
    const struct outlet *outlet;
    struct sockets_probe *probe;
    struct assembler *assembler;
    struct processes *processes;
    struct bytes bodies; // of the spans made since the last hand-over
    struct made_span spans[BATCH_SPANS];
    size_t span_count;
    uint32_t peers[PEERS_MAX];
    size_t peer_count;
    uint64_t peers_seen;
    uint64_t random;
    uint64_t now_ns;
    uint64_t forgot_ns;
    pthread_t thread;
    _Atomic bool is_stopping;
};

static const struct setting settings[] = {
    SETTING_TEXT(struct ebpf_receiver, cgroup, "throughline",
                 "The cgroup below the v2 mount whose processes are traced; THROUGHLINE_CGROUP "
                 "wins; / is the whole node."),
    {"inject", SETTING_TYPE_BOOL, offsetof(struct ebpf_receiver, is_injecting), "true", NULL,
     "Write trace context into HTTP/1 requests and AMQP messages; false: only look."},
    SETTING_NUMBER(struct ebpf_receiver, max_connections, "16384",
                   "Connections followed at once; the one silent for longest makes room."),
    SETTING_END,
};

// splitmix64: ids need to be unique, not secret.
static uint64_t random_next(void *self_)
{
    struct ebpf_receiver *self = self_;
    uint64_t mixed = self->random += UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

static bool is_peer(const struct ebpf_receiver *self, uint32_t pid)
{
    for (size_t i = 0; i < self->peer_count; i++) {
        if (self->peers[i] == pid)
            return true;
    }
    return false;
}

static int by_process(const void *a_, const void *b_)
{
    const struct made_span *a = a_;
    const struct made_span *b = b_;

    if (a->process->pid != b->process->pid)
        return a->process->pid < b->process->pid ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

static void groups_write(struct ebpf_receiver *self, struct bytes *wire)
{
    struct bytes scope = {.limit = 256};
    struct str *records = calloc(self->span_count, sizeof records[0]);
    const struct scope tap = {.name = STR("throughline/ebpf")};

    scope_write(&scope, &tap);
    qsort(self->spans, self->span_count, sizeof self->spans[0], by_process);
    for (size_t from = 0; records && from < self->span_count;) {
        const struct process *process = self->spans[from].process;
        size_t count = 0;

        while (from + count < self->span_count && self->spans[from + count].process == process) {
            const struct made_span *span = &self->spans[from + count];

            records[count++] = (struct str){(const char *)self->bodies.at + span->at, span->len};
        }
        otlp_group_write(wire, bytes_str(&process->resource), STR(""), bytes_str(&scope), STR(""),
                         records, count);
        from += count;
    }
    wire->is_failed |= !records;
    free(records);
    bytes_done(&scope);
}

static void spans_push(struct ebpf_receiver *self)
{
    struct bytes wire = {.limit = 2 * BATCH_BYTES};
    const size_t count = self->span_count;
    struct batch *batch = NULL;
    uint32_t wait_ms = 0;

    if (count == 0)
        return;
    groups_write(self, &wire);
    if (wire.is_failed)
        bytes_done(&wire);
    else
        batch = batch_new(SIGNAL_TRACES, wire.at, wire.len, count, self->now_ns);
    if (batch && outlet_push(self->outlet, batch, &wait_ms) == 0)
        stats_add(&agent_stats, AGENT_ebpf_records, count);
    else
        stats_add(&agent_stats, AGENT_ebpf_dropped, count);
    self->span_count = 0;
    self->bodies.len = 0;
    self->bodies.is_failed = false;
}

static void span_keep(void *self_, const struct connection *connection, const struct span *span)
{
    struct ebpf_receiver *self = self_;
    const size_t at = self->bodies.len;
    struct process *process;

    if (is_peer(self, connection->pid)) {
        stats_add(&agent_stats, AGENT_ebpf_left_out, 1);
        return;
    }
    process = processes_find(self->processes, connection->pid, STR("unknown"), self->now_ns);
    span_write(&self->bodies, span);
    if (!process || self->bodies.is_failed) {
        stats_add(&agent_stats, AGENT_ebpf_dropped, 1);
        self->bodies.len = at;
        self->bodies.is_failed = false;
        return;
    }
    self->spans[self->span_count++] =
        (struct made_span){process, (uint32_t)at, (uint32_t)(self->bodies.len - at)};
    if (self->span_count == BATCH_SPANS)
        spans_push(self);
}

static void take_open(void *self_, const struct connection *connection)
{
    struct ebpf_receiver *self = self_;

    if (assembler_open(self->assembler, connection) != 0)
        stats_add(&agent_stats, AGENT_ebpf_unfollowed, 1);
}

static void take_data(void *self_, const struct segment *segment,
                      const struct probe_process *process, enum conn_role role)
{
    struct ebpf_receiver *self = self_;
    const struct connection connection = {.conn = segment->conn, .role = role, .pid = process->pid};

    // While it lives: a short program is gone when its span is made.
    processes_find(self->processes, process->pid, process->name, self->now_ns);
    if (assembler_open(self->assembler, &connection) != 0)
        stats_add(&agent_stats, AGENT_ebpf_unfollowed, 1);
    else
        assembler_segment(self->assembler, segment);
}

static void take_close(void *self_, uint64_t conn, uint64_t time_ns)
{
    struct ebpf_receiver *self = self_;

    assembler_close(self->assembler, conn, time_ns);
}

static void peers_look(struct ebpf_receiver *self)
{
    struct peers *peers = self->outlet->peers;
    uint64_t version;

    if (!peers)
        return;
    version = peers_version(peers);
    if (version == self->peers_seen)
        return;
    self->peers_seen = version;
    self->peer_count = peers_list(peers, self->peers, PEERS_MAX);
    if (self->peer_count > PEERS_MAX)
        self->peer_count = PEERS_MAX;
    sockets_probe_exclude(self->probe, self->peers, self->peer_count);
}

static void *run(void *self_)
{
    struct ebpf_receiver *self = self_;

    while (!atomic_load(&self->is_stopping)) {
        self->now_ns = clock_unix_ns();
        peers_look(self);
        if (sockets_probe_poll(self->probe, POLL_MS) < 0) {
            // It would fail at once, for ever.
            log_error("ebpf.poll", "error=\"the ring buffer cannot be read\" action=stopped");
            break;
        }
        self->now_ns = clock_unix_ns();
        assembler_tick(self->assembler, self->now_ns, CONNECTION_IDLE_S * NS_PER_SECOND);
        spans_push(self);
        if (self->now_ns - self->forgot_ns > PROCESS_IDLE_S * NS_PER_SECOND) {
            self->forgot_ns = self->now_ns;
            processes_forget(self->processes, self->now_ns - PROCESS_IDLE_S * NS_PER_SECOND);
        }
    }
    return NULL;
}

static void release(struct ebpf_receiver *self)
{
    sockets_probe_stop(self->probe);
    assembler_free(self->assembler);
    processes_free(self->processes);
    bytes_done(&self->bodies);
}

static int ebpf_open(void *self_, const struct outlet *outlet, struct why *why)
{
    struct ebpf_receiver *self = self_;
    const char *cgroup = getenv("THROUGHLINE_CGROUP");
    const struct assembler_plan assembler = {
        .limits = {.max_connections = self->max_connections, .max_bytes_each = 256 * 1024},
        .emit = span_keep,
        .emit_self = self,
        .random = random_next,
        .random_self = self,
    };
    struct probe_plan probe = {
        .cgroup = self->cgroup,
        .is_writing = self->is_injecting,
        .self = self,
        .open = take_open,
        .data = take_data,
        .close = take_close,
    };
    int failed;

    if (cgroup && *cgroup)
        probe.cgroup = str_of(cgroup);
    self->outlet = outlet;
    self->now_ns = self->forgot_ns = clock_unix_ns();
    self->bodies.limit = BATCH_BYTES;
    if (getrandom(&self->random, sizeof self->random, 0) != sizeof self->random)
        self->random = clock_unix_ns();
    self->assembler = assembler_new(&assembler);
    self->processes = processes_new();
    if (!self->assembler || !self->processes)
        failed = why_fail(why, -ENOMEM, "no memory");
    else
        failed = sockets_probe_start(&probe, &self->probe, why);
    if (!failed && sockets_probe_is_checking(self->probe))
        log_info("ebpf.fionread", "kernel=\"tells 0 for sockets in a map\" action=\"nginx, java, "
                                  "dotnet and who is seen asking get a stream verdict\"");
    if (!failed && pthread_create(&self->thread, NULL, run, self) != 0)
        failed = why_fail(why, -EAGAIN, "no thread to read events");
    if (failed)
        release(self);
    return failed;
}

static void ebpf_close(void *self_)
{
    struct ebpf_receiver *self = self_;

    atomic_store(&self->is_stopping, true);
    pthread_join(self->thread, NULL);
    // What the kernel side had ready; exchanges that are open are counted as abandoned.
    sockets_probe_poll(self->probe, 0);
    spans_push(self);
    release(self);
}

const struct receiver ebpf_receiver = {
    .name = "ebpf",
    .settings = settings,
    .size = sizeof(struct ebpf_receiver),
    .open = ebpf_open,
    .close = ebpf_close,
};
