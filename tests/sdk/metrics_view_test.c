// SPDX-License-Identifier: Apache-2.0
// Views: what they select, what they make of it, and what they cannot.

#include "tests/support/check.h"

#include <errno.h>

#include "tests/sdk/metrics_text.h"

static const struct tl_attribute abc[] = {{"a", 1, {TL_TYPE_INT, 0, {.integer = 1}}},
                                          {"b", 1, {TL_TYPE_INT, 0, {.integer = 2}}},
                                          {"c", 1, {TL_TYPE_INT, 0, {.integer = 3}}}};

static struct rig rig_with(const struct tl_view *views, size_t count,
                           enum tl_view_matching matching)
{
    return rig_new(NULL, &(struct tl_meter_provider_options){
                             .views = views, .view_count = count, .view_matching = matching});
}

static void every_criterion_must_match(void **state)
{
    const struct tl_scope scope = {.name = "m", .version = "1", .schema_url = "u"};
    static const struct tl_view drops[] = {
        {.instrument_name = "other"},
        {.instrument_name = "NAME", .instrument_kind = TL_HISTOGRAM},
        {.instrument_name = "name", .instrument_unit = "s"},
        {.instrument_name = "name", .meter_name = "n"},
        {.instrument_name = "name", .meter_version = "2"},
        {.instrument_name = "name", .meter_schema_url = "v"},
        {.instrument_name = "na??e"},
        {.instrument_name = "n*x"},
        // From here on they match.
        {.instrument_name = "name",
         .instrument_kind = TL_COUNTER,
         .instrument_unit = "ms",
         .meter_name = "m",
         .meter_version = "1",
         .meter_schema_url = "u"},
        {.instrument_kind = TL_COUNTER},
        {.instrument_unit = "ms"},
        {.meter_name = "m"},
        {.meter_version = "1"},
        {.meter_schema_url = "u"},
        {.instrument_name = "*"},
        {.instrument_name = "n?m?"},
        {.instrument_name = "*a*e"},
        {.instrument_name = "Na*"},
    };

    (void)state;
    for (size_t i = 0; i < TL_COUNT(drops); i++) {
        struct tl_view view = drops[i];
        struct rig rig;
        struct tl_instrument *counter;

        view.aggregation.kind = TL_AGGREGATION_DROP;
        rig = rig_with(&view, 1, TL_VIEWS_SEPARATE);
        counter = tl_counter(tl_meter_get(rig.provider, &scope), "name", "ms", NULL);
        if (tl_instrument_enabled(counter) != (i < 8))
            fail_msg("view %zu", i);
        rig_free(&rig);
    }
}

static void a_view_gives_name_description_and_aggregation(void **state)
{
    const struct tl_view views[] = {{.instrument_name = "h",
                                     .name = "any name at all",
                                     .description = "said by the view",
                                     .aggregation = {.kind = TL_AGGREGATION_SUM}}};
    struct rig rig = rig_with(views, 1, TL_VIEWS_SEPARATE);

    (void)state;
    tl_measure_double(tl_histogram(rig.meter, "h", "s", "said by the code"), 2.5, NULL, 0);
    assert_seen(rig.reader, "scope test   {}\nmetric any name at all [s] \"said by the view\" "
                            "sum cumulative monotonic\npoint {} 2.5\n");
    rig_free(&rig);
}

static void attributes_are_kept_or_left_out_by_key(void **state)
{
    const char *const ac[] = {"a", "c"};
    const char *const b[] = {"b"};
    const struct tl_view views[] = {
        {.instrument_name = "kept",
         .attribute_keys = ac,
         .attribute_key_count = 2,
         .has_attribute_keys = true},
        {.instrument_name = "lost", .excluded_keys = b, .excluded_key_count = 1},
        {.instrument_name = "none", .has_attribute_keys = true},
        {.instrument_name = "both",
         .attribute_keys = ac,
         .attribute_key_count = 2,
         .has_attribute_keys = true,
         .excluded_keys = ac,
         .excluded_key_count = 1},
    };
    struct rig rig = rig_with(views, 4, TL_VIEWS_SEPARATE);

    (void)state;
    for (int i = 0; i < 2; i++) {
        tl_measure(tl_counter(rig.meter, "kept", NULL, NULL), 1, abc, 3);
        tl_measure(tl_counter(rig.meter, "lost", NULL, NULL), 1, abc, 3);
        tl_measure(tl_counter(rig.meter, "none", NULL, NULL), 1, abc, 3);
        tl_measure(tl_counter(rig.meter, "both", NULL, NULL), 1, abc, 3);
    }
    assert_seen(rig.reader, "scope test   {}\n"
                            "metric kept [] \"\" sum cumulative monotonic\npoint {a=1 c=3} 2\n"
                            "metric lost [] \"\" sum cumulative monotonic\npoint {a=1 c=3} 2\n"
                            "metric none [] \"\" sum cumulative monotonic\npoint {} 2\n"
                            "metric both [] \"\" sum cumulative monotonic\npoint {c=3} 2\n");
    rig_free(&rig);
}

static void observe_two(void *self, struct tl_observer *observer)
{
    const struct tl_attribute other[] = {TL_INT("a", 1), TL_INT("b", 7)};

    tl_observe(observer, self, 10, abc, 2);
    tl_observe(observer, self, 5, other, 2);
}

static void observations_that_a_view_makes_one_set_are_added(void **state)
{
    const char *const a[] = {"a"};
    const struct tl_view views[] = {{.instrument_name = "o",
                                     .attribute_keys = a,
                                     .attribute_key_count = 1,
                                     .has_attribute_keys = true}};
    struct rig rig = rig_with(views, 1, TL_VIEWS_SEPARATE);
    struct tl_instrument *instrument = tl_instrument_get(
        rig.meter, &(struct tl_instrument_options){.kind = TL_OBSERVABLE_COUNTER, .name = "o"});
    struct tl_callback *callback = tl_callback_new(&instrument, 1, observe_two, instrument);

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_seen(rig.reader,
                    "scope test   {}\nmetric o [] \"\" sum cumulative monotonic\npoint {a=1} 15\n");
    tl_callback_free(callback);
    rig_free(&rig);
}

static void each_of_several_views_makes_a_stream(void **state)
{
    const struct tl_view views[] = {
        {.instrument_name = "c", .name = "first"},
        {.instrument_name = "c", .has_attribute_keys = true},
        {.instrument_name = "c", .aggregation = {.kind = TL_AGGREGATION_LAST_VALUE}},
    };
    struct rig rig = rig_with(views, 3, TL_VIEWS_SEPARATE);

    (void)state;
    said_watch();
    for (int i = 1; i < 4; i++)
        tl_measure(tl_counter(rig.meter, "c", NULL, NULL), i, abc, 1);
    // Two streams of one name.
    assert_int_equal(said_count(), 1);
    assert_seen(rig.reader, "scope test   {}\n"
                            "metric first [] \"\" sum cumulative monotonic\npoint {a=1} 6\n"
                            "metric c [] \"\" sum cumulative monotonic\npoint {} 6\n"
                            "metric c [] \"\" gauge\npoint {a=1} 3\n");
    rig_free(&rig);
}

static void composed_views_make_one_stream_by_name(void **state)
{
    const char *const ab[] = {"a", "b"};
    const char *const bc[] = {"b", "c"};
    const char *const c[] = {"c"};
    const double boundaries[] = {5};
    const struct tl_view views[] = {
        {.instrument_name = "h",
         .description = "one",
         .attribute_keys = ab,
         .attribute_key_count = 2,
         .has_attribute_keys = true,
         .cardinality_limit = 10},
        {.instrument_name = "*",
         .description = "two",
         .attribute_keys = bc,
         .attribute_key_count = 2,
         .has_attribute_keys = true,
         .aggregation = {.kind = TL_AGGREGATION_EXPLICIT_HISTOGRAM,
                         .boundaries = boundaries,
                         .boundary_count = 1}},
        {.instrument_name = "h", .excluded_keys = c, .excluded_key_count = 1},
        {.instrument_name = "named", .name = "x", .aggregation = {.kind = TL_AGGREGATION_SUM}},
        {.instrument_name = "named", .name = "y", .description = "why"},
    };
    struct rig rig = rig_with(views, 5, TL_VIEWS_COMPOSED);

    (void)state;
    said_watch();
    tl_measure_double(tl_histogram(rig.meter, "h", NULL, NULL), 1, abc, 3);
    tl_measure_double(tl_histogram(rig.meter, "named", NULL, NULL), 1, abc, 3);
    assert_int_equal(said_count(), 0);
    assert_seen(rig.reader, "scope test   {}\n"
                            "metric h [] \"two\" histogram cumulative\n"
                            "point {b=2} count 1 sum 1 buckets 1 0 bounds 5 min 1 max 1\n"
                            "metric x [] \"two\" sum cumulative monotonic\npoint {b=2 c=3} 1\n"
                            "metric y [] \"why\" histogram cumulative\n"
                            "point {b=2 c=3} count 1 sum 1 buckets 1 0 bounds 5 min 1 max 1\n");
    rig_free(&rig);
}

static void composed_views_leave_out_only_what_does_not_fit(void **state)
{
    const struct tl_view views[] = {
        {.instrument_name = "o", .aggregation = {.kind = TL_AGGREGATION_LAST_VALUE}},
        {.instrument_name = "o",
         .description = "kept",
         .aggregation = {.kind = TL_AGGREGATION_EXPLICIT_HISTOGRAM}}};
    struct rig rig = rig_with(views, 2, TL_VIEWS_COMPOSED);
    struct tl_instrument *instrument;
    struct tl_callback *callback;

    (void)state;
    said_watch();
    instrument = tl_instrument_get(
        rig.meter, &(struct tl_instrument_options){.kind = TL_OBSERVABLE_COUNTER, .name = "o"});
    assert_int_equal(said_count(), 1);
    callback = tl_callback_new(&instrument, 1, observe_two, instrument);
    assert_seen(rig.reader, "scope test   {}\nmetric o [] \"kept\" gauge\npoint {a=1 b=2} 10\n"
                            "point {a=1 b=7} 5\n");
    tl_callback_free(callback);
    rig_free(&rig);
}

static void a_view_that_does_not_fit_is_as_if_it_were_not_there(void **state)
{
    const struct tl_view views[] = {
        {.instrument_name = "o",
         .description = "lost",
         .aggregation = {.kind = TL_AGGREGATION_EXPONENTIAL_HISTOGRAM}}};
    struct rig rig = rig_with(views, 1, TL_VIEWS_SEPARATE);
    struct tl_instrument *instrument;
    struct tl_callback *callback;

    (void)state;
    said_watch();
    instrument = tl_instrument_get(
        rig.meter, &(struct tl_instrument_options){.kind = TL_OBSERVABLE_GAUGE, .name = "o"});
    assert_int_equal(said_count(), 1);
    callback = tl_callback_new(&instrument, 1, observe_two, instrument);
    assert_seen(rig.reader, "scope test   {}\nmetric o [] \"\" gauge\npoint {a=1 b=2} 10\n"
                            "point {a=1 b=7} 5\n");
    tl_callback_free(callback);
    rig_free(&rig);
}

static void views_that_cannot_be_are_left_out_and_counted(void **state)
{
    const double wrong[] = {1, 1};
    const struct tl_view views[] = {{.name = "selects nothing"},
                                    {.instrument_name = "*", .name = "one name for all"},
                                    {.instrument_name = "c",
                                     .aggregation = {.kind = TL_AGGREGATION_EXPLICIT_HISTOGRAM,
                                                     .boundaries = wrong,
                                                     .boundary_count = 2}}};
    struct tl_stats before;
    struct tl_stats after;
    struct rig rig;

    (void)state;
    tl_stats_read(&before);
    said_watch();
    rig = rig_with(views, 3, TL_VIEWS_SEPARATE);
    tl_stats_read(&after);
    assert_int_equal(said_count(), 3);
    assert_int_equal(after.invalid_settings - before.invalid_settings, 3);
    tl_measure(tl_counter(rig.meter, "c", NULL, NULL), 1, NULL, 0);
    assert_seen(rig.reader,
                "scope test   {}\nmetric c [] \"\" sum cumulative monotonic\npoint {} 1\n");
    rig_free(&rig);
}

static void dropped_means_nothing_is_kept(void **state)
{
    const struct tl_view views[] = {
        {.instrument_name = "c"},
        {.instrument_name = "*", .aggregation = {.kind = TL_AGGREGATION_DROP}}};
    struct rig rig = rig_with(views, 2, TL_VIEWS_SEPARATE);

    (void)state;
    said_watch();
    assert_false(tl_instrument_enabled(tl_gauge(rig.meter, "g", NULL, NULL)));
    assert_true(tl_instrument_enabled(tl_counter(rig.meter, "c", NULL, NULL)));
    assert_int_equal(said_count(), 0);
    tl_measure(tl_gauge(rig.meter, "g", NULL, NULL), 1, NULL, 0);
    tl_measure(tl_counter(rig.meter, "c", NULL, NULL), 1, NULL, 0);
    assert_seen(rig.reader,
                "scope test   {}\nmetric c [] \"\" sum cumulative monotonic\npoint {} 1\n");
    rig_free(&rig);
}

static void every_aggregation_takes_every_synchronous_kind(void **state)
{
    static const enum tl_instrument_kind kinds[] = {TL_COUNTER, TL_UP_DOWN_COUNTER, TL_HISTOGRAM,
                                                    TL_GAUGE};
    static const char *const expected[4][4] = {
        // sum, last value, explicit, exponential
        {"sum cumulative monotonic\npoint {} 3\n", "gauge\npoint {} 2\n",
         "histogram cumulative\npoint {} count 2 sum 3 buckets 1 1 bounds 1 min 1 max 2\n",
         "exponential cumulative\npoint {} count 2 sum 3 scale 7 zero 0 positive -1: 1 0 0 0"},
        {"sum cumulative\npoint {} 3\n", "gauge\npoint {} 2\n",
         "histogram cumulative\npoint {} count 2 buckets 1 1 bounds 1 min 1 max 2\n",
         "exponential cumulative\npoint {} count 2 scale 7 zero 0 positive -1: 1 0"},
        {"sum cumulative monotonic\npoint {} 3\n", "gauge\npoint {} 2\n",
         "histogram cumulative\npoint {} count 2 sum 3 buckets 1 1 bounds 1 min 1 max 2\n",
         "exponential cumulative\npoint {} count 2 sum 3 scale 7 zero 0 positive -1: 1 0"},
        {"sum cumulative\npoint {} 3\n", "gauge\npoint {} 2\n",
         "histogram cumulative\npoint {} count 2 buckets 1 1 bounds 1 min 1 max 2\n",
         "exponential cumulative\npoint {} count 2 scale 7 zero 0 positive -1: 1 0"}};
    const double boundaries[] = {1};

    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        for (int which = 0; which < 4; which++) {
            const struct tl_view view = {
                .instrument_name = "i",
                .aggregation = {.kind = (enum tl_aggregation_kind)(TL_AGGREGATION_SUM + which),
                                .boundaries = boundaries,
                                .boundary_count = 1,
                                .has_boundaries = true}};
            struct rig rig = rig_with(&view, 1, TL_VIEWS_SEPARATE);
            struct tl_instrument *instrument = tl_instrument_get(
                rig.meter, &(struct tl_instrument_options){.kind = kinds[kind], .name = "i"});
            struct seen *seen;

            tl_measure(instrument, 1, NULL, 0);
            tl_measure(instrument, 2, NULL, 0);
            seen = seen_by(rig.reader);
            if (!strstr(seen->text, expected[kind][which]))
                fail_msg("%d %d: %s", kind, which, seen->text);
            seen_free(seen);
            rig_free(&rig);
        }
    }
}

static void new_views_hold_for_meters_and_handles_of_before(void **state)
{
    const char *const a[] = {"a"};
    const struct tl_view before[] = {{.instrument_name = "c", .name = "old"}};
    const struct tl_view after[] = {{.instrument_name = "c",
                                     .name = "new",
                                     .attribute_keys = a,
                                     .attribute_key_count = 1,
                                     .has_attribute_keys = true}};
    struct rig rig = rig_with(before, 1, TL_VIEWS_SEPARATE);
    struct tl_instrument *counter = tl_counter(rig.meter, "c", NULL, NULL);
    struct tl_instrument *other = tl_counter(rig.meter, "same", NULL, NULL);
    struct tl_bound *bound = tl_bound_new(counter, abc, 2);

    (void)state;
    tl_measure(counter, 1, abc, 2);
    tl_bound_measure(bound, 1);
    tl_measure(other, 1, NULL, 0);
    assert_int_equal(tl_meter_provider_views(rig.provider, after, 1), 0);
    tl_measure(counter, 10, abc, 2);
    tl_bound_measure(bound, 10);
    tl_measure(other, 1, NULL, 0);
    // What was measured before is told once more, then it is over.
    assert_seen(rig.reader, "scope test   {}\n"
                            "metric new [] \"\" sum cumulative monotonic\npoint {a=1} 20\n"
                            "metric old [] \"\" sum cumulative monotonic\npoint {a=1 b=2} 2\n"
                            "metric same [] \"\" sum cumulative monotonic\npoint {} 2\n");
    assert_seen(rig.reader, "scope test   {}\n"
                            "metric new [] \"\" sum cumulative monotonic\npoint {a=1} 20\n"
                            "metric same [] \"\" sum cumulative monotonic\npoint {} 2\n");
    assert_int_equal(tl_meter_provider_views(NULL, NULL, 0), -EINVAL);
    tl_bound_free(bound);
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_criterion_must_match),
        cmocka_unit_test(a_view_gives_name_description_and_aggregation),
        cmocka_unit_test(attributes_are_kept_or_left_out_by_key),
        cmocka_unit_test(observations_that_a_view_makes_one_set_are_added),
        cmocka_unit_test(each_of_several_views_makes_a_stream),
        cmocka_unit_test(composed_views_make_one_stream_by_name),
        cmocka_unit_test(composed_views_leave_out_only_what_does_not_fit),
        cmocka_unit_test(a_view_that_does_not_fit_is_as_if_it_were_not_there),
        cmocka_unit_test(views_that_cannot_be_are_left_out_and_counted),
        cmocka_unit_test(dropped_means_nothing_is_kept),
        cmocka_unit_test(every_aggregation_takes_every_synchronous_kind),
        cmocka_unit_test(new_views_hold_for_meters_and_handles_of_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
