// SPDX-License-Identifier: Apache-2.0
// OTLP over gRPC: unary calls of Export on a completion queue. C core moves bytes only while
// somebody waits on the queue, so one thread of ours does, with every signal blocked; it hands the
// ended calls over under the lock. Rules: OTLP specification, "OTLP/gRPC".

#include <errno.h>
#include <fcntl.h>
#include <grpc/byte_buffer.h>
#include <grpc/slice.h>
#include <grpc/support/time.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "exporters/grpc_channel.h"
#include "exporters/grpc_outcome.h"
#include "exporters/grpc_plan.h"
#include "libtrace/base/clock.h"
#include "libtrace/base/descriptor.h"

enum outgoing_state { OUTGOING_FREE, OUTGOING_UNDER_WAY, OUTGOING_ENDED };

// One request. The fields above `state` are the caller's thread's; while it is under way gRPC
// writes what came, and the completion's thread reads nothing of it.
struct outgoing {
    void *ticket;
    enum signal signal;
    bool is_called; // else `early` is the answer
    struct answer early;
    size_t sent_bytes;
    grpc_call *call;
    struct grpc_outcome outcome;
    enum outgoing_state state; // under the lock
};

struct otlp_grpc_client {
    struct otlp_client client;
    struct grpc_plan *plan; // our copy
    char *shown[SIGNAL_COUNT];
    int event_fd; // readable while `ended` is not zero
    pid_t owner;  // of the event descriptor and the requests
    // Of the process that sent first; is_begun stays in its children, which must not touch them.
    bool is_begun;
    grpc_completion_queue *queue;
    grpc_channel *channels[SIGNAL_COUNT];
    pthread_t thread;
    pthread_mutex_t lock;
    size_t ended; // under the lock
    size_t outgoing_count;
    struct outgoing *outgoing;
};

static struct otlp_grpc_client *of(struct otlp_client *client)
{
    return (struct otlp_grpc_client *)client;
}

static void signals_block(sigset_t *out_before)
{
    sigset_t all;

    sigfillset(&all);
    sigemptyset(out_before);
    pthread_sigmask(SIG_SETMASK, &all, out_before);
}

static void outgoing_end(struct otlp_grpc_client *self, struct outgoing *outgoing)
{
    pthread_mutex_lock(&self->lock);
    outgoing->state = OUTGOING_ENDED;
    if (self->ended++ == 0)
        eventfd_write(self->event_fd, 1);
    pthread_mutex_unlock(&self->lock);
}

static void *complete(void *self_)
{
    struct otlp_grpc_client *self = self_;

    for (;;) {
        const grpc_event event =
            grpc_completion_queue_next(self->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL);

        if (event.type == GRPC_QUEUE_SHUTDOWN)
            return NULL;
        if (event.type == GRPC_OP_COMPLETE)
            outgoing_end(self, event.tag);
    }
}

static void channels_close(struct otlp_grpc_client *self)
{
    for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
        if (self->channels[signal])
            grpc_channel_destroy(self->channels[signal]);
        self->channels[signal] = NULL;
    }
}

static int channels_open(struct otlp_grpc_client *self, struct why *why)
{
    const struct otlp_client_plan *plan = grpc_plan_of(self->plan);

    for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
        self->channels[signal] = grpc_channel_open(plan, plan->endpoints[signal], why);
        if (!self->channels[signal])
            return -EINVAL;
    }
    return 0;
}

// The runtime, the channels and the thread, at the first request.
static int start(struct otlp_grpc_client *self, struct why *why)
{
    int failed;

    if (!grpc_runtime_begin(why))
        return -ENOTSUP;
    self->queue = grpc_completion_queue_create_for_next(NULL);
    failed = channels_open(self, why);
    if (!failed && pthread_create(&self->thread, NULL, complete, self) != 0)
        failed = why_fail(why, -EAGAIN, "no thread for gRPC");
    if (!failed) {
        self->is_begun = true;
        return 0;
    }
    channels_close(self);
    grpc_completion_queue_shutdown(self->queue);
    while (grpc_completion_queue_next(self->queue, gpr_inf_future(GPR_CLOCK_REALTIME), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        ;
    grpc_completion_queue_destroy(self->queue);
    grpc_runtime_end();
    return failed;
}

// In a child of fork: the requests are the parent's, and so is the event descriptor's count. The
// lock may be held by a thread that is not here.
static int leave_parent(struct otlp_grpc_client *self)
{
    const int event_fd = descriptor_keep(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const int failed = event_fd < 0 || dup3(event_fd, self->event_fd, O_CLOEXEC) < 0 ? -errno : 0;

    if (event_fd >= 0)
        close(event_fd);
    if (failed)
        return failed;
    pthread_mutex_init(&self->lock, NULL);
    self->ended = 0;
    for (size_t i = 0; i < self->outgoing_count; i++)
        self->outgoing[i].state = OUTGOING_FREE;
    self->owner = getpid();
    return 0;
}

static struct outgoing *outgoing_take(struct otlp_grpc_client *self)
{
    struct outgoing *free_one = NULL;

    if (self->owner != getpid() && leave_parent(self) != 0)
        return NULL;
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->outgoing_count && !free_one; i++) {
        if (self->outgoing[i].state == OUTGOING_FREE)
            free_one = &self->outgoing[i];
    }
    if (free_one)
        free_one->state = OUTGOING_UNDER_WAY;
    pthread_mutex_unlock(&self->lock);
    return free_one;
}

static gpr_timespec deadline_of(const struct otlp_grpc_client *self,
                                const struct otlp_request *request)
{
    const uint64_t ms =
        otlp_client_time_ms(grpc_plan_of(self->plan)->timeout_ms, request->deadline_mono_ns);

    if (!ms)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_millis((int64_t)ms, GPR_TIMESPAN));
}

// A copy: gRPC may hold on to it after the call has ended.
static grpc_byte_buffer *message_of(const struct otlp_request *request, size_t bytes)
{
    grpc_slice slice = grpc_slice_malloc(bytes);
    uint8_t *to = GRPC_SLICE_START_PTR(slice);
    grpc_byte_buffer *message;

    for (size_t i = 0; i < request->piece_count; i++) {
        if (request->pieces[i].len)
            memcpy(to, request->pieces[i].at, request->pieces[i].len);
        to += request->pieces[i].len;
    }
    message = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    return message;
}

static grpc_call *call_make(struct otlp_grpc_client *self, const struct otlp_request *request)
{
    static const char *const methods[SIGNAL_COUNT] = {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    };

    return grpc_channel_create_call(self->channels[request->signal], NULL, GRPC_PROPAGATE_DEFAULTS,
                                    self->queue,
                                    grpc_slice_from_static_string(methods[request->signal]), NULL,
                                    deadline_of(self, request), NULL);
}

static grpc_call_error call_start(struct otlp_grpc_client *self, struct outgoing *outgoing,
                                  grpc_byte_buffer *message)
{
    grpc_op ops[6] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},  {.op = GRPC_OP_SEND_MESSAGE},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT}, {.op = GRPC_OP_RECV_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_MESSAGE},           {.op = GRPC_OP_RECV_STATUS_ON_CLIENT},
    };

    ops[0].data.send_initial_metadata.metadata =
        grpc_plan_metadata(self->plan, &ops[0].data.send_initial_metadata.count);
    ops[1].data.send_message.send_message = message;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &outgoing->outcome.initial;
    ops[4].data.recv_message.recv_message = &outgoing->outcome.response;
    ops[5].data.recv_status_on_client.trailing_metadata = &outgoing->outcome.trailing;
    ops[5].data.recv_status_on_client.status = &outgoing->outcome.status;
    ops[5].data.recv_status_on_client.status_details = &outgoing->outcome.details;
    return grpc_call_start_batch(outgoing->call, ops, sizeof ops / sizeof ops[0], outgoing, NULL);
}

static void call_release(struct outgoing *outgoing)
{
    grpc_outcome_done(&outgoing->outcome);
    grpc_call_unref(outgoing->call);
}

// False: `early` says why not.
static bool call_begin(struct otlp_grpc_client *self, struct outgoing *outgoing,
                       const struct otlp_request *request)
{
    const uint64_t bytes_max = grpc_plan_of(self->plan)->request_bytes_max;
    grpc_byte_buffer *message;
    grpc_call_error failed;

    outgoing->early = (struct answer){.result = SEND_REFUSED};
    outgoing->sent_bytes = 0;
    for (size_t i = 0; i < request->piece_count; i++)
        outgoing->sent_bytes += request->pieces[i].len;
    if (bytes_max && outgoing->sent_bytes > bytes_max) {
        otlp_client_too_large(&outgoing->early, outgoing->sent_bytes, bytes_max);
        return false;
    }
    if (self->is_begun && !grpc_runtime_is_ours()) {
        grpc_runtime_begin(&outgoing->early.why);
        return false;
    }
    if (!self->is_begun && start(self, &outgoing->early.why) != 0)
        return false;
    grpc_outcome_init(&outgoing->outcome);
    outgoing->call = call_make(self, request);
    message = message_of(request, outgoing->sent_bytes);
    failed = call_start(self, outgoing, message);
    grpc_byte_buffer_destroy(message);
    if (failed == GRPC_CALL_OK)
        return true;
    why_fail(&outgoing->early.why, -EINVAL, "gRPC refused the call: %s",
             grpc_call_error_to_string(failed));
    call_release(outgoing);
    return false;
}

static int grpc_client_begin(struct otlp_client *client, const struct otlp_request *request,
                             void *ticket)
{
    struct otlp_grpc_client *self = of(client);
    struct outgoing *outgoing = outgoing_take(self);
    sigset_t before;

    if (!outgoing)
        return -EAGAIN;
    outgoing->ticket = ticket;
    outgoing->signal = request->signal;
    // Threads that gRPC starts meanwhile must not take the program's signals.
    signals_block(&before);
    outgoing->is_called = true;
    if (!call_begin(self, outgoing, request)) {
        outgoing->is_called = false;
        outgoing_end(self, outgoing);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return 0;
}

static void judge(struct otlp_grpc_client *self, struct outgoing *outgoing, struct answer *out)
{
    const char *shown = self->shown[outgoing->signal];

    if (!outgoing->is_called) {
        *out = outgoing->early;
        return;
    }
    grpc_outcome_judge(&outgoing->outcome, grpc_plan_of(self->plan)->response_bytes_max, shown,
                       out);
    out->sent_bytes = outgoing->sent_bytes;
    call_release(outgoing);
}

static struct outgoing *ended_find(struct otlp_grpc_client *self)
{
    struct outgoing *found = NULL;

    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; self->ended && i < self->outgoing_count && !found; i++) {
        if (self->outgoing[i].state == OUTGOING_ENDED)
            found = &self->outgoing[i];
    }
    pthread_mutex_unlock(&self->lock);
    return found;
}

static void ended_release(struct otlp_grpc_client *self, struct outgoing *outgoing)
{
    eventfd_t count;

    pthread_mutex_lock(&self->lock);
    outgoing->state = OUTGOING_FREE;
    if (--self->ended == 0)
        eventfd_read(self->event_fd, &count);
    pthread_mutex_unlock(&self->lock);
}

static struct outgoing *ended_await(struct otlp_grpc_client *self, uint32_t wait_ms)
{
    const uint64_t deadline_ns = clock_mono_ns() + wait_ms * NS_PER_MS;
    struct pollfd wanted = {.fd = self->event_fd, .events = POLLIN};

    for (;;) {
        struct outgoing *ended = ended_find(self);
        const uint64_t now_ns = clock_mono_ns();
        uint64_t left_ms;

        if (ended || now_ns >= deadline_ns)
            return ended;
        left_ms = (deadline_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
        poll(&wanted, 1, left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
    }
}

static bool grpc_client_next(struct otlp_client *client, uint32_t wait_ms, void **out_ticket,
                             struct answer *out_answer)
{
    struct otlp_grpc_client *self = of(client);
    struct outgoing *ended;
    sigset_t before;

    if (self->owner != getpid() && leave_parent(self) != 0)
        return false;
    ended = ended_await(self, wait_ms);
    if (!ended)
        return false;
    signals_block(&before);
    judge(self, ended, out_answer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    *out_ticket = ended->ticket;
    ended_release(self, ended);
    return true;
}

static int grpc_client_fd(struct otlp_client *client)
{
    return of(client)->event_fd;
}

// Gives up what is under way, and ends the thread.
static void stop(struct otlp_grpc_client *self)
{
    sigset_t before;

    signals_block(&before);
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->outgoing_count; i++) {
        if (self->outgoing[i].state == OUTGOING_UNDER_WAY)
            grpc_call_cancel(self->outgoing[i].call, NULL);
    }
    pthread_mutex_unlock(&self->lock);
    grpc_completion_queue_shutdown(self->queue);
    pthread_join(self->thread, NULL);
    for (size_t i = 0; i < self->outgoing_count; i++) {
        if (self->outgoing[i].state == OUTGOING_ENDED && self->outgoing[i].is_called)
            call_release(&self->outgoing[i]);
    }
    channels_close(self);
    grpc_completion_queue_destroy(self->queue);
    grpc_runtime_end();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void grpc_client_free(struct otlp_client *client)
{
    struct otlp_grpc_client *self = of(client);

    if (self->is_begun && grpc_runtime_is_ours() && self->owner == getpid())
        stop(self);
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        free(self->shown[signal]);
    if (self->event_fd >= 0)
        close(self->event_fd);
    pthread_mutex_destroy(&self->lock);
    grpc_plan_free(self->plan);
    free(self->outgoing);
    free(self);
}

static int client_fill(struct otlp_grpc_client *self, const struct otlp_client_plan *plan,
                       struct why *why)
{
    self->plan = grpc_plan_new(plan, why);
    if (!self->plan)
        return -EINVAL;
    self->outgoing_count = plan->in_flight_max ? plan->in_flight_max : 1;
    self->outgoing = calloc(self->outgoing_count, sizeof self->outgoing[0]);
    self->event_fd = descriptor_keep(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
        self->shown[signal] = otlp_client_shown(plan->endpoints[signal]);
        if (!self->shown[signal])
            return why_fail(why, -ENOMEM, "out of memory");
    }
    if (!self->outgoing || self->event_fd < 0)
        return why_fail(why, -ENOMEM, "no memory or no descriptor");
    return 0;
}

struct otlp_client *otlp_grpc_client_new(const struct otlp_client_plan *plan, struct why *why)
{
    struct otlp_grpc_client *self = calloc(1, sizeof *self);

    if (!self) {
        why_fail(why, -ENOMEM, "out of memory");
        return NULL;
    }
    self->client =
        (struct otlp_client){grpc_client_begin, grpc_client_next, grpc_client_fd, grpc_client_free};
    self->event_fd = -1;
    self->owner = getpid();
    pthread_mutex_init(&self->lock, NULL);
    if (client_fill(self, plan, why) == 0)
        return &self->client;
    grpc_client_free(&self->client);
    return NULL;
}
