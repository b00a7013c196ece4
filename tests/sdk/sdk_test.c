// SPDX-License-Identifier: Apache-2.0
// W3C traceparent by its rules; NULL is taken everywhere; a disabled SDK does nothing.

#include "tests/support/check.h"

#include <throughline/throughline.h>

static void traceparent_is_read_by_the_rules(void **state)
{
    static const struct {
        const char *text;
        bool is_valid;
    } cases[] = {
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x", false},
        {"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true},
        {"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what", true},
        {"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.what", false},
        {"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
        {"00-00000000000000000000000000000000-b7ad6b7169203331-01", false},
        {"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false},
        {"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false},
        {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0", false},
        {"00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tl_span_context context = {0};

        if (tl_traceparent_read(cases[i].text, strlen(cases[i].text), &context) !=
            cases[i].is_valid)
            fail_msg("%s", cases[i].text);
    }
}

static void traceparent_survives_both_ways(void **state)
{
    static const char text[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    struct tl_span_context context;
    char out[56];

    (void)state;
    assert_true(tl_traceparent_read(text, 55, &context));
    assert_true(context.is_remote);
    assert_true(tl_traceparent_write(&context, out));
    assert_string_equal(out, text);
    assert_false(tl_traceparent_write(&(struct tl_span_context){0}, out));
    assert_string_equal(out, "");
}

static void null_is_taken_everywhere(void **state)
{
    (void)state;
    tl_span_end(NULL);
    tl_span_set(NULL, NULL, 0);
    tl_span_set_one(NULL, TL_STR(NULL, NULL));
    tl_span_event(NULL, NULL, NULL, 0);
    tl_span_link(NULL, NULL);
    tl_span_status(NULL, TL_STATUS_ERROR, NULL);
    tl_span_name(NULL, NULL);
    assert_false(tl_traceparent_read(NULL, 0, NULL));
    assert_int_equal(tl_span_context(NULL).flags, 0);
}

static void a_child_has_its_parents_trace(void **state)
{
    struct tl_span *root = tl_span_start("root", TL_SERVER, NULL);
    struct tl_span *child;
    struct tl_span_context parent = tl_span_context(root);
    struct tl_span_context own;

    (void)state;
    tl_current_set(root);
    child = tl_span_start("child", TL_CLIENT, NULL);
    own = tl_span_context(child);
    assert_memory_equal(own.trace_id, parent.trace_id, 16);
    assert_memory_not_equal(own.span_id, parent.span_id, 8);
    tl_span_end(child);
    tl_span_end(root);
    assert_null(tl_current());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traceparent_is_read_by_the_rules),
        cmocka_unit_test(traceparent_survives_both_ways),
        cmocka_unit_test(null_is_taken_everywhere),
        cmocka_unit_test(a_child_has_its_parents_trace),
    };

    setenv("THROUGHLINE_SOCKET", "/nonexistent/agent.sock", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
