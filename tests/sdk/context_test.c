// SPDX-License-Identifier: Apache-2.0
// Contexts: values, spans, what is current; and baggage.

#include "tests/support/check.h"

#include <pthread.h>
#include <unistd.h>

#include <throughline/sdk.h>

#include "libtrace/sdk/stats.h"

static int drops;

static void count_drop(void *value)
{
    drops += value != NULL;
}

static struct tl_span_context identity_of(const char *traceparent)
{
    struct tl_span_context identity = {0};

    assert_true(tl_traceparent_read(traceparent, strlen(traceparent), &identity));
    return identity;
}

static const char remote_text[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static void keys_of_one_name_are_two(void **state)
{
    struct tl_context_key *one = tl_context_key_new("name");
    struct tl_context_key *other = tl_context_key_new("name");
    int value = 1;
    struct tl_context *context = tl_context_with_value(NULL, one, &value, NULL);

    (void)state;
    assert_ptr_not_equal(one, other);
    assert_ptr_equal(tl_context_value(context, one), &value);
    assert_null(tl_context_value(context, other));
    assert_null(tl_context_value(NULL, one));
    tl_context_unref(context);
}

static void a_new_value_leaves_the_old_context_as_it_is(void **state)
{
    struct tl_context_key *key = tl_context_key_new("value");
    struct tl_context_key *more = tl_context_key_new(NULL);
    int first = 1;
    int second = 2;
    struct tl_context *old = tl_context_with_value(NULL, key, &first, NULL);
    struct tl_context *new = tl_context_with_value(old, key, &second, NULL);
    struct tl_context *both = tl_context_with_value(new, more, &first, NULL);

    (void)state;
    assert_ptr_equal(tl_context_value(old, key), &first);
    assert_ptr_equal(tl_context_value(new, key), &second);
    assert_ptr_equal(tl_context_value(both, key), &second);
    assert_ptr_equal(tl_context_value(both, more), &first);
    assert_null(tl_context_value(new, more));
    tl_context_unref(old);
    tl_context_unref(new);
    tl_context_unref(both);
}

static void a_value_is_dropped_with_its_last_context(void **state)
{
    struct tl_context_key *key = tl_context_key_new("dropped");
    int value = 1;
    struct tl_context *one = tl_context_with_value(NULL, key, &value, count_drop);
    struct tl_context *other = tl_context_clear_baggage(one);
    struct tl_context *third = tl_context_with_span(one, NULL);

    (void)state;
    drops = 0;
    tl_context_unref(one);
    tl_context_unref(other);
    assert_int_equal(drops, 0);
    assert_ptr_equal(tl_context_value(third, key), &value);
    tl_context_unref(third);
    assert_int_equal(drops, 1);
    assert_null(tl_context_with_value(NULL, NULL, &value, count_drop));
    assert_int_equal(drops, 1);
}

static void keys_come_to_an_end(void **state)
{
    size_t made = 0;

    (void)state;
    while (made < 2000 && tl_context_key_new("many"))
        made++;
    assert_in_range(made, 900, 1024);
    assert_null(tl_context_key_new("more"));
    assert_null(tl_context_key_new("still"));
}

static void a_remote_identity_is_a_contexts_own(void **state)
{
    char trace_state[] = "vendor=1,other=2";
    struct tl_span_context remote = identity_of(remote_text);
    struct tl_context *context;
    struct tl_context *copy;
    struct tl_span_context got;
    int value = 0;

    (void)state;
    remote.trace_state = trace_state;
    remote.trace_state_len = (uint16_t)strlen(trace_state);
    context = tl_context_with_remote(NULL, &remote);
    memset(trace_state, 'x', sizeof trace_state - 1);
    copy = tl_context_with_value(context, tl_context_key_new("x"), &value, NULL);
    got = tl_context_span_context(context);
    assert_memory_equal(got.trace_id, remote.trace_id, 16);
    assert_true(got.is_remote);
    assert_null(tl_context_span(context));
    assert_str(((struct str){got.trace_state, got.trace_state_len}), "vendor=1,other=2");
    tl_context_unref(context);
    // Without room for another key there is no copy.
    if (copy) {
        got = tl_context_span_context(copy);
        assert_str(((struct str){got.trace_state, got.trace_state_len}), "vendor=1,other=2");
    }
    tl_context_unref(copy);
}

static void a_tracestate_that_is_none_is_left_out(void **state)
{
    struct tl_span_context remote = identity_of(remote_text);
    const uint64_t before = stats_get(&sdk_stats, SDK_misuses);
    struct tl_context *context;

    (void)state;
    remote.trace_state = "a=b\r\nX-Evil: 1";
    remote.trace_state_len = 14;
    context = tl_context_with_remote(NULL, &remote);
    assert_int_equal(tl_context_span_context(context).trace_state_len, 0);
    assert_int_equal(stats_get(&sdk_stats, SDK_misuses), before + 1);
    tl_context_unref(context);
}

static void a_context_outlives_its_span(void **state)
{
    struct tl_span *span = tl_span_start("short", TL_INTERNAL, NULL);
    const struct tl_span_context identity = tl_span_context(span);
    struct tl_context *context = tl_context_with_span(NULL, span);
    struct tl_span_context got;

    (void)state;
    assert_ptr_equal(tl_context_span(context), span);
    tl_span_end(span);
    for (int i = 0; i < 100; i++)
        tl_span_end(tl_span_start("other", TL_INTERNAL, NULL));
    got = tl_context_span_context(context);
    assert_memory_equal(got.trace_id, identity.trace_id, 16);
    assert_memory_equal(got.span_id, identity.span_id, 8);
    assert_false(got.is_remote);
    tl_context_unref(context);
}

static void what_is_attached_is_current_until_it_is_detached(void **state)
{
    struct tl_span *span = tl_span_start("attached", TL_INTERNAL, NULL);
    struct tl_context *context = tl_context_with_span(NULL, span);
    const struct tl_span_context remote = identity_of(remote_text);
    struct tl_context *inner = tl_context_with_remote(context, &remote);
    struct tl_context_token outer_token;
    struct tl_context_token inner_token;
    struct tl_context *current;
    struct tl_span *child;

    (void)state;
    assert_null(tl_context_current());
    outer_token = tl_context_attach(context);
    assert_ptr_equal(tl_current(), span);
    current = tl_context_current();
    assert_ptr_equal(current, context);
    tl_context_unref(current);
    inner_token = tl_context_attach(inner);
    assert_null(tl_current());
    child = tl_span_start("child of remote", TL_SERVER, NULL);
    assert_memory_equal(tl_span_context(child).trace_id, remote.trace_id, 16);
    tl_span_end(child);
    assert_true(tl_context_detach(inner_token));
    assert_ptr_equal(tl_current(), span);
    assert_true(tl_context_detach(outer_token));
    assert_null(tl_current());
    assert_null(tl_context_current());
    tl_context_unref(context);
    tl_context_unref(inner);
    tl_span_end(span);
}

static void a_current_span_is_a_current_context(void **state)
{
    struct tl_span *span = tl_span_start("current", TL_INTERNAL, NULL);
    struct tl_baggage_entry entry = {"a", 1, "b", 1, NULL, 0};
    struct tl_context *bagged = tl_context_with_baggage(NULL, &entry);
    struct tl_context_token token;
    struct tl_context *current;

    (void)state;
    token = tl_context_attach(bagged);
    tl_current_set(span);
    current = tl_context_current();
    assert_ptr_equal(tl_context_span(current), span);
    assert_true(tl_baggage_get(current, "a", &entry));
    tl_context_unref(current);
    assert_true(tl_context_detach(token));
    assert_null(tl_current());
    tl_context_unref(bagged);
    tl_span_end(span);
}

static void tokens_out_of_order_are_counted_and_ignored(void **state)
{
    const uint64_t before = stats_get(&sdk_stats, SDK_misuses);
    struct tl_context_token outer = tl_context_attach(NULL);
    struct tl_context_token inner = tl_context_attach(NULL);

    (void)state;
    assert_false(tl_context_detach(outer));
    assert_int_equal(stats_get(&sdk_stats, SDK_misuses), before + 1);
    assert_true(tl_context_detach(inner));
    assert_false(tl_context_detach(inner));
    assert_true(tl_context_detach(outer));
    assert_false(tl_context_detach(outer));
    assert_false(tl_context_detach((struct tl_context_token){NULL, NULL, 0}));
}

static void *other_thread(void *argument)
{
    struct tl_context *mine = argument;
    struct tl_context_token token;
    struct tl_context *current = tl_context_current();

    assert_null(current);
    token = tl_context_attach(mine);
    current = tl_context_current();
    assert_ptr_equal(current, mine);
    tl_context_unref(current);
    // The thread ends with it attached: what it holds goes with the thread.
    (void)token;
    return NULL;
}

static void threads_have_contexts_of_their_own(void **state)
{
    const struct tl_span_context remote = identity_of(remote_text);
    struct tl_context *context = tl_context_with_remote(NULL, &remote);
    pthread_t threads[8];

    (void)state;
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, other_thread, context), 0);
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_null(tl_context_current());
    tl_context_unref(context);
}

// ---- The identity itself

static void an_identity_is_valid_with_both_ids(void **state)
{
    struct tl_span_context identity = {.trace_id = {[15] = 1}, .span_id = {[7] = 1}};

    (void)state;
    assert_true(tl_span_context_is_valid(&identity));
    identity.span_id[7] = 0;
    assert_false(tl_span_context_is_valid(&identity));
    identity.span_id[0] = 1;
    identity.trace_id[15] = 0;
    assert_false(tl_span_context_is_valid(&identity));
    identity.trace_id[0] = 1;
    assert_true(tl_span_context_is_valid(&identity));
    assert_false(tl_span_context_is_valid(NULL));
}

static void only_what_came_from_elsewhere_is_remote(void **state)
{
    const struct tl_span_context remote = identity_of(remote_text);
    struct tl_span *span = tl_span_start("local", TL_SERVER, &remote);

    (void)state;
    assert_true(remote.is_remote);
    assert_false(tl_span_context(span).is_remote);
    tl_span_end(span);
}

static void trace_ids_of_our_roots_are_random_and_say_so(void **state)
{
    const struct tl_span_context remote = identity_of(remote_text);
    uint8_t seen[16][7];
    struct tl_span *span;

    (void)state;
    for (size_t i = 0; i < 16; i++) {
        struct tl_span_context identity;

        span = tl_span_start("root", TL_INTERNAL, NULL);
        identity = tl_span_context(span);
        assert_int_equal(identity.flags & TL_FLAG_RANDOM, TL_FLAG_RANDOM);
        memcpy(seen[i], identity.trace_id + 9, 7);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(seen[k], seen[i], 7);
        tl_span_end(span);
    }
    // What others said of theirs is passed on as it is.
    span = tl_span_start("child", TL_SERVER, &remote);
    assert_int_equal(tl_span_context(span).flags & TL_FLAG_RANDOM, 0);
    tl_span_end(span);
}

// ---- Baggage

static struct tl_context *bagged(struct tl_context *context, const char *name, const char *value)
{
    const struct tl_baggage_entry entry = tl_baggage_entry_of(name, value);
    struct tl_context *made = tl_context_with_baggage(context, &entry);

    tl_context_unref(context);
    return made;
}

static void baggage_is_set_replaced_removed_and_cleared(void **state)
{
    struct tl_context *context = bagged(bagged(NULL, "a", "1"), "b", "2");
    struct tl_context *old = tl_context_ref(context);
    struct tl_context *without;
    struct tl_context *clear;
    struct tl_baggage_entry entry;

    (void)state;
    context = bagged(context, "a", "3 \xe2\x82\xac");
    assert_true(tl_baggage_get(context, "a", &entry));
    assert_str(((struct str){entry.value, entry.value_len}), "3 \xe2\x82\xac");
    assert_true(tl_baggage_get(old, "a", &entry));
    assert_str(((struct str){entry.value, entry.value_len}), "1");
    assert_false(tl_baggage_get(context, "A", &entry));
    without = tl_context_without_baggage(context, "a");
    assert_false(tl_baggage_get(without, "a", &entry));
    assert_true(tl_baggage_at(without, 0, &entry));
    assert_str(((struct str){entry.name, entry.name_len}), "b");
    assert_false(tl_baggage_at(without, 1, &entry));
    clear = tl_context_clear_baggage(context);
    assert_false(tl_baggage_at(clear, 0, &entry));
    assert_false(tl_baggage_get(NULL, "a", &entry));
    tl_context_unref(context);
    tl_context_unref(old);
    tl_context_unref(without);
    tl_context_unref(clear);
}

static void baggage_that_cannot_be_is_counted(void **state)
{
    const struct tl_baggage_entry wrong[] = {
        {"", 0, "x", 1, NULL, 0},     {NULL, 0, "x", 1, NULL, 0},   {"a", 1, "x", 1, "p=1,q", 5},
        {"a", 1, "x", 1, "p\r\n", 3}, {"a", 1, "x", 9000, NULL, 0},
    };
    struct tl_context *context = bagged(NULL, "kept", "1");
    struct tl_stats before, after;

    (void)state;
    tl_stats_read(&before);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct tl_context *same = tl_context_with_baggage(context, &wrong[i]);

        assert_ptr_equal(same, context);
        tl_context_unref(same);
    }
    tl_stats_read(&after);
    assert_int_equal(after.baggage_dropped, before.baggage_dropped + 5);
    tl_context_unref(context);
}

static void baggage_has_room_for_180_entries_and_8192_bytes(void **state)
{
    static char big[9000];
    struct tl_context *context = NULL;
    struct tl_baggage_entry entry;
    char name[8];

    (void)state;
    memset(big, 'x', sizeof big - 1);
    for (int i = 0; i < 200; i++) {
        assert_true(snprintf(name, sizeof name, "n%d", i) > 0);
        context = bagged(context, name, "v");
    }
    assert_true(tl_baggage_at(context, 179, &entry));
    assert_false(tl_baggage_at(context, 180, &entry));
    tl_context_unref(context);
    big[8190] = '\0';
    context = bagged(NULL, "a", big); // 8192 with its name and the equals sign
    assert_true(tl_baggage_at(context, 0, &entry));
    context = bagged(context, "b", "");
    assert_false(tl_baggage_at(context, 1, &entry));
    context = bagged(context, "a", "");
    assert_true(tl_baggage_get(context, "a", &entry));
    assert_int_equal(entry.value_len, 0);
    tl_context_unref(context);
}

static void null_is_an_empty_context(void **state)
{
    struct tl_context *context;

    (void)state;
    tl_context_unref(NULL);
    assert_null(tl_context_ref(NULL));
    assert_null(tl_context_span(NULL));
    assert_false(tl_context_span_context(NULL).is_remote);
    assert_null(tl_context_clear_baggage(NULL));
    assert_null(tl_context_without_baggage(NULL, "a"));
    assert_null(tl_context_with_baggage(NULL, NULL));
    context = tl_context_with_remote(NULL, NULL);
    assert_false(tl_context_span_context(context).is_remote);
    tl_context_unref(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_one_name_are_two),
        cmocka_unit_test(a_new_value_leaves_the_old_context_as_it_is),
        cmocka_unit_test(a_value_is_dropped_with_its_last_context),
        cmocka_unit_test(a_remote_identity_is_a_contexts_own),
        cmocka_unit_test(a_tracestate_that_is_none_is_left_out),
        cmocka_unit_test(a_context_outlives_its_span),
        cmocka_unit_test(what_is_attached_is_current_until_it_is_detached),
        cmocka_unit_test(a_current_span_is_a_current_context),
        cmocka_unit_test(tokens_out_of_order_are_counted_and_ignored),
        cmocka_unit_test(threads_have_contexts_of_their_own),
        cmocka_unit_test(an_identity_is_valid_with_both_ids),
        cmocka_unit_test(only_what_came_from_elsewhere_is_remote),
        cmocka_unit_test(trace_ids_of_our_roots_are_random_and_say_so),
        cmocka_unit_test(baggage_is_set_replaced_removed_and_cleared),
        cmocka_unit_test(baggage_that_cannot_be_is_counted),
        cmocka_unit_test(baggage_has_room_for_180_entries_and_8192_bytes),
        cmocka_unit_test(null_is_an_empty_context),
        cmocka_unit_test(keys_come_to_an_end),
    };

    setenv("THROUGHLINE_SOCKET", "/nonexistent/agent.sock", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
