// SPDX-License-Identifier: Apache-2.0
// The periodic reader: collects every interval and sends what there is, request by request, in
// order. Whoever sends has the turn, so an exporter never sees two calls at once: the reader's
// task, or who flushes or shuts down.

#include <errno.h>
#include <stdlib.h>

#include "libtrace/base/clock.h"
#include "libtrace/flow/retry.h"
#include "libtrace/sdk/export/task.h"
#include "libtrace/sdk/metrics/observe.h"
#include "libtrace/sdk/metrics/reader.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"
#include "libtrace/sdk/thread.h"

enum { INTERVAL_MS = 60000, EXPORT_TIMEOUT_MS = 30000 };

struct periodic {
    struct tl_metric_reader *reader;
    struct tl_exporter_v1 exporter;
    struct observed *observed;
    struct task *task;
    uint64_t interval_ns;
    uint64_t timeout_ns;
    uint32_t points_max;
    _Atomic bool is_shut;
    struct turn turn; // who sends; what follows is theirs
    uint64_t due_ns;
    // In a program's own loop: requests of a collection that are not all sent.
    struct request_builder waiting;
    struct bytes resource;
    size_t next_request;
    bool is_under_way;
    uint64_t begun_ns;
};

static const struct retry_policy policy = {.first_ms = 200, .max_ms = 5000};

static void answer_count(struct periodic *periodic, const struct metric_request *request,
                         const struct tl_answer *answer, uint64_t begun_ns)
{
    const bool is_done = answer->result == TL_RESULT_DONE;
    const uint64_t lost = !is_done                             ? request->points
                          : answer->rejected < request->points ? answer->rejected
                                                               : request->points;

    signal_add(TL_METRICS, EXPORTED, request->points - lost);
    signal_add(TL_METRICS, LOSS_UNDELIVERED, lost);
    observe_exported(periodic->observed, request->points, lost, answer, clock_mono_ns() - begun_ns);
    if (!is_done)
        say(TL_ERROR, "metrics: %s: %u points were not taken: %s",
            periodic->exporter.type ? periodic->exporter.type : "exporter", request->points,
            answer->message);
    else if (answer->rejected || answer->message[0])
        say(TL_WARN, "metrics: %s: partial success, %llu points rejected: %s",
            periodic->exporter.type ? periodic->exporter.type : "exporter",
            (unsigned long long)answer->rejected, answer->message);
}

static void pause_ms(uint32_t wait_ms)
{
    const struct timespec wait = {wait_ms / 1000, (long)(wait_ms % 1000) * 1000000};

    nanosleep(&wait, NULL);
}

// Until it is taken, refused, or too late. Returns 0 or -errno.
static int request_send(struct periodic *periodic, const struct metric_request *request,
                        uint64_t deadline_ns)
{
    const uint64_t begun_ns = clock_mono_ns();
    const uint64_t own_ns = begun_ns + periodic->timeout_ns;
    const uint64_t until_ns = own_ns < deadline_ns ? own_ns : deadline_ns;
    const struct tl_request sent = {TL_METRICS, request->bytes.at, request->bytes.len,
                                    request->points, until_ns};
    struct tl_answer answer;

    observe_in_flight(periodic->observed, request->points);
    for (unsigned attempt = 0;; attempt++) {
        uint32_t wait_ms;

        answer = (struct tl_answer){.result = TL_RESULT_REFUSED};
        periodic->exporter.send(periodic->exporter.self, &sent, &answer);
        wait_ms =
            answer.wait_ms ? answer.wait_ms : retry_wait_ms(&policy, attempt, thread_random());
        if (answer.result != TL_RESULT_RETRY ||
            clock_after_ms(clock_mono_ns(), wait_ms) >= until_ns)
            break;
        pause_ms(wait_ms);
    }
    answer_count(periodic, request, &answer, begun_ns);
    if (answer.result == TL_RESULT_DONE)
        return 0;
    return clock_mono_ns() >= until_ns ? -ETIMEDOUT : -EIO;
}

// Collects into `builder`; the resource's bytes must outlive it.
static int requests_make(struct periodic *periodic, struct request_builder *builder,
                         struct bytes *resource, uint64_t deadline_ns)
{
    const uint64_t own_ns = clock_mono_ns() + periodic->timeout_ns;
    int result = reader_resource(periodic->reader, resource);

    request_builder_init(builder, bytes_str(resource), periodic->points_max);
    if (result != 0)
        return result;
    result = reader_collect(periodic->reader, &builder->sink,
                            own_ns < deadline_ns ? own_ns : deadline_ns);
    // What was collected is sent, whatever else went wrong.
    request_builder_end(builder, false);
    return result;
}

static int collect_and_send(struct periodic *periodic, uint64_t deadline_ns)
{
    struct request_builder builder;
    struct bytes resource = {0};
    int result = requests_make(periodic, &builder, &resource, deadline_ns);

    for (size_t i = 0; i < builder.count; i++) {
        const int failed = request_send(periodic, &builder.requests[i], deadline_ns);

        result = result ? result : failed;
    }
    request_builder_done(&builder);
    bytes_done(&resource);
    return result;
}

// What the loop's last run left: sent to its end.
static void waiting_drain(struct periodic *periodic, uint64_t deadline_ns)
{
    struct tl_answer answer = {.result = TL_RESULT_REFUSED};
    void *ticket;

    if (periodic->is_under_way) {
        const uint64_t now_ns = clock_mono_ns();
        const uint64_t left_ms = deadline_ns > now_ns ? (deadline_ns - now_ns) / NS_PER_MS : 0;

        periodic->is_under_way = false;
        if (!periodic->exporter.next(periodic->exporter.self, (uint32_t)left_ms, &ticket, &answer))
            answer.result = TL_RESULT_RETRY;
        answer_count(periodic, &periodic->waiting.requests[periodic->next_request], &answer,
                     periodic->begun_ns);
        periodic->next_request++;
    }
    for (; periodic->next_request < periodic->waiting.count; periodic->next_request++)
        request_send(periodic, &periodic->waiting.requests[periodic->next_request], deadline_ns);
    request_builder_done(&periodic->waiting);
    bytes_done(&periodic->resource);
    periodic->next_request = 0;
}

// One step that does not wait. Returns true while something is under way.
static bool waiting_step(struct periodic *periodic, uint64_t now_ns)
{
    struct metric_request *request;
    struct tl_answer answer = {.result = TL_RESULT_REFUSED};
    struct tl_request sent;
    void *ticket;

    if (periodic->is_under_way) {
        if (!periodic->exporter.next(periodic->exporter.self, 0, &ticket, &answer))
            return true;
        periodic->is_under_way = false;
        answer_count(periodic, &periodic->waiting.requests[periodic->next_request], &answer,
                     periodic->begun_ns);
        periodic->next_request++;
    }
    if (periodic->next_request >= periodic->waiting.count) {
        request_builder_done(&periodic->waiting);
        bytes_done(&periodic->resource);
        periodic->next_request = 0;
        return false;
    }
    request = &periodic->waiting.requests[periodic->next_request];
    sent = (struct tl_request){TL_METRICS, request->bytes.at, request->bytes.len, request->points,
                               now_ns + periodic->timeout_ns};
    if (periodic->exporter.begin(periodic->exporter.self, &sent, request) == 0) {
        observe_in_flight(periodic->observed, request->points);
        periodic->is_under_way = true;
        periodic->begun_ns = now_ns;
    }
    return true;
}

// Returns when to run next.
static uint64_t run_in_turn(struct periodic *periodic, uint64_t now_ns, bool may_wait)
{
    const bool is_due = now_ns >= periodic->due_ns;

    if (atomic_load(&periodic->is_shut))
        return UINT64_MAX;
    if (is_due) {
        periodic->due_ns += periodic->interval_ns;
        // After a long sleep the intervals that were missed are not made up for.
        if (periodic->due_ns <= now_ns)
            periodic->due_ns = now_ns + periodic->interval_ns;
    }
    if (may_wait || !periodic->exporter.begin || !periodic->exporter.next) {
        if (periodic->waiting.count)
            waiting_drain(periodic, now_ns + periodic->timeout_ns);
        if (is_due)
            collect_and_send(periodic, UINT64_MAX);
        return periodic->due_ns;
    }
    if (is_due && periodic->waiting.count == 0)
        requests_make(periodic, &periodic->waiting, &periodic->resource, UINT64_MAX);
    if (periodic->waiting.count && waiting_step(periodic, now_ns))
        return now_ns + 10 * NS_PER_MS;
    return periodic->due_ns;
}

static uint64_t periodic_run(void *self, uint64_t now_ns, bool may_wait)
{
    struct periodic *periodic = self;
    uint64_t due_ns;

    // Who flushes has the turn: a moment later is soon enough.
    if (turn_take(&periodic->turn, now_ns + (may_wait ? 50 * NS_PER_MS : 0)) != 0)
        return now_ns + 10 * NS_PER_MS;
    due_ns = run_in_turn(periodic, now_ns, may_wait);
    turn_end(&periodic->turn);
    return due_ns;
}

static int periodic_watch(void *self)
{
    const struct periodic *periodic = self;

    return periodic->exporter.fd ? periodic->exporter.fd(periodic->exporter.self) : -1;
}

static void periodic_start(void *self)
{
    struct periodic *periodic = self;

    periodic->due_ns = clock_mono_ns() + periodic->interval_ns;
    task_start(periodic->task, periodic->due_ns);
}

static int periodic_flush(void *self, uint64_t timeout_ms)
{
    struct periodic *periodic = self;
    const uint64_t deadline_ns = clock_after_ms(clock_mono_ns(), timeout_ms);
    int result = turn_take(&periodic->turn, deadline_ns);
    int flushed = 0;

    if (result != 0)
        return result;
    if (periodic->waiting.count)
        waiting_drain(periodic, deadline_ns);
    result = collect_and_send(periodic, deadline_ns);
    if (periodic->exporter.flush)
        flushed = periodic->exporter.flush(periodic->exporter.self, clock_left_ms(deadline_ns));
    turn_end(&periodic->turn);
    return result ? result : flushed;
}

static int periodic_shutdown(void *self, uint64_t timeout_ms)
{
    struct periodic *periodic = self;
    const uint64_t deadline_ns = clock_after_ms(clock_mono_ns(), timeout_ms);
    int result = turn_take(&periodic->turn, deadline_ns);
    int stopped = 0;

    // Also when another send takes too long: it is the last one then.
    atomic_store(&periodic->is_shut, true);
    if (result != 0)
        return result;
    if (periodic->waiting.count)
        waiting_drain(periodic, deadline_ns);
    result = collect_and_send(periodic, deadline_ns);
    if (periodic->exporter.shutdown)
        stopped = periodic->exporter.shutdown(periodic->exporter.self, clock_left_ms(deadline_ns));
    turn_end(&periodic->turn);
    return result ? result : stopped;
}

static void periodic_free(void *self)
{
    struct periodic *periodic = self;

    // A thread left behind in an exporter still needs all of it.
    if (!task_free(periodic->task, clock_mono_ns() + NS_PER_SECOND))
        return;
    request_builder_done(&periodic->waiting);
    bytes_done(&periodic->resource);
    observed_free(periodic->observed);
    if (periodic->exporter.free)
        periodic->exporter.free(periodic->exporter.self);
    turn_done(&periodic->turn);
    free(periodic);
}

static const struct reader_functions functions = {periodic_start, periodic_flush, periodic_shutdown,
                                                  periodic_free};

static struct periodic *periodic_new(const struct tl_exporter_v1 *exporter,
                                     const struct tl_reader_options *options)
{
    struct periodic *periodic = calloc(1, sizeof *periodic);
    const uint64_t interval_ms = options->interval_ms ? options->interval_ms : INTERVAL_MS;
    const uint64_t timeout_ms =
        options->export_timeout_ms ? options->export_timeout_ms : EXPORT_TIMEOUT_MS;

    if (!periodic)
        return NULL;
    periodic->exporter = *exporter;
    periodic->interval_ns = clock_after_ms(0, interval_ms);
    periodic->timeout_ns = clock_after_ms(0, timeout_ms);
    periodic->points_max =
        options->max_export_records < UINT32_MAX ? (uint32_t)options->max_export_records : 0;
    turn_init(&periodic->turn);
    periodic->observed = observed_exporter(exporter, TL_METRICS);
    periodic->task = task_new(&(struct task_plan){
        .name = "tl-metrics", .run = periodic_run, .self = periodic, .watch = periodic_watch});
    if (periodic->task)
        periodic->reader = reader_new("periodic_metric_reader", options, &functions, periodic);
    if (periodic->reader)
        return periodic;
    task_free(periodic->task, clock_mono_ns());
    observed_free(periodic->observed);
    free(periodic);
    return NULL;
}

struct tl_metric_reader *tl_reader_periodic(const struct tl_exporter_v1 *exporter,
                                            const struct tl_reader_options *options)
{
    static const struct tl_reader_options none;
    const int saved = errno;
    struct periodic *periodic;

    if (!exporter || !exporter->send)
        return NULL;
    periodic = periodic_new(exporter, options ? options : &none);
    if (!periodic && exporter->free)
        exporter->free(exporter->self);
    errno = saved;
    return periodic ? periodic->reader : NULL;
}
