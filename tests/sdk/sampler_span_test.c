// SPDX-License-Identifier: Apache-2.0
// Samplers in a tracer: what they see, and what becomes of what they say.

#include "tests/support/check.h"

#include <throughline/sdk.h>

struct seen {
    struct tl_context *context;
    bool has_parent;
    char name[32];
    size_t attributes;
    size_t links;
    char scope[32];
    enum tl_decision decision;
    unsigned calls;
};

static void sample(void *self, const struct tl_sampling *sampling,
                   struct tl_sampling_result *out_result)
{
    static const struct tl_attribute added[] = {{"rule", 4, {TL_TYPE_INT, 0, {.integer = 7}}}};
    struct seen *seen = self;

    seen->calls++;
    seen->context = sampling->context;
    seen->has_parent = tl_span_context_is_valid(sampling->parent);
    snprintf(seen->name, sizeof seen->name, "%.*s", (int)sampling->name_len, sampling->name);
    snprintf(seen->scope, sizeof seen->scope, "%s", sampling->scope->name);
    seen->attributes = sampling->attribute_count;
    seen->links = sampling->link_count;
    out_result->decision = seen->decision;
    out_result->attributes = added;
    out_result->attribute_count = 1;
    memcpy(out_result->trace_state_room, "mine=1,a=b", 10);
    out_result->trace_state = out_result->trace_state_room;
    out_result->trace_state_len = 10;
}

struct set {
    struct seen seen;
    struct tl_memory_exporter *memory;
    struct tl_tracer_provider *provider;
    struct tl_tracer *tracer;
};

static void set_up(struct set *set, struct tl_sampler *sampler)
{
    const struct tl_scope scope = {.name = "shop"};
    const struct tl_sampler_functions functions = {
        .self = &set->seen, .sample = sample, .description = "Mine"};
    struct tl_exporter_v1 exporter;
    struct tl_span_processor processor;

    memset(set, 0, sizeof *set);
    set->memory = tl_memory_exporter_new();
    exporter = tl_memory_exporter_as(set->memory);
    processor = tl_span_processor_simple(&exporter);
    set->provider = tl_tracer_provider_new(&(struct tl_tracer_provider_options){
        .sampler = sampler ? sampler : tl_sampler_custom(&functions),
        .processors = &processor,
        .processor_count = 1});
    set->tracer = tl_tracer_get(set->provider, &scope);
    set->seen.decision = TL_RECORD_AND_SAMPLE;
}

static void take_down(struct set *set)
{
    tl_tracer_provider_free(set->provider);
    tl_memory_exporter_free(set->memory);
}

static void what_a_sampler_adds_is_on_the_span(void **state)
{
    struct set set;
    struct tl_span *span;
    struct tl_span_context context;
    char *json;

    (void)state;
    set_up(&set, NULL);
    span = tl_span_start_with(set.tracer, &(struct tl_span_options){.name = "checkout"});
    context = tl_span_context(span);
    assert_str(((struct str){context.trace_state, context.trace_state_len}), "mine=1,a=b");
    assert_true(context.flags & TL_FLAG_SAMPLED);
    tl_span_end(span);
    json = tl_memory_exporter_json(set.memory, TL_TRACES);
    assert_non_null(strstr(json, "\"traceState\":\"mine=1,a=b\""));
    assert_non_null(strstr(json, "\"rule\""));
    free(json);
    take_down(&set);
}

static void a_sampler_sees_the_parents_whole_context(void **state)
{
    const struct tl_attribute attributes[] = {TL_INT("x", 1), TL_INT("y", 2)};
    const struct tl_span_context remote = {
        .trace_id = {1}, .span_id = {2}, .is_remote = true, .trace_state = ""};
    const struct tl_link link = {.context = remote};
    const struct tl_baggage_entry entry = {"user", 4, "ann", 3, NULL, 0};
    struct tl_baggage_entry found;
    struct tl_context *parent;
    struct tl_context *context;
    struct set set;

    (void)state;
    set_up(&set, NULL);
    parent = tl_context_with_remote(NULL, &remote);
    context = tl_context_with_baggage(parent, &entry);
    tl_span_end(tl_span_start_with(set.tracer, &(struct tl_span_options){.name = "checkout",
                                                                         .context = context,
                                                                         .attributes = attributes,
                                                                         .attribute_count = 2,
                                                                         .links = &link,
                                                                         .link_count = 1}));
    assert_ptr_equal(set.seen.context, context);
    assert_true(tl_baggage_get(set.seen.context, "user", &found));
    assert_true(set.seen.has_parent);
    assert_string_equal(set.seen.name, "checkout");
    assert_string_equal(set.seen.scope, "shop");
    assert_int_equal(set.seen.attributes, 2);
    assert_int_equal(set.seen.links, 1);
    tl_context_unref(context);
    tl_context_unref(parent);
    take_down(&set);
}

static void what_is_only_recorded_is_not_exported(void **state)
{
    struct set set;
    struct tl_span *span;

    (void)state;
    set_up(&set, tl_sampler_always_record(tl_sampler_always_off()));
    span = tl_span_start_with(set.tracer, &(struct tl_span_options){.name = "checkout"});
    assert_true(tl_span_is_recording(span));
    assert_false(tl_span_context(span).flags & TL_FLAG_SAMPLED);
    tl_span_end(span);
    assert_int_equal(tl_memory_exporter_records(set.memory, TL_TRACES), 0);
    take_down(&set);
}

static void a_ratio_writes_its_threshold_on_what_it_keeps(void **state)
{
    struct set set;
    unsigned kept = 0;
    unsigned children = 0;

    (void)state;
    set_up(&set, tl_sampler_parent_based(tl_sampler_ratio(0.25), NULL, NULL, NULL, NULL));
    for (int i = 0; i < 400; i++) {
        struct tl_span *root =
            tl_span_start_with(set.tracer, &(struct tl_span_options){.name = "r", .is_root = true});
        const struct tl_span_context context = tl_span_context(root);
        struct tl_span *child = tl_span_start_with(
            set.tracer, &(struct tl_span_options){.name = "c", .parent = &context});
        const struct tl_span_context below = tl_span_context(child);

        if (context.flags & TL_FLAG_SAMPLED) {
            kept++;
            assert_str(((struct str){context.trace_state, context.trace_state_len}), "ot=th:c");
            assert_str(((struct str){below.trace_state, below.trace_state_len}), "ot=th:c");
            assert_true(context.trace_id[9] >= 0xc0);
        } else {
            assert_int_equal(context.trace_state_len, 0);
            assert_true(context.trace_id[9] < 0xc0);
        }
        children += below.flags & TL_FLAG_SAMPLED;
        tl_span_end(child);
        tl_span_end(root);
    }
    assert_in_range(kept, 50, 160);
    assert_int_equal(children, kept);
    take_down(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_sampler_adds_is_on_the_span),
        cmocka_unit_test(a_sampler_sees_the_parents_whole_context),
        cmocka_unit_test(what_is_only_recorded_is_not_exported),
        cmocka_unit_test(a_ratio_writes_its_threshold_on_what_it_keeps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
