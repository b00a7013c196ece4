// SPDX-License-Identifier: Apache-2.0
// From the end of a span to its exporter: batches, limits, attempts, flush, shutdown, the child of
// a fork, and a program whose own loop does the work.

#include "tests/sdk/captured.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libtrace/sdk/export/pipe.h"

struct set {
    struct captured *captured;
    struct tl_tracer_provider *provider;
    struct tl_tracer *tracer;
};

static struct set set_up(struct tl_batch_options batch)
{
    struct set set = {.captured = captured_new()};
    const struct tl_exporter_v1 exporter = captured_exporter(set.captured);
    const struct tl_span_processor processor = tl_span_processor_batch(&exporter, &batch);

    set.provider = tl_tracer_provider_new(
        &(struct tl_tracer_provider_options){.processors = &processor, .processor_count = 1});
    set.tracer = tl_tracer_get(set.provider, &(struct tl_scope){.name = "test"});
    assert_non_null(set.tracer);
    return set;
}

static void take_down(struct set *set)
{
    tl_tracer_provider_free(set->provider);
    assert_int_equal(set->captured->frees, 1);
    captured_free(set->captured);
}

static void spans(const struct set *set, int count)
{
    for (int i = 0; i < count; i++) {
        struct tl_span *span =
            tl_span_start_with(set->tracer, &(struct tl_span_options){.name = "x"});

        tl_span_set_one(span, TL_INT("i", i));
        tl_span_end(span);
    }
}

static size_t taken(struct captured *captured)
{
    size_t count;

    pthread_mutex_lock(&captured->lock);
    count = captured->count;
    pthread_mutex_unlock(&captured->lock);
    return count;
}

static void wait_for(struct captured *captured, size_t count)
{
    for (int i = 0; i < 1000 && taken(captured) < count; i++)
        poll(NULL, 0, 10);
    assert_int_equal(taken(captured), count);
}

static void a_flush_brings_all_out_in_order(void **state)
{
    struct set set = set_up((struct tl_batch_options){.delay_ms = 100000});

    (void)state;
    spans(&set, 1000);
    assert_int_equal(tl_tracer_provider_flush(set.provider, 10000), 0);
    assert_int_equal(set.captured->count, 1000);
    assert_int_equal(set.captured->largest, 512);
    assert_int_equal(set.captured->flushes, 1);
    // Nothing more: at once.
    assert_int_equal(tl_tracer_provider_flush(set.provider, 10000), 0);
    assert_int_equal(set.captured->count, 1000);
    take_down(&set);
}

static void what_is_old_enough_goes_by_itself(void **state)
{
    struct set set = set_up((struct tl_batch_options){.delay_ms = 20});

    (void)state;
    spans(&set, 3);
    wait_for(set.captured, 3);
    spans(&set, 2);
    wait_for(set.captured, 5);
    take_down(&set);
}

static void a_whole_batch_does_not_wait(void **state)
{
    struct set set = set_up((struct tl_batch_options){
        .delay_ms = 1000000, .max_queue_records = 4096, .max_batch_records = 50});

    (void)state;
    spans(&set, 50);
    wait_for(set.captured, 50);
    assert_int_equal(set.captured->largest, 50);
    take_down(&set);
}

static void a_queue_limited_in_records_drops_the_newest(void **state)
{
    struct set set = set_up((struct tl_batch_options){.delay_ms = 100000, .max_queue_records = 16});
    const uint64_t before = tl_dropped(TL_TRACES);

    (void)state;
    // Nobody can send meanwhile; what the sender took is one batch.
    pthread_mutex_lock(&set.captured->gate);
    spans(&set, 100);
    assert_true(tl_dropped(TL_TRACES) - before >= 100 - 2 * 16 - 16 * 4);
    pthread_mutex_unlock(&set.captured->gate);
    assert_int_equal(tl_tracer_provider_flush(set.provider, 10000), 0);
    assert_int_equal(set.captured->count + (tl_dropped(TL_TRACES) - before), 100);
    take_down(&set);
}

static void a_full_ring_counts_every_loss(void **state)
{
    struct set set =
        set_up((struct tl_batch_options){.delay_ms = 100000, .max_queue_bytes = 128 * 1024});
    struct tl_stats before, after;

    (void)state;
    tl_stats_read(&before);
    pthread_mutex_lock(&set.captured->gate);
    spans(&set, 10000);
    pthread_mutex_unlock(&set.captured->gate);
    assert_int_equal(tl_tracer_provider_flush(set.provider, 10000), 0);
    tl_stats_read(&after);
    assert_true(after.dropped_queue_full[TL_TRACES] > before.dropped_queue_full[TL_TRACES]);
    assert_int_equal(set.captured->count + after.dropped_queue_full[TL_TRACES] -
                         before.dropped_queue_full[TL_TRACES],
                     10000);
    assert_int_equal(after.exported[TL_TRACES] - before.exported[TL_TRACES], set.captured->count);
    take_down(&set);
}

static void what_may_be_tried_again_is(void **state)
{
    struct set set = set_up((struct tl_batch_options){.delay_ms = 10});

    (void)state;
    set.captured->result = TL_RESULT_RETRY;
    set.captured->wait_ms = 20;
    spans(&set, 5);
    // Longer than a caller wants to wait: it says so, and the spans stay.
    assert_int_equal(tl_tracer_provider_flush(set.provider, 30), -ETIMEDOUT);
    pthread_mutex_lock(&set.captured->lock);
    assert_true(set.captured->requests > 0);
    set.captured->result = TL_RESULT_DONE;
    pthread_mutex_unlock(&set.captured->lock);
    assert_int_equal(tl_tracer_provider_flush(set.provider, 10000), 0);
    assert_int_equal(set.captured->count, 5);
    take_down(&set);
}

static void what_is_refused_is_counted(void **state)
{
    struct set set = set_up((struct tl_batch_options){.delay_ms = 100000});
    struct tl_stats before, after;

    (void)state;
    tl_stats_read(&before);
    set.captured->result = TL_RESULT_REFUSED;
    spans(&set, 7);
    assert_int_equal(tl_tracer_provider_flush(set.provider, 10000), -EIO);
    tl_stats_read(&after);
    assert_int_equal(after.dropped_export[TL_TRACES] - before.dropped_export[TL_TRACES], 7);
    take_down(&set);
}

static void a_shutdown_sends_what_is_left(void **state)
{
    struct set set = set_up((struct tl_batch_options){.delay_ms = 100000});

    (void)state;
    spans(&set, 9);
    assert_int_equal(tl_tracer_provider_shutdown(set.provider, 10000), 0);
    assert_int_equal(set.captured->count, 9);
    assert_int_equal(set.captured->shutdowns, 1);
    take_down(&set);
}

static void what_cannot_be_sent_at_the_end_is_counted(void **state)
{
    struct set set = set_up((struct tl_batch_options){.delay_ms = 100000});
    const uint64_t before = tl_dropped(TL_TRACES);

    (void)state;
    set.captured->result = TL_RESULT_RETRY;
    set.captured->wait_ms = 60000;
    spans(&set, 600);
    // The next attempt would come too late: it does not wait for it.
    assert_int_equal(tl_tracer_provider_shutdown(set.provider, 10000), -EIO);
    take_down(&set);
    assert_int_equal(tl_dropped(TL_TRACES) - before, 600);
}

static void the_child_of_a_fork_sends_its_own(void **state)
{
    struct set set = set_up((struct tl_batch_options){.delay_ms = 100000});
    struct tl_span *open;
    int status = 0;
    pid_t child;

    (void)state;
    spans(&set, 10);
    open = tl_span_start_with(set.tracer, &(struct tl_span_options){.name = "open"});
    child = fork();
    if (child == 0) {
        // The parent's open span is the parent's; what waits too.
        const struct tl_span_context parent = tl_span_context(open);
        bool is_right = tl_span_context_is_valid(&parent);

        tl_span_end(open);
        spans(&set, 3);
        is_right &= tl_tracer_provider_flush(set.provider, 10000) == 0;
        is_right &= set.captured->count == 3;
        _exit(is_right ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    tl_span_end(open);
    assert_int_equal(tl_tracer_provider_flush(set.provider, 10000), 0);
    assert_int_equal(set.captured->count, 11);
    take_down(&set);
}

static void children_of_one_parent_make_different_ids(void **state)
{
    struct set set = set_up((struct tl_batch_options){.delay_ms = 100000});
    uint8_t ids[2][8];
    int ends[2];

    (void)state;
    spans(&set, 1);
    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < 2; i++) {
        if (fork() == 0) {
            struct tl_span *span =
                tl_span_start_with(set.tracer, &(struct tl_span_options){.name = "x"});
            const struct tl_span_context context = tl_span_context(span);

            _exit(write(ends[1], context.span_id, 8) == 8 ? 0 : 1);
        }
        assert_int_equal(read(ends[0], ids[i], 8), 8);
        wait(NULL);
    }
    assert_memory_not_equal(ids[0], ids[1], 8);
    close(ends[0]);
    close(ends[1]);
    take_down(&set);
}

static void figures_see(void *self, const struct pipe_figures *figures)
{
    if (figures->exporter_type && strcmp(figures->exporter_type, "captured") == 0)
        *(struct pipe_figures *)self = *figures;
}

static void a_pipe_says_what_it_did(void **state)
{
    struct set set =
        set_up((struct tl_batch_options){.delay_ms = 100000, .max_queue_records = 100});
    struct pipe_figures figures = {0};

    (void)state;
    spans(&set, 20);
    assert_int_equal(tl_tracer_provider_flush(set.provider, 10000), 0);
    pipe_each(figures_see, &figures);
    assert_int_equal(figures.processed, 20);
    assert_int_equal(figures.exported, 20);
    assert_int_equal(figures.failed, 0);
    assert_int_equal(figures.in_flight, 0);
    assert_int_equal(figures.capacity_records, 100);
    assert_int_equal(figures.queued_records, 0);
    assert_int_equal(figures.operations, 1);
    take_down(&set);
}

// In a process of its own: there is no way back from it.
static int loop_child(void)
{
    struct set set;
    struct pollfd loop = {.events = POLLIN};
    uint64_t wait_ms = 0;

    if (tl_loop_begin() != 0)
        return 1;
    set = set_up((struct tl_batch_options){.delay_ms = 30});
    loop.fd = tl_loop_fd();
    spans(&set, 5);
    for (int i = 0; i < 1000 && set.captured->count < 5; i++) {
        poll(&loop, 1, wait_ms > 1000 ? 1000 : (int)wait_ms);
        wait_ms = tl_loop_run();
    }
    if (set.captured->count != 5)
        return 2;
    // No thread but this one.
    if (access("/proc/self/task", R_OK) == 0) {
        char path[64];

        if (snprintf(path, sizeof path, "/proc/self/task/%d", (int)getpid()) < 0 ||
            access(path, R_OK) != 0)
            return 3;
    }
    spans(&set, 4);
    if (tl_tracer_provider_flush(set.provider, 10000) != 0 || set.captured->count != 9)
        return 4;
    take_down(&set);
    return 0;
}

static void a_programs_loop_can_do_the_work(void **state)
{
    int status = 0;
    const pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(loop_child());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

// From here on a thread cannot be started.
static bool threads_forbid(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {TL_COUNT(rules), rules};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int threadless_child(void)
{
    struct set set;
    size_t taken_at_flush;

    alarm(30);
    if (!threads_forbid())
        return 77;
    set = set_up((struct tl_batch_options){.delay_ms = 100000});
    spans(&set, 3);
    if (tl_tracer_provider_flush(set.provider, 10000) != 0)
        return 1;
    taken_at_flush = taken(set.captured);
    spans(&set, 2);
    if (tl_tracer_provider_shutdown(set.provider, 10000) != 0)
        return 2;
    return taken_at_flush == 3 && taken(set.captured) == 5 ? 0 : 3;
}

static void without_a_thread_a_flush_does_the_work(void **state)
{
    int status = 0;
    const pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(threadless_child());
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

static unsigned told;

static void tell(void *self, enum tl_severity severity, const char *text)
{
    (void)self;
    told += severity == TL_ERROR && strstr(text, "Too many open files");
}

static int descriptorless_child(void)
{
    struct rlimit limit, none;
    struct set set = {.captured = captured_new()};
    const struct tl_exporter_v1 exporter = captured_exporter(set.captured);
    const struct tl_span_processor processor = tl_span_processor_batch(&exporter, NULL);
    const uint64_t dropped = tl_dropped(TL_TRACES);

    alarm(30);
    tl_log_hook_set(tell, NULL);
    set.provider = tl_tracer_provider_new(
        &(struct tl_tracer_provider_options){.processors = &processor, .processor_count = 1});
    getrlimit(RLIMIT_NOFILE, &limit);
    none = limit;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    // A tracer that comes when there is no room for a ring is not lost for ever.
    set.tracer = tl_tracer_get(set.provider, &(struct tl_scope){.name = "late"});
    spans(&set, 10);
    setrlimit(RLIMIT_NOFILE, &limit);
    while (taken(set.captured) == 0) {
        spans(&set, 1);
        if (tl_tracer_provider_flush(set.provider, 10000) != 0)
            return 1;
    }
    if (tl_dropped(TL_TRACES) < dropped + 10)
        return 2;
    return told == 1 ? 0 : 3;
}

static void no_descriptors_are_told_and_survived(void **state)
{
    int status = 0;
    pid_t child;

    (void)state;
#ifdef __SANITIZE_THREAD__
    // It takes a lock that the child of a fork makes anew for one that is still held.
    print_message("not with ThreadSanitizer\n");
    skip();
#endif
    child = fork();
    if (child == 0)
        _exit(descriptorless_child());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

// Keeps what is begun until it is told to answer.
struct holding {
    const struct tl_request *held[8];
    void *tickets[8];
    size_t count;
    size_t most;
};

static int holding_begin(void *self, const struct tl_request *request, void *ticket)
{
    struct holding *holding = self;

    if (holding->count == 3)
        return -EAGAIN;
    holding->held[holding->count] = request;
    holding->tickets[holding->count++] = ticket;
    if (holding->count > holding->most)
        holding->most = holding->count;
    return 0;
}

static bool holding_next(void *self, uint32_t wait_ms, void **out_ticket,
                         struct tl_answer *out_answer)
{
    struct holding *holding = self;

    // Nothing ends before somebody waits for it.
    if (wait_ms == 0 || holding->count == 0)
        return false;
    memset(out_answer, 0, sizeof *out_answer);
    *out_ticket = holding->tickets[--holding->count];
    return true;
}

static int holding_fd(void *self)
{
    (void)self;
    return -1;
}

static void several_requests_are_under_way_at_once(void **state)
{
    struct holding holding = {.count = 0};
    const struct tl_exporter_v1 exporter = {.size = sizeof exporter,
                                            .type = "holding",
                                            .self = &holding,
                                            .begin = holding_begin,
                                            .next = holding_next,
                                            .fd = holding_fd};
    const struct tl_span_processor processor = tl_span_processor_batch(
        &exporter, &(struct tl_batch_options){.delay_ms = 100000, .max_batch_records = 100});
    struct set set = {.captured = NULL};
    struct tl_stats before, after;

    (void)state;
    tl_stats_read(&before);
    set.provider = tl_tracer_provider_new(
        &(struct tl_tracer_provider_options){.processors = &processor, .processor_count = 1});
    set.tracer = tl_tracer_get(set.provider, NULL);
    spans(&set, 1000);
    assert_int_equal(tl_tracer_provider_flush(set.provider, 10000), 0);
    assert_int_equal(holding.most, 3);
    tl_stats_read(&after);
    assert_int_equal(after.exported[TL_TRACES] - before.exported[TL_TRACES], 1000);
    tl_tracer_provider_free(set.provider);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_programs_loop_can_do_the_work),
        cmocka_unit_test(a_flush_brings_all_out_in_order),
        cmocka_unit_test(what_is_old_enough_goes_by_itself),
        cmocka_unit_test(a_whole_batch_does_not_wait),
        cmocka_unit_test(a_queue_limited_in_records_drops_the_newest),
        cmocka_unit_test(a_full_ring_counts_every_loss),
        cmocka_unit_test(what_may_be_tried_again_is),
        cmocka_unit_test(what_is_refused_is_counted),
        cmocka_unit_test(a_shutdown_sends_what_is_left),
        cmocka_unit_test(what_cannot_be_sent_at_the_end_is_counted),
        cmocka_unit_test(the_child_of_a_fork_sends_its_own),
        cmocka_unit_test(children_of_one_parent_make_different_ids),
        cmocka_unit_test(a_pipe_says_what_it_did),
        cmocka_unit_test(without_a_thread_a_flush_does_the_work),
        cmocka_unit_test(no_descriptors_are_told_and_survived),
        cmocka_unit_test(several_requests_are_under_way_at_once),
    };

    setenv("THROUGHLINE_SOCKET", "/nonexistent/agent.sock", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
