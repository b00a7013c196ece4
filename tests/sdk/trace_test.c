// SPDX-License-Identifier: Apache-2.0
// What a span is from its start to what is exported of it; tracers and providers.

#include "tests/sdk/captured.h"

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

static void a_provider_gives_tracers_of_scopes(void **state)
{
    const struct tl_attribute attribute = TL_STR("team", "blue");
    const struct tl_scope scope = {"lib", "1.2", "https://example.org/schema", &attribute, 1};
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct tl_tracer *tracer = tl_tracer_get(set.provider, &scope);
    const struct captured_span *seen;

    (void)state;
    assert_ptr_equal(tl_tracer_get(set.provider, &scope), tracer);
    assert_ptr_not_equal(tl_tracer_get(set.provider, &(struct tl_scope){.name = "lib"}), tracer);
    // No name at all still gives one that works.
    assert_non_null(tl_tracer_get(set.provider, NULL));
    tl_span_end(tl_span_start_with(tracer, &(struct tl_span_options){.name = "x"}));
    seen = &set.captured->spans[0];
    assert_str(seen->scope.name, "lib");
    assert_str(seen->scope.version, "1.2");
    assert_str(seen->scope_url, "https://example.org/schema");
    assert_int_equal(seen->scope.attributes.count, 1);
    assert_str(seen->scope.attributes.at[0].key, "team");
    take_down(&set);
}

static void schema_urls_go_with_resource_and_scope(void **state)
{
    const struct tl_attribute service = TL_STR("service.name", "shop");
    struct set set = set_up((struct tl_tracer_provider_options){
        .resource = tl_resource_new(&service, 1, "https://example.org/resource")});
    struct tl_tracer *tracer = tl_tracer_get(
        set.provider, &(struct tl_scope){.name = "x", .schema_url = "https://example.org/scope"});

    (void)state;
    tl_span_end(tl_span_start_with(tracer, &(struct tl_span_options){.name = "x"}));
    assert_str(set.captured->spans[0].resource_url, "https://example.org/resource");
    assert_str(set.captured->spans[0].scope_url, "https://example.org/scope");
    assert_str(attribute_string(set.captured->spans[0].resource.attributes, STR("service.name")),
               "shop");
    take_down(&set);
}

static void ids_and_flags_are_of_the_specification(void **state)
{
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct tl_span *root = start(&set, "root");
    const struct tl_span_context parent = tl_span_context(root);
    struct tl_span *child;
    struct tl_span_context context;

    (void)state;
    assert_true(tl_span_context_is_valid(&parent));
    assert_false(parent.is_remote);
    assert_int_equal(parent.flags, TL_FLAG_SAMPLED | TL_FLAG_RANDOM);
    child = tl_span_start_with(set.tracer,
                               &(struct tl_span_options){.name = "child", .parent = &parent});
    context = tl_span_context(child);
    assert_memory_equal(context.trace_id, parent.trace_id, 16);
    assert_memory_not_equal(context.span_id, parent.span_id, 8);
    assert_int_equal(context.flags, parent.flags);
    tl_span_end(child);
    assert_memory_equal(last(&set)->parent_id, parent.span_id, 8);
    assert_int_equal(last(&set)->flags, 0x103);
    tl_span_end(root);
    assert_false(id_is_valid(last(&set)->parent_id, 8));
    take_down(&set);
}

static void a_remote_parent_is_told(void **state)
{
    struct tl_span_context remote = {
        .trace_id = {1}, .span_id = {2}, .flags = 1, .is_remote = true};
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct tl_span *span =
        tl_span_start_with(set.tracer, &(struct tl_span_options){.name = "x", .parent = &remote});

    (void)state;
    // The sender did not say that its id is random: neither do we.
    assert_int_equal(tl_span_context(span).flags, TL_FLAG_SAMPLED);
    tl_span_end(span);
    assert_int_equal(last(&set)->flags, 0x301);
    take_down(&set);
}

static void the_current_span_is_the_parent(void **state)
{
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct tl_span *outer = start(&set, "outer");
    const struct tl_span_context context = tl_span_context(outer);
    struct tl_span *former = tl_current_set(outer);

    (void)state;
    assert_null(former);
    assert_ptr_equal(tl_current(), outer);
    tl_span_end(start(&set, "inner"));
    assert_memory_equal(last(&set)->parent_id, context.span_id, 8);
    tl_span_end(
        tl_span_start_with(set.tracer, &(struct tl_span_options){.name = "root", .is_root = true}));
    assert_false(id_is_valid(last(&set)->parent_id, 8));
    assert_memory_not_equal(last(&set)->trace_id, context.trace_id, 16);
    // An identity without ids means a new trace too.
    tl_span_end(tl_span_start_with(
        set.tracer, &(struct tl_span_options){.parent = &(struct tl_span_context){.flags = 0}}));
    assert_false(id_is_valid(last(&set)->parent_id, 8));
    tl_current_set(former);
    tl_span_end(outer);
    assert_null(tl_current());
    take_down(&set);
}

static void a_context_is_a_parent(void **state)
{
    struct tl_span_context remote = {
        .trace_id = {7}, .span_id = {8}, .flags = 1, .is_remote = true};
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct tl_context *context = tl_context_with_remote(NULL, &remote);
    struct tl_context_token token;

    (void)state;
    tl_span_end(
        tl_span_start_with(set.tracer, &(struct tl_span_options){.name = "x", .context = context}));
    assert_memory_equal(last(&set)->parent_id, remote.span_id, 8);
    token = tl_context_attach(context);
    tl_span_end(start(&set, "attached"));
    assert_memory_equal(last(&set)->parent_id, remote.span_id, 8);
    assert_true(tl_context_detach(token));
    tl_span_end(start(&set, "detached"));
    assert_false(id_is_valid(last(&set)->parent_id, 8));
    tl_context_unref(context);
    take_down(&set);
}

static void times_are_the_callers_where_given(void **state)
{
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct tl_span *span =
        tl_span_start_with(set.tracer, &(struct tl_span_options){.name = "x", .start_ns = 1000});

    (void)state;
    tl_span_event_at(span, "e", 1500, NULL, 0);
    tl_span_end_at(span, 2000);
    assert_int_equal(last(&set)->start_ns, 1000);
    assert_int_equal(last(&set)->events[0].time_ns, 1500);
    assert_int_equal(last(&set)->end_ns, 2000);
    span = tl_span_start_with(set.tracer, &(struct tl_span_options){.start_ns = 1000});
    tl_span_end_at(span, 10);
    assert_int_equal(last(&set)->end_ns, 1000);
    take_down(&set);
}

static void times_are_now_where_not(void **state)
{
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct timespec before, after;

    (void)state;
    // Long enough that the scaled counter is in use, not only the clock.
    for (int i = 0; i < 20000; i++) {
        clock_gettime(CLOCK_REALTIME, &before);
        struct tl_span *span = start(&set, "x");

        tl_span_end(span);
        clock_gettime(CLOCK_REALTIME, &after);
        const uint64_t from = (uint64_t)before.tv_sec * 1000000000 + (uint64_t)before.tv_nsec;
        const uint64_t to = (uint64_t)after.tv_sec * 1000000000 + (uint64_t)after.tv_nsec;

        assert_true(last(&set)->start_ns + 20000 >= from);
        assert_true(last(&set)->end_ns <= to + 20000);
        assert_true(last(&set)->start_ns <= last(&set)->end_ns);
        set.captured->count = 0;
        arena_reset(&set.captured->arena);
    }
    take_down(&set);
}

static void an_ended_span_takes_nothing_more(void **state)
{
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct tl_span *span = start(&set, "x");
    struct tl_stats before, after;
    struct tl_span *other;

    (void)state;
    assert_true(tl_span_is_recording(span));
    assert_true(tl_span_wants(span));
    tl_span_end(span);
    assert_false(tl_span_is_recording(span));
    tl_stats_read(&before);
    tl_span_end(span);
    tl_span_name(span, "late");
    // Its memory serves another by now: the old handle still does nothing to it.
    other = start(&set, "other");
    tl_span_set_one(span, TL_STR("late", "x"));
    tl_span_event(span, "late", NULL, 0);
    tl_span_status(span, TL_STATUS_ERROR, "late");
    tl_span_end(span);
    assert_true(tl_span_is_recording(other));
    tl_span_end(other);
    tl_stats_read(&after);
    assert_int_equal(after.misuses - before.misuses, 6);
    assert_int_equal(set.captured->count, 2);
    assert_str(last(&set)->name, "other");
    assert_int_equal(last(&set)->attributes.count + last(&set)->event_count, 0);
    assert_int_equal(last(&set)->status, SPAN_STATUS_UNSET);
    take_down(&set);
}

static void a_name_can_change_and_is_cut(void **state)
{
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct tl_span *span = start(&set, "first");
    char name[400];

    (void)state;
    tl_span_name(span, "second");
    tl_span_end(span);
    assert_str(last(&set)->name, "second");
    memset(name, 'a', sizeof name);
    span = tl_span_start_with(set.tracer,
                              &(struct tl_span_options){.name = name, .name_len = sizeof name});
    tl_span_end(span);
    assert_int_equal(last(&set)->name.len, TL_NAME_MAX);
    span =
        tl_span_start_with(set.tracer, &(struct tl_span_options){.name = "abcdef", .name_len = 3});
    tl_span_end(span);
    assert_str(last(&set)->name, "abc");
    take_down(&set);
}

static void status_follows_its_rules(void **state)
{
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct tl_span *span = start(&set, "x");

    (void)state;
    tl_span_status(span, TL_STATUS_ERROR, "first");
    tl_span_status(span, TL_STATUS_UNSET, NULL);
    tl_span_status(span, TL_STATUS_ERROR, "second");
    tl_span_end(span);
    assert_int_equal(last(&set)->status, SPAN_STATUS_ERROR);
    assert_str(last(&set)->status_message, "second");
    span = start(&set, "x");
    tl_span_status(span, TL_STATUS_ERROR, "first");
    tl_span_status(span, TL_STATUS_OK, "not kept");
    tl_span_status(span, TL_STATUS_ERROR, "too late");
    tl_span_end(span);
    assert_int_equal(last(&set)->status, SPAN_STATUS_OK);
    assert_int_equal(last(&set)->status_message.len, 0);
    take_down(&set);
}

static void attributes_have_every_type(void **state)
{
    static const char *const texts[] = {"a", NULL, "\xc3\xa4"};
    static const int64_t integers[] = {1, -1};
    static const bool booleans[] = {true, false};
    static const double numbers[] = {0.5};
    const struct tl_attribute pair = TL_INT("inner", 7);
    struct tl_attribute map = TL_STR("map", NULL);
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct tl_span *span = start(&set, "x");
    const struct attribute *seen;

    (void)state;
    map.value = (struct tl_value){TL_TYPE_MAP, 1, {.attributes = &pair}};
    TL_SET(span, TL_STR("string", "\xe6\x97\xa5\xe6\x9c\xac"), TL_BOOL("bool", true),
           TL_DOUBLE("double", -0.25), TL_INT("int", INT64_MIN), TL_STRS("strings", texts, 3),
           TL_INTS("ints", integers, 2), TL_BOOLS("bools", booleans, 2),
           TL_DOUBLES("doubles", numbers, 1), TL_BYTES("bytes", "a\0b", 3), map);
    tl_span_end(span);
    assert_int_equal(last(&set)->attributes.count, 10);
    seen = last(&set)->attributes.at;
    assert_str(seen[0].value.string, "\xe6\x97\xa5\xe6\x9c\xac");
    assert_true(seen[1].value.boolean);
    assert_true(seen[2].value.number == -0.25);
    assert_true(seen[3].value.integer == INT64_MIN);
    assert_int_equal(seen[4].value.array.count, 3);
    assert_int_equal(seen[4].value.array.at[1].type, VALUE_STRING);
    assert_str(seen[4].value.array.at[2].string, "\xc3\xa4");
    assert_int_equal(seen[5].value.array.at[1].integer, -1);
    assert_false(seen[6].value.array.at[1].boolean);
    assert_true(seen[7].value.array.at[0].number == 0.5);
    assert_int_equal(seen[8].value.string.len, 3);
    assert_int_equal(seen[9].value.map.at[0].value.integer, 7);
    take_down(&set);
}

static void a_key_given_again_gets_the_new_value(void **state)
{
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct tl_span *span = start(&set, "x");
    char key[16];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++) {
            snprintf(key, sizeof key, "k%d", i);
            tl_span_set_one(span, TL_INT(key, round * 1000 + i));
            if (i % 10 == 0)
                tl_span_event(span, "between", NULL, 0);
        }
    }
    tl_span_end(span);
    assert_int_equal(last(&set)->attributes.count, 100);
    assert_int_equal(last(&set)->event_count, 30);
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_int_equal(attribute_find(last(&set)->attributes, str_of(key))->integer, 2000 + i);
    }
    take_down(&set);
}

static void what_is_no_attribute_is_left_out(void **state)
{
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct tl_span *span = start(&set, "x");
    struct tl_attribute empty = TL_STR("empty", "");
    struct tl_stats before, after;

    (void)state;
    empty.value.type = TL_TYPE_EMPTY;
    tl_stats_read(&before);
    tl_span_set_one(span, empty);
    tl_span_set_one(span, TL_STR(NULL, "x"));
    tl_span_set_one(span, TL_STR("", "x"));
    empty.value.type = (enum tl_type)99;
    tl_span_set_one(span, empty);
    tl_span_set_one(span, TL_STR("null text", NULL));
    tl_span_end(span);
    tl_stats_read(&after);
    assert_int_equal(after.invalid_values - before.invalid_values, 4);
    assert_int_equal(last(&set)->attributes.count, 1);
    take_down(&set);
}

static void text_that_is_not_utf8_is_repaired(void **state)
{
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct tl_span *span = start(&set, "na\xffme");
    struct tl_stats before, after;

    (void)state;
    tl_stats_read(&before);
    tl_span_set_one(span, TL_STR("k\xc0", "v\xed\xa0\x80|\xf4\x90\x80\x80|\xc3"));
    tl_span_set_one(span, TL_STR_N("nul", "a\0b", 3));
    tl_span_event(span, "\x80", NULL, 0);
    tl_span_status(span, TL_STATUS_ERROR, "m\xfe");
    tl_span_end(span);
    tl_stats_read(&after);
    assert_str(last(&set)->name, "na\xef\xbf\xbdme");
    assert_str(last(&set)->attributes.at[0].key, "k\xef\xbf\xbd");
    assert_int_equal(last(&set)->attributes.at[0].value.string.len, 1 + 9 + 1 + 12 + 1 + 3);
    assert_int_equal(last(&set)->attributes.at[1].value.string.len, 3);
    assert_str(last(&set)->events[0].name, "\xef\xbf\xbd");
    assert_str(last(&set)->status_message, "m\xef\xbf\xbd");
    assert_true(after.invalid_text > before.invalid_text);
    take_down(&set);
}

static void events_and_links_keep_their_order(void **state)
{
    struct tl_span_context to = {.trace_id = {1}, .span_id = {1}, .flags = 1};
    const struct tl_attribute attribute = TL_INT("n", 1);
    struct tl_link links[2] = {{.context = to}, {.context = to}};
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct tl_span *span;

    (void)state;
    links[1].context.span_id[0] = 2;
    links[1].context.trace_state = "a=b";
    links[1].context.trace_state_len = 3;
    span = tl_span_start_with(
        set.tracer, &(struct tl_span_options){.name = "x", .links = links, .link_count = 2});
    to.span_id[0] = 3;
    to.is_remote = true;
    tl_span_link(span, &to);
    tl_span_link_with(span, &(struct tl_link){to, &attribute, 1});
    // Nowhere, and nothing said about it.
    tl_span_link(span, &(struct tl_span_context){.flags = 1});
    tl_span_event(span, "one", &attribute, 1);
    tl_span_event(span, "two", NULL, 0);
    tl_span_end(span);
    assert_int_equal(last(&set)->link_count, 4);
    assert_int_equal(last(&set)->links[0].span_id[0], 1);
    assert_int_equal(last(&set)->links[1].span_id[0], 2);
    assert_str(last(&set)->links[1].trace_state, "a=b");
    assert_int_equal(last(&set)->links[2].flags, 0x301);
    assert_int_equal(last(&set)->links[3].attributes.count, 1);
    assert_str(last(&set)->events[0].name, "one");
    assert_int_equal(last(&set)->events[0].attributes.at[0].value.integer, 1);
    assert_str(last(&set)->events[1].name, "two");
    assert_true(last(&set)->events[0].time_ns <= last(&set)->events[1].time_ns);
    take_down(&set);
}

static void an_exception_is_an_event(void **state)
{
    const struct tl_attribute more[] = {TL_STR("exception.message", "mine"), TL_INT("n", 1)};
    struct set set = set_up((struct tl_tracer_provider_options){.resource = NULL});
    struct tl_span *span = start(&set, "x");

    (void)state;
    tl_span_exception(span, &(struct tl_exception){"ENOENT", "no such file", "main()"}, more, 2);
    tl_span_exception(span, &(struct tl_exception){.type = "EIO"}, NULL, 0);
    tl_span_end(span);
    assert_str(last(&set)->events[0].name, "exception");
    assert_str(attribute_string(last(&set)->events[0].attributes, STR("exception.type")), "ENOENT");
    assert_str(attribute_string(last(&set)->events[0].attributes, STR("exception.message")),
               "mine");
    assert_str(attribute_string(last(&set)->events[0].attributes, STR("exception.stacktrace")),
               "main()");
    assert_int_equal(last(&set)->events[0].attributes.count, 4);
    assert_int_equal(last(&set)->events[1].attributes.count, 1);
    take_down(&set);
}

static void limits_hold_and_are_counted(void **state)
{
    struct tl_span_context to = {.trace_id = {1}, .span_id = {1}};
    const struct tl_attribute two[] = {TL_INT("a", 1), TL_INT("b", 2)};
    struct set set =
        set_up((struct tl_tracer_provider_options){.limits = {.attribute_count = 2,
                                                              .attribute_value_length = 3,
                                                              .event_count = 1,
                                                              .link_count = 1,
                                                              .event_attribute_count = 1,
                                                              .link_attribute_count = TL_NONE}});
    struct tl_span *span = start(&set, "x");

    (void)state;
    // Characters, not bytes; arrays by their elements.
    tl_span_set_one(span, TL_STR("text", "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"));
    tl_span_set_one(span, TL_BYTES("bytes", "12345", 5));
    tl_span_set_one(span, TL_INT("third", 3));
    // A key that is there is not one more.
    tl_span_set_one(span, TL_STR("text", "abcd"));
    for (int i = 0; i < 3; i++) {
        tl_span_event(span, "e", two, 2);
        tl_span_link_with(span, &(struct tl_link){to, two, 2});
    }
    tl_span_end(span);
    assert_int_equal(last(&set)->attributes.count, 2);
    assert_int_equal(last(&set)->dropped_attributes, 1);
    assert_str(attribute_string(last(&set)->attributes, STR("text")), "abc");
    assert_int_equal(attribute_find(last(&set)->attributes, STR("bytes"))->string.len, 3);
    assert_int_equal(last(&set)->event_count, 1);
    assert_int_equal(last(&set)->dropped_events, 2);
    assert_int_equal(last(&set)->events[0].attributes.count, 1);
    assert_int_equal(last(&set)->events[0].dropped_attributes, 1);
    assert_int_equal(last(&set)->link_count, 1);
    assert_int_equal(last(&set)->dropped_links, 2);
    assert_int_equal(last(&set)->links[0].attributes.count, 0);
    assert_int_equal(last(&set)->links[0].dropped_attributes, 2);
    take_down(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_provider_gives_tracers_of_scopes),
        cmocka_unit_test(schema_urls_go_with_resource_and_scope),
        cmocka_unit_test(ids_and_flags_are_of_the_specification),
        cmocka_unit_test(a_remote_parent_is_told),
        cmocka_unit_test(the_current_span_is_the_parent),
        cmocka_unit_test(a_context_is_a_parent),
        cmocka_unit_test(times_are_the_callers_where_given),
        cmocka_unit_test(times_are_now_where_not),
        cmocka_unit_test(an_ended_span_takes_nothing_more),
        cmocka_unit_test(a_name_can_change_and_is_cut),
        cmocka_unit_test(status_follows_its_rules),
        cmocka_unit_test(attributes_have_every_type),
        cmocka_unit_test(a_key_given_again_gets_the_new_value),
        cmocka_unit_test(what_is_no_attribute_is_left_out),
        cmocka_unit_test(text_that_is_not_utf8_is_repaired),
        cmocka_unit_test(events_and_links_keep_their_order),
        cmocka_unit_test(an_exception_is_an_event),
        cmocka_unit_test(limits_hold_and_are_counted),
    };

    setenv("THROUGHLINE_SOCKET", "/nonexistent/agent.sock", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
