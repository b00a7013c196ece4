// SPDX-License-Identifier: Apache-2.0
// Samplers: decisions, tracestate, descriptions; the quick way agrees with the asked one.

#include "tests/support/check.h"

#include <math.h>

#include "libtrace/sdk/stats.h"
#include "libtrace/sdk/trace/sampler.h"

static const uint8_t some_id[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 0x80, 0, 0, 0, 0, 0, 1};

static struct tl_span_context parent_of(bool is_remote, unsigned flags, const char *state)
{
    struct tl_span_context parent = {.is_remote = is_remote, .flags = (uint8_t)flags};

    memcpy(parent.trace_id, some_id, 16);
    parent.span_id[0] = 1;
    parent.trace_state = state;
    parent.trace_state_len = (uint16_t)strlen(state);
    return parent;
}

static enum tl_decision ask(struct tl_sampler *sampler, const struct tl_span_context *parent,
                            const uint8_t *trace_id, struct tl_sampling_result *result)
{
    const struct tl_sampling sampling = {
        .parent = parent, .trace_id = trace_id, .name = "x", .name_len = 1, .kind = TL_SERVER};

    memset(result, 0xab, sizeof *result);
    tl_sampler_ask(sampler, &sampling, result);
    return result->decision;
}

static void expect_state(const struct tl_sampling_result *result, const char *expected)
{
    assert_str(((struct str){result->trace_state, result->trace_state_len}), expected);
}

static void descriptions_are_the_specifications(void **state)
{
    struct tl_sampler *ratio = tl_sampler_ratio(0.0001);
    struct tl_sampler *parent = tl_sampler_parent_based(ratio, NULL, NULL, NULL, NULL);

    (void)state;
    assert_string_equal(tl_sampler_description(tl_sampler_always_on()), "AlwaysOnSampler");
    assert_string_equal(tl_sampler_description(tl_sampler_always_off()), "AlwaysOffSampler");
    assert_string_equal(tl_sampler_description(ratio), "TraceIdRatioBased{0.0001}");
    assert_string_equal(tl_sampler_description(parent),
                        "ParentBased{root=TraceIdRatioBased{0.0001},remoteParentSampled="
                        "AlwaysOnSampler,remoteParentNotSampled=AlwaysOffSampler,"
                        "localParentSampled=AlwaysOnSampler,localParentNotSampled="
                        "AlwaysOffSampler}");
    tl_sampler_unref(parent);
}

static void parent_based_asks_by_parent(void **state)
{
    // Leaves that are unlike each other: the tracestate tells which one was asked.
    struct tl_sampler *sampler = tl_sampler_parent_based(
        tl_sampler_always_off(), tl_sampler_always_off(), tl_sampler_always_on(),
        tl_sampler_always_off(), tl_sampler_always_on());
    static const enum tl_decision expected[2][2] = {{TL_RECORD_AND_SAMPLE, TL_DROP},
                                                    {TL_RECORD_AND_SAMPLE, TL_DROP}};
    struct tl_sampling_result result;

    (void)state;
    assert_int_equal(ask(sampler, NULL, some_id, &result), TL_DROP);
    for (unsigned remote = 0; remote < 2; remote++) {
        for (unsigned sampled = 0; sampled < 2; sampled++) {
            const struct tl_span_context parent = parent_of(remote, sampled, "a=1");

            assert_int_equal(ask(sampler, &parent, some_id, &result), expected[remote][sampled]);
            expect_state(&result, "a=1");
        }
    }
    tl_sampler_unref(sampler);
}

static void thresholds_are_those_of_the_specification(void **state)
{
    static const struct {
        double ratio;
        const char *digits;
    } rows[] = {{1, "0"},          {0.5, "8"},         {0.25, "c"}, {0.01, "fd70a4"},
                {0.1, "e6666"},    {0.001, "ffbe76d"}, {0.75, "4"}, {0x1p-56, "ffffffffffffff"},
                {1.0 / 3, "aaaab"}};
    char digits[THRESHOLD_DIGITS + 1];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        threshold_write(digits, threshold_of_ratio(rows[i].ratio));
        assert_string_equal(digits, rows[i].digits);
    }
    assert_true(threshold_of_ratio(0) == TRACE_STATE_NEVER);
    assert_true(threshold_of_ratio(0x1p-57) == TRACE_STATE_NEVER);
    assert_true(threshold_of_ratio(1 - 0x1p-53) == 0);
}

static void ratio_compares_56_bits_and_writes_th(void **state)
{
    struct tl_sampler *sampler = tl_sampler_ratio(0.5);
    struct tl_sampling_result result;
    uint8_t id[16] = {0xff, [9] = 0x80};

    (void)state;
    assert_int_equal(ask(sampler, NULL, id, &result), TL_RECORD_AND_SAMPLE);
    expect_state(&result, "ot=th:8");
    id[9] = 0x7f;
    memset(id + 10, 0xff, 6);
    assert_int_equal(ask(sampler, NULL, id, &result), TL_DROP);
    expect_state(&result, "");
    id[8] = 0xff; // the 57th bit does not count
    assert_int_equal(ask(sampler, NULL, id, &result), TL_DROP);
    tl_sampler_unref(sampler);
}

static void ratio_ignores_the_parents_flag_and_keeps_other_members(void **state)
{
    struct tl_sampler *sampler = tl_sampler_ratio(0.25);
    struct tl_sampling_result result;
    uint8_t high[16] = {1, [9] = 0xff};
    uint8_t low[16] = {1, [9] = 0x01};
    const struct tl_span_context plain = parent_of(true, 0, "congo=t61,rojo=00");
    const struct tl_span_context th = parent_of(true, 1, "congo=t61,ot=x1:a;th:8;y:B");
    const struct tl_span_context rv = parent_of(false, 0, "a=b,ot=rv:fffffffffffffe");
    const struct tl_span_context bad = parent_of(false, 0, "ot=rv:FFfffffffffffe;th:xyz");

    (void)state;
    assert_int_equal(ask(sampler, &plain, high, &result), TL_RECORD_AND_SAMPLE);
    expect_state(&result, "ot=th:c,congo=t61,rojo=00");
    assert_int_equal(ask(sampler, &plain, low, &result), TL_DROP);
    expect_state(&result, "congo=t61,rojo=00");
    assert_int_equal(ask(sampler, &th, high, &result), TL_RECORD_AND_SAMPLE);
    expect_state(&result, "ot=th:c;x1:a;y:B,congo=t61");
    assert_int_equal(ask(sampler, &th, low, &result), TL_DROP);
    expect_state(&result, "ot=x1:a;y:B,congo=t61");
    assert_int_equal(ask(sampler, &rv, low, &result), TL_RECORD_AND_SAMPLE);
    expect_state(&result, "ot=th:c;rv:fffffffffffffe,a=b");
    // Not an rv: the trace id decides.
    assert_int_equal(ask(sampler, &bad, low, &result), TL_DROP);
    tl_sampler_unref(sampler);
}

static void a_full_tracestate_loses_its_last_members(void **state)
{
    struct tl_sampler *sampler = tl_sampler_ratio(1);
    struct tl_sampling_result result;
    char text[2048] = "";
    size_t len = 0;
    struct tl_span_context parent;

    (void)state;
    for (int i = 0; i < 32; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%sk%02d=v", i ? "," : "", i);
    parent = parent_of(true, 1, text);
    ask(sampler, &parent, some_id, &result);
    assert_int_equal(result.trace_state_len, len - 6 + 8);
    assert_memory_equal(result.trace_state, "ot=th:0,k00=v,", 14);
    assert_memory_equal(result.trace_state + result.trace_state_len - 5, "k30=v", 5);
    // Long ones go first: short=1 stays although it is last.
    len = (size_t)snprintf(text, sizeof text, "a=%0400d,b=%0100d,short=1", 0, 0);
    parent = parent_of(true, 1, text);
    ask(sampler, &parent, some_id, &result);
    assert_int_equal(result.trace_state_len, 8 + 103 + 7);
    assert_memory_equal(result.trace_state + 8, "b=00", 4);
    // An ot value that would pass 256 characters is left without a threshold.
    len = (size_t)snprintf(text, sizeof text, "ot=a:%0254d", 0);
    parent = parent_of(true, 1, text);
    ask(sampler, &parent, some_id, &result);
    expect_state(&result, text);
    tl_sampler_unref(sampler);
}

static void higher_ratios_sample_what_lower_ones_do(void **state)
{
    static const double ratios[] = {0.0001, 0.01, 0.1, 1.0 / 3, 0.5, 0.9, 1};
    unsigned kept[7] = {0};
    uint64_t random = 88172645463325252;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint8_t id[16] = {1};
        bool before = false;

        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        memcpy(id + 8, &random, 8);
        for (size_t r = 0; r < 7; r++) {
            const bool is_kept = sampler_randomness(id) >= threshold_of_ratio(ratios[r]);

            assert_true(is_kept || !before);
            kept[r] += is_kept;
            before = is_kept;
        }
    }
    for (size_t r = 0; r < 7; r++) {
        const double expected = ratios[r] * 100000;

        assert_true(fabs(kept[r] - expected) < 5 * sqrt(expected) + 1);
    }
}

static void quick_and_asked_agree(void **state)
{
    struct tl_sampler *samplers[] = {
        NULL,
        tl_sampler_always_on(),
        tl_sampler_always_off(),
        tl_sampler_ratio(0.5),
        tl_sampler_parent_based(NULL, NULL, NULL, NULL, NULL),
        tl_sampler_parent_based(tl_sampler_ratio(0.5), NULL, tl_sampler_ratio(0.25), NULL, NULL),
        tl_sampler_always_record(tl_sampler_always_off()),
    };
    struct tl_sampling_result result;

    (void)state;
    for (unsigned round = 0; round < 7 * 5 * 256; round++) {
        struct tl_sampler *sampler = samplers[round % 7];
        const unsigned standing = round / 7 % 5;
        const struct tl_span_context parent = parent_of(standing & 1, standing >> 1 & 1, "");
        const struct tl_span_context *given = standing == 4 ? NULL : &parent;
        uint8_t id[16] = {1, [9] = (uint8_t)(round / 35)};
        const struct sampler_quick quick = sampler_quick(sampler, given, id);
        const enum tl_decision decision = ask(sampler, given, id, &result);

        if (round % 7 == 6)
            assert_int_equal(quick.verdict, SAMPLER_ASK);
        else
            assert_int_equal(quick.verdict,
                             decision == TL_RECORD_AND_SAMPLE ? SAMPLER_YES : SAMPLER_NO);
        if (quick.verdict == SAMPLER_YES)
            assert_true(str_equal((struct str){quick.trace_state, quick.trace_state_len},
                                  (struct str){result.trace_state, result.trace_state_len}));
    }
    for (size_t i = 3; i < 7; i++)
        tl_sampler_unref(samplers[i]);
}

static void always_record_turns_drop_into_record_only(void **state)
{
    struct tl_sampler *off = tl_sampler_always_record(tl_sampler_always_off());
    struct tl_sampler *on = tl_sampler_always_record(tl_sampler_always_on());
    struct tl_sampling_result result;

    (void)state;
    assert_int_equal(ask(off, NULL, some_id, &result), TL_RECORD_ONLY);
    assert_int_equal(ask(on, NULL, some_id, &result), TL_RECORD_AND_SAMPLE);
    assert_string_equal(tl_sampler_description(off), "AlwaysRecord{root=AlwaysOffSampler}");
    tl_sampler_unref(off);
    tl_sampler_unref(on);
}

struct seen {
    struct tl_sampling sampling;
    unsigned frees;
};

static void custom_sample(void *self, const struct tl_sampling *sampling,
                          struct tl_sampling_result *out_result)
{
    static const struct tl_attribute added = {"rule", 4, {TL_TYPE_INT, 0, {.integer = 7}}};
    struct seen *seen = self;

    seen->sampling = *sampling;
    out_result->decision = TL_RECORD_ONLY;
    out_result->attributes = &added;
    out_result->attribute_count = 1;
    memcpy(out_result->trace_state_room, "mine=1", 6);
    out_result->trace_state = out_result->trace_state_room;
    out_result->trace_state_len = 6;
}

static void custom_free(void *self)
{
    ((struct seen *)self)->frees++;
}

static void a_custom_sampler_sees_all_and_may_write_the_tracestate(void **state)
{
    struct seen seen = {0};
    char name[] = "Mine{1}";
    const struct tl_sampler_functions functions = {&seen, custom_sample, name, custom_free};
    struct tl_sampler *sampler = tl_sampler_custom(&functions);
    const struct tl_span_context parent = parent_of(true, 1, "a=b");
    const struct tl_scope scope = {.name = "scope"};
    const struct tl_attribute attribute = TL_STR("k", "v");
    struct tl_context *context = (struct tl_context *)&seen;
    const struct tl_sampling sampling = {.context = context,
                                         .parent = &parent,
                                         .trace_id = some_id,
                                         .attributes = &attribute,
                                         .attribute_count = 1,
                                         .scope = &scope};
    struct tl_sampling_result result;

    (void)state;
    name[0] = 'x'; // the description was copied
    tl_sampler_ask(sampler, &sampling, &result);
    assert_ptr_equal(seen.sampling.context, context);
    assert_ptr_equal(seen.sampling.parent, &parent);
    assert_ptr_equal(seen.sampling.attributes, &attribute);
    assert_ptr_equal(seen.sampling.scope, &scope);
    assert_int_equal(result.decision, TL_RECORD_ONLY);
    assert_int_equal(result.attribute_count, 1);
    expect_state(&result, "mine=1");
    assert_string_equal(tl_sampler_description(sampler), "Mine{1}");
    tl_sampler_ref(sampler);
    tl_sampler_unref(sampler);
    assert_int_equal(seen.frees, 0);
    tl_sampler_unref(sampler);
    assert_int_equal(seen.frees, 1);
}

static void nonsense_is_taken_and_counted(void **state)
{
    const uint64_t before = stats_get(&sdk_stats, SDK_invalid_values);
    struct tl_sampler *low = tl_sampler_ratio(-1);
    struct tl_sampler *high = tl_sampler_ratio(2);
    struct tl_sampler *none = tl_sampler_ratio(NAN);

    (void)state;
    assert_string_equal(tl_sampler_description(low), "TraceIdRatioBased{0}");
    assert_string_equal(tl_sampler_description(high), "TraceIdRatioBased{1}");
    assert_string_equal(tl_sampler_description(none), "TraceIdRatioBased{1}");
    assert_int_equal(stats_get(&sdk_stats, SDK_invalid_values), before + 3);
    assert_null(tl_sampler_custom(NULL));
    tl_sampler_unref(NULL);
    tl_sampler_ask(NULL, NULL, NULL);
    assert_string_equal(tl_sampler_description(NULL), "");
    tl_sampler_unref(low);
    tl_sampler_unref(high);
    tl_sampler_unref(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptions_are_the_specifications),
        cmocka_unit_test(parent_based_asks_by_parent),
        cmocka_unit_test(thresholds_are_those_of_the_specification),
        cmocka_unit_test(ratio_compares_56_bits_and_writes_th),
        cmocka_unit_test(ratio_ignores_the_parents_flag_and_keeps_other_members),
        cmocka_unit_test(a_full_tracestate_loses_its_last_members),
        cmocka_unit_test(higher_ratios_sample_what_lower_ones_do),
        cmocka_unit_test(quick_and_asked_agree),
        cmocka_unit_test(always_record_turns_drop_into_record_only),
        cmocka_unit_test(a_custom_sampler_sees_all_and_may_write_the_tracestate),
        cmocka_unit_test(nonsense_is_taken_and_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
