// SPDX-License-Identifier: Apache-2.0
// Remote strategies: what answers mean, which are refused, how limits are kept.

#include "tests/support/check.h"

#include <errno.h>

#include "libtrace/base/bytes.h"
#include "libtrace/base/clock.h"
#include "libtrace/sdk/trace/strategy.h"

static enum tl_decision sample(struct strategy *strategy, const char *name, uint8_t first,
                               uint64_t now_ns)
{
    const uint8_t id[16] = {1, [9] = first};
    const struct tl_sampling sampling = {.trace_id = id, .name = name, .name_len = strlen(name)};
    struct tl_sampling_result result = {.trace_state = ""};

    strategy_sample(strategy, &sampling, &result, now_ns);
    return result.decision;
}

static struct strategy *strategy_of(const char *json)
{
    struct strategy *strategy = NULL;
    struct why why = {""};

    if (strategy_read(str_of(json), &strategy, &why) != 0)
        fail_msg("%s", why.text);
    return strategy;
}

static void a_probability_is_followed(void **state)
{
    struct strategy *strategy = strategy_of(
        "{\"strategyType\":\"PROBABILISTIC\",\"probabilisticSampling\":{\"samplingRate\":0.5}}");

    (void)state;
    assert_int_equal(sample(strategy, "x", 0x80, 1), TL_RECORD_AND_SAMPLE);
    assert_int_equal(sample(strategy, "x", 0x7f, 1), TL_DROP);
    strategy_free(strategy);
}

static void a_rate_is_kept(void **state)
{
    struct strategy *strategy =
        strategy_of("{\"strategyType\":1,\"rateLimitingSampling\":{\"maxTracesPerSecond\":5}}");
    const uint64_t start = 1000 * NS_PER_SECOND;
    unsigned kept = 0;

    (void)state;
    for (unsigned ms = 0; ms < 10000; ms++)
        kept += sample(strategy, "x", 0, start + ms * NS_PER_MS) == TL_RECORD_AND_SAMPLE;
    // A second's worth at once, then five a second.
    assert_in_range(kept, 50, 55);
    strategy_free(strategy);
}

static void operations_have_their_own_probability_and_a_lower_bound(void **state)
{
    struct strategy *strategy = strategy_of(
        "{\"strategyType\":\"PROBABILISTIC\",\"probabilisticSampling\":{\"samplingRate\":1},"
        "\"operationSampling\":{\"defaultSamplingProbability\":0.25,"
        "\"defaultLowerBoundTracesPerSecond\":1,\"perOperationStrategies\":["
        "{\"operation\":\"/z\",\"probabilisticSampling\":{\"samplingRate\":1}},"
        "{\"operation\":\"/a\",\"probabilisticSampling\":{\"samplingRate\":0}}],"
        "\"defaultUpperBoundTracesPerSecond\":null}}");
    const uint64_t start = 1000 * NS_PER_SECOND;

    (void)state;
    // The bound's first one of each.
    assert_int_equal(sample(strategy, "/a", 0xff, start), TL_RECORD_AND_SAMPLE);
    assert_int_equal(sample(strategy, "/a", 0xff, start + 1), TL_DROP);
    assert_int_equal(sample(strategy, "/a", 0, start + NS_PER_SECOND), TL_RECORD_AND_SAMPLE);
    assert_int_equal(sample(strategy, "/z", 0, start), TL_RECORD_AND_SAMPLE);
    assert_int_equal(sample(strategy, "/z", 0, start + 1), TL_RECORD_AND_SAMPLE);
    assert_int_equal(sample(strategy, "other", 0, start), TL_RECORD_AND_SAMPLE);
    assert_int_equal(sample(strategy, "other", 0, start + 1), TL_DROP);
    assert_int_equal(sample(strategy, "other", 0xc0, start + 1), TL_RECORD_AND_SAMPLE);
    strategy_free(strategy);
}

static void nonsense_is_refused_with_a_reason(void **state)
{
    static const char *const rows[][2] = {
        {"{}", "no strategy in the answer"},
        {"", "JSON line 1 column 1: '{' was expected"},
        {"{\"probabilisticSampling\":{\"samplingRate\":-1}}",
         "JSON line 1 column 44: a number of 0 or more was expected"},
        {"{\"probabilisticSampling\":{\"samplingRate\":\"1\"}}",
         "JSON line 1 column 42: a number of 0 or more was expected"},
        {"{\"probabilisticSampling\":{\"samplingRate\":1}} x",
         "JSON line 1 column 46: text behind the answer"},
    };
    struct strategy *strategy = NULL;
    struct why why;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(strategy_read(str_of(rows[i][0]), &strategy, &why), -EBADMSG);
        assert_string_equal(why.text, rows[i][1]);
    }
    assert_null(strategy);
}

static void too_many_operations_are_refused(void **state)
{
    struct bytes json = {0};
    struct strategy *strategy = NULL;
    struct why why;

    (void)state;
    bytes_format(&json, "{\"operationSampling\":{\"perOperationStrategies\":[");
    for (int i = 0; i <= STRATEGY_OPERATIONS_MAX; i++)
        bytes_format(&json, "%s{\"operation\":\"o%d\"}", i ? "," : "", i);
    bytes_format(&json, "]}}");
    assert_int_equal(strategy_read(bytes_str(&json), &strategy, &why), -EBADMSG);
    assert_non_null(strstr(why.text, "more than 2000 operations"));
    bytes_done(&json);
    assert_int_equal(strategy_read((struct str){"{", STRATEGY_BYTES_MAX + 1}, &strategy, &why),
                     -E2BIG);
}

static void a_limiter_of_zero_lets_nothing_through(void **state)
{
    struct limiter none;
    struct limiter slow;
    struct limiter fast;

    (void)state;
    limiter_init(&none, 0);
    assert_false(limiter_take(&none, 1));
    limiter_init(&slow, 1e-12);
    assert_true(limiter_take(&slow, 1));
    assert_false(limiter_take(&slow, NS_PER_SECOND * 1000));
    limiter_init(&fast, 1e300);
    for (int i = 0; i < 1000; i++)
        assert_true(limiter_take(&fast, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_probability_is_followed),
        cmocka_unit_test(a_rate_is_kept),
        cmocka_unit_test(operations_have_their_own_probability_and_a_lower_bound),
        cmocka_unit_test(nonsense_is_refused_with_a_reason),
        cmocka_unit_test(too_many_operations_are_refused),
        cmocka_unit_test(a_limiter_of_zero_lets_nothing_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
