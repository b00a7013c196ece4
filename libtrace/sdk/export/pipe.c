// SPDX-License-Identifier: Apache-2.0
// The writers' side of a pipe, and its life. Nothing here waits but flush and shutdown.

#include "libtrace/sdk/export/pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "libtrace/sdk/export/hand_over.h"
#include "libtrace/sdk/export/pipe_own.h"
#include "libtrace/sdk/resource/process_context.h"
#include "libtrace/sdk/resource/resource.h"
#include "libtrace/sdk/thread.h"

enum {
    SUB_BYTES_MIN = 64 * 1024,
    SUB_BYTES_WHOLE = 2 * RING_RECORD_MAX, // any record fits wherever the last one ended
    SHARED_SUB_BYTES = SUB_BYTES_WHOLE,
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct pipe *pipes;
static struct pipe *shared;
static unsigned numbers;

static void before_fork(void)
{
    pthread_mutex_lock(&list_lock);
    for (struct pipe *pipe = pipes; pipe; pipe = pipe->next) {
        pthread_mutex_lock(&pipe->lock);
        // Whoever sends may be in the middle of it, for as long as an exporter takes.
        pipe->is_quiet = pthread_mutex_trylock(&pipe->run_lock) == 0;
    }
}

static void after_fork_parent(void)
{
    for (struct pipe *pipe = pipes; pipe; pipe = pipe->next) {
        if (pipe->is_quiet)
            pthread_mutex_unlock(&pipe->run_lock);
        pthread_mutex_unlock(&pipe->lock);
    }
    pthread_mutex_unlock(&list_lock);
}

// What waits is the parent's to send. The child makes a ring of its own with its first record; the
// exporter's connections are let go by whoever made them.
static void child_forget(struct pipe *pipe)
{
    struct ring *ring = atomic_exchange(&pipe->ring, NULL);

    // A sender that was interrupted may have given memory back that still stands here.
    if (pipe->is_quiet)
        ring_reader_free(pipe->reader);
    pipe->reader = NULL;
    ring_free(ring);
    for (size_t i = 0; i < FLIGHTS; i++) {
        struct flight *flight = &pipe->flights[i];

        // So may what was grown, and an exporter may still read what is on its way.
        if (!pipe->is_quiet || flight->state == FLIGHT_SENT)
            flight->body = (struct bytes){.limit = REQUEST_BYTES_MAX};
        flight->state = FLIGHT_FREE;
    }
    atomic_store(&pipe->is_woken, false);
    atomic_store(&pipe->is_armed, false);
    atomic_store(&pipe->queued, 0);
    atomic_store(&pipe->in_flight, 0);
    atomic_store(&pipe->next_tick_ns, 0);
    pipe->flush_done = pipe->flush_wanted;
    pipe->ring_due_ns = 0;
    pipe->agent_look_ns = pipe->agent_gone_ns = 0;
    pthread_mutex_init(&pipe->lock, NULL);
    pthread_mutex_init(&pipe->run_lock, NULL);
    pthread_cond_init(&pipe->flushed, NULL);
}

static void after_fork_child(void)
{
    hand_over_forget();
    for (struct pipe *pipe = pipes; pipe; pipe = pipe->next)
        child_forget(pipe);
    pthread_mutex_init(&list_lock, NULL);
}

static void first_use(void)
{
    thread_forks_watch();
    resource_forks_watch();
    task_forks_watch();
    hand_over_path_read();
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

void pipe_forks_watch(void)
{
    pthread_once(&once, first_use);
}

// One a processor, but none so small that the largest record never fits: what the queue may take
// decides, not how many processors there are.
static unsigned sub_count(const struct pipe *pipe)
{
    const long cpus = sysconf(_SC_NPROCESSORS_CONF);
    unsigned subs = 1;

    while (subs < RING_SUBS_MAX && (long)subs < cpus &&
           (pipe->is_shared || (size_t)subs * 2 * SUB_BYTES_WHOLE <= pipe->batch.max_queue_bytes))
        subs *= 2;
    return subs;
}

static size_t sub_bytes(const struct pipe *pipe, unsigned subs)
{
    size_t bytes = SUB_BYTES_MIN;

    if (pipe->is_shared)
        return SHARED_SUB_BYTES;
    while (bytes * 2 * subs <= pipe->batch.max_queue_bytes && bytes < (32u << 20))
        bytes *= 2;
    return bytes;
}

// Under the lock. The entries known so far stand in the new ring too. After a failure records are
// lost for a second before the next attempt.
static struct ring *ring_make(struct pipe *pipe)
{
    const uint64_t now = clock_mono_ns();
    const unsigned subs = sub_count(pipe);
    struct ring *ring;

    if (now < pipe->ring_due_ns)
        return NULL;
    pipe->ring_due_ns = now + NS_PER_SECOND;
    ring = ring_new(subs, sub_bytes(pipe, subs), task_wake_fd(pipe->task));
    if (ring && !pipe_entries_put(pipe, ring)) {
        ring_free(ring);
        ring = NULL;
    }
    if (ring)
        atomic_store_explicit(&pipe->ring, ring, memory_order_release);
    else
        pipe->ring_failed = errno;
    return ring;
}

// Shared: a writer looks after the agent once a second; when there is none, the sender is started,
// which goes on looking.
static void agent_tick(struct pipe *pipe)
{
    const uint64_t now = clock_read_ns(CLOCK_MONOTONIC_COARSE);
    uint64_t due = atomic_load_explicit(&pipe->next_tick_ns, memory_order_relaxed);
    bool is_held = false;

    if (now < due ||
        !atomic_compare_exchange_strong(&pipe->next_tick_ns, &due, now + NS_PER_SECOND))
        return;
    if (pthread_mutex_trylock(&pipe->run_lock) != 0)
        return;
    is_held = pipe_agent_has(pipe);
    pthread_mutex_unlock(&pipe->run_lock);
    if (!is_held && !atomic_exchange(&pipe->is_armed, true))
        task_start(pipe->task, now);
}

struct ring *pipe_ring(struct pipe *pipe)
{
    struct ring *ring = atomic_load_explicit(&pipe->ring, memory_order_acquire);
    const int saved = errno;

    if (ring)
        return ring;
    pthread_mutex_lock(&pipe->lock);
    ring = atomic_load(&pipe->ring);
    if (!ring)
        ring = ring_make(pipe);
    pthread_mutex_unlock(&pipe->lock);
    process_context_renew();
    // At once: the agent must know that this program reports by itself.
    if (ring && pipe->is_shared)
        agent_tick(pipe);
    errno = saved;
    return ring;
}

static void defaults_fill(struct pipe *pipe)
{
    struct tl_batch_options *batch = &pipe->batch;

    if (!batch->delay_ms)
        batch->delay_ms = pipe->signal == TL_LOGS ? 1000 : 5000;
    if (!batch->export_timeout_ms)
        batch->export_timeout_ms = 30000;
    pipe->queued_max = batch->max_queue_records;
    if (!batch->max_batch_records)
        batch->max_batch_records = 512;
    if (batch->max_batch_records > BATCH_RECORDS_MAX)
        batch->max_batch_records = BATCH_RECORDS_MAX;
    if (pipe->queued_max && batch->max_batch_records > pipe->queued_max)
        batch->max_batch_records = pipe->queued_max;
    if (!batch->max_queue_bytes)
        batch->max_queue_bytes = 1 << 20;
}

static struct pipe *pipe_make(const struct pipe_plan *plan, bool is_shared)
{
    const int saved = errno;
    struct pipe *pipe = calloc(1, sizeof *pipe);

    pthread_once(&once, first_use);
    if (!pipe)
        return NULL;
    pipe->is_shared = is_shared;
    pipe->signal = plan->signal;
    pipe->exporter = plan->exporter;
    pipe->has_exporter = !is_shared;
    pipe->batch = plan->batch;
    defaults_fill(pipe);
    pthread_mutex_init(&pipe->lock, NULL);
    pthread_mutex_init(&pipe->run_lock, NULL);
    pthread_cond_init(&pipe->flushed, NULL);
    for (size_t i = 0; i < FLIGHTS; i++)
        pipe->flights[i].body.limit = REQUEST_BYTES_MAX;
    pipe->task = task_new(&(struct task_plan){"throughline", pipe_run, pipe, pipe_watch});
    if (!pipe->task) {
        free(pipe);
        errno = saved;
        return NULL;
    }
    pthread_mutex_lock(&list_lock);
    pipe->entry_forks = atomic_load(&thread_forks);
    pipe->number = numbers++;
    pipe->next = pipes;
    pipes = pipe;
    pthread_mutex_unlock(&list_lock);
    errno = saved;
    return pipe;
}

struct pipe *pipe_new(const struct pipe_plan *plan)
{
    struct pipe *pipe = pipe_make(plan, false);

    if (!pipe && plan->exporter.free)
        plan->exporter.free(plan->exporter.self);
    return pipe;
}

static void shared_make(void)
{
    const struct pipe_plan plan = {.signal = TL_LOGS};

    shared = pipe_make(&plan, true);
}

struct pipe *pipe_shared(void)
{
    static pthread_once_t made = PTHREAD_ONCE_INIT;

    pthread_once(&made, shared_make);
    return shared;
}

// The first to put something after the sender went to sleep tells it, and when.
static void arm(struct pipe *pipe)
{
    const uint64_t now = clock_mono_ns();

    if (atomic_exchange(&pipe->is_armed, true))
        return;
    atomic_store(&pipe->armed_ns, now);
    task_start(pipe->task, clock_after_ms(now, pipe->batch.delay_ms));
}

bool pipe_reserve(struct pipe *pipe, const struct ring_mark *mark, uint32_t len,
                  struct ring_slot *out_slot)
{
    struct ring *ring = pipe_ring(pipe);
    struct ring_mark placed = *mark;

    if (!ring || mark->entry >= ENTRIES_MAX) {
        signal_add(mark->signal, LOSS_NO_MEMORY, mark->count);
        return false;
    }
    if (atomic_load_explicit(&pipe->is_shut, memory_order_relaxed)) {
        signal_add(mark->signal, LOSS_UNDELIVERED, mark->count);
        return false;
    }
    if (pipe->queued_max &&
        atomic_fetch_add_explicit(&pipe->queued, 1, memory_order_relaxed) >= pipe->queued_max) {
        atomic_fetch_sub_explicit(&pipe->queued, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&pipe->queue_full, mark->count, memory_order_relaxed);
        signal_add(mark->signal, LOSS_QUEUE_FULL, mark->count);
        return false;
    }
    placed.entry = pipe->entries[mark->entry].at;
    if (ring_reserve(ring, &placed, len, out_slot))
        return true;
    if (pipe->queued_max)
        atomic_fetch_sub_explicit(&pipe->queued, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&pipe->queue_full, mark->count, memory_order_relaxed);
    signal_add(mark->signal, LOSS_QUEUE_FULL, mark->count);
    if (pipe->is_shared)
        agent_tick(pipe);
    return false;
}

void pipe_commit(struct pipe *pipe, const struct ring_slot *slot)
{
    struct ring *ring = atomic_load_explicit(&pipe->ring, memory_order_relaxed);

    ring_commit(ring, slot);
    if (pipe->is_shared) {
        agent_tick(pipe);
        return;
    }
    if (!atomic_load_explicit(&pipe->is_armed, memory_order_relaxed))
        arm(pipe);
    // Not only by whom the batch became full: that one may find the sender about to sleep.
    if (pipe->queued_max &&
        atomic_load_explicit(&pipe->queued, memory_order_relaxed) >=
            pipe->batch.max_batch_records &&
        !atomic_load_explicit(&pipe->is_woken, memory_order_relaxed) &&
        !atomic_exchange(&pipe->is_woken, true))
        task_wake(pipe->task);
}

// Shared: what an agent has is out of the process, and no thread is needed to say so. A sender that
// holds the lock finds out by itself.
static bool agent_has_it(struct pipe *pipe)
{
    bool is_held = false;

    if (pipe->is_shared && pthread_mutex_trylock(&pipe->run_lock) == 0) {
        is_held = pipe_agent_has(pipe);
        pthread_mutex_unlock(&pipe->run_lock);
    }
    return is_held;
}

int pipe_flush(struct pipe *pipe, uint64_t timeout_ms)
{
    const uint64_t deadline_ns = clock_after_ms(clock_mono_ns(), timeout_ms);
    const struct timespec at = {(time_t)(deadline_ns / NS_PER_SECOND),
                                (long)(deadline_ns % NS_PER_SECOND)};
    const uint64_t failed = atomic_load(&pipe->failed);
    uint64_t wanted;
    bool is_done;

    if (!atomic_load(&pipe->ring) || agent_has_it(pipe))
        return 0;
    pthread_mutex_lock(&pipe->lock);
    wanted = ++pipe->flush_wanted;
    pthread_mutex_unlock(&pipe->lock);
    task_wake(pipe->task);
    // The system gives no thread (a limit, a seccomp filter): the caller waits in any case.
    if (tl_loop_fd() >= 0 || !task_is_started(pipe->task))
        pipe_run_here(pipe, deadline_ns);
    pthread_mutex_lock(&pipe->lock);
    while (pipe->flush_done < wanted &&
           pthread_cond_clockwait(&pipe->flushed, &pipe->lock, CLOCK_MONOTONIC, &at) == 0)
        ;
    is_done = pipe->flush_done >= wanted;
    pthread_mutex_unlock(&pipe->lock);
    if (!is_done)
        return -ETIMEDOUT;
    if (pipe->has_exporter && pipe->exporter.flush) {
        const uint64_t now = clock_mono_ns();
        const int result = pipe->exporter.flush(
            pipe->exporter.self, deadline_ns > now ? (deadline_ns - now) / NS_PER_MS : 0);

        if (result)
            return result;
    }
    return atomic_load(&pipe->failed) == failed ? 0 : -EIO;
}

int pipe_shutdown(struct pipe *pipe, uint64_t timeout_ms)
{
    const uint64_t deadline_ns = clock_after_ms(clock_mono_ns(), timeout_ms);
    uint64_t now;
    int result;

    if (!pipe->is_shared && atomic_exchange(&pipe->is_shut, true))
        return -EALREADY;
    pthread_mutex_lock(&pipe->lock);
    pipe->end_ns = deadline_ns;
    pthread_mutex_unlock(&pipe->lock);
    result = pipe_flush(pipe, timeout_ms);
    if (pipe->is_shared)
        return result;
    now = clock_mono_ns();
    if (pipe->exporter.shutdown)
        pipe->exporter.shutdown(pipe->exporter.self,
                                deadline_ns > now ? (deadline_ns - now) / NS_PER_MS : 0);
    return result;
}

static void unlist(struct pipe *pipe)
{
    pthread_mutex_lock(&list_lock);
    for (struct pipe **at = &pipes; *at; at = &(*at)->next) {
        if (*at == pipe) {
            *at = pipe->next;
            break;
        }
    }
    pthread_mutex_unlock(&list_lock);
}

void pipe_free(struct pipe *pipe)
{
    if (!pipe || pipe->is_shared)
        return;
    atomic_store(&pipe->is_shut, true);
    unlist(pipe);
    // A sender that is stuck keeps what it uses.
    if (!task_free(pipe->task, clock_mono_ns() + 2 * NS_PER_SECOND))
        return;
    pipe_give_up(pipe);
    if (pipe->exporter.free)
        pipe->exporter.free(pipe->exporter.self);
    ring_reader_free(pipe->reader);
    ring_free(atomic_load(&pipe->ring));
    for (size_t i = 0; i < FLIGHTS; i++)
        bytes_done(&pipe->flights[i].body);
    pipe_entries_free(pipe);
    free(pipe->taken);
    free(pipe);
}

void pipe_threads_start(void)
{
    pthread_mutex_lock(&list_lock);
    for (struct pipe *pipe = pipes; pipe; pipe = pipe->next) {
        if (!pipe->is_shared)
            task_start(pipe->task, UINT64_MAX);
    }
    pthread_mutex_unlock(&list_lock);
}

static struct pipe_figures figures_of(struct pipe *pipe)
{
    const struct ring *ring = atomic_load(&pipe->ring);
    const unsigned subs = sub_count(pipe);
    struct pipe_figures figures = {
        .exporter_type = pipe->has_exporter ? pipe->exporter.type : NULL,
        .server_address = pipe->has_exporter ? pipe->exporter.server_address : NULL,
        .server_port = pipe->has_exporter ? pipe->exporter.server_port : 0,
        .signal = pipe->signal,
        .queued_bytes = ring ? ring_waiting_bytes(ring) : 0,
        .capacity_bytes = subs * sub_bytes(pipe, subs),
        .processed = atomic_load(&pipe->processed),
        .queue_full = atomic_load(&pipe->queue_full),
        .exported = atomic_load(&pipe->exported),
        .failed = atomic_load(&pipe->failed),
        .in_flight = atomic_load(&pipe->in_flight),
        .operations = atomic_load(&pipe->operations),
        .operations_failed = atomic_load(&pipe->operations_failed),
        .operation_ns = atomic_load(&pipe->operation_ns),
        .number = pipe->number,
    };

    // A span of five attributes takes about 256 bytes.
    figures.queued_records =
        pipe->queued_max ? atomic_load(&pipe->queued) : figures.queued_bytes / 256;
    figures.capacity_records = pipe->queued_max ? pipe->queued_max : figures.capacity_bytes / 256;
    return figures;
}

void pipe_each(void (*visit)(void *self, const struct pipe_figures *figures), void *self)
{
    pthread_mutex_lock(&list_lock);
    for (struct pipe *pipe = pipes; pipe; pipe = pipe->next) {
        const struct pipe_figures figures = figures_of(pipe);

        visit(self, &figures);
    }
    pthread_mutex_unlock(&list_lock);
}
