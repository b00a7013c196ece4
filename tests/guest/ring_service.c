// SPDX-License-Identifier: Apache-2.0
// A service that records spans into the agent's ring, for tests that kill it, stop its agent or
// count its system calls. Span number n of service s has the trace id "kill" s "span" n and the
// span id "is" s n (numbers big-endian, of 4 and 2 bytes), so that who receives them knows them
// all. usage: ring_service kill SERVICE SPANS HOW FILE     HOW: kill, segv, abort, wait (to be
// killed)
//        ring_service load SERVICE SECONDS THREADS FILE
//        ring_service calls SPANS                      prints system calls per span
// FILE, shared by mapping, holds: spans ended, spans dropped (uint64_t each), then one uint64_t a
// thread of `load`.

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <throughline/sdk.h>

#include "libtrace/base/clock.h"

enum { THREADS_MAX = 16, PAUSE_EVERY = 200 };

struct shown {
    _Atomic uint64_t ended;
    _Atomic uint64_t dropped;
    _Atomic uint64_t by_thread[THREADS_MAX];
};

static struct shown *shown;
static uint32_t service;
static _Thread_local uint32_t number;
static struct tl_tracer *tracer;
static _Atomic bool is_over;
// Not null: a sanitizer would take that for itself.
static volatile int *volatile nowhere = (volatile int *)(uintptr_t)64;

static void put32(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)(value >> 24);
    to[1] = (uint8_t)(value >> 16);
    to[2] = (uint8_t)(value >> 8);
    to[3] = (uint8_t)value;
}

static void trace_id(void *self, uint8_t out_id[16], bool *out_is_random)
{
    (void)self;
    memcpy(out_id, "kill", 4);
    put32(out_id + 4, service);
    memcpy(out_id + 8, "span", 4);
    put32(out_id + 12, number);
    *out_is_random = false;
}

static void span_id(void *self, uint8_t out_id[8])
{
    (void)self;
    out_id[0] = 'i';
    out_id[1] = 's';
    out_id[2] = (uint8_t)(service >> 8);
    out_id[3] = (uint8_t)service;
    put32(out_id + 4, number);
}

static void tracer_make(void)
{
    static const struct tl_id_generator ids = {.trace_id = trace_id, .span_id = span_id};
    const struct tl_span_processor processor = tl_span_processor_ring();
    struct tl_tracer_provider *provider =
        tl_tracer_provider_new(&(struct tl_tracer_provider_options){
            .processors = &processor, .processor_count = 1, .id_generator = &ids});

    tracer = tl_tracer_get(provider, &(struct tl_scope){.name = "ring_service"});
    if (!tracer)
        exit(3);
}

static void span_make(void)
{
    struct tl_span *span = tl_span_start_with(
        tracer, &(struct tl_span_options){.name = "GET /orders", .is_root = true});

    TL_SET(span, TL_STR("http.request.method", "GET"), TL_STR("url.path", "/orders/17"),
           TL_INT("http.response.status_code", 200));
    tl_span_end(span);
    number++;
}

static void shown_map(const char *path)
{
    const int fd = open(path, O_RDWR | O_CLOEXEC);

    shown = mmap(NULL, sizeof *shown, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shown == MAP_FAILED)
        exit(3);
    close(fd);
}

// Ends in the way that was asked for, right after the last span: nothing of ours runs in between.
static void die(const char *how)
{
    if (strcmp(how, "kill") == 0)
        kill(getpid(), SIGKILL);
    if (strcmp(how, "segv") == 0) {
        signal(SIGSEGV, SIG_DFL); // a sanitizer would write a report
        *nowhere = 1;
    }
    if (strcmp(how, "abort") == 0) {
        signal(SIGABRT, SIG_DFL);
        abort();
    }
    exit(0);
}

static int killed(uint32_t spans, const char *how)
{
    const bool waits = strcmp(how, "wait") == 0;

    for (uint32_t i = 0; waits || i < spans; i++) {
        span_make();
        atomic_store_explicit(&shown->ended, i + 1, memory_order_release);
        // The ring has room for what a busy service makes between two looks of the agent, not for
        // a loop that does nothing else.
        if (i % PAUSE_EVERY == PAUSE_EVERY - 1) {
            atomic_store(&shown->dropped, tl_dropped(TL_TRACES));
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        }
    }
    atomic_store(&shown->dropped, tl_dropped(TL_TRACES));
    die(how);
    return 0;
}

static void *load_thread(void *self)
{
    _Atomic uint64_t *made = self;

    number = (uint32_t)(made - shown->by_thread) << 28;
    while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
        span_make();
        // One writer: no locked instruction.
        atomic_store_explicit(made, atomic_load_explicit(made, memory_order_relaxed) + 1,
                              memory_order_relaxed);
    }
    return NULL;
}

// `ended` is written when all is over: made = delivered + dropped then.
static int load(unsigned seconds, int threads)
{
    pthread_t running[THREADS_MAX];
    uint64_t made = 0;

    for (int i = 0; i < threads; i++) {
        if (pthread_create(&running[i], NULL, load_thread, &shown->by_thread[i]) != 0)
            return 3;
    }
    for (unsigned i = 0; i < seconds * 10; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        atomic_store(&shown->dropped, tl_dropped(TL_TRACES));
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < threads; i++) {
        pthread_join(running[i], NULL);
        made += atomic_load(&shown->by_thread[i]);
    }
    atomic_store(&shown->dropped, tl_dropped(TL_TRACES));
    atomic_store(&shown->ended, made);
    return 0;
}

// The parent counts each entry into the kernel of the one thread that makes spans.
static int calls(uint32_t spans)
{
    const pid_t child = fork();
    uint64_t entries = 0;
    int status;

    if (child == 0) {
        tracer_make();
        for (int i = 0; i < 10000; i++)
            span_make(); // warm, and the ring is full when nobody reads it
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        for (uint32_t i = 0; i < spans; i++)
            span_make();
        raise(SIGSTOP);
        _exit(0);
    }
    waitpid(child, &status, 0);
    ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    for (;;) {
        ptrace(PTRACE_SYSCALL, child, NULL, NULL);
        if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
            return 3;
        if (WSTOPSIG(status) == SIGSTOP)
            break;
        entries += WSTOPSIG(status) == (SIGTRAP | 0x80);
    }
    // Each call stops at its entry and at its exit; the last ones are raise's own.
    printf("%u spans, %ju system calls\n", spans, (uintmax_t)entries / 2);
    kill(child, SIGKILL);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "calls") == 0)
        return calls((uint32_t)strtoul(argv[2], NULL, 10));
    if (argc != 6)
        return 2;
    service = (uint32_t)strtoul(argv[2], NULL, 10);
    shown_map(argv[5]);
    tracer_make();
    if (strcmp(argv[1], "kill") == 0)
        return killed((uint32_t)strtoul(argv[3], NULL, 10), argv[4]);
    if (strcmp(argv[1], "load") == 0)
        return load((unsigned)strtoul(argv[3], NULL, 10), (int)strtol(argv[4], NULL, 10));
    return 2;
}
