// SPDX-License-Identifier: Apache-2.0
// Callbacks of asynchronous instruments. They are run with no lock held; one that is freed while it
// runs elsewhere is waited for.

#include <errno.h>
#include <stdlib.h>

#include "libtrace/base/clock.h"
#include "libtrace/sdk/metrics/measure.h"
#include "libtrace/sdk/metrics/reader.h"
#include "libtrace/sdk/stats.h"

struct tl_callback {
    struct tl_meter_provider *provider;
    tl_observe_function *observe;
    void *self;
    // Under the provider's lock.
    unsigned running;
    bool is_removed;
    bool is_orphan; // removed from within: the last one that runs it frees it
    struct tl_callback *next;
    size_t count;
    struct tl_instrument *instruments[];
};

struct tl_observer {
    struct tl_metric_reader *reader;
    struct tl_callback *callback;
    struct tl_observer *outer;
};

// What this thread is running.
static _Thread_local struct tl_observer *running __attribute__((tls_model("initial-exec")));

struct tl_callback *callback_new(struct tl_instrument *const *instruments, size_t count,
                                 tl_observe_function *observe, void *self)
{
    const int saved = errno;
    struct tl_callback *callback;
    struct tl_callback **at;

    if (!instruments || !count || !observe || count > SIZE_MAX / 64)
        return NULL;
    callback = calloc(1, sizeof *callback + count * sizeof callback->instruments[0]);
    errno = saved;
    if (!callback)
        return NULL;
    callback->observe = observe;
    callback->self = self;
    for (size_t i = 0; i < count; i++) {
        struct tl_instrument *each = instruments[i];

        if (!each || !each->is_observed ||
            (callback->provider && each->meter->provider != callback->provider)) {
            stats_add(&sdk_stats, SDK_misuses, 1);
            continue;
        }
        callback->provider = each->meter->provider;
        callback->instruments[callback->count++] = each;
    }
    if (!callback->provider)
        return callback;
    pthread_mutex_lock(&callback->provider->lock);
    for (at = &callback->provider->callbacks; *at;)
        at = &(*at)->next;
    *at = callback;
    pthread_mutex_unlock(&callback->provider->lock);
    return callback;
}

struct tl_callback *tl_callback_new(struct tl_instrument *const *instruments, size_t count,
                                    tl_observe_function *observe, void *self)
{
    struct tl_callback *callback = callback_new(instruments, count, observe, self);

    // Something is to be read from now on, though nothing was measured yet.
    for (size_t i = 0; callback && callback->provider && i < callback->provider->reader_count; i++)
        reader_wake(callback->provider->readers[i]);
    return callback;
}

static bool runs_here(const struct tl_callback *callback)
{
    for (const struct tl_observer *each = running; each; each = each->outer) {
        if (each->callback == callback)
            return true;
    }
    return false;
}

static void unlist(struct tl_callback *callback)
{
    for (struct tl_callback **at = &callback->provider->callbacks; *at; at = &(*at)->next) {
        if (*at == callback) {
            *at = callback->next;
            return;
        }
    }
}

void tl_callback_free(struct tl_callback *callback)
{
    struct tl_meter_provider *provider = callback ? callback->provider : NULL;
    bool is_last = true;

    if (provider) {
        pthread_mutex_lock(&provider->lock);
        callback->is_removed = true;
        is_last = !runs_here(callback);
        callback->is_orphan = !is_last;
        while (is_last && callback->running)
            pthread_cond_wait(&provider->quiet, &provider->lock);
        if (is_last)
            unlist(callback);
        pthread_mutex_unlock(&provider->lock);
    }
    if (is_last)
        free(callback);
}

static bool has_streams(const struct tl_callback *callback, const struct tl_metric_reader *reader)
{
    for (size_t i = 0; i < callback->count; i++) {
        const struct stream_list *list = atomic_load(&callback->instruments[i]->streams);

        for (size_t k = 0; k < list->count; k++) {
            if (list->streams[k]->reader == reader)
                return true;
        }
    }
    return false;
}

bool callbacks_run(struct tl_meter_provider *provider, struct tl_metric_reader *reader,
                   uint64_t deadline_ns)
{
    struct tl_callback *callback;
    bool is_all = true;

    pthread_mutex_lock(&provider->lock);
    callback = provider->callbacks;
    while (callback) {
        struct tl_observer observer = {reader, callback, running};
        struct tl_callback *next;

        // While it is counted as running it stays on the list.
        if (!callback->is_removed && has_streams(callback, reader)) {
            is_all = clock_mono_ns() < deadline_ns;
            if (!is_all)
                break;
            callback->running++;
            pthread_mutex_unlock(&provider->lock);
            running = &observer;
            callback->observe(callback->self, &observer);
            running = observer.outer;
            pthread_mutex_lock(&provider->lock);
            callback->running--;
        }
        next = callback->next;
        pthread_cond_broadcast(&provider->quiet);
        if (callback->is_orphan && callback->running == 0) {
            unlist(callback);
            free(callback);
        }
        callback = next;
    }
    pthread_mutex_unlock(&provider->lock);
    return is_all;
}

void callbacks_detach(struct tl_meter_provider *provider)
{
    struct tl_callback *each = provider->callbacks;

    for (; each; each = each->next)
        each->provider = NULL;
    provider->callbacks = NULL;
}

void callbacks_forked(struct tl_meter_provider *provider)
{
    pthread_cond_init(&provider->quiet, NULL);
    for (struct tl_callback *each = provider->callbacks; each; each = each->next)
        each->running = runs_here(each);
}

static bool may_observe(const struct tl_observer *observer, const struct tl_instrument *instrument)
{
    if (!observer || !instrument || observer != running)
        return false;
    for (size_t i = 0; i < observer->callback->count; i++) {
        if (observer->callback->instruments[i] == instrument)
            return true;
    }
    return false;
}

static void observe(struct tl_observer *observer, struct tl_instrument *instrument,
                    union number value, const struct tl_attribute *attributes, size_t count)
{
    const struct stream_list *list = atomic_load(&instrument->streams);

    for (size_t i = 0; i < list->count; i++) {
        if (list->streams[i]->reader == observer->reader)
            stream_observe(list->streams[i], value, attributes, attributes ? count : 0);
    }
}

void tl_observe(struct tl_observer *observer, struct tl_instrument *instrument, int64_t value,
                const struct tl_attribute *attributes, size_t count)
{
    union number number = {.integer = value};

    if (!may_observe(observer, instrument)) {
        stats_add(&sdk_stats, SDK_misuses, 1);
        return;
    }
    if (instrument->is_double)
        number.real = (double)value;
    observe(observer, instrument, number, attributes, count);
}

void tl_observe_double(struct tl_observer *observer, struct tl_instrument *instrument, double value,
                       const struct tl_attribute *attributes, size_t count)
{
    union number number = {.real = value};

    if (!may_observe(observer, instrument)) {
        stats_add(&sdk_stats, SDK_misuses, 1);
        return;
    }
    if (!(value >= -__DBL_MAX__ && value <= __DBL_MAX__)) {
        stats_add(&sdk_stats, SDK_invalid_values, 1);
        return;
    }
    if (!instrument->is_double)
        number.integer = integer_of(value);
    observe(observer, instrument, number, attributes, count);
}
