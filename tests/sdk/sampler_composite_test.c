// SPDX-License-Identifier: Apache-2.0
// Composable samplers and the composite that decides by their intents.

#include "tests/support/check.h"

#include "libtrace/sdk/trace/sampler.h"

static uint8_t id_of(uint8_t *id, uint8_t first)
{
    memset(id, 0, 16);
    id[0] = 1;
    id[9] = first;
    return first;
}

static struct tl_sampling_result ask(struct tl_sampler *sampler,
                                     const struct tl_span_context *parent, uint8_t first,
                                     const char *name)
{
    uint8_t id[16];
    const struct tl_sampling sampling = {
        .parent = parent, .trace_id = id, .name = name, .name_len = strlen(name)};
    struct tl_sampling_result result;

    id_of(id, first);
    memset(&result, 0xab, sizeof result);
    tl_sampler_ask(sampler, &sampling, &result);
    return result;
}

static struct tl_span_context parent_of(unsigned flags, uint8_t first, const char *state)
{
    struct tl_span_context parent = {.is_remote = true, .flags = (uint8_t)flags, .span_id = {1}};

    id_of(parent.trace_id, first);
    parent.trace_state = state;
    parent.trace_state_len = (uint16_t)strlen(state);
    return parent;
}

#define expect(result, wanted, text)                                                               \
    do {                                                                                           \
        assert_int_equal((result).decision, wanted);                                               \
        assert_str(((struct str){(result).trace_state, (result).trace_state_len}), text);          \
    } while (0)

static void probability_writes_its_threshold(void **state)
{
    struct tl_sampler *sampler = tl_sampler_composite(tl_composable_probability(0.25));
    const struct tl_span_context rv = parent_of(1, 0, "ot=rv:f0000000000000;th:8,a=b");
    struct tl_sampling_result result = ask(sampler, NULL, 0xc0, "x");

    (void)state;
    expect(result, TL_RECORD_AND_SAMPLE, "ot=th:c");
    result = ask(sampler, NULL, 0xbf, "x");
    expect(result, TL_DROP, "");
    result = ask(sampler, &rv, 0, "x");
    expect(result, TL_RECORD_AND_SAMPLE, "ot=th:c;rv:f0000000000000,a=b");
    assert_string_equal(tl_sampler_description(sampler), "Composite{Probability{0.25}}");
    tl_sampler_unref(sampler);
}

static void a_negative_decision_erases_th(void **state)
{
    struct tl_sampler *sampler = tl_sampler_composite(tl_composable_always_off());
    const struct tl_span_context parent = parent_of(1, 0xff, "ot=th:8,a=b");
    const struct tl_sampling_result result = ask(sampler, &parent, 0xff, "x");

    (void)state;
    expect(result, TL_DROP, "a=b");
    tl_sampler_unref(sampler);
}

static void parent_threshold_follows_the_parent(void **state)
{
    struct tl_sampler *sampler =
        tl_sampler_composite(tl_composable_parent_threshold(tl_composable_always_on()));
    const struct tl_span_context with = parent_of(1, 0x90, "ot=th:8");
    const struct tl_span_context bare = parent_of(1, 0x90, "a=b");
    const struct tl_span_context not_sampled = parent_of(0, 0x90, "a=b");
    const struct tl_span_context doubtful = parent_of(1, 0x10, "ot=th:8;x:y");
    struct tl_sampling_result result = ask(sampler, NULL, 0, "x");

    (void)state;
    expect(result, TL_RECORD_AND_SAMPLE, "ot=th:0");
    result = ask(sampler, &with, 0x90, "x");
    expect(result, TL_RECORD_AND_SAMPLE, "ot=th:8");
    result = ask(sampler, &bare, 0x90, "x");
    expect(result, TL_RECORD_AND_SAMPLE, "a=b");
    result = ask(sampler, &not_sampled, 0x90, "x");
    expect(result, TL_DROP, "a=b");
    // Sampled although its randomness is below its threshold: the threshold goes.
    result = ask(sampler, &doubtful, 0x10, "x");
    expect(result, TL_RECORD_AND_SAMPLE, "ot=x:y");
    tl_sampler_unref(sampler);
}

static bool is_named(void *self, const struct tl_sampling *sampling)
{
    return str_equal((struct str){sampling->name, sampling->name_len}, str_of(self));
}

static void the_first_rule_that_matches_decides(void **state)
{
    char health[] = "health";
    char checkout[] = "checkout";
    const struct tl_composable_rule rules[] = {
        {is_named, health, tl_composable_always_off()},
        {is_named, checkout, tl_composable_always_on()},
        {is_named, checkout, tl_composable_always_off()},
    };
    struct tl_sampler *sampler = tl_sampler_composite(tl_composable_rules(rules, 3));
    struct tl_sampling_result result = ask(sampler, NULL, 0, "health");

    (void)state;
    expect(result, TL_DROP, "");
    result = ask(sampler, NULL, 0, "checkout");
    expect(result, TL_RECORD_AND_SAMPLE, "ot=th:0");
    result = ask(sampler, NULL, 0, "another");
    expect(result, TL_DROP, "");
    assert_string_equal(tl_sampler_description(sampler),
                        "Composite{RuleBased{AlwaysOff,AlwaysOn,AlwaysOff}}");
    tl_sampler_unref(sampler);
}

static void annotations_reach_sampled_spans_alone(void **state)
{
    const struct tl_attribute inner[] = {TL_INT("a", 1)};
    const struct tl_attribute outer[] = {TL_INT("b", 2), TL_INT("c", 3)};
    struct tl_sampler *sampler = tl_sampler_composite(tl_composable_annotating(
        tl_composable_annotating(tl_composable_probability(0.5), inner, 1), outer, 2));
    struct tl_sampling_result result = ask(sampler, NULL, 0xff, "x");

    (void)state;
    assert_int_equal(result.decision, TL_RECORD_AND_SAMPLE);
    assert_int_equal(result.attribute_count, 3);
    result = ask(sampler, NULL, 0x7f, "x");
    assert_int_equal(result.decision, TL_DROP);
    assert_int_equal(result.attribute_count, 0);
    tl_sampler_unref(sampler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probability_writes_its_threshold),
        cmocka_unit_test(a_negative_decision_erases_th),
        cmocka_unit_test(parent_threshold_follows_the_parent),
        cmocka_unit_test(the_first_rule_that_matches_decides),
        cmocka_unit_test(annotations_reach_sampled_spans_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
