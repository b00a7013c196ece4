// SPDX-License-Identifier: Apache-2.0
// Memory: a measurement takes none once its attribute set is known, and whatever cannot be had
// costs a record or an instrument, never the program.

#include "tests/support/check.h"

#include "tests/sdk/metrics_text.h"

static size_t taken;    // allocations so far
static size_t fails_at; // this one finds no memory; 0: none
static bool has_failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *former, size_t size);
int __real_posix_memalign(void **out, size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *former, size_t size);
int __wrap_posix_memalign(void **out, size_t alignment, size_t size);

static bool fails(void)
{
    taken++;
    has_failed |= taken == fails_at;
    return taken == fails_at;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *former, size_t size)
{
    return fails() ? NULL : __real_realloc(former, size);
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t size)
{
    return fails() ? 12 : __real_posix_memalign(out, alignment, size);
}

static void measurements_allocate_nothing(void **state)
{
    static const char *const keys[] = {"method", "route"};
    const struct tl_view views[] = {
        {.instrument_name = "filtered",
         .attribute_keys = keys,
         .attribute_key_count = 2,
         .has_attribute_keys = true},
        {.instrument_name = "exponential",
         .aggregation = {.kind = TL_AGGREGATION_EXPONENTIAL_HISTOGRAM}}};
    struct tl_reader_options options = {0};
    struct rig rig;
    struct tl_instrument *instruments[5];
    struct tl_bound *bound;
    size_t before;

    (void)state;
    tl_reader_temporality(&options, "delta");
    rig = rig_new(&options,
                  &(struct tl_meter_provider_options){
                      .views = views, .view_count = 2, .exemplar_filter = TL_EXEMPLARS_ALWAYS_ON});
    instruments[0] = tl_counter(rig.meter, "counter", NULL, NULL);
    instruments[1] = tl_counter(rig.meter, "filtered", NULL, NULL);
    instruments[2] = tl_histogram(rig.meter, "histogram", NULL, NULL);
    instruments[3] = tl_histogram(rig.meter, "exponential", NULL, NULL);
    instruments[4] = tl_gauge(rig.meter, "gauge", NULL, NULL);
    bound = tl_bound_new(instruments[2], NULL, 0);
    for (int round = 0; round < 3; round++) {
        // The first round makes the series; a collection leaves them there.
        before = taken;
        for (int i = 0; i < 1000; i++) {
            const struct tl_attribute attributes[] = {TL_STR("method", "GET"),
                                                      TL_STR("route", "/a/long/enough/route"),
                                                      TL_INT("status", i % 10)};

            for (int k = 0; k < 5; k++)
                tl_measure(instruments[k], i, attributes, 3);
            tl_bound_measure(bound, 1);
        }
        if (round)
            assert_int_equal(taken - before, 0);
        seen_free(seen_by(rig.reader));
    }
    tl_bound_free(bound);
    rig_free(&rig);
}

static struct tl_instrument *observed;

static void observe(void *self, struct tl_observer *observer)
{
    const struct tl_attribute attributes[] = {TL_STR("k", "v")};

    (void)self;
    tl_observe(observer, observed, 1, attributes, 1);
}

// All that there is, with one allocation that fails.
static void everything(void)
{
    const char *const keys[] = {"a"};
    const double boundaries[] = {1, 2};
    const struct tl_view views[] = {{.instrument_name = "c*",
                                     .attribute_keys = keys,
                                     .attribute_key_count = 1,
                                     .has_attribute_keys = true,
                                     .aggregation = {.kind = TL_AGGREGATION_DEFAULT}},
                                    {.instrument_name = "h",
                                     .aggregation = {.kind = TL_AGGREGATION_EXPLICIT_HISTOGRAM,
                                                     .boundaries = boundaries,
                                                     .boundary_count = 2}}};
    struct tl_metric_reader *reader = tl_reader_pull(NULL);
    struct tl_meter_provider *provider = tl_meter_provider_new(
        &(struct tl_meter_provider_options){.readers = &reader,
                                            .reader_count = 1,
                                            .views = views,
                                            .view_count = 2,
                                            .exemplar_filter = TL_EXEMPLARS_ALWAYS_ON});
    struct tl_meter *meter =
        provider ? tl_meter_get(provider, &(struct tl_scope){.name = "m"}) : NULL;
    struct tl_instrument *counter = meter ? tl_counter(meter, "c", "1", "text") : NULL;
    struct tl_instrument *histogram = meter ? tl_histogram(meter, "h", "s", NULL) : NULL;
    struct tl_bound *bound = tl_bound_new(histogram, NULL, 0);
    struct tl_callback *callback;
    uint8_t *bytes = NULL;
    char *text = NULL;
    size_t len = 0;

    observed =
        meter
            ? tl_instrument_get(
                  meter, &(struct tl_instrument_options){.kind = TL_OBSERVABLE_GAUGE, .name = "o"})
            : NULL;
    callback = tl_callback_new(&observed, 1, observe, NULL);
    for (int i = 0; i < 20; i++) {
        const struct tl_attribute attributes[] = {TL_INT("a", i), TL_STR("b", "x")};

        tl_measure(counter, 1, attributes, 2);
        tl_measure_double(histogram, i, attributes, 2);
        tl_bound_measure(bound, 1);
    }
    if (provider)
        tl_meter_provider_views(provider, views, 1);
    tl_measure(counter, 1, NULL, 0);
    tl_bound_measure(bound, 1);
    if (provider && tl_reader_collect(reader, 1000, &bytes, &len) == 0)
        free(bytes);
    if (provider && tl_reader_prometheus_text(reader, NULL, true, &text, &len) == 0)
        free(text);
    tl_callback_free(callback);
    tl_bound_free(bound);
    tl_meter_provider_free(provider);
}

static void no_allocation_is_needed_to_stay_alive(void **state)
{
    size_t runs = 0;

    (void)state;
    // What is made once for the process is there.
    everything();
    do {
        taken = 0;
        has_failed = false;
        fails_at = ++runs;
        everything();
    } while (has_failed && runs < 5000);
    fails_at = 0;
    assert_true(runs > 100 && !has_failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(measurements_allocate_nothing),
        cmocka_unit_test(no_allocation_is_needed_to_stay_alive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
