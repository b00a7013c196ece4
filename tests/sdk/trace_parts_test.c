// SPDX-License-Identifier: Apache-2.0
// Who takes part in a span: samplers, id generators, processors, many threads; switching off.

#include "tests/sdk/captured.h"

#include <errno.h>
#include <pthread.h>

struct set {
    struct captured *captured;
    struct tl_tracer_provider *provider;
    struct tl_tracer *tracer;
};

static struct set set_up(struct tl_tracer_provider_options options)
{
    struct set set = {.captured = captured_new()};

    set.provider = captured_provider(set.captured, options);
    assert_non_null(set.provider);
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

static struct tl_span *start(struct set *set, const char *name)
{
    return tl_span_start_with(set->tracer, &(struct tl_span_options){.name = name});
}

static const struct span *last(const struct set *set)
{
    assert_true(set->captured->count > 0);
    return &set->captured->spans[set->captured->count - 1].span;
}

static void a_dropped_span_still_has_an_id(void **state)
{
    struct set set =
        set_up((struct tl_tracer_provider_options){.sampler = tl_sampler_always_off()});
    struct tl_span_context parent = {.trace_id = {5}, .span_id = {6}, .flags = 1};
    struct tl_span *span =
        tl_span_start_with(set.tracer, &(struct tl_span_options){.name = "x", .parent = &parent});
    struct tl_span_context context = tl_span_context(span);

    (void)state;
    assert_false(tl_span_wants(span));
    assert_false(tl_span_is_recording(span));
    assert_true(tl_span_context_is_valid(&context));
    assert_memory_equal(context.trace_id, parent.trace_id, 16);
    assert_memory_not_equal(context.span_id, parent.span_id, 8);
    assert_int_equal(context.flags, 0);
    tl_span_set_one(span, TL_INT("n", 1));
    tl_span_end(span);
    tl_span_end(span);
    assert_int_equal(set.captured->count, 0);
    take_down(&set);
}

static void a_wrapped_identity_records_nothing(void **state)
{
    struct tl_span_context context = {
        .trace_id = {5}, .span_id = {6}, .flags = 1, .trace_state = "a=b", .trace_state_len = 3};
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct tl_span *span = tl_span_wrap(&context);
    struct tl_span *former = tl_current_set(span);
    struct tl_span_context seen = tl_span_context(span);

    (void)state;
    assert_false(tl_span_is_recording(span));
    assert_memory_equal(seen.trace_id, context.trace_id, 16);
    assert_int_equal(seen.trace_state_len, 3);
    tl_span_end(start(&set, "child"));
    assert_memory_equal(last(&set)->parent_id, context.span_id, 8);
    assert_str(last(&set)->trace_state, "a=b");
    tl_current_set(former);
    tl_span_end(span);
    take_down(&set);
}

static void trace_id_make(void *self, uint8_t out_id[16], bool *out_is_random)
{
    (void)self;
    memset(out_id, 0x11, 16);
    *out_is_random = false;
}

static void span_id_make(void *self, uint8_t out_id[8])
{
    (void)self;
    memset(out_id, 0x22, 8);
}

static void ids_can_be_the_programs_own(void **state)
{
    const struct tl_id_generator ids = {.trace_id = trace_id_make, .span_id = span_id_make};
    struct set set = set_up((struct tl_tracer_provider_options){.id_generator = &ids});

    (void)state;
    tl_span_end(start(&set, "x"));
    assert_int_equal(last(&set)->trace_id[15], 0x11);
    assert_int_equal(last(&set)->span_id[7], 0x22);
    // The generator did not promise random bits.
    assert_int_equal(last(&set)->flags, 0x101);
    take_down(&set);
}

static bool not_noisy(void *self, const struct tl_scope *scope)
{
    (void)self;
    return strcmp(scope->name, "noisy") != 0;
}

static void a_scope_can_be_switched_off(void **state)
{
    struct set set = set_up((struct tl_tracer_provider_options){.is_enabled = not_noisy});
    struct tl_tracer *noisy = tl_tracer_get(set.provider, &(struct tl_scope){.name = "noisy"});

    (void)state;
    assert_true(tl_tracer_enabled(set.tracer));
    assert_false(tl_tracer_enabled(noisy));
    tl_span_end(tl_span_start_with(noisy, &(struct tl_span_options){.name = "x"}));
    assert_int_equal(set.captured->count, 0);
    take_down(&set);
}

static void after_shutdown_nothing_is_recorded(void **state)
{
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct tl_span *open = start(&set, "open");

    (void)state;
    assert_int_equal(tl_tracer_provider_flush(set.provider, 1000), 0);
    assert_int_equal(set.captured->flushes, 1);
    assert_int_equal(tl_tracer_provider_shutdown(set.provider, 1000), 0);
    assert_int_equal(set.captured->shutdowns, 1);
    assert_int_equal(tl_tracer_provider_shutdown(set.provider, 1000), -EALREADY);
    assert_int_equal(set.captured->shutdowns, 1);
    tl_span_end(open);
    tl_span_end(start(&set, "late"));
    assert_int_equal(set.captured->count, 0);
    assert_false(tl_tracer_enabled(set.tracer));
    take_down(&set);
}

struct watched {
    char order[64];
    struct tl_span_context parent;
    struct tl_span_view seen;
    struct tl_value value;
    size_t encoded;
};

static void note(struct watched *watched, const char *what)
{
    const size_t len = strlen(watched->order);

    snprintf(watched->order + len, sizeof watched->order - len, "%s ", what);
}

static void on_start(void *self, struct tl_span *span, struct tl_context *parent)
{
    struct watched *watched = self;

    note(watched, "start");
    watched->parent = tl_context_span_context(parent);
    tl_span_set_one(span, TL_STR("from", "start"));
}

static void on_ending(void *self, struct tl_span *span)
{
    note(self, tl_span_is_recording(span) ? "ending" : "ended-already");
    tl_span_set_one(span, TL_STR("late", "ending"));
    tl_span_name(span, "renamed");
}

static void on_end(void *self, const struct tl_span *span)
{
    struct watched *watched = self;
    uint8_t bytes[1024];

    note(self, tl_span_is_recording((struct tl_span *)span) ? "still-records" : "end");
    tl_span_set_one((struct tl_span *)span, TL_STR("too", "late"));
    assert_true(tl_span_view(span, &watched->seen));
    assert_memory_equal(watched->seen.name, "renamed", 7);
    assert_string_equal(watched->seen.scope->name, "watch");
    assert_non_null(watched->seen.resource);
    assert_true(tl_span_attribute(span, "late", &watched->value));
    assert_memory_equal(watched->value.as.string, "ending", 6);
    assert_false(tl_span_attribute(span, "too", &watched->value));
    watched->encoded = tl_span_encode(span, bytes, sizeof bytes);
}

static int on_flush(void *self, uint64_t timeout_ms)
{
    (void)timeout_ms;
    note(self, "flush");
    return -EIO;
}

static int on_shutdown(void *self, uint64_t timeout_ms)
{
    (void)timeout_ms;
    note(self, "shutdown");
    return 0;
}

static void processors_see_every_step(void **state)
{
    struct captured *captured = captured_new();
    const struct tl_exporter_v1 exporter = captured_exporter(captured);
    struct watched watched = {.order = ""};
    const struct tl_span_processor processors[] = {
        {&watched, on_start, on_ending, on_end, on_flush, on_shutdown, NULL, "watch"},
        tl_span_processor_simple(&exporter),
    };
    struct tl_tracer_provider *provider = tl_tracer_provider_new(
        &(struct tl_tracer_provider_options){.processors = processors, .processor_count = 2});
    struct tl_tracer *tracer = tl_tracer_get(provider, &(struct tl_scope){.name = "watch"});
    struct tl_span_context parent = {.trace_id = {3}, .span_id = {4}, .flags = 1};

    (void)state;
    tl_span_end(
        tl_span_start_with(tracer, &(struct tl_span_options){.name = "x", .parent = &parent}));
    assert_string_equal(watched.order, "start ending end ");
    assert_memory_equal(watched.parent.span_id, parent.span_id, 8);
    assert_memory_equal(watched.seen.parent.span_id, parent.span_id, 8);
    assert_int_equal(watched.seen.attribute_count, 2);
    assert_true(watched.encoded > 0);
    assert_int_equal(captured->count, 1);
    assert_str(captured->spans[0].span.name, "renamed");
    assert_int_equal(captured->spans[0].span.attributes.count, 2);
    // One that fails is told, and the others are flushed all the same.
    assert_int_equal(tl_tracer_provider_flush(provider, 1000), -EIO);
    assert_int_equal(captured->flushes, 1);
    assert_int_equal(tl_tracer_provider_shutdown(provider, 1000), 0);
    assert_string_equal(watched.order, "start ending end flush shutdown ");
    tl_tracer_provider_free(provider);
    captured_free(captured);
}

struct shared_span {
    struct tl_span *span;
    struct tl_tracer *tracer;
    int number;
};

static void *work_on_one(void *self)
{
    struct shared_span *shared = self;
    char key[16];

    for (int i = 0; i < 20; i++) {
        snprintf(key, sizeof key, "t%d-%d", shared->number, i);
        tl_span_set_one(shared->span, TL_INT(key, i));
        tl_span_event(shared->span, key, NULL, 0);
    }
    return NULL;
}

static void one_span_serves_many_threads(void **state)
{
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct shared_span shared[4];
    pthread_t threads[4];
    struct tl_span *span = start(&set, "shared");

    (void)state;
    for (int i = 0; i < 4; i++) {
        shared[i] = (struct shared_span){span, set.tracer, i};
        assert_int_equal(pthread_create(&threads[i], NULL, work_on_one, &shared[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    tl_span_end(span);
    assert_int_equal(last(&set)->attributes.count, 80);
    assert_int_equal(last(&set)->event_count, 80);
    take_down(&set);
}

static void *end_it(void *self)
{
    struct shared_span *shared = self;

    tl_span_end(shared->span);
    return NULL;
}

static void one_of_many_ends_it(void **state)
{
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    pthread_t threads[4];

    (void)state;
    for (int round = 0; round < 200; round++) {
        struct shared_span shared = {start(&set, "x"), set.tracer, 0};

        for (int i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, end_it, &shared), 0);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
    }
    assert_int_equal(set.captured->count, 200);
    take_down(&set);
}

static void *get_tracers(void *self)
{
    struct tl_tracer_provider *provider = self;
    char name[16];

    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "s%d", i);
        tl_span_end(tl_span_start_with(tl_tracer_get(provider, &(struct tl_scope){.name = name}),
                                       &(struct tl_span_options){.name = name}));
    }
    return NULL;
}

static void providers_and_tracers_serve_many_threads(void **state)
{
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, get_tracers, set.provider), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(set.captured->count, 200);
    take_down(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dropped_span_still_has_an_id),
        cmocka_unit_test(a_wrapped_identity_records_nothing),
        cmocka_unit_test(ids_can_be_the_programs_own),
        cmocka_unit_test(a_scope_can_be_switched_off),
        cmocka_unit_test(after_shutdown_nothing_is_recorded),
        cmocka_unit_test(processors_see_every_step),
        cmocka_unit_test(one_span_serves_many_threads),
        cmocka_unit_test(one_of_many_ends_it),
        cmocka_unit_test(providers_and_tracers_serve_many_threads),
    };

    setenv("THROUGHLINE_SOCKET", "/nonexistent/agent.sock", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
