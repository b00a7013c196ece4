// SPDX-License-Identifier: Apache-2.0
// Loggers and their provider: who may record, whose trace a record belongs to, and the way through
// the processors. No lock: loggers are added to a list that only grows, which a fork leaves whole.

#include "libtrace/sdk/logs/logger.h"

#include <errno.h>
#include <stdlib.h>

#include "libtrace/base/clock.h"
#include "libtrace/sdk/encode.h"
#include "libtrace/sdk/resource/resource.h"
#include "libtrace/sdk/stats.h"
#include "libtrace/sdk/thread.h"
#include "libtrace/sdk/trace/tracer.h"

// What was handed over is the provider's also when there will be none.
static void options_drop(const struct tl_logger_provider_options *options)
{
    for (size_t i = 0; i < options->processor_count; i++) {
        if (options->processors[i].free)
            options->processors[i].free(options->processors[i].self);
    }
    tl_resource_unref(options->resource);
}

struct tl_logger_provider *tl_logger_provider_new(const struct tl_logger_provider_options *options)
{
    static const struct tl_logger_provider_options none;
    const int saved = errno;
    struct tl_logger_provider *provider;
    uint32_t length;

    options = options ? options : &none;
    provider = options->processor_count <= LOG_PROCESSORS_MAX ? calloc(1, sizeof *provider) : NULL;
    errno = saved;
    if (!provider) {
        options_drop(options);
        return NULL;
    }
    provider->resource = options->resource; // NULL: the default one, also in a child of fork
    provider->all_asked = true;
    for (size_t i = 0; i < options->processor_count; i++) {
        provider->processors[i] = options->processors[i];
        provider->sinks[i] = log_processor_sink(&options->processors[i]);
        provider->has_custom |= !provider->sinks[i];
        provider->all_asked &= options->processors[i].is_enabled != NULL;
    }
    provider->processor_count = options->processor_count;
    length = limit_of(options->limits.attribute_value_length, TL_UNLIMITED);
    provider->limits = (struct log_limits){
        .attribute_count = limit_of(options->limits.attribute_count, 128),
        .length_max = length == TL_UNLIMITED ? ENCODE_UNLIMITED : (int64_t)length,
    };
    provider->configure = options->configure;
    provider->configure_self = options->configure_self;
    return provider;
}

static void logger_free(struct tl_logger *logger)
{
    if (!logger)
        return;
    scope_done(&logger->scope);
    free(logger);
}

static struct tl_logger *logger_new(struct tl_logger_provider *provider,
                                    const struct tl_scope *given)
{
    struct tl_logger *logger = calloc(1, sizeof *logger);
    struct bytes resource = {.limit = 64 * 1024};

    if (!logger)
        return NULL;
    if (scope_init(&logger->scope, given) != 0) {
        free(logger);
        return NULL;
    }
    logger->provider = provider;
    if (provider->configure)
        provider->configure(provider->configure_self, &logger->scope.as, &logger->config);
    resource_group_write(&resource, provider->resource);
    for (size_t i = 0; i < provider->processor_count; i++) {
        logger->entries[i] = UINT32_MAX;
        if (provider->sinks[i] && !resource.is_failed)
            logger->entries[i] =
                log_sink_entry(provider->sinks[i], bytes_str(&resource), logger->scope.encoded);
    }
    bytes_done(&resource);
    return logger;
}

// Between `from` and `until`, which is older.
static struct tl_logger *logger_find(struct tl_logger *from, const struct tl_logger *until,
                                     const struct tl_scope *given)
{
    for (struct tl_logger *logger = from; logger && logger != until; logger = logger->next) {
        if (scope_is(&logger->scope, given))
            return logger;
    }
    return NULL;
}

static struct tl_logger *logger_get(struct tl_logger_provider *provider,
                                    const struct tl_scope *given)
{
    struct tl_logger *head = atomic_load_explicit(&provider->loggers, memory_order_acquire);
    struct tl_logger *logger = logger_find(head, NULL, given);
    struct tl_logger *made;

    if (logger)
        return logger;
    // Scopes made of data would grow without end: what is too much has no name.
    if (atomic_load(&provider->logger_count) >= LOGGERS_MAX) {
        stats_add(&sdk_stats, SDK_misuses, 1);
        return atomic_load(&provider->nameless);
    }
    made = logger_new(provider, given);
    while (made) {
        made->next = head;
        if (atomic_compare_exchange_weak(&provider->loggers, &head, made)) {
            atomic_fetch_add(&provider->logger_count, 1);
            return made;
        }
        // Others were added; one of them may be it.
        logger = logger_find(head, made->next, given);
        if (logger) {
            logger_free(made);
            return logger;
        }
    }
    return NULL;
}

static struct tl_logger *nameless_of(struct tl_logger_provider *provider)
{
    struct tl_logger *logger = atomic_load_explicit(&provider->nameless, memory_order_acquire);

    if (!logger) {
        logger = logger_get(provider, NULL);
        atomic_store_explicit(&provider->nameless, logger, memory_order_release);
    }
    return logger;
}

struct tl_logger *tl_logger_get(struct tl_logger_provider *provider, const struct tl_scope *given)
{
    const int saved = errno;
    struct tl_logger *logger = NULL;

    provider = provider ? provider : tl_logger_provider_global();
    // The first one is what the last ones fall back to.
    if (provider && nameless_of(provider))
        logger = given ? logger_get(provider, given) : nameless_of(provider);
    errno = saved;
    return logger;
}

struct tl_logger *logger_default(void)
{
    struct tl_logger_provider *provider = tl_logger_provider_global();
    struct tl_logger *logger;
    int saved;

    if (!provider)
        return NULL;
    logger = atomic_load_explicit(&provider->nameless, memory_order_acquire);
    if (logger)
        return logger;
    saved = errno;
    logger = nameless_of(provider);
    errno = saved;
    return logger;
}

static bool config_takes(const struct tl_logger_config *config, enum tl_severity severity)
{
    return !config->is_disabled &&
           (severity == TL_SEVERITY_NONE || severity >= config->minimum_severity);
}

// A logger that keeps records of sampled traces only lets those of no trace pass.
static bool trace_passes(const struct tl_logger_config *config, const struct tl_span_context *span)
{
    return !config->trace_based || !tl_span_context_is_valid(span) ||
           (span->flags & TL_FLAG_SAMPLED) != 0;
}

static struct tl_span_context span_of(struct tl_context *context)
{
    return context ? tl_context_span_context(context) : thread_span_context();
}

bool tl_log_enabled(const struct tl_logger *logger, enum tl_severity severity,
                    const char *event_name, struct tl_context *context)
{
    const struct tl_logger_provider *provider;

    logger = logger ? logger : logger_default();
    if (!logger)
        return false;
    provider = logger->provider;
    if (provider->processor_count == 0 || !config_takes(&logger->config, severity) ||
        atomic_load_explicit(&provider->is_shut, memory_order_relaxed))
        return false;
    if (logger->config.trace_based) {
        const struct tl_span_context span = span_of(context);

        if (!trace_passes(&logger->config, &span))
            return false;
    }
    if (!provider->all_asked)
        return true;
    for (size_t i = 0; i < provider->processor_count; i++) {
        if (provider->processors[i].is_enabled(provider->processors[i].self, severity, event_name,
                                               context, &logger->scope.as))
            return true;
    }
    return false;
}

// A processor of the program's own may change its copy; those behind it see that.
static void processors_call(const struct tl_logger *logger, const struct log_call *given)
{
    const struct tl_logger_provider *provider = logger->provider;
    struct tl_log_record record = *given->record;
    struct log_call call = {.logger = logger, .record = &record};
    const int saved = errno;

    record.span = given->span;
    record.observed_ns = given->observed_ns;
    call.former = log_call_swap(&call);
    call.depth = call.former ? call.former->depth + 1 : 0;
    // A processor that emits for each record it is given would never end.
    if (call.depth >= LOG_DEPTH_MAX) {
        stats_add(&sdk_stats, SDK_misuses, 1);
        log_call_swap(call.former);
        return;
    }
    for (size_t i = 0; i < provider->processor_count; i++) {
        const struct tl_log_processor *processor = &provider->processors[i];

        call.span = record.span;
        call.observed_ns = record.observed_ns;
        if (provider->sinks[i])
            log_sink_emit(provider->sinks[i], &call, logger->entries[i]);
        else if (processor->on_emit)
            processor->on_emit(processor->self, &record, &logger->scope.as);
    }
    log_call_swap(call.former);
    errno = saved;
}

// Whose trace the record belongs to; NULL: none. Where it is not the caller's own, it is put into
// *room.
static const struct tl_span_context *span_find(const struct tl_log_record *record,
                                               const struct thread *thread,
                                               struct tl_span_context *room)
{
    if (record->span)
        return record->span;
    if (!record->context && (!thread || (!thread->span && !thread->context)))
        return NULL;
    *room = span_of(record->context);
    return room;
}

void tl_log_emit(struct tl_logger *logger, const struct tl_log_record *record)
{
    struct thread *thread = thread_get();
    const struct tl_logger_provider *provider;
    struct tl_span_context room;
    struct log_call call;

    logger = logger ? logger : logger_default();
    if (!logger || !record) {
        stats_add(&sdk_stats, SDK_misuses, record == NULL);
        return;
    }
    provider = logger->provider;
    if (atomic_load_explicit(&provider->is_shut, memory_order_relaxed)) {
        stats_add(&sdk_stats, SDK_misuses, 1);
        return;
    }
    if (!config_takes(&logger->config, record->severity))
        return;
    call.logger = logger;
    call.record = record;
    call.span = span_find(record, thread, &room);
    if (!trace_passes(&logger->config, call.span))
        return;
    call.observed_ns = record->observed_ns;
    if (!call.observed_ns)
        call.observed_ns = thread ? tick_now(&thread->tick) : clock_unix_ns();
    if (thread)
        thread_count(&thread->logs);
    if (provider->has_custom) {
        processors_call(logger, &call);
        return;
    }
    for (size_t i = 0; i < provider->processor_count; i++)
        log_sink_emit(provider->sinks[i], &call, logger->entries[i]);
}

int tl_logger_provider_flush(struct tl_logger_provider *provider, uint64_t timeout_ms)
{
    const uint64_t deadline_ns = clock_after_ms(clock_mono_ns(), timeout_ms);
    const int saved = errno;
    int result = 0;

    for (size_t i = 0; provider && i < provider->processor_count; i++) {
        const struct tl_log_processor *processor = &provider->processors[i];
        const int failed =
            processor->flush ? processor->flush(processor->self, clock_left_ms(deadline_ns)) : 0;

        result = result ? result : failed;
    }
    errno = saved;
    return result;
}

int tl_logger_provider_shutdown(struct tl_logger_provider *provider, uint64_t timeout_ms)
{
    const uint64_t deadline_ns = clock_after_ms(clock_mono_ns(), timeout_ms);
    const int saved = errno;
    int result = 0;

    if (!provider)
        return 0;
    if (atomic_exchange(&provider->is_shut, true))
        return -EALREADY;
    for (size_t i = 0; i < provider->processor_count; i++) {
        const struct tl_log_processor *processor = &provider->processors[i];
        const int failed = processor->shutdown
                               ? processor->shutdown(processor->self, clock_left_ms(deadline_ns))
                               : 0;

        result = result ? result : failed;
    }
    errno = saved;
    return result;
}

void tl_logger_provider_free(struct tl_logger_provider *provider)
{
    if (!provider)
        return;
    atomic_store(&provider->is_shut, true);
    for (size_t i = 0; i < provider->processor_count; i++) {
        if (provider->processors[i].free)
            provider->processors[i].free(provider->processors[i].self);
    }
    for (struct tl_logger *logger = atomic_load(&provider->loggers); logger;) {
        struct tl_logger *next = logger->next;

        logger_free(logger);
        logger = next;
    }
    tl_resource_unref(provider->resource);
    free(provider);
}
