// SPDX-License-Identifier: Apache-2.0
// The jaeger-remote sampler: its strategy is asked for over HTTP on a task of its own; until there
// is one, the initial sampler decides. Readers count themselves in, so that the task frees a former
// strategy only when nobody can be in it; no lock that a fork could leave behind is held.

#include "libtrace/sdk/trace/sampler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "libtrace/base/bytes.h"
#include "libtrace/base/clock.h"
#include "libtrace/sdk/export/module.h"
#include "libtrace/sdk/export/task.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/trace/strategy.h"

enum {
    POLL_MS = 60000,
    FETCH_MS = 10000,
    URL_MAX = 2048,
    RETIRED_MAX = 64, // a reader lost in a fork must not make memory grow
    FREE_MS = 500,
};

struct jaeger {
    _Atomic(struct strategy *) strategy;
    _Atomic uint32_t readers;
    struct tl_sampler *initial;
    struct task *task;
    uint64_t poll_ms;
    char *url;
    bool is_told; // a failure is told once, until an answer comes
    struct strategy *retired[RETIRED_MAX];
    size_t retired_count;
};

static void jaeger_sample(void *self, const struct tl_sampling *sampling,
                          struct tl_sampling_result *out_result)
{
    struct jaeger *jaeger = self;
    struct strategy *strategy;

    // In the child of a fork the thread is gone.
    if (!task_is_started(jaeger->task))
        task_start(jaeger->task, 0);
    atomic_fetch_add(&jaeger->readers, 1);
    strategy = atomic_load(&jaeger->strategy);
    if (strategy)
        strategy_sample(strategy, sampling, out_result, clock_mono_ns());
    else
        tl_sampler_ask(jaeger->initial, sampling, out_result);
    atomic_fetch_sub(&jaeger->readers, 1);
}

static void retired_free(struct jaeger *jaeger)
{
    for (size_t i = 0; i < jaeger->retired_count; i++)
        strategy_free(jaeger->retired[i]);
    jaeger->retired_count = 0;
}

static void failure_tell(struct jaeger *jaeger, const char *reason)
{
    if (!jaeger->is_told)
        say(TL_WARN, "jaeger_remote: %s: %s", jaeger->url, reason);
    jaeger->is_told = true;
}

static void jaeger_ask(struct jaeger *jaeger)
{
    struct why why = {""};
    const struct tl_module_v1 *http = module_find("http", &why);
    char reason[256] = "the module has no fetch";
    struct strategy *strategy = NULL;
    struct strategy *former;
    char *body = NULL;
    size_t len = 0;

    if (atomic_load(&jaeger->readers) == 0)
        retired_free(jaeger);
    if (!http) {
        failure_tell(jaeger, why.text);
        return;
    }
    if (!http->fetch || http->fetch(jaeger->url, FETCH_MS, &body, &len, reason) != 0) {
        failure_tell(jaeger, reason);
        return;
    }
    if (strategy_read((struct str){body, len}, &strategy, &why) != 0)
        failure_tell(jaeger, why.text);
    free(body);
    if (!strategy)
        return;
    jaeger->is_told = false;
    if (jaeger->retired_count == RETIRED_MAX) {
        strategy_free(strategy);
        return;
    }
    former = atomic_exchange(&jaeger->strategy, strategy);
    if (former)
        jaeger->retired[jaeger->retired_count++] = former;
    if (atomic_load(&jaeger->readers) == 0)
        retired_free(jaeger);
}

static uint64_t jaeger_run(void *self, uint64_t now_ns, bool may_wait)
{
    struct jaeger *jaeger = self;

    if (may_wait)
        jaeger_ask(jaeger);
    else
        failure_tell(jaeger, "not asked: the program's own loop may not wait");
    return clock_after_ms(now_ns, jaeger->poll_ms);
}

static void jaeger_free(void *self)
{
    struct jaeger *jaeger = self;

    // A task that hangs in a request keeps what it needs.
    if (jaeger->task && !task_free(jaeger->task, clock_mono_ns() + FREE_MS * NS_PER_MS))
        return;
    retired_free(jaeger);
    strategy_free(atomic_load(&jaeger->strategy));
    tl_sampler_unref(jaeger->initial);
    free(jaeger->url);
    free(jaeger);
}

// RFC 3986 2.3: what needs no encoding.
static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

// ENDPOINT[/sampling]?service=NAME, terminated; NULL when it is too long or without memory.
static char *url_make(struct str endpoint, struct str service)
{
    struct bytes url = {.limit = URL_MAX};
    const size_t scheme = endpoint.len > 8 && str_starts(endpoint, STR("https://")) ? 8 : 7;
    const struct str rest = str_from(endpoint, scheme);
    const bool has_path = str_has(rest, '/');

    if (!str_starts(endpoint, STR("http")))
        bytes_add_str(&url, STR("http://"));
    bytes_add_str(&url, endpoint);
    if (!has_path)
        bytes_add_str(&url, STR("/sampling"));
    if (!str_has(rest, '?'))
        bytes_add_str(&url, STR("?service="));
    else if (endpoint.at[endpoint.len - 1] != '=')
        bytes_add_str(&url, STR("&service="));
    for (size_t i = 0; i < service.len; i++) {
        if (is_unreserved(service.at[i]))
            bytes_add_byte(&url, (uint8_t)service.at[i]);
        else
            bytes_format(&url, "%%%02X", (unsigned)(uint8_t)service.at[i]);
    }
    bytes_add_byte(&url, '\0');
    if (url.is_failed) {
        bytes_done(&url);
        return NULL;
    }
    return (char *)url.at;
}

static struct jaeger *jaeger_new(const char *endpoint, const char *service, uint64_t poll_ms)
{
    struct jaeger *jaeger = calloc(1, sizeof *jaeger);
    const struct task_plan plan = {.name = "tl-sampling", .run = jaeger_run, .self = jaeger};

    if (!jaeger)
        return NULL;
    jaeger->poll_ms = poll_ms ? poll_ms : POLL_MS;
    jaeger->url = url_make(str_of(endpoint && *endpoint ? endpoint : "http://localhost:5778"),
                           str_of(service ? service : ""));
    if (jaeger->url)
        jaeger->task = task_new(&plan);
    if (!jaeger->task) {
        jaeger_free(jaeger);
        return NULL;
    }
    return jaeger;
}

struct tl_sampler *tl_sampler_jaeger_remote(const char *endpoint, const char *service,
                                            uint64_t poll_ms, struct tl_sampler *initial)
{
    const int saved = errno;
    struct jaeger *jaeger = jaeger_new(endpoint, service, poll_ms);
    struct tl_sampler_functions functions = {jaeger, jaeger_sample, NULL, jaeger_free};
    struct bytes text = {.limit = 64 << 10};
    struct tl_sampler *sampler;

    if (!jaeger) {
        tl_sampler_unref(initial);
        errno = saved;
        return NULL;
    }
    jaeger->initial = initial ? initial : tl_sampler_ratio(0.001);
    bytes_format(&text, "JaegerRemoteSampler{url=%s,initial=%s}", jaeger->url,
                 tl_sampler_description(jaeger->initial));
    bytes_add_byte(&text, '\0');
    functions.description = text.is_failed ? "JaegerRemoteSampler" : (const char *)text.at;
    sampler = sampler_new(&functions);
    if (sampler)
        task_start(jaeger->task, 0);
    bytes_done(&text);
    errno = saved;
    return sampler;
}
