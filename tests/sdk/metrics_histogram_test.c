// SPDX-License-Identifier: Apache-2.0
// Buckets: which one a value falls into, and how exponential ones change their scale.

#include "tests/support/check.h"

#include <float.h>
#include <math.h>

#include "libtrace/sdk/metrics/exponential.h"
#include "tests/sdk/metrics_text.h"

static void a_boundary_belongs_to_the_bucket_below_it(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    struct tl_instrument *histogram = tl_histogram(rig.meter, "h", NULL, NULL);
    static const double boundaries[] = {0,   5,   10,   25,   50,   75,   100,  250,
                                        500, 750, 1000, 2500, 5000, 7500, 10000};

    (void)state;
    for (size_t i = 0; i < TL_COUNT(boundaries); i++) {
        tl_measure_double(histogram, boundaries[i], NULL, 0);
        tl_measure_double(histogram, nextafter(boundaries[i], INFINITY), NULL, 0);
    }
    assert_seen(rig.reader, "scope test   {}\nmetric h [] \"\" histogram cumulative\n"
                            "point {} count 30 sum 55530 buckets 1 2 2 2 2 2 2 2 2 2 2 2 2 2 2 1 "
                            "bounds 0 5 10 25 50 75 100 250 500 750 1000 2500 5000 7500 10000 "
                            "min 0 max 10000.000000000002\n");
    rig_free(&rig);
}

static void powers_of_two_are_exact_at_every_scale(void **state)
{
    (void)state;
    for (int32_t scale = EXPONENTIAL_SCALE_MIN; scale <= EXPONENTIAL_SCALE; scale++) {
        for (int exponent = -1074; exponent <= 1023; exponent++) {
            const double value = ldexp(1, exponent);
            const int64_t whole = scale >= 0 ? (int64_t)exponent * (INT64_C(1) << scale) - 1
                                             : (int64_t)(exponent - 1) >> -scale;

            if (exponential_index(value, scale) != whole)
                fail_msg("2^%d at scale %d: %d", exponent, scale, exponential_index(value, scale));
            // The next value is in the next bucket where a bucket is a power of two or less.
            if (scale >= 0 && exponent > -1000 && exponent < 1023 &&
                exponential_index(nextafter(value, INFINITY), scale) != whole + 1)
                fail_msg("above 2^%d at scale %d", exponent, scale);
        }
    }
}

static void indexes_are_those_of_the_logarithm(void **state)
{
    uint64_t seed = 88172645463325252u;
    size_t off = 0;

    (void)state;
    for (int i = 0; i < 200000; i++) {
        const int32_t scale = i % 32 - 11;
        double value;
        long double exact;
        int64_t expected;

        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        memcpy(&value, &(uint64_t){seed & 0x7fffffffffffffff}, 8);
        if (!isfinite(value) || value == 0)
            continue;
        exact = ceill(log2l(value) * powl(2, scale)) - 1;
        expected = (int64_t)exact;
        // Within rounding of a boundary it may be the neighbour.
        if (exponential_index(value, scale) != expected) {
            assert_true(llabs(exponential_index(value, scale) - expected) == 1);
            off++;
        }
    }
    assert_true(off < 5);
}

static struct exponential *exponential_made(uint32_t size, int32_t scale)
{
    struct exponential *made = calloc(1, exponential_bytes(size));

    assert_non_null(made);
    exponential_init(made, size, scale);
    return made;
}

static void the_scale_is_the_best_that_fits(void **state)
{
    struct exponential *cell = exponential_made(160, 20);

    (void)state;
    exponential_record(cell, 1.1);
    assert_int_equal(cell->scale, 20);
    assert_int_equal(cell->positive.len, 1);
    exponential_record(cell, 4.4);
    // The specification's table: contrast 4 has scale 6 with 160 buckets.
    assert_int_equal(cell->scale, 6);
    exponential_record(cell, 1100);
    assert_int_equal(cell->scale, 4);
    exponential_record(cell, DBL_MIN);
    exponential_record(cell, DBL_MAX);
    exponential_record(cell, 4.9e-324);
    assert_true(cell->positive.len <= 160);
    assert_int_equal(cell->count, 6);
    free(cell);
}

static void no_count_is_lost_when_buckets_merge(void **state)
{
    struct exponential *cell = exponential_made(7, 20);
    uint64_t seed = 12345;
    uint64_t total;

    (void)state;
    for (int i = 1; i <= 5000; i++) {
        double value;

        seed = seed * 6364136223846793005u + 1442695040888963407u;
        value = ldexp((double)(seed >> 40) + 1, (int)(seed >> 33 & 63) - 32);
        exponential_record(cell, i % 3 ? value : i % 2 ? -value : 0);
        total = cell->zero_count;
        for (uint32_t k = 0; k < cell->positive.len; k++)
            total += cell->positive.counts[k];
        for (uint32_t k = 0; k < cell->negative.len; k++)
            total += cell->negative.counts[k];
        assert_int_equal(total, i);
        assert_true(cell->positive.len <= 7 && cell->negative.len <= 7);
    }
    free(cell);
}

static void values_stay_in_buckets_that_hold_them(void **state)
{
    struct exponential *cell = exponential_made(10, 20);
    static const double values[] = {1.5, 3.7, 0.1, 250, 8, 8.0001, 1e9};

    (void)state;
    for (size_t i = 0; i < TL_COUNT(values); i++)
        exponential_record(cell, values[i]);
    for (size_t i = 0; i < TL_COUNT(values); i++) {
        const int32_t index = exponential_index(values[i], cell->scale);
        const double low = exp2(ldexp(index, -cell->scale));
        const double high = exp2(ldexp(index + 1, -cell->scale));

        assert_true(index >= cell->positive.start &&
                    index < cell->positive.start + (int32_t)cell->positive.len);
        assert_true(cell->positive.counts[index - cell->positive.start] > 0);
        assert_true(low * (1 - 1e-12) < values[i] && values[i] <= high * (1 + 1e-12));
    }
    free(cell);
}

static void exponential_points_have_all_their_fields(void **state)
{
    const struct tl_view views[] = {
        {.instrument_name = "h",
         .aggregation = {.kind = TL_AGGREGATION_EXPONENTIAL_HISTOGRAM,
                         .max_size = 4,
                         .max_scale = 1,
                         .has_max_scale = true}},
        {.instrument_name = "u",
         .aggregation = {.kind = TL_AGGREGATION_EXPONENTIAL_HISTOGRAM, .no_min_max = true}}};
    struct rig rig =
        rig_new(NULL, &(struct tl_meter_provider_options){.views = views, .view_count = 2});
    struct tl_instrument *histogram = tl_histogram(rig.meter, "h", NULL, NULL);
    struct tl_instrument *up_down = tl_up_down_counter(rig.meter, "u", NULL, NULL);

    (void)state;
    tl_measure_double(histogram, 0, NULL, 0);
    tl_measure_double(histogram, 1, NULL, 0);
    tl_measure_double(histogram, 2, NULL, 0);
    tl_measure_double(histogram, 4, NULL, 0);
    tl_measure(up_down, -1, NULL, 0);
    assert_seen(rig.reader, "scope test   {}\nmetric h [] \"\" exponential cumulative\n"
                            "point {} count 4 sum 7 scale 0 zero 1 positive -1: 1 1 1 "
                            "min 0 max 4\n"
                            "metric u [] \"\" exponential cumulative\n"
                            "point {} count 1 scale 20 zero 0 negative -1: 1\n");
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_boundary_belongs_to_the_bucket_below_it),
        cmocka_unit_test(powers_of_two_are_exact_at_every_scale),
        cmocka_unit_test(indexes_are_those_of_the_logarithm),
        cmocka_unit_test(the_scale_is_the_best_that_fits),
        cmocka_unit_test(no_count_is_lost_when_buckets_merge),
        cmocka_unit_test(values_stay_in_buckets_that_hold_them),
        cmocka_unit_test(exponential_points_have_all_their_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
