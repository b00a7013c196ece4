// SPDX-License-Identifier: Apache-2.0
// A pipe from inside: pipe.c puts, pipe_send.c takes, pipe_request.c makes requests.

#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "libtrace/base/bytes.h"
#include "libtrace/base/clock.h"
#include "libtrace/sdk/export/pipe.h"
#include "libtrace/sdk/export/task.h"
#include "libtrace/sdk/stats.h"

enum {
    ENTRIES_MAX = 1024,
    BATCH_RECORDS_MAX = 8192,
    FLIGHTS = 4,
    REQUEST_BYTES_MAX = 64 << 20,
    SIGNALS = 3,
};

// How long one request is tried before its records are given up and counted.
#define PIPE_RETRY_NS (300 * NS_PER_SECOND)

struct taken;

// Known to callers by its index; where it stands in the ring's table may be another place in the
// child of a fork, whose default resource is its own.
struct pipe_entry {
    uint32_t at; // in the ring's table
    bool is_default;
    struct str resource;
    struct str scope;
};

enum flight_state { FLIGHT_FREE, FLIGHT_WAITING, FLIGHT_SENT };

// One request on its way. It owns its bytes, so the ring's room is given back at once.
struct flight {
    enum flight_state state;
    enum tl_signal signal;
    struct bytes body;
    struct tl_request request;
    unsigned attempt;
    uint64_t due_ns;
    uint64_t begun_ns; // the first attempt
    uint64_t sent_ns;
    uint64_t give_up_ns;
};

// Fields stand by who touches them.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct pipe {
    bool is_shared;
    enum tl_signal signal;
    _Atomic bool has_exporter;
    struct tl_exporter_v1 exporter;
    struct tl_batch_options batch;
    unsigned number;
    _Atomic(struct ring *) ring;
    _Atomic bool is_shut;
    _Atomic bool is_armed; // the sender knows that something waits
    _Atomic uint64_t armed_ns;
    _Atomic bool is_woken; // a whole batch waits, and the sender was told since it last began
    _Atomic size_t queued; // records; kept only when they are limited
    size_t queued_max;     // 0: bytes alone limit

    pthread_mutex_t lock; // the fields from here to `task`, and making the ring
    struct pipe_entry entries[ENTRIES_MAX];
    size_t entry_count;
    unsigned entry_forks; // whose default resource they have
    uint64_t ring_due_ns; // a ring could not be made: when to try again
    int ring_failed;      // the errno of that, until it was told
    uint64_t end_ns;      // shutting down: nothing is tried again after that
    uint64_t flush_wanted;
    uint64_t flush_done;
    uint64_t flush_failed;
    pthread_cond_t flushed;
    struct task *task;

    bool is_quiet;            // during a fork: nobody sends
    pthread_mutex_t run_lock; // the fields below: whoever sends
    struct ring_reader *reader;
    unsigned idle_rounds; // in which nothing had come
    struct taken *taken;  // pipe_request.c's
    struct flight flights[FLIGHTS];
    uint64_t agent_due_ns;  // shared: when to look for an agent again
    uint64_t agent_gone_ns; // shared: since when there is none
    uint64_t agent_look_ns;

    _Atomic uint64_t processed;
    _Atomic uint64_t queue_full;
    _Atomic uint64_t exported;
    _Atomic uint64_t failed;
    _Atomic uint64_t in_flight;
    _Atomic uint64_t operations;
    _Atomic uint64_t operations_failed;
    _Atomic uint64_t operation_ns;
    _Atomic uint64_t next_tick_ns; // shared: when a writer looks after the agent again

    struct pipe *next;
};

// The ring, made when there is none; NULL without memory.
struct ring *pipe_ring(struct pipe *pipe);

// Under the lock: all entries into a new ring; false: no room.
bool pipe_entries_put(struct pipe *pipe, struct ring *ring);
void pipe_entries_free(struct pipe *pipe);

// Under run_lock. Reads at most the batch's records and makes one request a signal of them, into
// free flights; returns how many records were read. With `is_partial` false nothing is taken unless
// a whole batch waits.
size_t pipe_batch_make(struct pipe *pipe, bool is_partial, uint64_t now_ns);

// The task's work (struct task_plan).
uint64_t pipe_run(void *self, uint64_t now_ns, bool may_wait);
int pipe_watch(void *self);

// Sends what waits while the caller waits: for a program without threads of ours.
void pipe_run_here(struct pipe *pipe, uint64_t deadline_ns);

// The task is gone: what waits and what is on its way is given up and counted.
void pipe_give_up(struct pipe *pipe);

// Shared: looks after the agent, at most once a second; true when an agent has the ring.
bool pipe_agent_has(struct pipe *pipe);
