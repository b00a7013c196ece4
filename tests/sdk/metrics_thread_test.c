// SPDX-License-Identifier: Apache-2.0
// Many threads at once: deltas add up to what was measured, whatever is collected, changed, freed
// or forked meanwhile; and a measurement allocates nothing.

#include "tests/support/check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libtrace/base/decimal.h"
#include "libtrace/otlp/varint.h"
#include "tests/sdk/metrics_text.h"

enum { THREADS = 4, ROUNDS = 20000 };

static _Atomic bool is_over;

// Sum over all points of a text: of sums the value, of histograms the count.
static uint64_t total_of(const struct seen *seen)
{
    uint64_t total = 0;

    for (const char *at = seen->text; (at = strstr(at, "point {")); at++) {
        const char *end = strchr(at, '}');
        unsigned long long value = 0;

        assert_non_null(end);
        end = strncmp(end, "} count ", 8) == 0 ? end + 8 : end + 2;
        assert_int_equal(sscanf(end, "%llu", &value), 1);
        total += value;
    }
    return total;
}

struct work {
    struct tl_instrument *instruments[3];
    struct tl_bound *bound;
    int number;
    int sets; // different attribute sets, of each thread's own
};

static void *measure_all(void *self)
{
    const struct work *work = self;

    for (int i = 0; i < ROUNDS; i++) {
        const struct tl_attribute attributes[] = {
            TL_INT("thread", work->sets > 1 ? work->number : 0),
            TL_STR("text", "some text that is longer than sixteen bytes"),
            TL_INT("set", i % work->sets)};

        tl_measure(work->instruments[0], 1, attributes, 3);
        tl_measure_double(work->instruments[1], i % 100, attributes, 3);
        tl_measure_double(work->instruments[2], i % 100 - 50, attributes, 3);
        tl_bound_measure(work->bound, 1);
    }
    return NULL;
}

static void *collect_all(void *self)
{
    struct tl_metric_reader *reader = self;
    static uint64_t total;

    total = 0;
    while (!atomic_load(&is_over)) {
        struct seen *seen = seen_by(reader);

        total += total_of(seen);
        seen_free(seen);
    }
    return &total;
}

static void deltas_add_up(int sets, uint32_t limit, bool changes_views)
{
    const struct tl_view views[] = {
        {.instrument_name = "u",
         .aggregation = {.kind = TL_AGGREGATION_EXPONENTIAL_HISTOGRAM, .max_size = 20}}};
    const struct tl_view others[] = {
        {.instrument_name = "c", .name = "renamed"},
        {.instrument_name = "b", .description = "changed"},
        {.instrument_name = "u",
         .aggregation = {.kind = TL_AGGREGATION_EXPONENTIAL_HISTOGRAM, .max_size = 10}}};
    struct tl_reader_options options = {0};
    struct work works[THREADS];
    pthread_t threads[THREADS];
    pthread_t collector;
    struct rig rig;
    struct seen *seen;
    void *total;

    for (int kind = 0; kind < 8; kind++) {
        options.temporality[kind] = TL_DELTA;
        options.cardinality_limit[kind] = limit;
    }
    rig = rig_new(&options, &(struct tl_meter_provider_options){.views = views, .view_count = 1});
    atomic_store(&is_over, false);
    assert_int_equal(pthread_create(&collector, NULL, collect_all, rig.reader), 0);
    for (int i = 0; i < THREADS; i++) {
        works[i] = (struct work){{tl_counter(rig.meter, "c", NULL, NULL),
                                  tl_histogram(rig.meter, "h", NULL, NULL),
                                  tl_up_down_counter(rig.meter, "u", NULL, NULL)},
                                 tl_bound_new(tl_counter(rig.meter, "b", NULL, NULL), NULL, 0),
                                 i,
                                 sets};
        assert_int_equal(pthread_create(&threads[i], NULL, measure_all, &works[i]), 0);
    }
    for (int i = 0; changes_views && i < 20; i++)
        assert_int_equal(
            tl_meter_provider_views(rig.provider, i % 2 ? views : others, i % 2 ? 1 : 3), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&is_over, true);
    pthread_join(collector, &total);
    seen = seen_by(rig.reader);
    assert_int_equal(*(uint64_t *)total + total_of(seen), (uint64_t)THREADS * ROUNDS * 4);
    seen_free(seen);
    for (int i = 0; i < THREADS; i++)
        tl_bound_free(works[i].bound);
    rig_free(&rig);
}

static void deltas_add_up_with_shared_series(void **state)
{
    (void)state;
    deltas_add_up(1, 0, false);
}

static void deltas_add_up_when_series_come_and_go(void **state)
{
    (void)state;
    deltas_add_up(37, 0, false);
}

static void deltas_add_up_beyond_the_limit(void **state)
{
    (void)state;
    deltas_add_up(37, 20, false);
}

static void deltas_add_up_while_views_change(void **state)
{
    (void)state;
    deltas_add_up(5, 0, true);
}

static void *register_all(void *self)
{
    struct tl_meter_provider *provider = self;
    static _Atomic(struct tl_instrument *) first[50];

    for (int i = 0; i < 50; i++) {
        char name[16];
        struct tl_instrument *none = NULL;
        struct tl_instrument *mine;
        struct tl_meter *meter;

        assert_true(snprintf(name, sizeof name, "i%d", i) > 0);
        meter = tl_meter_get(provider, &(struct tl_scope){.name = name});
        mine = tl_counter(meter, name, NULL, NULL);
        // Everybody gets the same one.
        if (!atomic_compare_exchange_strong(&first[i], &none, mine))
            assert_ptr_equal(none, mine);
        tl_measure(mine, 1, NULL, 0);
    }
    tl_meter_provider_flush(provider, 1000);
    return NULL;
}

static void meters_and_instruments_are_made_once_by_any_thread(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    pthread_t threads[THREADS];
    struct seen *seen;

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, register_all, rig.provider), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    seen = seen_by(rig.reader);
    assert_int_equal(seen->points, 50);
    assert_int_equal(total_of(seen), 50 * THREADS);
    seen_free(seen);
    rig_free(&rig);
}

static void observe_slowly(void *self, struct tl_observer *observer)
{
    const struct timespec pause = {0, 2000000};

    nanosleep(&pause, NULL);
    tl_observe(observer, self, 1, NULL, 0);
}

static void *collect_some(void *self)
{
    for (int i = 0; i < 10; i++)
        seen_free(seen_by(self));
    return NULL;
}

static void freeing_a_callback_waits_for_it(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    struct tl_instrument *instrument = tl_instrument_get(
        rig.meter, &(struct tl_instrument_options){.kind = TL_OBSERVABLE_GAUGE, .name = "o"});
    pthread_t collector;

    (void)state;
    assert_int_equal(pthread_create(&collector, NULL, collect_some, rig.reader), 0);
    for (int i = 0; i < 20; i++)
        tl_callback_free(tl_callback_new(&instrument, 1, observe_slowly, instrument));
    pthread_join(collector, NULL);
    rig_free(&rig);
}

static void *measure_until_over(void *self)
{
    while (!atomic_load(&is_over))
        measure_all(self);
    return NULL;
}

static void the_child_of_a_fork_begins_with_nothing(void **state)
{
    struct tl_reader_options options = {0};
    struct rig rig;
    struct tl_instrument *counter;
    struct tl_instrument *histogram;
    pthread_t threads[2];
    struct work works[2];

    (void)state;
    tl_reader_temporality(&options, "delta");
    rig = rig_new(&options, NULL);
    counter = tl_counter(rig.meter, "c", NULL, NULL);
    histogram = tl_histogram(rig.meter, "h", NULL, NULL);
    tl_measure(counter, 5, NULL, 0);
    atomic_store(&is_over, false);
    for (int i = 0; i < 2; i++) {
        works[i] = (struct work){{counter, histogram, histogram},
                                 tl_bound_new(tl_counter(rig.meter, "b", NULL, NULL), NULL, 0),
                                 i,
                                 3};
        assert_int_equal(pthread_create(&threads[i], NULL, measure_until_over, &works[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        const pid_t child = fork();
        int status = 0;

        assert_true(child >= 0);
        if (child == 0) {
            uint8_t *bytes = NULL;
            size_t len = 0;
            struct seen *seen;

            // Other threads were in the middle of measurements and are not here.
            tl_measure(counter, 2, NULL, 0);
            tl_measure(histogram, 2, NULL, 0);
            if (tl_reader_collect(rig.reader, 1000, &bytes, &len) != 0)
                _exit(2);
            seen = seen_of((struct str){(const char *)bytes, len});
            _exit(total_of(seen) == 3 ? 0 : 3);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        tl_bound_free(works[i].bound);
    }
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deltas_add_up_with_shared_series),
        cmocka_unit_test(deltas_add_up_when_series_come_and_go),
        cmocka_unit_test(deltas_add_up_beyond_the_limit),
        cmocka_unit_test(deltas_add_up_while_views_change),
        cmocka_unit_test(meters_and_instruments_are_made_once_by_any_thread),
        cmocka_unit_test(freeing_a_callback_waits_for_it),
        cmocka_unit_test(the_child_of_a_fork_begins_with_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
