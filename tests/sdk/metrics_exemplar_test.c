// SPDX-License-Identifier: Apache-2.0
// Exemplars: which measurements become some, what they keep, and reservoirs of the caller's.

#include "tests/support/check.h"

#include "libtrace/base/clock.h"
#include "tests/sdk/metrics_text.h"

static const struct tl_attribute kept_and_lost[] = {
    {"kept", 4, {TL_TYPE_INT, 0, {.integer = 1}}},
    {"lost", 4, {TL_TYPE_STRING, 1, {.string = "x"}}}};

static struct tl_span_context identity(uint8_t number, bool is_sampled)
{
    struct tl_span_context context = {.flags = is_sampled};

    memset(context.trace_id, number, 16);
    memset(context.span_id, number, 8);
    return context;
}

// A context with a span of that identity.
static struct tl_context *context_of(uint8_t number, bool is_sampled)
{
    const struct tl_span_context remote = identity(number, is_sampled);
    struct tl_context *context = tl_context_with_remote(NULL, &remote);

    assert_non_null(context);
    return context;
}

static struct rig rig_with(enum tl_exemplar_filter filter, const struct tl_view *view)
{
    return rig_new(NULL, &(struct tl_meter_provider_options){
                             .exemplar_filter = filter, .views = view, .view_count = view != NULL});
}

static size_t exemplars_in(struct tl_metric_reader *reader)
{
    struct seen *seen = seen_by(reader);
    size_t count = 0;

    for (const char *at = seen->text; (at = strstr(at, "exemplar ")); at++)
        count++;
    seen_free(seen);
    return count;
}

static void the_filter_decides_who_is_offered(void **state)
{
    static const struct {
        enum tl_exemplar_filter filter;
        bool has_span;
        bool is_sampled;
        bool is_kept;
    } cases[] = {
        {TL_EXEMPLARS_TRACE_BASED, false, false, false},
        {TL_EXEMPLARS_TRACE_BASED, true, false, false},
        {TL_EXEMPLARS_TRACE_BASED, true, true, true},
        {TL_EXEMPLARS_ALWAYS_ON, false, false, true},
        {TL_EXEMPLARS_ALWAYS_ON, true, false, true},
        {TL_EXEMPLARS_ALWAYS_ON, true, true, true},
        {TL_EXEMPLARS_ALWAYS_OFF, true, true, false},
        {TL_EXEMPLARS_ALWAYS_OFF, false, false, false},
    };

    (void)state;
    // The default is trace_based.
    assert_int_equal(TL_EXEMPLARS_TRACE_BASED, 0);
    for (size_t i = 0; i < TL_COUNT(cases); i++) {
        struct rig rig = rig_with(cases[i].filter, NULL);
        struct tl_instrument *counter = tl_counter(rig.meter, "c", NULL, NULL);
        struct tl_bound *bound = tl_bound_new(tl_counter(rig.meter, "b", NULL, NULL), NULL, 0);
        struct tl_context *context = cases[i].has_span ? context_of(1, cases[i].is_sampled) : NULL;
        const struct tl_context_token token = tl_context_attach(context);

        tl_measure(counter, 1, NULL, 0);
        tl_bound_measure(bound, 1);
        tl_context_detach(token);
        if (exemplars_in(rig.reader) != (cases[i].is_kept ? 2 : 0))
            fail_msg("case %zu", i);
        // The same with the context given.
        tl_measure_in(tl_histogram(rig.meter, "h", NULL, NULL), 1, NULL, 0, context);
        if (exemplars_in(rig.reader) != (cases[i].is_kept ? 3 : 0))
            fail_msg("given, case %zu", i);
        tl_context_unref(context);
        tl_bound_free(bound);
        rig_free(&rig);
    }
}

static void an_exemplar_has_trace_span_time_and_what_a_view_leaves_out(void **state)
{
    const char *const keys[] = {"kept"};
    const struct tl_view view = {.instrument_name = "c",
                                 .attribute_keys = keys,
                                 .attribute_key_count = 1,
                                 .has_attribute_keys = true};
    struct rig rig = rig_with(TL_EXEMPLARS_TRACE_BASED, &view);
    struct tl_context *context = context_of(0xab, true);
    const struct tl_context_token token = tl_context_attach(context);
    const uint64_t before = clock_unix_ns();
    struct seen *seen;
    uint64_t after;

    (void)state;
    tl_measure(tl_counter(rig.meter, "c", NULL, NULL), 7, kept_and_lost, 2);
    after = clock_unix_ns();
    tl_context_detach(token);
    seen = seen_by(rig.reader);
    assert_string_equal(seen->text, "scope test   {}\nmetric c [] \"\" sum cumulative monotonic\n"
                                    "point {kept=1} 7\nexemplar 7 abababababababababababababababab "
                                    "abababababababab {lost=x}\n");
    assert_true(seen->exemplar_ns >= before && seen->exemplar_ns <= after);
    seen_free(seen);
    tl_context_unref(context);
    rig_free(&rig);
}

static void a_current_span_is_the_exemplars_too(void **state)
{
    struct rig rig = rig_with(TL_EXEMPLARS_TRACE_BASED, NULL);
    struct tl_tracer_provider *provider = tl_tracer_provider_new(NULL);
    struct tl_span *span = tl_span_start_with(
        tl_tracer_get(provider, NULL), &(struct tl_span_options){.name = "s", .is_root = true});
    struct tl_span *former = tl_current_set(span);

    (void)state;
    tl_measure(tl_counter(rig.meter, "c", NULL, NULL), 1, NULL, 0);
    tl_current_set(former);
    tl_measure(tl_counter(rig.meter, "d", NULL, NULL), 1, NULL, 0);
    assert_int_equal(exemplars_in(rig.reader), 1);
    tl_span_end(span);
    tl_tracer_provider_free(provider);
    rig_free(&rig);
}

static void each_bucket_keeps_one(void **state)
{
    const double boundaries[] = {10, 20};
    const struct tl_view view = {.instrument_name = "h",
                                 .aggregation = {.kind = TL_AGGREGATION_EXPLICIT_HISTOGRAM,
                                                 .boundaries = boundaries,
                                                 .boundary_count = 2,
                                                 .no_min_max = true}};
    struct rig rig = rig_with(TL_EXEMPLARS_ALWAYS_ON, &view);
    struct tl_instrument *histogram = tl_histogram(rig.meter, "h", NULL, NULL);

    (void)state;
    tl_measure_double(histogram, 1, NULL, 0);
    tl_measure_double(histogram, 2, NULL, 0);
    tl_measure_double(histogram, 20, NULL, 0);
    tl_measure_double(histogram, 99, NULL, 0);
    assert_seen(rig.reader, "scope test   {}\nmetric h [] \"\" histogram cumulative\n"
                            "point {} count 4 sum 122 buckets 2 1 1 bounds 10 20\n"
                            "exemplar 2 - - {}\nexemplar 20 - - {}\nexemplar 99 - - {}\n");
    rig_free(&rig);
}

static void the_simple_reservoir_is_uniform(void **state)
{
    struct tl_reader_options options = {.temporality = {[TL_COUNTER] = TL_DELTA}};
    struct rig rig = rig_new(
        &options, &(struct tl_meter_provider_options){.exemplar_filter = TL_EXEMPLARS_ALWAYS_ON});
    struct tl_instrument *counter = tl_counter(rig.meter, "c", NULL, NULL);
    unsigned chosen[4] = {0};

    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct seen *seen;
        const char *at;

        for (int i = 0; i < 4; i++)
            tl_measure(counter, i, NULL, 0);
        seen = seen_by(rig.reader);
        at = strstr(seen->text, "exemplar ");
        assert_non_null(at);
        chosen[at[9] - '0']++;
        // One, and with the next interval another one.
        assert_null(strstr(at + 1, "exemplar "));
        seen_free(seen);
    }
    for (int i = 0; i < 4; i++)
        assert_true(chosen[i] > 350 && chosen[i] < 650);
    assert_int_equal(exemplars_in(rig.reader), 0);
    rig_free(&rig);
}

static void an_exponential_histogram_has_twenty(void **state)
{
    const struct tl_view view = {.instrument_name = "h",
                                 .aggregation = {.kind = TL_AGGREGATION_EXPONENTIAL_HISTOGRAM}};
    const struct tl_view small = {
        .instrument_name = "h",
        .aggregation = {.kind = TL_AGGREGATION_EXPONENTIAL_HISTOGRAM, .max_size = 4}};
    struct rig rig = rig_with(TL_EXEMPLARS_ALWAYS_ON, &view);

    (void)state;
    for (int i = 0; i < 100; i++)
        tl_measure(tl_histogram(rig.meter, "h", NULL, NULL), i, NULL, 0);
    assert_int_equal(exemplars_in(rig.reader), 20);
    rig_free(&rig);
    rig = rig_with(TL_EXEMPLARS_ALWAYS_ON, &small);
    for (int i = 0; i < 100; i++)
        tl_measure(tl_histogram(rig.meter, "h", NULL, NULL), i, NULL, 0);
    assert_int_equal(exemplars_in(rig.reader), 4);
    rig_free(&rig);
}

static void observe_one(void *self, struct tl_observer *observer)
{
    tl_observe(observer, self, 3, kept_and_lost, 2);
}

static void observations_and_overflow_keep_their_attributes(void **state)
{
    const char *const keys[] = {"kept"};
    const struct tl_view views[] = {{.instrument_name = "o",
                                     .attribute_keys = keys,
                                     .attribute_key_count = 1,
                                     .has_attribute_keys = true},
                                    {.instrument_name = "c", .cardinality_limit = 1}};
    struct rig rig = rig_new(
        NULL, &(struct tl_meter_provider_options){
                  .exemplar_filter = TL_EXEMPLARS_ALWAYS_ON, .views = views, .view_count = 2});
    struct tl_instrument *counter = tl_counter(rig.meter, "c", NULL, NULL);
    struct tl_instrument *instrument = tl_instrument_get(
        rig.meter, &(struct tl_instrument_options){.kind = TL_OBSERVABLE_COUNTER, .name = "o"});
    struct tl_callback *callback = tl_callback_new(&instrument, 1, observe_one, instrument);

    (void)state;
    tl_measure(counter, 1, NULL, 0);
    tl_measure(counter, 2, kept_and_lost, 2);
    assert_seen(rig.reader, "scope test   {}\nmetric c [] \"\" sum cumulative monotonic\n"
                            "point {otel.metric.overflow=true} 2\nexemplar 2 - - {kept=1 lost=x}\n"
                            "point {} 1\nexemplar 1 - - {}\n"
                            "metric o [] \"\" sum cumulative monotonic\n"
                            "point {kept=1} 3\nexemplar 3 - - {lost=x}\n");
    tl_callback_free(callback);
    rig_free(&rig);
}

// ---- A reservoir of the caller's: the largest value of each series.
struct largest {
    double value;
};
static int made;
static int dropped;
static int resets;
static struct tl_measurement last;
static char last_key[16];

static void *largest_make(void *self)
{
    assert_string_equal(self, "mine");
    made++;
    return calloc(1, sizeof(struct largest));
}

static int largest_offer(void *series, const struct tl_measurement *measurement)
{
    struct largest *largest = series;

    last = *measurement;
    snprintf(last_key, sizeof last_key, "%s", measurement->attributes[1].key);
    if (measurement->value <= largest->value)
        return -1;
    largest->value = measurement->value;
    return 0;
}

static void largest_reset(void *series)
{
    resets++;
    ((struct largest *)series)->value = 0;
}

static void largest_drop(void *series)
{
    dropped++;
    free(series);
}

static void a_reservoir_of_ones_own_sees_all_and_decides(void **state)
{
    const char *const keys[] = {"kept"};
    const struct tl_reservoir reservoir = {
        1, largest_make, largest_offer, largest_reset, largest_drop, (void *)(uintptr_t) "mine"};
    const struct tl_view view = {.instrument_name = "c",
                                 .attribute_keys = keys,
                                 .attribute_key_count = 1,
                                 .has_attribute_keys = true,
                                 .reservoir = &reservoir};
    struct rig rig = rig_with(TL_EXEMPLARS_TRACE_BASED, &view);
    struct tl_instrument *counter = tl_counter(rig.meter, "c", NULL, NULL);
    struct tl_context *context = context_of(5, true);
    const uint64_t before = clock_unix_ns();

    (void)state;
    tl_measure_in(counter, 3, kept_and_lost, 2, context);
    tl_measure_in(counter, 8, kept_and_lost, 2, context);
    tl_measure_in(counter, 5, kept_and_lost, 2, context);
    // Value, all attributes, context, span and time.
    assert_int_equal(last.integer, 5);
    assert_false(last.is_double);
    assert_int_equal(last.attribute_count, 2);
    assert_string_equal(last_key, "lost");
    assert_ptr_equal(last.context, context);
    assert_int_equal(last.span.trace_id[3], 5);
    assert_true(last.time_ns >= before && last.time_ns <= clock_unix_ns());
    assert_seen(rig.reader, "scope test   {}\nmetric c [] \"\" sum cumulative monotonic\n"
                            "point {kept=1} 16\nexemplar 8 05050505050505050505050505050505 "
                            "0505050505050505 {lost=x}\n");
    assert_int_equal(made, 1);
    assert_int_equal(resets, 1);
    tl_context_unref(context);
    rig_free(&rig);
    assert_int_equal(dropped, made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_filter_decides_who_is_offered),
        cmocka_unit_test(an_exemplar_has_trace_span_time_and_what_a_view_leaves_out),
        cmocka_unit_test(a_current_span_is_the_exemplars_too),
        cmocka_unit_test(each_bucket_keeps_one),
        cmocka_unit_test(the_simple_reservoir_is_uniform),
        cmocka_unit_test(an_exponential_histogram_has_twenty),
        cmocka_unit_test(observations_and_overflow_keep_their_attributes),
        cmocka_unit_test(a_reservoir_of_ones_own_sees_all_and_decides),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
