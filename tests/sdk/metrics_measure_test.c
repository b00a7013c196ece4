// SPDX-License-Identifier: Apache-2.0
// Measurements: bound ones, values that cannot be, and what tells one series from another.

#include "tests/support/check.h"

#include "tests/sdk/metrics_text.h"

static const struct tl_attribute one[] = {{"k", 1, {TL_TYPE_STRING, 1, {.string = "v"}}}};

static void a_bound_instrument_is_the_same_series(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    struct tl_instrument *counter = tl_counter(rig.meter, "c", NULL, NULL);
    struct tl_instrument *histogram = tl_histogram(rig.meter, "h", NULL, NULL);
    struct tl_bound *bound = tl_bound_new(counter, one, 1);
    struct tl_bound *bound_histogram = tl_bound_new(histogram, one, 1);
    struct seen *seen;

    (void)state;
    // Nothing was measured yet.
    assert_seen(rig.reader, "");
    tl_bound_measure(bound, 2);
    tl_measure(counter, 3, one, 1);
    tl_bound_measure(bound, -1);
    tl_bound_measure_double(bound_histogram, 3);
    tl_bound_measure(bound_histogram, 4);
    tl_bound_measure(NULL, 1);
    seen = seen_by(rig.reader);
    assert_non_null(strstr(seen->text, "point {k=v} 5\n"));
    assert_non_null(strstr(seen->text, "point {k=v} count 2 sum 7 "));
    seen_free(seen);
    tl_bound_free(bound);
    tl_bound_free(bound_histogram);
    tl_bound_free(NULL);
    rig_free(&rig);
}

static void values_that_cannot_be_are_dropped_and_counted(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    struct tl_instrument *counter = tl_counter(rig.meter, "c", NULL, NULL);
    struct tl_instrument *histogram = tl_histogram(rig.meter, "h", NULL, NULL);
    struct tl_stats before;
    struct tl_stats after;

    (void)state;
    tl_stats_read(&before);
    tl_measure(counter, -1, NULL, 0);
    tl_measure_double(counter, -0.5, NULL, 0);
    tl_measure_double(histogram, -1, NULL, 0);
    tl_measure_double(histogram, __builtin_nan(""), NULL, 0);
    tl_measure_double(histogram, __builtin_inf(), NULL, 0);
    tl_measure_in(histogram, -__builtin_inf(), NULL, 0, NULL);
    tl_stats_read(&after);
    assert_int_equal(after.invalid_values - before.invalid_values, 6);
    assert_seen(rig.reader, "");
    // Cut and converted.
    tl_measure_double(counter, 2.9, NULL, 0);
    assert_seen(rig.reader,
                "scope test   {}\nmetric c [] \"\" sum cumulative monotonic\npoint {} 2\n");
    tl_measure(NULL, 1, NULL, 0);
    rig_free(&rig);
}

static void attribute_sets_have_no_order_and_the_last_of_equal_keys_wins(void **state)
{
    const struct tl_attribute ab[] = {TL_INT("a", 1), TL_STR("b", "x")};
    const struct tl_attribute ba[] = {TL_STR("b", "x"), TL_INT("a", 1)};
    const struct tl_attribute twice[] = {TL_INT("a", 9), TL_STR("b", "x"), TL_INT("a", 1)};
    const struct tl_attribute odd[] = {TL_INT("a", 1),
                                       TL_STR(NULL, "z"),
                                       TL_STR("", "z"),
                                       {"n", 1, {TL_TYPE_EMPTY, 0, {NULL}}},
                                       TL_STR("b", "x")};
    const struct tl_attribute lists[] = {
        TL_STRS("s", ((const char *const[]){"x", NULL, "yy"}), 3),
        TL_INTS("i", ((const int64_t[]){1, 2}), 2), TL_DOUBLES("d", ((const double[]){0.5}), 1),
        TL_BOOLS("t", ((const bool[]){true, false}), 2), TL_BYTES("y", "\1\2", 2)};
    struct rig rig = rig_new(NULL, NULL);
    struct tl_instrument *counter = tl_counter(rig.meter, "c", NULL, NULL);

    (void)state;
    for (int i = 0; i < 2; i++) {
        tl_measure(counter, 1, ab, 2);
        tl_measure(counter, 1, ba, 2);
        tl_measure(counter, 1, twice, 3);
        tl_measure(counter, 1, odd, 5);
        tl_measure(counter, 1, lists, 5);
    }
    assert_seen(rig.reader, "scope test   {}\nmetric c [] \"\" sum cumulative monotonic\n"
                            "point {a=1 b=x} 8\n"
                            "point {s=[x  yy] i=[1 2] d=[0.5] t=[true false] y=} 2\n");
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bound_instrument_is_the_same_series),
        cmocka_unit_test(values_that_cannot_be_are_dropped_and_counted),
        cmocka_unit_test(attribute_sets_have_no_order_and_the_last_of_equal_keys_wins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
