// SPDX-License-Identifier: Apache-2.0
// Readers: temporality, aggregation, start times and limits.

#include "tests/support/check.h"

#include "libtrace/base/clock.h"
#include "tests/sdk/metrics_text.h"

static const struct tl_attribute a1[] = {{"a", 1, {TL_TYPE_INT, 0, {.integer = 1}}}};
static const struct tl_attribute a2[] = {{"a", 1, {TL_TYPE_INT, 0, {.integer = 2}}}};

static void deltas_are_what_was_added_since(void **state)
{
    struct tl_reader_options options = {0};
    struct rig rig;
    struct tl_instrument *counter;
    struct tl_instrument *histogram;

    (void)state;
    tl_reader_temporality(&options, "delta");
    rig = rig_new(&options, NULL);
    counter = tl_counter(rig.meter, "c", NULL, NULL);
    histogram = tl_instrument_get(
        rig.meter,
        &(struct tl_instrument_options){.kind = TL_HISTOGRAM, .name = "h", .has_boundaries = true});
    tl_measure(counter, 5, a1, 1);
    tl_measure(counter, 0, a2, 1);
    tl_measure(histogram, 2, NULL, 0);
    assert_seen(rig.reader, "scope test   {}\nmetric c [] \"\" sum delta monotonic\n"
                            "point {a=1} 5\npoint {a=2} 0\nmetric h [] \"\" histogram delta\n"
                            "point {} count 1 sum 2 buckets 1 min 2 max 2\n");
    // Nothing new, nothing told.
    assert_seen(rig.reader, "");
    tl_measure(counter, 7, a1, 1);
    tl_measure(histogram, 3, NULL, 0);
    assert_seen(rig.reader, "scope test   {}\nmetric c [] \"\" sum delta monotonic\n"
                            "point {a=1} 7\nmetric h [] \"\" histogram delta\n"
                            "point {} count 1 sum 3 buckets 1 min 3 max 3\n");
    rig_free(&rig);
}

static int64_t observed_value;

static void observe_value(void *self, struct tl_observer *observer)
{
    tl_observe(observer, self, observed_value, NULL, 0);
}

// Whether the kind has deltas with a preference.
static bool is_delta(const char *preference, enum tl_instrument_kind kind)
{
    struct tl_reader_options options = {0};
    struct rig rig;
    struct tl_instrument *instrument;
    struct tl_callback *callback = NULL;
    struct seen *seen;
    bool result;

    tl_reader_temporality(&options, preference);
    rig = rig_new(&options, NULL);
    instrument =
        tl_instrument_get(rig.meter, &(struct tl_instrument_options){.kind = kind, .name = "i"});
    observed_value = 1;
    if (kind >= TL_OBSERVABLE_COUNTER)
        callback = tl_callback_new(&instrument, 1, observe_value, instrument);
    else
        tl_measure(instrument, 1, NULL, 0);
    seen = seen_by(rig.reader);
    result = strstr(seen->text, " delta") != NULL;
    seen_free(seen);
    tl_callback_free(callback);
    rig_free(&rig);
    return result;
}

static void preferences_are_those_of_the_specification(void **state)
{
    static const struct {
        const char *preference;
        enum tl_instrument_kind kind;
        bool is_delta;
    } cases[] = {
        {"cumulative", TL_COUNTER, false},
        {"delta", TL_COUNTER, true},
        {"delta", TL_HISTOGRAM, true},
        {"DELTA", TL_OBSERVABLE_COUNTER, true},
        {"delta", TL_UP_DOWN_COUNTER, false},
        {"delta", TL_OBSERVABLE_UP_DOWN_COUNTER, false},
        {"lowmemory", TL_COUNTER, true},
        {"LowMemory", TL_HISTOGRAM, true},
        {"lowmemory", TL_OBSERVABLE_COUNTER, false},
        {"lowmemory", TL_UP_DOWN_COUNTER, false},
        {"lowmemory", TL_OBSERVABLE_UP_DOWN_COUNTER, false},
    };

    (void)state;
    for (size_t i = 0; i < TL_COUNT(cases); i++) {
        if (is_delta(cases[i].preference, cases[i].kind) != cases[i].is_delta)
            fail_msg("%s %d", cases[i].preference, cases[i].kind);
    }
    said_watch();
    tl_reader_temporality(&(struct tl_reader_options){0}, "weekly");
    assert_int_equal(said_count(), 1);
}

static void observed_sums_become_deltas(void **state)
{
    struct tl_reader_options options = {0};
    struct rig rig;
    struct tl_instrument *instrument;
    struct tl_callback *callback;

    (void)state;
    tl_reader_temporality(&options, "delta");
    rig = rig_new(&options, NULL);
    instrument = tl_instrument_get(
        rig.meter, &(struct tl_instrument_options){.kind = TL_OBSERVABLE_COUNTER, .name = "o"});
    callback = tl_callback_new(&instrument, 1, observe_value, instrument);
    observed_value = 100;
    assert_seen(rig.reader,
                "scope test   {}\nmetric o [] \"\" sum delta monotonic\npoint {} 100\n");
    observed_value = 130;
    assert_seen(rig.reader, "scope test   {}\nmetric o [] \"\" sum delta monotonic\npoint {} 30\n");
    assert_seen(rig.reader, "scope test   {}\nmetric o [] \"\" sum delta monotonic\npoint {} 0\n");
    tl_callback_free(callback);
    rig_free(&rig);
}

static void readers_have_each_their_own_state(void **state)
{
    struct tl_reader_options options = {0};
    struct tl_metric_reader *readers[2];
    struct tl_meter_provider *provider;
    struct tl_meter_provider *other;
    struct tl_instrument *counter;

    (void)state;
    tl_reader_temporality(&options, "delta");
    readers[0] = tl_reader_pull(&options);
    readers[1] = tl_reader_pull(NULL);
    provider = tl_meter_provider_new(
        &(struct tl_meter_provider_options){.readers = readers, .reader_count = 2});
    counter =
        tl_counter(tl_meter_get(provider, &(struct tl_scope){.name = "test"}), "c", NULL, NULL);
    for (int i = 1; i <= 2; i++) {
        tl_measure(counter, 4, NULL, 0);
        assert_seen(readers[0],
                    "scope test   {}\nmetric c [] \"\" sum delta monotonic\npoint {} 4\n");
    }
    assert_seen(readers[1],
                "scope test   {}\nmetric c [] \"\" sum cumulative monotonic\npoint {} 8\n");
    // A reader has one provider.
    said_watch();
    other = tl_meter_provider_new(
        &(struct tl_meter_provider_options){.readers = readers, .reader_count = 2});
    assert_int_equal(said_count(), 2);
    tl_meter_provider_free(other);
    tl_meter_provider_free(provider);
}

static void aggregation_is_chosen_by_kind(void **state)
{
    const double boundaries[] = {3};
    struct tl_reader_options options = {0};
    struct rig rig;

    (void)state;
    options.aggregation[TL_HISTOGRAM].kind = TL_AGGREGATION_EXPONENTIAL_HISTOGRAM;
    options.aggregation[TL_COUNTER] = (struct tl_aggregation){
        .kind = TL_AGGREGATION_EXPLICIT_HISTOGRAM, .boundaries = boundaries, .boundary_count = 1};
    options.aggregation[TL_GAUGE].kind = TL_AGGREGATION_DROP;
    options.aggregation[TL_OBSERVABLE_GAUGE].kind = TL_AGGREGATION_EXPLICIT_HISTOGRAM;
    rig = rig_new(&options, NULL);
    tl_measure(tl_histogram(rig.meter, "h", NULL, NULL), 1, NULL, 0);
    tl_measure(tl_counter(rig.meter, "c", NULL, NULL), 1, NULL, 0);
    tl_measure(tl_gauge(rig.meter, "g", NULL, NULL), 1, NULL, 0);
    said_watch();
    tl_instrument_get(rig.meter,
                      &(struct tl_instrument_options){.kind = TL_OBSERVABLE_GAUGE, .name = "o"});
    assert_int_equal(said_count(), 1);
    assert_seen(rig.reader, "scope test   {}\nmetric h [] \"\" exponential cumulative\n"
                            "point {} count 1 sum 1 scale 20 zero 0 positive -1: 1 min 1 max 1\n"
                            "metric c [] \"\" histogram cumulative\n"
                            "point {} count 1 sum 1 buckets 1 0 bounds 3 min 1 max 1\n");
    rig_free(&rig);
}

static void each_series_begins_when_it_is_first_measured(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    struct tl_instrument *counter = tl_counter(rig.meter, "c", NULL, NULL);
    uint64_t times[3];
    struct seen *seen;
    uint64_t starts[2];

    (void)state;
    times[0] = clock_unix_ns();
    tl_measure(counter, 1, a1, 1);
    times[1] = clock_unix_ns();
    tl_measure(counter, 1, a2, 1);
    times[2] = clock_unix_ns();
    for (int round = 0; round < 2; round++) {
        seen = seen_by(rig.reader);
        assert_int_equal(seen->points, 2);
        assert_true(seen->start_ns[0] >= times[0] && seen->start_ns[0] <= times[1]);
        assert_true(seen->start_ns[1] >= times[1] && seen->start_ns[1] <= times[2]);
        assert_true(seen->time_ns[0] >= times[2] && seen->time_ns[0] == seen->time_ns[1]);
        // And does not begin anew.
        if (round == 1)
            assert_true(starts[0] == seen->start_ns[0] && starts[1] == seen->start_ns[1]);
        memcpy(starts, seen->start_ns, sizeof starts);
        seen_free(seen);
    }
    rig_free(&rig);
}

static void observe_by_value(void *self, struct tl_observer *observer)
{
    tl_observe(observer, self, 1, a1, 1);
    if (observed_value)
        tl_observe(observer, self, 1, a2, 1);
}

static void an_observed_series_begins_where_the_interval_before_ended(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    const uint64_t before = clock_unix_ns();
    struct tl_instrument *instrument = tl_instrument_get(
        rig.meter, &(struct tl_instrument_options){.kind = TL_OBSERVABLE_COUNTER, .name = "o"});
    const uint64_t made = clock_unix_ns();
    struct tl_callback *callback = tl_callback_new(&instrument, 1, observe_by_value, instrument);
    struct seen *seen;
    uint64_t first;

    (void)state;
    observed_value = 0;
    seen = seen_by(rig.reader);
    // In the first interval: when the instrument was made.
    assert_true(seen->start_ns[0] >= before && seen->start_ns[0] <= made);
    first = seen->time_ns[0];
    seen_free(seen);
    observed_value = 1;
    seen = seen_by(rig.reader);
    assert_true(seen->start_ns[0] >= before && seen->start_ns[0] <= made);
    assert_true(seen->start_ns[1] == first);
    seen_free(seen);
    tl_callback_free(callback);
    rig_free(&rig);
}

static void delta_intervals_follow_each_other(void **state)
{
    struct tl_reader_options options = {0};
    struct rig rig;
    struct tl_instrument *counter;
    uint64_t end = 0;
    uint64_t made;

    (void)state;
    tl_reader_temporality(&options, "delta");
    rig = rig_new(&options, NULL);
    made = clock_unix_ns();
    counter = tl_counter(rig.meter, "c", NULL, NULL);
    for (int i = 0; i < 3; i++) {
        struct seen *seen;

        tl_measure(counter, 1, a1, 1);
        tl_measure(counter, 1, i % 2 ? NULL : a2, i % 2 ? 0 : 1);
        seen = seen_by(rig.reader);
        assert_true(seen->start_ns[0] == seen->start_ns[1]);
        assert_true(i ? seen->start_ns[0] == end : seen->start_ns[0] >= made);
        end = seen->time_ns[0];
        seen_free(seen);
    }
    rig_free(&rig);
}

static void measure_many(struct tl_instrument *instrument, int count, int rounds)
{
    for (int i = 0; i < count * rounds; i++) {
        const struct tl_attribute attributes[] = {TL_INT("n", i % count)};

        tl_measure(instrument, 1, attributes, 1);
    }
}

// Points of the stream, and what the overflow point holds.
static size_t points_of(struct tl_metric_reader *reader, const char *overflow)
{
    struct seen *seen = seen_by(reader);
    const char *found = strstr(seen->text, "{otel.metric.overflow=true} ");
    const size_t points = seen->points;

    if (overflow) {
        assert_non_null(found);
        assert_memory_equal(found + 28, overflow, strlen(overflow));
    } else {
        assert_null(found);
    }
    seen_free(seen);
    return points;
}

static void sets_beyond_the_limit_go_into_one_point(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    struct tl_instrument *counter = tl_counter(rig.meter, "c", NULL, NULL);

    (void)state;
    measure_many(counter, 2000, 1);
    assert_int_equal(points_of(rig.reader, NULL), 2000);
    measure_many(counter, 2010, 2);
    // 2000 sets as before, and 2 * 10 beyond them; nothing is lost.
    assert_int_equal(points_of(rig.reader, "20\n"), 2001);
    rig_free(&rig);
}

static void limits_are_those_of_view_reader_and_kind(void **state)
{
    const struct tl_view views[] = {{.instrument_name = "viewed", .cardinality_limit = 3}};
    struct tl_reader_options options = {.cardinality_limit = {[TL_COUNTER] = 5}};
    struct rig rig =
        rig_new(&options, &(struct tl_meter_provider_options){.views = views, .view_count = 1});

    (void)state;
    measure_many(tl_counter(rig.meter, "viewed", NULL, NULL), 10, 1);
    assert_int_equal(points_of(rig.reader, "7\n"), 4);
    rig_free(&rig);
    rig = rig_new(&options, NULL);
    measure_many(tl_counter(rig.meter, "c", NULL, NULL), 10, 1);
    assert_int_equal(points_of(rig.reader, "5\n"), 6);
    measure_many(tl_up_down_counter(rig.meter, "u", NULL, NULL), 10, 1);
    assert_int_equal(points_of(rig.reader, "5\n"), 16);
    rig_free(&rig);
}

static void a_delta_interval_has_the_whole_limit(void **state)
{
    struct tl_reader_options options = {.cardinality_limit = {[TL_COUNTER] = 10}};
    struct rig rig;
    struct tl_instrument *counter;

    (void)state;
    tl_reader_temporality(&options, "delta");
    rig = rig_new(&options, NULL);
    counter = tl_counter(rig.meter, "c", NULL, NULL);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 11; i++) {
            const struct tl_attribute attributes[] = {TL_INT("n", 100 * round + i)};

            tl_measure(counter, 1, attributes, 1);
        }
        assert_int_equal(points_of(rig.reader, "1\n"), 11);
    }
    rig_free(&rig);
}

static void observe_many(void *self, struct tl_observer *observer)
{
    for (int i = 0; i < 6; i++) {
        const struct tl_attribute attributes[] = {TL_INT("n", observed_value + i)};

        tl_observe(observer, self, 1, attributes, 1);
    }
}

static void the_first_observed_sets_are_kept(void **state)
{
    struct tl_reader_options options = {.cardinality_limit = {[TL_OBSERVABLE_COUNTER] = 4}};
    struct rig rig = rig_new(&options, NULL);
    struct tl_instrument *instrument = tl_instrument_get(
        rig.meter, &(struct tl_instrument_options){.kind = TL_OBSERVABLE_COUNTER, .name = "o"});
    struct tl_callback *callback = tl_callback_new(&instrument, 1, observe_many, instrument);

    (void)state;
    observed_value = 0;
    assert_seen(rig.reader, "scope test   {}\nmetric o [] \"\" sum cumulative monotonic\n"
                            "point {n=0} 1\npoint {n=1} 1\npoint {n=2} 1\npoint {n=3} 1\n"
                            "point {otel.metric.overflow=true} 2\n");
    tl_callback_free(callback);
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deltas_are_what_was_added_since),
        cmocka_unit_test(preferences_are_those_of_the_specification),
        cmocka_unit_test(observed_sums_become_deltas),
        cmocka_unit_test(readers_have_each_their_own_state),
        cmocka_unit_test(aggregation_is_chosen_by_kind),
        cmocka_unit_test(each_series_begins_when_it_is_first_measured),
        cmocka_unit_test(an_observed_series_begins_where_the_interval_before_ended),
        cmocka_unit_test(delta_intervals_follow_each_other),
        cmocka_unit_test(sets_beyond_the_limit_go_into_one_point),
        cmocka_unit_test(limits_are_those_of_view_reader_and_kind),
        cmocka_unit_test(a_delta_interval_has_the_whole_limit),
        cmocka_unit_test(the_first_observed_sets_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
