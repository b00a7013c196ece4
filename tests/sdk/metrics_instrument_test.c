// SPDX-License-Identifier: Apache-2.0
// Providers, meters and instruments: what is the same, what conflicts, what cannot be.

#include "tests/support/check.h"

#include <errno.h>

#include "tests/sdk/metrics_text.h"

static const struct tl_attribute one[] = {{"k", 1, {TL_TYPE_STRING, 1, {.string = "v"}}}};

static void every_kind_of_instrument_gives_its_kind_of_points(void **state)
{
    struct rig rig = rig_new(NULL, NULL);

    (void)state;
    tl_measure(tl_counter(rig.meter, "c", "1", "counts"), 3, one, 1);
    tl_measure(tl_up_down_counter(rig.meter, "u", "{thing}", NULL), -3, one, 1);
    tl_measure_double(tl_histogram(rig.meter, "h", "ms", ""), 7, one, 1);
    tl_measure_double(tl_gauge(rig.meter, "g", NULL, ""), 1.5, NULL, 0);
    assert_seen(rig.reader,
                "scope test   {}\n"
                "metric c [1] \"counts\" sum cumulative monotonic\npoint {k=v} 3\n"
                "metric u [{thing}] \"\" sum cumulative\npoint {k=v} -3\n"
                "metric h [ms] \"\" histogram cumulative\npoint {k=v} count 1 sum 7 buckets 0 0 1 "
                "0 0 0 0 0 0 0 0 0 0 0 0 0 bounds 0 5 10 25 50 75 100 250 500 750 1000 2500 5000 "
                "7500 10000 min 7 max 7\n"
                "metric g [] \"\" gauge\npoint {} 1.5\n");
    rig_free(&rig);
}

struct observed_set {
    struct tl_instrument *instruments[3];
    int64_t next;
};

static void observe_all(void *self, struct tl_observer *observer)
{
    struct observed_set *set = self;

    set->next += 10;
    tl_observe(observer, set->instruments[0], set->next, one, 1);
    tl_observe(observer, set->instruments[1], -set->next, NULL, 0);
    tl_observe_double(observer, set->instruments[2], 0.5, one, 1);
}

static struct tl_instrument *observable(struct tl_meter *meter, const char *name,
                                        enum tl_instrument_kind kind, bool is_double)
{
    return tl_instrument_get(
        meter, &(struct tl_instrument_options){.kind = kind, .name = name, .is_double = is_double});
}

static void one_callback_observes_several_instruments(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    struct observed_set set = {{observable(rig.meter, "oc", TL_OBSERVABLE_COUNTER, false),
                                observable(rig.meter, "ou", TL_OBSERVABLE_UP_DOWN_COUNTER, false),
                                observable(rig.meter, "og", TL_OBSERVABLE_GAUGE, true)},
                               0};
    struct tl_callback *callback = tl_callback_new(set.instruments, 3, observe_all, &set);

    (void)state;
    assert_non_null(callback);
    for (int round = 1; round <= 2; round++) {
        char expected[512];
        struct seen *seen = seen_by(rig.reader);

        assert_true(snprintf(expected, sizeof expected,
                             "scope test   {}\nmetric oc [] \"\" sum cumulative monotonic\n"
                             "point {k=v} %d\nmetric ou [] \"\" sum cumulative\npoint {} -%d\n"
                             "metric og [] \"\" gauge\npoint {k=v} 0.5\n",
                             10 * round, 10 * round) > 0);
        assert_string_equal(seen->text, expected);
        seen_free(seen);
    }
    tl_callback_free(callback);
    assert_seen(rig.reader, "");
    rig_free(&rig);
}

static void what_is_not_observed_any_more_is_not_told(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    struct observed_set set = {
        {observable(rig.meter, "oc", TL_OBSERVABLE_COUNTER, false), NULL, NULL}, 0};
    struct tl_callback *callback = tl_callback_new(set.instruments, 1, observe_all, &set);
    struct tl_stats before;
    struct tl_stats after;

    (void)state;
    tl_stats_read(&before);
    assert_seen(rig.reader, "scope test   {}\nmetric oc [] \"\" sum cumulative monotonic\n"
                            "point {k=v} 10\n");
    tl_stats_read(&after);
    // Two observations were of no instrument of the callback.
    assert_int_equal(after.misuses - before.misuses, 2);
    tl_callback_free(callback);
    tl_observe(NULL, set.instruments[0], 5, NULL, 0);
    tl_measure(set.instruments[0], 5, NULL, 0);
    assert_seen(rig.reader, "");
    rig_free(&rig);
}

static void free_within(void *self, struct tl_observer *observer)
{
    struct tl_callback **callback = self;

    (void)observer;
    tl_callback_free(*callback);
}

static void a_callback_may_free_itself(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    struct tl_instrument *instrument = observable(rig.meter, "o", TL_OBSERVABLE_GAUGE, false);
    struct tl_callback *callback;

    (void)state;
    callback = tl_callback_new(&instrument, 1, free_within, &callback);
    assert_seen(rig.reader, "");
    assert_seen(rig.reader, "");
    rig_free(&rig);
}

static void collect_within(void *self, struct tl_observer *observer)
{
    struct rig *rig = self;
    uint8_t *bytes;
    size_t len;

    (void)observer;
    assert_int_equal(tl_reader_collect(rig->reader, 1000, &bytes, &len), -EDEADLK);
}

static void a_callback_that_collects_is_told_so(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    struct tl_instrument *instrument = observable(rig.meter, "o", TL_OBSERVABLE_GAUGE, false);
    struct tl_callback *callback = tl_callback_new(&instrument, 1, collect_within, &rig);

    (void)state;
    assert_seen(rig.reader, "");
    tl_callback_free(callback);
    rig_free(&rig);
}

static void a_meter_keeps_name_version_url_and_attributes(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    const struct tl_scope scope = {"lib", "1.2", "http://schema/1", one, 1};
    struct tl_meter *meter = tl_meter_get(rig.provider, &scope);

    (void)state;
    assert_ptr_equal(meter, tl_meter_get(rig.provider, &scope));
    assert_ptr_not_equal(meter, tl_meter_get(rig.provider, &(struct tl_scope){.name = "lib"}));
    tl_measure(tl_counter(meter, "c", NULL, NULL), 1, NULL, 0);
    assert_seen(rig.reader, "scope lib 1.2 http://schema/1 {k=v}\n"
                            "metric c [] \"\" sum cumulative monotonic\npoint {} 1\n");
    rig_free(&rig);
}

static void a_meter_without_a_name_works_and_is_told(void **state)
{
    struct rig rig = rig_new(NULL, NULL);

    (void)state;
    said_watch();
    tl_measure(tl_counter(tl_meter_get(rig.provider, NULL), "c", NULL, NULL), 1, NULL, 0);
    assert_int_equal(said_count(), 1);
    assert_seen(rig.reader, "scope    {}\nmetric c [] \"\" sum cumulative monotonic\npoint {} 1\n");
    rig_free(&rig);
}

static void the_default_meter_has_a_name_and_nobody_is_warned(void **state)
{
    struct rig rig = rig_new(NULL, NULL);

    (void)state;
    tl_meter_provider_global_set(rig.provider);
    said_watch();
    tl_measure(tl_counter(NULL, "c", NULL, NULL), 1, NULL, 0);
    assert_int_equal(said_count(), 0);
    assert_seen(rig.reader,
                "scope throughline   {}\nmetric c [] \"\" sum cumulative monotonic\npoint {} 1\n");
    rig_free(&rig);
}

static void the_global_provider_can_be_set(void **state)
{
    struct rig rig = rig_new(NULL, NULL);

    (void)state;
    tl_meter_provider_global_set(rig.provider);
    assert_ptr_equal(tl_meter_provider_global(), rig.provider);
    assert_ptr_equal(tl_meter_get(NULL, &(struct tl_scope){.name = "test"}), rig.meter);
    rig_free(&rig);
    assert_ptr_not_equal(tl_meter_provider_global(), rig.provider);
}

static void providers_do_not_see_each_other(void **state)
{
    struct rig a = rig_new(NULL, NULL);
    struct rig b = rig_new(NULL, NULL);

    (void)state;
    tl_measure(tl_counter(a.meter, "c", NULL, NULL), 1, NULL, 0);
    assert_seen(b.reader, "");
    assert_seen(a.reader,
                "scope test   {}\nmetric c [] \"\" sum cumulative monotonic\npoint {} 1\n");
    rig_free(&a);
    rig_free(&b);
}

static void a_resource_stands_before_all_metrics(void **state)
{
    const struct tl_attribute service[] = {TL_STR("service.name", "shop")};
    struct rig rig = rig_new(NULL, &(struct tl_meter_provider_options){
                                       .resource = tl_resource_new(service, 1, "http://schema/2")});
    uint8_t *bytes = NULL;
    size_t len = 0;

    (void)state;
    tl_measure(tl_counter(rig.meter, "c", NULL, NULL), 1, NULL, 0);
    assert_int_equal(tl_reader_collect(rig.reader, 1000, &bytes, &len), 0);
    assert_non_null(memmem(bytes, len, "service.name", 12));
    assert_non_null(memmem(bytes, len, "http://schema/2", 15));
    free(bytes);
    rig_free(&rig);
}

static void the_same_registration_gives_the_same_instrument(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    struct tl_instrument *counter = tl_counter(rig.meter, "c", "1", "text");

    (void)state;
    said_watch();
    assert_ptr_equal(counter, tl_counter(rig.meter, "c", "1", "text"));
    assert_int_equal(said_count(), 0);
    // In another meter it is another one, and no conflict.
    assert_ptr_not_equal(
        counter,
        tl_counter(tl_meter_get(rig.provider, &(struct tl_scope){.name = "m"}), "c", "1", "text"));
    assert_int_equal(said_count(), 0);
    rig_free(&rig);
}

static void a_conflict_gives_a_working_instrument_and_a_warning(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    struct tl_stats before;
    struct tl_stats after;

    (void)state;
    tl_stats_read(&before);
    said_watch();
    tl_measure(tl_counter(rig.meter, "c", "1", ""), 1, NULL, 0);
    tl_measure(tl_counter(rig.meter, "c", "By", ""), 2, NULL, 0);
    tl_measure(tl_up_down_counter(rig.meter, "c", "1", ""), 3, NULL, 0);
    tl_stats_read(&after);
    assert_int_equal(said_count(), 2);
    assert_non_null(strstr(said_last(), "instrument_kind"));
    assert_int_equal(after.invalid_instruments - before.invalid_instruments, 2);
    assert_seen(rig.reader, "scope test   {}\nmetric c [1] \"\" sum cumulative monotonic\n"
                            "point {} 1\nmetric c [By] \"\" sum cumulative monotonic\npoint {} 2\n"
                            "metric c [1] \"\" sum cumulative\npoint {} 3\n");
    rig_free(&rig);
}

static void a_view_that_mends_the_conflict_ends_the_warning(void **state)
{
    const struct tl_view views[] = {{.instrument_name = "c", .description = "one text"}};
    struct rig rig =
        rig_new(NULL, &(struct tl_meter_provider_options){.views = views, .view_count = 1});

    (void)state;
    said_watch();
    tl_counter(rig.meter, "c", "1", "a");
    tl_counter(rig.meter, "c", "1", "b");
    assert_int_equal(said_count(), 0);
    rig_free(&rig);
}

static void names_have_no_case_and_the_first_one_stays(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    struct tl_instrument *first = tl_counter(rig.meter, "requestCount", NULL, NULL);

    (void)state;
    said_watch();
    assert_ptr_equal(first, tl_counter(rig.meter, "RequestCount", NULL, NULL));
    assert_int_equal(said_count(), 1);
    tl_measure(tl_gauge(rig.meter, "REQUESTCOUNT", NULL, NULL), 2, NULL, 0);
    tl_measure(first, 1, NULL, 0);
    assert_seen(rig.reader,
                "scope test   {}\nmetric requestCount [] \"\" sum cumulative monotonic\n"
                "point {} 1\nmetric requestCount [] \"\" gauge\npoint {} 2\n");
    rig_free(&rig);
}

static void names_outside_the_syntax_record_nothing(void **state)
{
    static const char *const bad[] = {"", "1abc", "_abc", "a b", "a\xc3\xa4", "a*"};
    char longest[257];
    struct rig rig = rig_new(NULL, NULL);

    (void)state;
    memset(longest, 'a', 256);
    longest[256] = '\0';
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        said_watch();
        tl_measure(tl_counter(rig.meter, bad[i], NULL, NULL), 1, NULL, 0);
        assert_int_equal(said_count(), 1);
    }
    tl_measure(tl_counter(rig.meter, longest, NULL, NULL), 1, NULL, 0);
    assert_non_null(tl_counter(rig.meter, NULL, NULL, NULL));
    assert_seen(rig.reader, "");
    said_watch();
    longest[255] = '\0';
    assert_true(tl_instrument_enabled(tl_counter(rig.meter, longest, NULL, NULL)));
    assert_true(tl_instrument_enabled(tl_counter(rig.meter, "a1_.-/Z", NULL, NULL)));
    assert_int_equal(said_count(), 0);
    rig_free(&rig);
}

static void units_and_descriptions_are_kept_as_they_are(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    char unit[80];
    char description[4096];
    struct seen *seen;

    (void)state;
    memset(unit, 'u', 63);
    unit[63] = '\0';
    // 1023 characters of three bytes.
    for (size_t i = 0; i < 1023; i++)
        memcpy(description + 3 * i, "\xe2\x82\xac", 3);
    description[3 * 1023] = '\0';
    tl_measure(tl_counter(rig.meter, "c", unit, description), 1, NULL, 0);
    tl_measure(tl_counter(rig.meter, "d", "KB/s (odd \xff)", "a \"quoted\" text"), 1, NULL, 0);
    seen = seen_by(rig.reader);
    assert_non_null(strstr(seen->text, unit));
    assert_non_null(strstr(seen->text, description));
    // What is no UTF-8 would cost the whole request.
    assert_non_null(strstr(seen->text, "[KB/s (odd \xef\xbf\xbd)] \"a \"quoted\" text\""));
    seen_free(seen);
    rig_free(&rig);
}

static void advised_boundaries_are_used_and_a_view_wins(void **state)
{
    const double advised[] = {1, 2};
    const double chosen[] = {10};
    const double wrong[] = {2, 1};
    const struct tl_view views[] = {{.instrument_name = "viewed",
                                     .aggregation = {.kind = TL_AGGREGATION_EXPLICIT_HISTOGRAM,
                                                     .boundaries = chosen,
                                                     .boundary_count = 1,
                                                     .has_boundaries = true,
                                                     .no_min_max = true}}};
    struct rig rig =
        rig_new(NULL, &(struct tl_meter_provider_options){.views = views, .view_count = 1});
    struct tl_instrument_options options = {.kind = TL_HISTOGRAM,
                                            .is_double = true,
                                            .name = "advised",
                                            .boundaries = advised,
                                            .boundary_count = 2,
                                            .has_boundaries = true};

    (void)state;
    said_watch();
    tl_measure_double(tl_instrument_get(rig.meter, &options), 1.5, NULL, 0);
    options.name = "viewed";
    tl_measure_double(tl_instrument_get(rig.meter, &options), 1.5, NULL, 0);
    options.name = "none";
    options.boundary_count = 0;
    tl_measure_double(tl_instrument_get(rig.meter, &options), 1.5, NULL, 0);
    assert_int_equal(said_count(), 0);
    assert_seen(rig.reader, "scope test   {}\nmetric advised [] \"\" histogram cumulative\n"
                            "point {} count 1 sum 1.5 buckets 0 1 0 bounds 1 2 min 1.5 max 1.5\n"
                            "metric viewed [] \"\" histogram cumulative\n"
                            "point {} count 1 sum 1.5 buckets 1 0 bounds 10\n"
                            "metric none [] \"\" histogram cumulative\n"
                            "point {} count 1 sum 1.5 buckets 1 min 1.5 max 1.5\n");
    options = (struct tl_instrument_options){.kind = TL_HISTOGRAM,
                                             .name = "wrong",
                                             .boundaries = wrong,
                                             .boundary_count = 2,
                                             .has_boundaries = true};
    assert_non_null(tl_instrument_get(rig.meter, &options));
    assert_int_equal(said_count(), 1);
    // The advice of the first registration stays.
    options.name = "advised";
    options.is_double = true;
    assert_non_null(tl_instrument_get(rig.meter, &options));
    assert_int_equal(said_count(), 2);
    rig_free(&rig);
}

static void advised_attributes_are_kept_and_a_view_wins(void **state)
{
    const char *const advised[] = {"a"};
    const char *const chosen[] = {"b"};
    const struct tl_view views[] = {{.instrument_name = "viewed",
                                     .attribute_keys = chosen,
                                     .attribute_key_count = 1,
                                     .has_attribute_keys = true}};
    const struct tl_attribute both[] = {TL_INT("a", 1), TL_INT("b", 2)};
    struct rig rig =
        rig_new(NULL, &(struct tl_meter_provider_options){.views = views, .view_count = 1});
    struct tl_instrument_options options = {.kind = TL_COUNTER,
                                            .name = "advised",
                                            .attribute_keys = advised,
                                            .attribute_key_count = 1,
                                            .has_attribute_keys = true};

    (void)state;
    tl_measure(tl_instrument_get(rig.meter, &options), 1, both, 2);
    options.name = "viewed";
    tl_measure(tl_instrument_get(rig.meter, &options), 1, both, 2);
    assert_seen(rig.reader, "scope test   {}\nmetric advised [] \"\" sum cumulative monotonic\n"
                            "point {a=1} 1\nmetric viewed [] \"\" sum cumulative monotonic\n"
                            "point {b=2} 1\n");
    rig_free(&rig);
}

static bool only_wanted(void *self, const struct tl_scope *scope)
{
    (void)self;
    return strcmp(scope->name, "unwanted") != 0;
}

static void a_disabled_meter_records_nothing(void **state)
{
    struct rig rig = rig_new(NULL, &(struct tl_meter_provider_options){.is_enabled = only_wanted});
    struct tl_instrument *counter = tl_counter(
        tl_meter_get(rig.provider, &(struct tl_scope){.name = "unwanted"}), "c", NULL, NULL);

    (void)state;
    assert_false(tl_instrument_enabled(counter));
    assert_true(tl_instrument_enabled(tl_counter(rig.meter, "c", NULL, NULL)));
    tl_measure(counter, 1, NULL, 0);
    assert_seen(rig.reader, "");
    rig_free(&rig);
}

static void after_a_shutdown_everything_still_works_and_nothing_is_recorded(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    struct tl_instrument *counter = tl_counter(rig.meter, "c", NULL, NULL);
    struct tl_bound *bound = tl_bound_new(counter, one, 1);
    uint8_t *bytes;
    size_t len;

    (void)state;
    assert_int_equal(tl_meter_provider_shutdown(rig.provider, 1000), 0);
    assert_int_equal(tl_meter_provider_shutdown(rig.provider, 1000), -EALREADY);
    assert_false(tl_instrument_enabled(counter));
    tl_measure(counter, 1, one, 1);
    tl_bound_measure(bound, 1);
    tl_measure(tl_counter(tl_meter_get(rig.provider, NULL), "late", NULL, NULL), 1, NULL, 0);
    assert_int_equal(tl_reader_collect(rig.reader, 1000, &bytes, &len), -ESHUTDOWN);
    tl_bound_free(bound);
    rig_free(&rig);
}

static void null_is_taken_everywhere(void **state)
{
    uint8_t *bytes;
    size_t len;
    struct tl_metric_reader *reader = tl_reader_pull(NULL);
    struct tl_meter_provider *provider;

    (void)state;
    tl_meter_provider_free(NULL);
    assert_int_equal(tl_meter_provider_flush(NULL, 1), 0);
    assert_int_equal(tl_meter_provider_shutdown(NULL, 1), 0);
    assert_null(tl_instrument_get(NULL, NULL));
    assert_null(tl_bound_new(NULL, NULL, 0));
    assert_null(tl_callback_new(NULL, 0, NULL, NULL));
    tl_callback_free(NULL);
    assert_int_equal(tl_reader_collect(NULL, 1, &bytes, &len), -EINVAL);
    assert_int_equal(tl_reader_collect(reader, 1, &bytes, &len), -EAGAIN);
    provider = tl_meter_provider_new(
        &(struct tl_meter_provider_options){.readers = &reader, .reader_count = 1});
    tl_meter_provider_free(provider);
    provider = tl_meter_provider_new(NULL);
    assert_non_null(provider);
    tl_meter_provider_free(provider);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_instrument_gives_its_kind_of_points),
        cmocka_unit_test(one_callback_observes_several_instruments),
        cmocka_unit_test(what_is_not_observed_any_more_is_not_told),
        cmocka_unit_test(a_callback_may_free_itself),
        cmocka_unit_test(a_callback_that_collects_is_told_so),
        cmocka_unit_test(a_meter_keeps_name_version_url_and_attributes),
        cmocka_unit_test(a_meter_without_a_name_works_and_is_told),
        cmocka_unit_test(the_default_meter_has_a_name_and_nobody_is_warned),
        cmocka_unit_test(the_global_provider_can_be_set),
        cmocka_unit_test(providers_do_not_see_each_other),
        cmocka_unit_test(a_resource_stands_before_all_metrics),
        cmocka_unit_test(the_same_registration_gives_the_same_instrument),
        cmocka_unit_test(a_conflict_gives_a_working_instrument_and_a_warning),
        cmocka_unit_test(a_view_that_mends_the_conflict_ends_the_warning),
        cmocka_unit_test(names_have_no_case_and_the_first_one_stays),
        cmocka_unit_test(names_outside_the_syntax_record_nothing),
        cmocka_unit_test(units_and_descriptions_are_kept_as_they_are),
        cmocka_unit_test(advised_boundaries_are_used_and_a_view_wins),
        cmocka_unit_test(advised_attributes_are_kept_and_a_view_wins),
        cmocka_unit_test(a_disabled_meter_records_nothing),
        cmocka_unit_test(after_a_shutdown_everything_still_works_and_nothing_is_recorded),
        cmocka_unit_test(null_is_taken_everywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
