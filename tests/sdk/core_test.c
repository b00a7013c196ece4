// SPDX-License-Identifier: Apache-2.0
// The core under unkind use: forks at a bad moment, callbacks that call back, handles that are too
// old, arguments nobody should give.

#include "tests/sdk/captured.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libtrace/base/clock.h"
#include "libtrace/base/ring.h"
#include "libtrace/sdk/export/hand_over.h"

struct set {
    struct captured *captured;
    struct tl_tracer_provider *provider;
    struct tl_tracer *tracer;
};

static struct set set_of(struct captured *captured, struct tl_tracer_provider_options options)
{
    struct set set = {.captured = captured};

    set.provider = options.processor_count ? tl_tracer_provider_new(&options)
                                           : captured_provider(captured, options);
    set.tracer = tl_tracer_get(set.provider, &(struct tl_scope){.name = "core"});
    assert_non_null(set.tracer);
    return set;
}

static struct set simple_set(void)
{
    return set_of(captured_new(), (struct tl_tracer_provider_options){.processors = NULL});
}

static struct set batch_set(struct tl_batch_options batch)
{
    struct captured *captured = captured_new();
    const struct tl_exporter_v1 exporter = captured_exporter(captured);
    const struct tl_span_processor processor = tl_span_processor_batch(&exporter, &batch);

    return set_of(captured, (struct tl_tracer_provider_options){.processors = &processor,
                                                                .processor_count = 1});
}

static void set_free(struct set *set)
{
    tl_tracer_provider_free(set->provider);
    captured_free(set->captured);
}

static struct tl_span *started(const struct set *set)
{
    return tl_span_start_with(set->tracer, &(struct tl_span_options){.name = "x"});
}

// The child has five seconds.
static void child_ends_well(pid_t child)
{
    int status = -1;

    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

struct setter {
    pthread_t thread;
    struct tl_span *span;
    _Atomic bool is_ending;
};

static void *set_for_ever(void *self)
{
    struct setter *setter = self;

    while (!atomic_load(&setter->is_ending))
        tl_span_set_one(setter->span, TL_STR("key", "a value that takes a while to be encoded"));
    return NULL;
}

// The other thread may have had the span's lock: in the child it is nobody's.
static void a_span_that_another_thread_changes_during_a_fork_is_no_trap(void **state)
{
    struct set set = simple_set();
    struct setter setter = {.span = started(&set)};

    (void)state;
    assert_int_equal(pthread_create(&setter.thread, NULL, set_for_ever, &setter), 0);
    for (int i = 0; i < 100; i++) {
        const pid_t child = fork();

        if (child == 0) {
            struct tl_span_view view;

            alarm(5);
            tl_span_set_one(setter.span, TL_INT("i", i));
            tl_span_end(setter.span);
            _exit(tl_span_is_recording(setter.span) || tl_span_view(setter.span, &view));
        }
        child_ends_well(child);
    }
    atomic_store(&setter.is_ending, true);
    pthread_join(setter.thread, NULL);
    tl_span_end(setter.span);
    set_free(&set);
}

static void *end_one(void *self)
{
    tl_span_end(started(self));
    return NULL;
}

static void the_child_of_a_fork_does_not_wait_for_its_parents_exporter(void **state)
{
    struct set set = simple_set();
    pthread_t thread;
    pid_t child;

    (void)state;
    pthread_mutex_lock(&set.captured->gate);
    assert_int_equal(pthread_create(&thread, NULL, end_one, &set), 0);
    // It is in the exporter, or about to be: both are fine.
    poll(NULL, 0, 100);
    child = fork();
    if (child == 0) {
        pthread_mutex_init(&set.captured->gate, NULL);
        pthread_mutex_init(&set.captured->lock, NULL);
        alarm(5);
        tl_span_end(started(&set));
        _exit(set.captured->count != 1);
    }
    child_ends_well(child);
    pthread_mutex_unlock(&set.captured->gate);
    pthread_join(thread, NULL);
    assert_int_equal(set.captured->count, 1);
    set_free(&set);
}

static struct set *own_set;

static void send_with_span(void *self, const struct tl_request *request, struct tl_answer *answer)
{
    tl_span_end(started(own_set));
    captured_send(self, request, answer);
}

static void an_exporter_that_traces_itself_does_not_wait_for_itself(void **state)
{
    struct captured *captured = captured_new();
    struct tl_exporter_v1 exporter = captured_exporter(captured);
    struct tl_span_processor processor;
    struct set set;
    const uint64_t before = tl_dropped(TL_TRACES);

    (void)state;
    exporter.send = send_with_span;
    processor = tl_span_processor_simple(&exporter);
    set = set_of(captured, (struct tl_tracer_provider_options){.processors = &processor,
                                                               .processor_count = 1});
    own_set = &set;
    alarm(5);
    tl_span_end(started(&set));
    alarm(0);
    assert_int_equal(captured->count, 1);
    assert_int_equal(tl_dropped(TL_TRACES) - before, 1);
    set_free(&set);
}

static void shutting_a_busy_exporter_down_keeps_its_deadline(void **state)
{
    struct set set = simple_set();
    pthread_t thread;
    uint64_t begun_ns;

    (void)state;
    pthread_mutex_lock(&set.captured->gate);
    assert_int_equal(pthread_create(&thread, NULL, end_one, &set), 0);
    poll(NULL, 0, 100);
    begun_ns = clock_mono_ns();
    alarm(5);
    assert_int_equal(tl_tracer_provider_shutdown(set.provider, 100), -ETIMEDOUT);
    alarm(0);
    assert_true(clock_mono_ns() - begun_ns < 2 * NS_PER_SECOND);
    pthread_mutex_unlock(&set.captured->gate);
    pthread_join(thread, NULL);
    set_free(&set);
}

// On one processor, so that one part of the ring takes it all.
static void a_thread_that_stays_on_one_processor_has_the_whole_queue(void **state)
{
    struct set set =
        batch_set((struct tl_batch_options){.delay_ms = 100000, .max_queue_bytes = 2 << 20});
    const uint64_t before = tl_dropped(TL_TRACES);
    cpu_set_t former, one;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof former, &former), 0);
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    pthread_mutex_lock(&set.captured->gate);
    for (int i = 0; i < 450; i++) {
        struct tl_span *span = started(&set);
        char text[4000];

        memset(text, 'x', sizeof text);
        tl_span_set_one(span, TL_STR_N("text", text, sizeof text));
        tl_span_end(span);
    }
    sched_setaffinity(0, sizeof former, &former);
    pthread_mutex_unlock(&set.captured->gate);
    assert_int_equal(tl_tracer_provider_flush(set.provider, 10000), 0);
    assert_int_equal(tl_dropped(TL_TRACES) - before, 0);
    assert_int_equal(set.captured->count, 450);
    set_free(&set);
}

// Fewer than a batch fill the ring: they are sent before it is full.
static void large_records_do_not_wait_for_a_whole_batch(void **state)
{
    struct set set = batch_set((struct tl_batch_options){.delay_ms = 100000});
    const uint64_t before = tl_dropped(TL_TRACES);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct tl_span *span = started(&set);
        char text[8000];

        memset(text, 'x', sizeof text);
        tl_span_set_one(span, TL_STR_N("text", text, sizeof text));
        tl_span_end(span);
        if (i % 32 == 31)
            poll(NULL, 0, 20);
    }
    assert_int_equal(tl_dropped(TL_TRACES) - before, 0);
    assert_int_equal(tl_tracer_provider_flush(set.provider, 10000), 0);
    assert_int_equal(set.captured->count, 1000);
    set_free(&set);
}

struct producer {
    pthread_t thread;
    const struct set *set;
    _Atomic bool is_ending;
    uint64_t made;
};

static void *produce(void *self)
{
    struct producer *producer = self;

    while (!atomic_load(&producer->is_ending)) {
        tl_span_end(started(producer->set));
        producer->made++;
    }
    return NULL;
}

static void done_send(void *self, const struct tl_request *request, struct tl_answer *answer)
{
    _Atomic uint64_t *sent = self;

    atomic_fetch_add(sent, request->records);
    memset(answer, 0, sizeof *answer);
    answer->result = TL_RESULT_DONE;
}

static void a_flush_ends_while_others_go_on_recording(void **state)
{
    _Atomic uint64_t sent = 0;
    const struct tl_exporter_v1 exporter = {
        .size = sizeof exporter, .type = "none", .self = &sent, .send = done_send};
    const struct tl_span_processor processor = tl_span_processor_batch(&exporter, NULL);
    const struct set set = set_of(
        NULL, (struct tl_tracer_provider_options){.processors = &processor, .processor_count = 1});
    struct producer producers[2] = {{.set = &set}, {.set = &set}};
    const uint64_t before = tl_dropped(TL_TRACES);

    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&producers[i].thread, NULL, produce, &producers[i]), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(tl_tracer_provider_flush(set.provider, 3000), 0);
        poll(NULL, 0, 5);
    }
    for (size_t i = 0; i < 2; i++) {
        atomic_store(&producers[i].is_ending, true);
        pthread_join(producers[i].thread, NULL);
    }
    assert_int_equal(tl_tracer_provider_flush(set.provider, 3000), 0);
    assert_int_equal(producers[0].made + producers[1].made,
                     atomic_load(&sent) + tl_dropped(TL_TRACES) - before);
    tl_tracer_provider_free(set.provider);
}

// Answers come when the test says so; one that refuses to begin never has any.
struct slow {
    pthread_mutex_t lock;
    void *tickets[8];
    size_t begun;
    size_t answered;
    size_t answers; // that may be given
    bool is_refusing;
};

static int slow_begin(void *self, const struct tl_request *request, void *ticket)
{
    struct slow *slow = self;

    (void)request;
    if (slow->is_refusing)
        return -EAGAIN;
    pthread_mutex_lock(&slow->lock);
    slow->tickets[slow->begun++ % 8] = ticket;
    pthread_mutex_unlock(&slow->lock);
    return 0;
}

static bool slow_next(void *self, uint32_t wait_ms, void **out_ticket, struct tl_answer *answer)
{
    struct slow *slow = self;
    bool has_one;

    poll(NULL, 0, wait_ms ? 5 : 0);
    pthread_mutex_lock(&slow->lock);
    has_one = slow->answered < slow->begun && slow->answered < slow->answers;
    if (has_one)
        *out_ticket = slow->tickets[slow->answered++ % 8];
    pthread_mutex_unlock(&slow->lock);
    memset(answer, 0, sizeof *answer);
    return has_one;
}

static int slow_fd(void *self)
{
    (void)self;
    return -1;
}

static void begun_wait(struct slow *slow, size_t count)
{
    size_t begun = 0;

    for (int i = 0; i < 500 && begun < count; i++) {
        poll(NULL, 0, 10);
        pthread_mutex_lock(&slow->lock);
        begun = slow->begun;
        pthread_mutex_unlock(&slow->lock);
    }
    assert_int_equal(begun, count);
}

// Two records are a batch.
static struct set slow_set(struct slow *slow)
{
    const struct tl_exporter_v1 exporter = {.size = sizeof exporter,
                                            .type = "slow",
                                            .self = slow,
                                            .send = done_send,
                                            .begin = slow_begin,
                                            .next = slow_next,
                                            .fd = slow_fd};
    const struct tl_span_processor processor = tl_span_processor_batch(
        &exporter, &(struct tl_batch_options){
                       .delay_ms = 100000, .max_batch_records = 2, .max_queue_records = 100});

    return set_of(
        NULL, (struct tl_tracer_provider_options){.processors = &processor, .processor_count = 1});
}

static void *flush_one(void *self)
{
    const struct set *set = self;

    return tl_tracer_provider_flush(set->provider, 10000) == 0 ? self : NULL;
}

// What is flushed does not wait for a free moment while an earlier answer is slow.
static void a_flush_sends_while_another_request_is_under_way(void **state)
{
    struct slow slow = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct set set = slow_set(&slow);
    pthread_t thread;
    void *result;

    (void)state;
    tl_span_end(started(&set));
    tl_span_end(started(&set));
    begun_wait(&slow, 1);
    tl_span_end(started(&set));
    assert_int_equal(pthread_create(&thread, NULL, flush_one, &set), 0);
    begun_wait(&slow, 2);
    pthread_mutex_lock(&slow.lock);
    slow.answers = 2;
    pthread_mutex_unlock(&slow.lock);
    pthread_join(thread, &result);
    assert_non_null(result);
    tl_tracer_provider_free(set.provider);
}

static void an_exporter_that_never_begins_does_not_keep_its_records(void **state)
{
    struct slow slow = {.lock = PTHREAD_MUTEX_INITIALIZER, .is_refusing = true};
    struct set set = slow_set(&slow);
    const uint64_t before = tl_dropped(TL_TRACES);

    (void)state;
    tl_span_end(started(&set));
    assert_int_equal(tl_tracer_provider_shutdown(set.provider, 300), -EIO);
    assert_int_equal(tl_dropped(TL_TRACES) - before, 1);
    tl_tracer_provider_free(set.provider);
}

static void to_wait_for_ever_is_not_to_wait_at_all(void **state)
{
    struct set set = batch_set((struct tl_batch_options){.delay_ms = UINT64_MAX});

    (void)state;
    tl_span_end(started(&set));
    poll(NULL, 0, 50);
    assert_int_equal(set.captured->requests, 0);
    assert_int_equal(tl_tracer_provider_flush(set.provider, UINT64_MAX), 0);
    assert_int_equal(set.captured->count, 1);
    set_free(&set);
}

static struct tl_span_context random_identity(void)
{
    return (struct tl_span_context){.trace_id = {1, 2, 3},
                                    .span_id = {4},
                                    .flags = TL_FLAG_SAMPLED,
                                    .is_remote = true,
                                    .trace_state = "a=b",
                                    .trace_state_len = 3};
}

// The memory of the parent may be the very one the child gets.
static void an_ended_span_that_stays_current_is_still_a_parent(void **state)
{
    struct set set = simple_set();
    const struct tl_span_context remote = random_identity();
    struct tl_span *parent = tl_span_start_with(
        set.tracer, &(struct tl_span_options){.name = "parent", .parent = &remote});
    const struct tl_span_context identity = tl_span_context(parent);
    struct tl_span *child;

    (void)state;
    tl_span_end(parent);
    tl_current_set(parent);
    child = started(&set);
    tl_current_set(NULL);
    assert_true(tl_span_is_recording(child));
    tl_span_end(child);
    assert_int_equal(set.captured->count, 2);
    assert_memory_equal(set.captured->spans[1].span.parent_id, identity.span_id, 8);
    assert_memory_equal(set.captured->spans[1].span.trace_id, identity.trace_id, 16);
    assert_str(set.captured->spans[1].span.trace_state, "a=b");
    set_free(&set);
}

static const struct tl_span *old_handle;
static struct tl_span_context seen_of_old;

static void look_at_old(void *self, const struct tl_sampling *sampling,
                        struct tl_sampling_result *result)
{
    (void)self, (void)sampling;
    if (old_handle)
        seen_of_old = tl_span_context(old_handle);
    result->decision = (enum tl_decision)1000000;
}

// Between the first word of the new identity and the last the old handle must be nobody's.
static void a_handle_that_is_too_old_never_shows_another_span(void **state)
{
    struct captured *captured = captured_new();
    const struct tl_sampler_functions functions = {.sample = look_at_old};
    const struct set set = set_of(
        captured, (struct tl_tracer_provider_options){.sampler = tl_sampler_custom(&functions)});
    struct tl_span *old = started(&set);
    const struct tl_span_context identity = tl_span_context(old);
    struct tl_span *span;

    (void)state;
    tl_span_end(old);
    old_handle = old;
    memset(&seen_of_old, 0, sizeof seen_of_old);
    span = started(&set);
    old_handle = NULL;
    if (tl_span_context_is_valid(&seen_of_old))
        assert_memory_equal(seen_of_old.span_id, identity.span_id, 8);
    // A decision that is none was dropped.
    assert_false(tl_span_is_recording(span));
    tl_span_end(span);
    tl_tracer_provider_free(set.provider);
    captured_free(captured);
}

static void what_cannot_be_is_left_out(void **state)
{
    struct set set = simple_set();
    struct tl_span *span = started(&set);
    struct tl_attribute attribute = TL_STR("negative", "text");
    const struct tl_value values[] = {{TL_TYPE_BYTES, 5, {NULL}},
                                      {TL_TYPE_STRINGS, 3, {NULL}},
                                      {TL_TYPE_ARRAY, 3, {NULL}},
                                      {TL_TYPE_MAP, 1, {NULL}},
                                      {(enum tl_type)77, 3, {NULL}}};
    const struct tl_attribute pairs[] = {{NULL, 7, {TL_TYPE_INT, 0, {NULL}}}};
    struct tl_link link = {.context = random_identity()};
    struct tl_stats before, after;

    (void)state;
    tl_stats_read(&before);
    attribute.value.count = (size_t)-1;
    tl_span_set_one(span, attribute);
    attribute.value.count = 4;
    attribute.key_len = (size_t)-1;
    tl_span_set_one(span, attribute);
    tl_span_event(span, "event", &attribute, 1);
    tl_stats_read(&after);
    assert_int_equal(after.invalid_values - before.invalid_values, 2);
    tl_span_set_one(span, tl_attribute_list("nested", TL_TYPE_ARRAY, values, TL_COUNT(values)));
    tl_span_set_one(span, tl_attribute_list("map", TL_TYPE_MAP, pairs, TL_COUNT(pairs)));
    link.context.trace_state = NULL;
    tl_span_link_with(span, &link);
    tl_span_end(tl_span_start_with(
        set.tracer, &(struct tl_span_options){.name = "child", .parent = &link.context}));
    tl_span_end(tl_span_wrap(&link.context));
    tl_span_end(span);
    assert_int_equal(set.captured->count, 2);
    assert_int_equal(set.captured->spans[1].span.attributes.count, 2);
    assert_non_null(tl_tracer_get(
        set.provider,
        &(struct tl_scope){.name = "odd", .attributes = pairs, .attribute_count = 1}));
    set_free(&set);
    tl_tracer_provider_free(
        tl_tracer_provider_new(&(struct tl_tracer_provider_options){.processor_count = 2}));
}

static void a_long_value_is_cut_however_long_it_is(void **state)
{
    struct set set = set_of(
        captured_new(), (struct tl_tracer_provider_options){.limits.attribute_value_length = 10});
    struct tl_span *span = started(&set);
    const size_t len = 1000000;
    char *text = malloc(len);
    struct tl_attribute attribute;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', len);
    attribute = TL_STR_N("text", text, len);
    tl_span_set_one(span, attribute);
    tl_span_event(span, "event", &attribute, 1);
    tl_span_end(span);
    free(text);
    assert_int_equal(set.captured->count, 1);
    assert_int_equal(set.captured->spans[0].span.attributes.count, 1);
    assert_int_equal(set.captured->spans[0].span.dropped_attributes, 0);
    assert_str(set.captured->spans[0].span.attributes.at[0].value.string, "xxxxxxxxxx");
    assert_int_equal(set.captured->spans[0].span.events[0].attributes.count, 1);
    set_free(&set);
}

// A program may close every descriptor it does not know, and open its own under their numbers.
static void a_descriptor_that_is_the_programs_by_now_is_left_alone(void **state)
{
    char folder[] = "/tmp/core-XXXXXX";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ring *ring = ring_new(1, 64 * 1024, -1);
    const int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int pair[2];
    int expected;
    char byte = 0;

    (void)state;
    assert_non_null(ring);
    assert_non_null(mkdtemp(folder));
    assert_true(snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", folder) > 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    setenv("THROUGHLINE_SOCKET", address.sun_path, 1);
    hand_over_path_read();
    expected = dup(listener);
    close(expected);
    assert_true(hand_over_pass(ring));
    assert_true(hand_over_is_held());
    assert_int_equal(dup2(pair[0], expected), expected);
    assert_int_equal(write(pair[1], "x", 1), 1);
    assert_false(hand_over_is_held());
    assert_int_equal(recv(expected, &byte, 1, MSG_DONTWAIT), 1);
    assert_int_equal(byte, 'x');
    // And it is handed over again.
    assert_true(hand_over_pass(ring));
    hand_over_forget();
    for (size_t i = 0; i < 2; i++)
        close(pair[i]);
    close(expected);
    close(listener);
    ring_free(ring);
    unlink(address.sun_path);
    rmdir(folder);
}

// In a process of its own. How many of its files are not as it made them; spans are sent all the
// same.
static int spoiled_files(void)
{
    struct set set = batch_set((struct tl_batch_options){.delay_ms = 100000});
    char path[] = "/tmp/core-XXXXXX";
    struct stat status;
    int files[16];
    int spoiled = 0;
    pid_t child;

    if (close_range(3, ~0u, 0) != 0)
        return 100;
    for (size_t i = 0; i < TL_COUNT(files); i++) {
        memcpy(path + sizeof path - 7, "XXXXXX", 6);
        files[i] = mkstemp(path);
        unlink(path);
    }
    tl_span_end(started(&set));
    if (tl_tracer_provider_flush(set.provider, 5000) != 0 || set.captured->count != 1)
        return 101;
    child = fork();
    for (size_t i = 0; i < TL_COUNT(files); i++)
        spoiled += fstat(files[i], &status) != 0 || !S_ISREG(status.st_mode) || status.st_size;
    if (child == 0)
        _exit(spoiled);
    waitpid(child, &files[0], 0);
    set_free(&set);
    for (size_t i = 1; i < TL_COUNT(files); i++)
        spoiled += fstat(files[i], &status) != 0;
    return spoiled + WEXITSTATUS(files[0]);
}

static void a_file_of_the_programs_is_not_written_to(void **state)
{
    pid_t child;

    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); // it starts no thread in the child of a fork
#endif
    child = fork();
    if (child == 0) {
        alarm(10);
        _exit(spoiled_files());
    }
    child_ends_well(child);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_that_another_thread_changes_during_a_fork_is_no_trap),
        cmocka_unit_test(the_child_of_a_fork_does_not_wait_for_its_parents_exporter),
        cmocka_unit_test(an_exporter_that_traces_itself_does_not_wait_for_itself),
        cmocka_unit_test(shutting_a_busy_exporter_down_keeps_its_deadline),
        cmocka_unit_test(a_thread_that_stays_on_one_processor_has_the_whole_queue),
        cmocka_unit_test(large_records_do_not_wait_for_a_whole_batch),
        cmocka_unit_test(a_flush_ends_while_others_go_on_recording),
        cmocka_unit_test(a_flush_sends_while_another_request_is_under_way),
        cmocka_unit_test(an_exporter_that_never_begins_does_not_keep_its_records),
        cmocka_unit_test(to_wait_for_ever_is_not_to_wait_at_all),
        cmocka_unit_test(an_ended_span_that_stays_current_is_still_a_parent),
        cmocka_unit_test(a_handle_that_is_too_old_never_shows_another_span),
        cmocka_unit_test(what_cannot_be_is_left_out),
        cmocka_unit_test(a_descriptor_that_is_the_programs_by_now_is_left_alone),
        cmocka_unit_test(a_file_of_the_programs_is_not_written_to),
        cmocka_unit_test(a_long_value_is_cut_however_long_it_is),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
