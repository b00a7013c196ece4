// SPDX-License-Identifier: Apache-2.0
// The jaeger-remote sampler with a module "http" of the test's own: what is asked, what decides
// before and after the answer, what a failure changes.

#include "tests/support/check.h"

#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libtrace/base/clock.h"
#include "libtrace/sdk/trace/sampler.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static const char *answer; // NULL: the request fails
static unsigned fetches;
static char asked[256];

static int fetch(const char *url, uint64_t timeout_ms, char **out_body, size_t *out_len,
                 char out_why[256])
{
    (void)timeout_ms;
    pthread_mutex_lock(&lock);
    snprintf(asked, sizeof asked, "%s", url);
    *out_body = answer ? strdup(answer) : NULL;
    *out_len = answer ? strlen(answer) : 0;
    fetches++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    snprintf(out_why, 256, "no route");
    return *out_body ? 0 : -EIO;
}

static const struct tl_module_v1 http = {.size = sizeof http, .name = "http", .fetch = fetch};

static void answer_set(const char *text)
{
    pthread_mutex_lock(&lock);
    answer = text;
    fetches = 0;
    pthread_mutex_unlock(&lock);
}

// A second request begins when the first one's answer is in use.
static void fetches_wait(unsigned count)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 20;
    pthread_mutex_lock(&lock);
    while (fetches < count)
        assert_int_equal(pthread_cond_timedwait(&changed, &lock, &deadline), 0);
    pthread_mutex_unlock(&lock);
}

static enum tl_decision sample(struct tl_sampler *sampler, uint8_t first)
{
    const uint8_t id[16] = {1, [9] = first};
    const struct tl_sampling sampling = {.trace_id = id, .name = "x", .name_len = 1};
    struct tl_sampling_result result;

    tl_sampler_ask(sampler, &sampling, &result);
    return result.decision;
}

static void the_initial_sampler_decides_until_an_answer_came(void **state)
{
    struct tl_sampler *sampler;

    (void)state;
    answer_set(NULL);
    sampler = tl_sampler_jaeger_remote("http://j:5778/sampling", "my service/1", 1,
                                       tl_sampler_always_on());
    assert_string_equal(tl_sampler_description(sampler),
                        "JaegerRemoteSampler{url=http://j:5778/sampling?service=my%20service%2F1,"
                        "initial=AlwaysOnSampler}");
    fetches_wait(2);
    assert_string_equal(asked, "http://j:5778/sampling?service=my%20service%2F1");
    assert_int_equal(sample(sampler, 0), TL_RECORD_AND_SAMPLE);
    answer_set("{\"probabilisticSampling\":{\"samplingRate\":0.5}}");
    fetches_wait(2);
    assert_int_equal(sample(sampler, 0x7f), TL_DROP);
    assert_int_equal(sample(sampler, 0x80), TL_RECORD_AND_SAMPLE);
    // What cannot be read, and what does not come, changes nothing.
    answer_set("<html>");
    fetches_wait(2);
    assert_int_equal(sample(sampler, 0x80), TL_RECORD_AND_SAMPLE);
    answer_set(NULL);
    fetches_wait(2);
    assert_int_equal(sample(sampler, 0x7f), TL_DROP);
    tl_sampler_unref(sampler);
}

static void *sample_all_the_time(void *self)
{
    const uint64_t end_ns = clock_mono_ns() + NS_PER_SECOND / 2;

    while (clock_mono_ns() < end_ns) {
        for (uint8_t i = 0; i < 100; i++)
            sample(self, i);
    }
    return NULL;
}

static void strategies_change_while_others_sample(void **state)
{
    struct tl_sampler *sampler;
    pthread_t threads[2];

    (void)state;
    answer_set("{\"operationSampling\":{\"defaultSamplingProbability\":0.25,"
               "\"perOperationStrategies\":[{\"operation\":\"x\"}]}}");
    sampler = tl_sampler_jaeger_remote("http://j/sampling", "s", 1, NULL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sample_all_the_time, sampler), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    tl_sampler_unref(sampler);
}

static void an_endpoint_without_a_path_gets_one(void **state)
{
    static const char *const rows[][2] = {
        {"http://j:14250", "http://j:14250/sampling?service=s"},
        {"j:5778", "http://j:5778/sampling?service=s"},
        {"https://j/x?service=", "https://j/x?service=s"},
        {"http://j/x?a=b&c", "http://j/x?a=b&c&service=s"},
        {NULL, "http://localhost:5778/sampling?service=s"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tl_sampler *sampler;

        answer_set(NULL);
        sampler = tl_sampler_jaeger_remote(rows[i][0], "s", 60000, NULL);
        fetches_wait(1);
        assert_string_equal(asked, rows[i][1]);
        tl_sampler_unref(sampler);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_initial_sampler_decides_until_an_answer_came),
        cmocka_unit_test(strategies_change_while_others_sample),
        cmocka_unit_test(an_endpoint_without_a_path_gets_one),
    };

    tl_module_add(&http);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
