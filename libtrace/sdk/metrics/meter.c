// SPDX-License-Identifier: Apache-2.0
// Providers and meters live until the provider is freed. All providers are on a list, so that the
// child of a fork can let go of what other threads of its parent held.

#include "libtrace/sdk/metrics/meter.h"
#include "libtrace/sdk/export/pipe.h"

#include <errno.h>
#include <stdlib.h>

#include "libtrace/base/clock.h"
#include "libtrace/sdk/metrics/instrument.h"
#include "libtrace/sdk/metrics/observe.h"
#include "libtrace/sdk/metrics/reader.h"
#include "libtrace/sdk/resource/resource.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"

// How long a change of views, or freeing, waits for measurements under way.
#define SETTLE_NS NS_PER_SECOND

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct tl_meter_provider *all;

static void before_fork(void)
{
    pthread_mutex_lock(&all_lock);
    for (struct tl_meter_provider *each = all; each; each = each->next) {
        pthread_mutex_lock(&each->lock);
        for (size_t i = 0; i < each->reader_count; i++)
            pthread_mutex_lock(&each->readers[i]->streams_lock);
    }
}

static void after_fork_parent(void)
{
    for (struct tl_meter_provider *each = all; each; each = each->next) {
        for (size_t i = 0; i < each->reader_count; i++)
            pthread_mutex_unlock(&each->readers[i]->streams_lock);
        pthread_mutex_unlock(&each->lock);
    }
    pthread_mutex_unlock(&all_lock);
}

static void stream_in_child(void *now_ns, const struct tl_meter *meter, struct stream *stream)
{
    (void)meter;
    stream_forked(stream, *(const uint64_t *)now_ns);
}

static void instruments_in_child(struct tl_meter_provider *provider)
{
    for (struct tl_meter *meter = atomic_load(&provider->meters); meter; meter = meter->next) {
        for (struct tl_instrument *each = atomic_load(&meter->instruments); each; each = each->next)
            instrument_forked(each);
    }
}

static void after_fork_child(void)
{
    uint64_t now_ns = clock_unix_ns();

    observe_forked();
    for (struct tl_meter_provider *each = all; each; each = each->next) {
        provider_streams(each, NULL, stream_in_child, &now_ns);
        instruments_in_child(each);
        callbacks_forked(each);
        for (size_t i = 0; i < each->reader_count; i++)
            reader_forked(each->readers[i]);
    }
    after_fork_parent();
}

static void first_use(void)
{
    pipe_forks_watch();
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    set_seed_draw();
}

static void all_add(struct tl_meter_provider *provider)
{
    pthread_mutex_lock(&all_lock);
    provider->next = all;
    all = provider;
    pthread_mutex_unlock(&all_lock);
}

static void all_remove(struct tl_meter_provider *provider)
{
    pthread_mutex_lock(&all_lock);
    for (struct tl_meter_provider **at = &all; *at; at = &(*at)->next) {
        if (*at == provider) {
            *at = provider->next;
            break;
        }
    }
    pthread_mutex_unlock(&all_lock);
}

// Readers of a provider that could not be made are the caller's no more.
static void readers_take(struct tl_meter_provider *provider,
                         const struct tl_meter_provider_options *options)
{
    for (size_t i = 0; i < options->reader_count; i++) {
        struct tl_metric_reader *reader = options->readers[i];

        if (!reader)
            continue;
        if (!provider) {
            if (!atomic_load(&reader->provider))
                reader_free(reader);
        } else if (reader_attach(reader, provider)) {
            provider->readers[provider->reader_count++] = reader;
        } else {
            stats_add(&sdk_stats, SDK_misuses, 1);
            say(TL_ERROR, "metrics: a reader belongs to a provider already and is left out");
        }
    }
}

static struct tl_meter_provider *provider_make(const struct tl_meter_provider_options *options)
{
    struct tl_meter_provider *provider = calloc(1, sizeof *provider);

    if (!provider)
        return NULL;
    pthread_mutex_init(&provider->lock, NULL);
    pthread_cond_init(&provider->quiet, NULL);
    provider->resource = options->resource; // NULL: the default one, also in a child of fork
    provider->exemplars = options->exemplar_filter;
    provider->is_enabled = options->is_enabled;
    provider->is_enabled_self = options->is_enabled_self;
    provider->views = view_set_new(options->views, options->view_count, options->view_matching);
    provider->readers = calloc(options->reader_count + 1, sizeof provider->readers[0]);
    if (provider->views && provider->readers)
        return provider;
    view_set_free(provider->views);
    free(provider->readers);
    free(provider);
    return NULL;
}

struct tl_meter_provider *tl_meter_provider_new(const struct tl_meter_provider_options *options)
{
    static const struct tl_meter_provider_options none;
    const int saved = errno;
    struct tl_meter_provider *provider;

    pthread_once(&once, first_use);
    options = options ? options : &none;
    provider = provider_make(options);
    readers_take(provider, options);
    if (provider) {
        all_add(provider);
        for (size_t i = 0; i < provider->reader_count; i++) {
            struct tl_metric_reader *reader = provider->readers[i];

            if (reader && reader->is_lazy)
                atomic_store(&reader->is_asleep, true);
            else if (reader)
                reader_start(reader);
        }
    } else {
        tl_resource_unref(options->resource);
    }
    errno = saved;
    return provider;
}

static void meter_free(struct tl_meter *meter)
{
    struct tl_instrument *each = atomic_load(&meter->instruments);

    while (each) {
        struct tl_instrument *next = each->next;

        instrument_free(each);
        each = next;
    }
    scope_done(&meter->scope_copy);
    free(meter);
}

void tl_meter_provider_free(struct tl_meter_provider *provider)
{
    struct tl_meter *meter;

    if (!provider)
        return;
    if (!atomic_load(&provider->is_shut))
        tl_meter_provider_shutdown(provider, 1000);
    observe_forget(provider);
    if (tl_meter_provider_global() == provider)
        tl_meter_provider_global_set(NULL);
    guard_synchronize(clock_mono_ns() + SETTLE_NS);
    for (size_t i = 0; i < provider->reader_count; i++)
        reader_free(provider->readers[i]);
    all_remove(provider);
    meter = atomic_load(&provider->meters);
    while (meter) {
        struct tl_meter *next = meter->next;

        meter_free(meter);
        meter = next;
    }
    callbacks_detach(provider);
    view_set_free(provider->views);
    for (size_t i = 0; i < provider->former_count; i++)
        view_set_free(provider->former_views[i]);
    free(provider->former_views);
    free(provider->readers);
    tl_resource_unref(provider->resource);
    pthread_cond_destroy(&provider->quiet);
    pthread_mutex_destroy(&provider->lock);
    free(provider);
}

void provider_streams(struct tl_meter_provider *provider, const struct tl_metric_reader *reader,
                      void (*visit)(void *self, const struct tl_meter *meter,
                                    struct stream *stream),
                      void *self)
{
    for (struct tl_meter *meter = atomic_load(&provider->meters); meter; meter = meter->next) {
        for (struct tl_instrument *each = atomic_load(&meter->instruments); each;
             each = each->next) {
            const struct stream_list *list = atomic_load(&each->streams);

            for (size_t i = 0; i < list->count; i++) {
                if (!reader || list->streams[i]->reader == reader)
                    visit(self, meter, list->streams[i]);
            }
            for (struct stream *stream = atomic_load(&each->retired); stream;
                 stream = stream->retired) {
                if (!stream->is_over && (!reader || stream->reader == reader))
                    visit(self, meter, stream);
            }
        }
    }
}

// What instruments have to tell is told after the lock is let go.
static int instruments_resolve(struct tl_meter_provider *provider)
{
    unsigned notes = 0;
    int failed = 0;

    for (struct tl_meter *meter = atomic_load(&provider->meters); meter; meter = meter->next) {
        for (struct tl_instrument *each = atomic_load(&meter->instruments); each && !failed;
             each = each->next)
            failed = instrument_resolve(each, &notes);
    }
    return failed;
}

// Every measurement that may have seen former lists of streams has ended; false at the deadline.
static bool lists_settle(struct tl_meter_provider *provider, uint64_t deadline_ns)
{
    if (!guard_synchronize(deadline_ns))
        return false;
    for (struct tl_meter *meter = atomic_load(&provider->meters); meter; meter = meter->next) {
        for (struct tl_instrument *each = atomic_load(&meter->instruments); each;
             each = each->next) {
            const struct stream_list *list = atomic_load(&each->streams)->former;

            for (; list; list = list->former) {
                while (atomic_load(&list->under_way)) {
                    if (clock_mono_ns() >= deadline_ns)
                        return false;
                    sched_yield();
                }
            }
        }
    }
    return true;
}

// Under the lock: what is retired by now is collected once more, and that is all of it.
static void retired_settle(struct tl_meter_provider *provider)
{
    for (struct tl_meter *meter = atomic_load(&provider->meters); meter; meter = meter->next) {
        for (struct tl_instrument *each = atomic_load(&meter->instruments); each;
             each = each->next) {
            for (struct stream *stream = atomic_load(&each->retired); stream;
                 stream = stream->retired)
                atomic_store(&stream->is_settled, true);
        }
    }
}

int tl_meter_provider_views(struct tl_meter_provider *provider, const struct tl_view *views,
                            size_t count)
{
    const int saved = errno;
    struct view_set *made = NULL;
    struct view_set **former = NULL;
    int failed = -ENOMEM;

    if (!provider)
        return -EINVAL;
    made = view_set_new(views, count, view_set_matching(provider->views));
    if (!made)
        return -ENOMEM;
    pthread_mutex_lock(&provider->lock);
    former = realloc(provider->former_views, (provider->former_count + 1) * sizeof former[0]);
    if (former) {
        provider->former_views = former;
        former[provider->former_count++] = provider->views;
        provider->views = made;
        failed = instruments_resolve(provider);
    }
    // Under the lock, so that another change does not retire more meanwhile. Measurements do not
    // need it.
    if (former && lists_settle(provider, clock_mono_ns() + SETTLE_NS))
        retired_settle(provider);
    pthread_mutex_unlock(&provider->lock);
    if (!former)
        view_set_free(made);
    errno = saved;
    return failed;
}

int tl_meter_provider_flush(struct tl_meter_provider *provider, uint64_t timeout_ms)
{
    const uint64_t deadline_ns = clock_after_ms(clock_mono_ns(), timeout_ms);
    const int saved = errno;
    int result = 0;

    if (!provider)
        return 0;
    for (size_t i = 0; i < provider->reader_count; i++) {
        const int failed = reader_flush(provider->readers[i], clock_left_ms(deadline_ns));

        result = result ? result : failed;
    }
    errno = saved;
    return result;
}

int tl_meter_provider_shutdown(struct tl_meter_provider *provider, uint64_t timeout_ms)
{
    const uint64_t deadline_ns = clock_after_ms(clock_mono_ns(), timeout_ms);
    const int saved = errno;
    int result = 0;

    if (!provider)
        return 0;
    if (atomic_exchange(&provider->is_shut, true))
        return -EALREADY;
    for (size_t i = 0; i < provider->reader_count; i++) {
        const int failed = reader_shutdown(provider->readers[i], clock_left_ms(deadline_ns));

        result = result ? result : failed;
    }
    pthread_mutex_lock(&provider->lock);
    for (struct tl_meter *meter = atomic_load(&provider->meters); meter; meter = meter->next) {
        for (struct tl_instrument *each = atomic_load(&meter->instruments); each; each = each->next)
            instrument_close(each);
    }
    pthread_mutex_unlock(&provider->lock);
    errno = saved;
    return result;
}

static struct tl_meter *meter_find(struct tl_meter_provider *provider, const struct tl_scope *scope)
{
    struct tl_meter *meter = atomic_load_explicit(&provider->meters, memory_order_acquire);

    while (meter && !scope_is(&meter->scope_copy, scope))
        meter = meter->next;
    return meter;
}

static struct tl_meter *meter_new(struct tl_meter_provider *provider, const struct tl_scope *scope)
{
    struct tl_meter *meter = calloc(1, sizeof *meter);

    if (!meter)
        return NULL;
    if (scope_init(&meter->scope_copy, scope) != 0) {
        free(meter);
        return NULL;
    }
    meter->scope = meter->scope_copy.as;
    meter->provider = provider;
    meter->is_disabled =
        atomic_load(&provider->is_shut) ||
        (provider->is_enabled && !provider->is_enabled(provider->is_enabled_self, &meter->scope));
    return meter;
}

static void meter_append(struct tl_meter_provider *provider, struct tl_meter *meter)
{
    struct tl_meter *last = atomic_load(&provider->meters);

    while (last && last->next)
        last = last->next;
    if (last)
        atomic_store(&last->next, meter);
    else
        atomic_store(&provider->meters, meter);
}

struct tl_meter *tl_meter_get(struct tl_meter_provider *provider, const struct tl_scope *scope)
{
    const int saved = errno;
    struct tl_meter *meter;
    struct tl_meter *made;

    provider = provider ? provider : tl_meter_provider_global();
    if (!provider)
        return NULL;
    meter = meter_find(provider, scope);
    if (meter)
        return meter;
    if (!scope || !scope->name || !scope->name[0])
        say(TL_WARN, "metrics: a meter without a name");
    // is_enabled is the caller's and must not be called with the lock held.
    made = meter_new(provider, scope);
    pthread_mutex_lock(&provider->lock);
    meter = meter_find(provider, scope);
    if (!meter && made) {
        meter_append(provider, made);
        meter = made;
        made = NULL;
    }
    pthread_mutex_unlock(&provider->lock);
    if (made)
        meter_free(made);
    errno = saved;
    return meter;
}
