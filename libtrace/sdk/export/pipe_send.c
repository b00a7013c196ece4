// SPDX-License-Identifier: Apache-2.0
// The sender: takes batches from the ring, keeps up to FLIGHTS requests on their way, tries again
// what may be tried again. Runs on the pipe's task, or where a program without threads of ours
// flushes. The shared ring is drained here only while no agent has it.

#include <errno.h>

#include "libtrace/flow/retry.h"
#include "libtrace/sdk/export/hand_over.h"
#include "libtrace/sdk/export/pipe_own.h"
#include "libtrace/sdk/global.h"
#include "libtrace/sdk/metrics/observe.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/thread.h"

static const struct retry_policy policy = {.first_ms = 1000, .max_ms = 30000};

enum { AGENT_GRACE_S = 3, IDLE_ROUNDS = 12 };

static void flight_end(struct pipe *pipe, struct flight *flight, uint64_t rejected, bool is_taken)
{
    const uint64_t records = flight->request.records;
    const uint64_t lost = !is_taken ? records : rejected < records ? rejected : records;

    atomic_fetch_sub(&pipe->in_flight, records);
    atomic_fetch_add(&pipe->exported, records - lost);
    atomic_fetch_add(&pipe->failed, lost);
    signal_add(flight->signal, EXPORTED, records - lost);
    signal_add(flight->signal, LOSS_UNDELIVERED, lost);
    flight->state = FLIGHT_FREE;
}

// True when the next attempt would come too late.
static bool is_hopeless(struct pipe *pipe, const struct flight *flight, uint64_t due_ns)
{
    uint64_t end_ns;

    // Nobody asked for this exporter: the program's end does not wait for whom nobody runs.
    if (pipe->is_shared && global_is_exiting())
        return true;
    pthread_mutex_lock(&pipe->lock);
    end_ns = pipe->end_ns;
    pthread_mutex_unlock(&pipe->lock);
    return due_ns >= flight->give_up_ns || (end_ns && due_ns >= end_ns);
}

// The metric of the SDK's own counts an operation once, with all its attempts.
static void operation_tell(const struct pipe *pipe, const struct flight *flight,
                           const struct tl_answer *answer, uint64_t now_ns)
{
    const struct observed_operation operation = {
        .type = pipe->exporter.type,
        .signal = flight->signal,
        .number = pipe->number,
        .server_address = pipe->exporter.server_address,
        .server_port = pipe->exporter.server_port,
        .lost = answer->result == TL_RESULT_DONE ? answer->rejected : flight->request.records,
        .answer = answer,
        .took_ns = now_ns - flight->begun_ns,
    };

    observe_operation(&operation);
}

static void answer_take(struct pipe *pipe, struct flight *flight, const struct tl_answer *answer)
{
    const uint64_t now = clock_mono_ns();
    const uint32_t asked_ms = answer->wait_ms;
    const uint32_t wait_ms =
        asked_ms ? asked_ms : retry_wait_ms(&policy, flight->attempt, thread_random());
    const uint64_t due_ns = clock_after_ms(now, wait_ms);

    atomic_fetch_add(&pipe->operations, 1);
    atomic_fetch_add(&pipe->operation_ns, now - flight->sent_ns);
    if (answer->result == TL_RESULT_DONE) {
        if (answer->rejected || answer->message[0])
            say(TL_WARN, "%s: partial success: %llu of %zu records rejected: %s",
                pipe->exporter.type, (unsigned long long)answer->rejected, flight->request.records,
                answer->message);
        operation_tell(pipe, flight, answer, now);
        flight_end(pipe, flight, answer->rejected, true);
        return;
    }
    atomic_fetch_add(&pipe->operations_failed, 1);
    if (answer->result == TL_RESULT_REFUSED || is_hopeless(pipe, flight, due_ns)) {
        say(TL_ERROR, "%s: %zu records dropped: %s", pipe->exporter.type, flight->request.records,
            answer->message);
        operation_tell(pipe, flight, answer, now);
        flight_end(pipe, flight, 0, false);
        return;
    }
    say(TL_WARN, "%s: trying again in %u ms: %s", pipe->exporter.type, wait_ms, answer->message);
    flight->attempt++;
    flight->due_ns = due_ns;
    flight->state = FLIGHT_WAITING;
}

// What waits for an attempt that would come after the end is given up now.
static void hopeless_drop(struct pipe *pipe)
{
    for (size_t i = 0; i < FLIGHTS; i++) {
        struct flight *flight = &pipe->flights[i];

        if (flight->state == FLIGHT_WAITING && flight->attempt &&
            is_hopeless(pipe, flight, flight->due_ns))
            flight_end(pipe, flight, 0, false);
    }
}

// It takes no more now, or never again: the second must not keep the records for ever.
static void begin_later(struct pipe *pipe, struct flight *flight, uint64_t now_ns)
{
    const uint64_t due_ns = now_ns + 50 * NS_PER_MS;

    flight->due_ns = due_ns;
    if (!is_hopeless(pipe, flight, due_ns))
        return;
    say(TL_ERROR, "%s: %zu records dropped: no request could be begun", pipe->exporter.type,
        flight->request.records);
    flight_end(pipe, flight, 0, false);
}

// An exporter that can have only one under way answers here.
static void flight_send(struct pipe *pipe, struct flight *flight, uint64_t now_ns)
{
    struct tl_answer answer = {.result = TL_RESULT_REFUSED};

    flight->sent_ns = now_ns;
    if (flight->attempt == 0)
        flight->begun_ns = now_ns;
    flight->request.deadline_ns = clock_after_ms(now_ns, pipe->batch.export_timeout_ms);
    if (pipe->exporter.begin) {
        if (pipe->exporter.begin(pipe->exporter.self, &flight->request, flight) == 0)
            flight->state = FLIGHT_SENT;
        else
            begin_later(pipe, flight, now_ns);
        return;
    }
    pipe->exporter.send(pipe->exporter.self, &flight->request, &answer);
    answer_take(pipe, flight, &answer);
}

static bool answers_take(struct pipe *pipe, uint32_t wait_ms)
{
    struct tl_answer answer;
    void *ticket = NULL;
    bool has_any = false;

    if (!pipe->exporter.next)
        return false;
    while (pipe->exporter.next(pipe->exporter.self, wait_ms, &ticket, &answer)) {
        answer_take(pipe, ticket, &answer);
        has_any = true;
        wait_ms = 0;
    }
    return has_any;
}

static size_t flights_in(const struct pipe *pipe, enum flight_state state)
{
    size_t count = 0;

    for (size_t i = 0; i < FLIGHTS; i++)
        count += pipe->flights[i].state == state;
    return count;
}

static uint64_t flights_due(const struct pipe *pipe)
{
    uint64_t due = UINT64_MAX;

    for (size_t i = 0; i < FLIGHTS; i++) {
        const struct flight *flight = &pipe->flights[i];

        if (flight->state == FLIGHT_WAITING && flight->due_ns < due)
            due = flight->due_ns;
    }
    return due;
}

// True when somebody waits for a flush; up to which one.
static bool flush_look(struct pipe *pipe, uint64_t *out_wanted)
{
    bool is_wanted;

    pthread_mutex_lock(&pipe->lock);
    *out_wanted = pipe->flush_wanted;
    is_wanted = pipe->flush_wanted > pipe->flush_done;
    pthread_mutex_unlock(&pipe->lock);
    return is_wanted;
}

static bool flush_is_wanted(struct pipe *pipe)
{
    uint64_t wanted;

    return flush_look(pipe, &wanted);
}

// Everything that was there when the flush was asked for is gone.
static void flush_end(struct pipe *pipe, uint64_t wanted)
{
    pthread_mutex_lock(&pipe->lock);
    if (pipe->flush_done < wanted)
        pipe->flush_done = wanted;
    pthread_cond_broadcast(&pipe->flushed);
    pthread_mutex_unlock(&pipe->lock);
}

static bool ready_to_read(struct pipe *pipe)
{
    struct ring *ring = atomic_load(&pipe->ring);

    if (ring && !pipe->reader)
        pipe->reader = ring_reader_own(ring);
    return pipe->reader != NULL;
}

// The ring goes to an agent only when nothing of it is on its way.
bool pipe_agent_has(struct pipe *pipe)
{
    struct ring *ring = atomic_load(&pipe->ring);

    if (!ring || flights_in(pipe, FLIGHT_FREE) != FLIGHTS)
        return false;
    if (hand_over_is_held())
        return true;
    ring_reader_free(pipe->reader);
    pipe->reader = NULL;
    return hand_over_pass(ring);
}

// Shared: nobody chose an exporter, so it is the specification's default, where there is a module
// for it. Opened as soon as there is no agent: at the program's end it is too late for that.
static bool exporter_open(struct pipe *pipe)
{
    if (!pipe->has_exporter && !global_is_exiting())
        pipe->has_exporter = tl_exporter_otlp_http(NULL, &pipe->exporter, NULL) == 0;
    return pipe->has_exporter;
}

// Shared: true when it is ours to send.
static bool is_ours(struct pipe *pipe, uint64_t now_ns, uint64_t *out_due_ns)
{
    *out_due_ns = UINT64_MAX;
    if (!pipe->is_shared)
        return true;
    *out_due_ns = now_ns + NS_PER_SECOND;
    if (now_ns >= pipe->agent_look_ns && pipe->flights[0].state == FLIGHT_FREE) {
        pipe->agent_look_ns = now_ns + NS_PER_SECOND;
        if (pipe_agent_has(pipe)) {
            pipe->agent_gone_ns = 0;
            *out_due_ns = UINT64_MAX; // a writer notices when it goes
            return false;
        }
    }
    if (hand_over_is_held())
        return false;
    if (!pipe->agent_gone_ns)
        pipe->agent_gone_ns = now_ns;
    if (!exporter_open(pipe)) {
        *out_due_ns = now_ns + 5 * NS_PER_SECOND;
        return false;
    }
    return now_ns >= pipe->agent_gone_ns + AGENT_GRACE_S * NS_PER_SECOND || flush_is_wanted(pipe);
}

// Free flights that one batch may need: one for each signal it can hold.
static size_t flights_needed(const struct pipe *pipe)
{
    return pipe->is_shared ? SIGNALS : 1;
}

// One round: answers, new requests, old ones again. Returns true while there is more at once.
static bool round_run(struct pipe *pipe, bool is_flushing, uint64_t now_ns)
{
    const uint64_t armed_ns = atomic_load(&pipe->armed_ns);
    const bool is_old = now_ns >= clock_after_ms(armed_ns, pipe->batch.delay_ms);
    bool has_more = answers_take(pipe, 0);

    // A ring can be full of fewer records than a batch has: it is not left to fill.
    while (flights_in(pipe, FLIGHT_FREE) >= flights_needed(pipe) && ready_to_read(pipe) &&
           pipe_batch_make(pipe, is_flushing || is_old || ring_is_pressed(atomic_load(&pipe->ring)),
                           now_ns) > 0) {
        has_more = true;
        // The first request is on its way before the next is made.
        if (flights_in(pipe, FLIGHT_WAITING) > 0)
            break;
    }
    for (size_t i = 0; i < FLIGHTS; i++) {
        struct flight *flight = &pipe->flights[i];

        if (flight->state != FLIGHT_WAITING || flight->due_ns > now_ns)
            continue;
        flight_send(pipe, flight, now_ns);
    }
    return has_more;
}

static bool is_empty(struct pipe *pipe)
{
    struct ring *ring = atomic_load(&pipe->ring);

    return flights_in(pipe, FLIGHT_FREE) == FLIGHTS && (!ring || ring_waiting_bytes(ring) == 0);
}

// Before sleeping. The sender looks again by itself after each delay, so that whoever puts need not
// make a system call to tell it; only when nothing came for a while must the next one do that.
// Returns when to look again.
static uint64_t sleep_prepare(struct pipe *pipe, uint64_t now_ns)
{
    struct ring *ring = atomic_load(&pipe->ring);
    const uint64_t old_ns = clock_after_ms(atomic_load(&pipe->armed_ns), pipe->batch.delay_ms);

    if (!ring) {
        atomic_store(&pipe->is_armed, false);
        return UINT64_MAX;
    }
    if (pipe->reader)
        ring_reader_sleep(pipe->reader);
    pipe->idle_rounds = ring_waiting_bytes(ring) ? 0 : pipe->idle_rounds + 1;
    if (pipe->idle_rounds > IDLE_ROUNDS) {
        atomic_store(&pipe->is_armed, false);
        // What came in before that was seen is not forgotten.
        if (ring_waiting_bytes(ring) == 0)
            return UINT64_MAX;
    }
    atomic_store(&pipe->is_armed, true);
    // Less than a batch is left, and its age decides.
    if (old_ns > now_ns && pipe->idle_rounds == 0)
        return old_ns;
    atomic_store(&pipe->armed_ns, now_ns);
    return clock_after_ms(now_ns, pipe->batch.delay_ms);
}

uint64_t pipe_run(void *self, uint64_t now_ns, bool may_wait)
{
    struct pipe *pipe = self;
    uint64_t due_ns = UINT64_MAX;
    uint64_t wanted;
    bool is_flushing;

    atomic_store(&pipe->is_woken, false);
    is_flushing = flush_look(pipe, &wanted);
    pthread_mutex_lock(&pipe->run_lock);
    while (is_ours(pipe, now_ns, &due_ns)) {
        bool has_more;

        // It may be asked for while an answer is slow, or while others go on recording.
        is_flushing = flush_look(pipe, &wanted);
        if (is_flushing)
            hopeless_drop(pipe);
        has_more = round_run(pipe, is_flushing, now_ns);

        now_ns = clock_mono_ns();
        if (is_flushing && is_empty(pipe))
            flush_end(pipe, wanted);
        if (has_more)
            continue;
        if (flights_in(pipe, FLIGHT_SENT) == 0 || !may_wait)
            break;
        answers_take(pipe, 100);
        now_ns = clock_mono_ns();
    }
    if (is_flushing && pipe->is_shared && !hand_over_is_held() && !pipe->has_exporter &&
        global_is_exiting())
        pipe_give_up(pipe);
    if (is_flushing && (is_empty(pipe) || (pipe->is_shared && hand_over_is_held())))
        flush_end(pipe, wanted);
    if (!pipe->is_shared || pipe->reader) {
        const uint64_t next_ns = sleep_prepare(pipe, now_ns);

        due_ns = next_ns < due_ns ? next_ns : due_ns;
    } else {
        atomic_store(&pipe->is_armed, false);
    }
    if (flights_due(pipe) < due_ns)
        due_ns = flights_due(pipe);
    // Wanted out, and not even taken yet: memory was short for a moment.
    if (is_flushing && !pipe->is_shared && flights_in(pipe, FLIGHT_FREE) == FLIGHTS &&
        !is_empty(pipe) && now_ns + 50 * NS_PER_MS < due_ns)
        due_ns = now_ns + 50 * NS_PER_MS;
    if (flights_in(pipe, FLIGHT_SENT) && now_ns + 50 * NS_PER_MS < due_ns)
        due_ns = now_ns + 50 * NS_PER_MS;
    pthread_mutex_unlock(&pipe->run_lock);
    return due_ns;
}

int pipe_watch(void *self)
{
    const struct pipe *pipe = self;

    return pipe->has_exporter && pipe->exporter.fd ? pipe->exporter.fd(pipe->exporter.self) : -1;
}

void pipe_run_here(struct pipe *pipe, uint64_t deadline_ns)
{
    while (flush_is_wanted(pipe)) {
        const uint64_t now = clock_mono_ns();
        uint64_t due;

        if (now >= deadline_ns)
            return;
        due = pipe_run(pipe, now, true);
        // A pause before the next attempt is longer than the caller wants to wait, mostly.
        if (flush_is_wanted(pipe)) {
            const uint64_t until = due < deadline_ns ? due : deadline_ns;
            const struct timespec at = {(time_t)(until / NS_PER_SECOND),
                                        (long)(until % NS_PER_SECOND)};

            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        }
    }
}

static void undelivered_count(void *self, const struct ring_record *record)
{
    struct pipe *pipe = self;

    atomic_fetch_add(&pipe->failed, record->mark.count);
    signal_add(record->mark.signal, LOSS_UNDELIVERED, record->mark.count);
}

void pipe_give_up(struct pipe *pipe)
{
    for (size_t i = 0; i < FLIGHTS; i++) {
        if (pipe->flights[i].state != FLIGHT_FREE)
            flight_end(pipe, &pipe->flights[i], 0, false);
    }
    if (!ready_to_read(pipe))
        return;
    ring_reader_limit(pipe->reader, 0);
    ring_reader_read(pipe->reader, SIZE_MAX, false, undelivered_count, pipe);
    ring_reader_release(pipe->reader);
}
