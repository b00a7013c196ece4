// SPDX-License-Identifier: Apache-2.0
// Tracer providers: what spans of one set-up share, and the tracers handed out.

#include "libtrace/sdk/trace/tracer.h"

#include <errno.h>
#include <stdlib.h>

#include "libtrace/base/clock.h"
#include "libtrace/sdk/encode.h"
#include "libtrace/sdk/export/pipe.h"
#include "libtrace/sdk/global.h"
#include "libtrace/sdk/resource/resource.h"
#include "libtrace/sdk/stats.h"
#include "libtrace/sdk/trace/sampler.h"

uint32_t limit_of(uint32_t given, uint32_t fallback)
{
    if (given == 0)
        return fallback;
    return given == TL_NONE ? 0 : given;
}

static void limits_resolve(struct tl_tracer_provider *provider, const struct tl_limits *given)
{
    struct tl_limits *limits = &provider->limits;

    limits->attribute_count = limit_of(given->attribute_count, 128);
    limits->attribute_value_length = limit_of(given->attribute_value_length, TL_UNLIMITED);
    limits->event_count = limit_of(given->event_count, 128);
    limits->link_count = limit_of(given->link_count, 128);
    limits->event_attribute_count = limit_of(given->event_attribute_count, 128);
    limits->link_attribute_count = limit_of(given->link_attribute_count, 128);
    provider->length_max = limits->attribute_value_length == TL_UNLIMITED
                               ? ENCODE_UNLIMITED
                               : (int64_t)limits->attribute_value_length;
}

static void processor_end(const struct tl_span_processor *processor)
{
    if (processor->free)
        processor->free(processor->self);
}

// What was handed over is the provider's also when there will be none.
static void options_drop(const struct tl_tracer_provider_options *options)
{
    for (size_t i = 0; options->processors && i < options->processor_count; i++)
        processor_end(&options->processors[i]);
    tl_resource_unref(options->resource);
    tl_sampler_unref(options->sampler);
    if (options->id_generator && options->id_generator->free)
        options->id_generator->free(options->id_generator->self);
}

struct tl_tracer_provider *tl_tracer_provider_new(const struct tl_tracer_provider_options *options)
{
    static const struct tl_tracer_provider_options none;
    struct tl_tracer_provider *provider;
    const int saved = errno;
    size_t processor_count;

    options = options ? options : &none;
    processor_count = options->processors ? options->processor_count : 0;
    provider = processor_count <= PROCESSORS_MAX ? calloc(1, sizeof *provider) : NULL;
    errno = saved;
    if (!provider) {
        options_drop(options);
        return NULL;
    }
    pthread_mutex_init(&provider->lock, NULL);
    provider->resource = options->resource; // NULL: the default one, also in a child of fork
    provider->sampler = options->sampler;   // NULL: parent-based, always on
    for (size_t i = 0; i < processor_count; i++) {
        provider->processors[i] = options->processors[i];
        provider->pipes[i] = span_processor_pipe(&options->processors[i]);
        provider->has_custom |= !provider->pipes[i];
    }
    provider->processor_count = processor_count;
    provider->has_ids = options->id_generator != NULL;
    if (provider->has_ids)
        provider->ids = *options->id_generator;
    limits_resolve(provider, &options->limits);
    provider->is_enabled = options->is_enabled;
    provider->is_enabled_self = options->is_enabled_self;
    return provider;
}

static struct tl_tracer *tracer_new(struct tl_tracer_provider *provider,
                                    const struct tl_scope *given)
{
    struct tl_tracer *tracer = calloc(1, sizeof *tracer);
    struct bytes resource = {.limit = 64 * 1024};

    if (!tracer)
        return NULL;
    if (scope_init(&tracer->scope, given) != 0) {
        free(tracer);
        return NULL;
    }
    tracer->provider = provider;
    tracer->is_enabled =
        !provider->is_enabled || provider->is_enabled(provider->is_enabled_self, &tracer->scope.as);
    resource_group_write(&resource, provider->resource);
    for (size_t i = 0; i < provider->processor_count; i++) {
        tracer->entries[i] = UINT32_MAX;
        if (provider->pipes[i] && !resource.is_failed)
            tracer->entries[i] =
                pipe_entry(provider->pipes[i], bytes_str(&resource), tracer->scope.encoded);
    }
    bytes_done(&resource);
    return tracer;
}

static struct tl_tracer *tracer_find(const struct tl_tracer_provider *provider,
                                     const struct tl_scope *given)
{
    struct tl_tracer *tracer = atomic_load_explicit(&provider->tracers, memory_order_acquire);

    while (tracer && !scope_is(&tracer->scope, given))
        tracer = tracer->next;
    return tracer;
}

struct tl_tracer *tl_tracer_get(struct tl_tracer_provider *provider, const struct tl_scope *given)
{
    const int saved = errno;
    struct tl_tracer *tracer;

    provider = provider ? provider : tl_tracer_provider_global();
    if (!provider)
        return NULL;
    tracer = tracer_find(provider, given);
    if (!tracer) {
        // Made outside the lock: it asks the program whether it is enabled.
        struct tl_tracer *made = tracer_new(provider, given);

        pthread_mutex_lock(&provider->lock);
        tracer = tracer_find(provider, given);
        if (!tracer && made) {
            made->next = atomic_load(&provider->tracers);
            atomic_store_explicit(&provider->tracers, made, memory_order_release);
            tracer = made;
            made = NULL;
        }
        pthread_mutex_unlock(&provider->lock);
        if (made) {
            scope_done(&made->scope);
            free(made);
        }
    }
    errno = saved;
    return tracer;
}

bool tl_tracer_enabled(const struct tl_tracer *tracer)
{
    tracer = tracer ? tracer : tracer_default();
    return tracer && tracer->is_enabled && tracer->provider->processor_count > 0 &&
           !atomic_load_explicit(&tracer->provider->is_shut, memory_order_relaxed) &&
           sampler_may_record(tracer->provider->sampler);
}

int tl_tracer_provider_flush(struct tl_tracer_provider *provider, uint64_t timeout_ms)
{
    const uint64_t deadline_ns = clock_after_ms(clock_mono_ns(), timeout_ms);
    int result = 0;

    for (size_t i = 0; provider && i < provider->processor_count; i++) {
        const struct tl_span_processor *processor = &provider->processors[i];
        const int failed =
            processor->flush ? processor->flush(processor->self, clock_left_ms(deadline_ns)) : 0;

        result = result ? result : failed;
    }
    return result;
}

int tl_tracer_provider_shutdown(struct tl_tracer_provider *provider, uint64_t timeout_ms)
{
    const uint64_t deadline_ns = clock_after_ms(clock_mono_ns(), timeout_ms);
    int result = 0;

    if (!provider)
        return 0;
    if (atomic_exchange(&provider->is_shut, true))
        return -EALREADY;
    for (size_t i = 0; i < provider->processor_count; i++) {
        const struct tl_span_processor *processor = &provider->processors[i];
        const int failed = processor->shutdown
                               ? processor->shutdown(processor->self, clock_left_ms(deadline_ns))
                               : 0;

        result = result ? result : failed;
    }
    return result;
}

void tl_tracer_provider_free(struct tl_tracer_provider *provider)
{
    if (!provider)
        return;
    atomic_store(&provider->is_shut, true);
    for (size_t i = 0; i < provider->processor_count; i++)
        processor_end(&provider->processors[i]);
    for (struct tl_tracer *tracer = atomic_load(&provider->tracers); tracer;) {
        struct tl_tracer *next = tracer->next;

        scope_done(&tracer->scope);
        free(tracer);
        tracer = next;
    }
    if (provider->has_ids && provider->ids.free)
        provider->ids.free(provider->ids.self);
    tl_sampler_unref(provider->sampler);
    tl_resource_unref(provider->resource);
    pthread_mutex_destroy(&provider->lock);
    free(provider);
}
