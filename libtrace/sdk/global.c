// SPDX-License-Identifier: Apache-2.0
// The global providers. Without a room above that reads the environment, the first use makes ones
// that write into the agent's ring.

#include "libtrace/sdk/global.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "libtrace/base/clock.h"
#include "libtrace/sdk/export/pipe.h"
#include "libtrace/sdk/logs/logger.h"
#include "libtrace/sdk/stats.h"
#include "libtrace/sdk/trace/tracer.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic bool is_made;
static _Atomic bool is_exiting;
static void (*maker)(void);
static _Thread_local bool is_making __attribute__((tls_model("initial-exec")));

static _Atomic(struct tl_tracer_provider *) tracers;
static _Atomic(struct tl_tracer_provider *) own_tracers;
static _Atomic(struct tl_tracer *) tracer;
static _Atomic(struct tl_meter_provider *) meters;
static _Atomic(struct tl_meter_provider *) own_meters;
static _Atomic(struct tl_logger_provider *) loggers;
static _Atomic(struct tl_logger_provider *) own_loggers;

void global_maker_set(void (*make)(void))
{
    maker = make;
}

static void make_all(void)
{
    const int saved = errno;
    struct tl_span_processor ring;
    struct tl_log_processor log_ring;
    struct tl_metric_reader *reader;

    is_making = true;
    if (maker) {
        maker();
    } else {
        ring = tl_span_processor_ring();
        global_default_tracer_provider(tl_tracer_provider_new(
            &(struct tl_tracer_provider_options){.processors = &ring, .processor_count = 1}));
        log_ring = tl_log_processor_ring();
        global_default_logger_provider(tl_logger_provider_new(
            &(struct tl_logger_provider_options){.processors = &log_ring, .processor_count = 1}));
        reader = tl_reader_ring(NULL);
        global_default_meter_provider(tl_meter_provider_new(&(struct tl_meter_provider_options){
            .readers = &reader, .reader_count = reader ? 1 : 0}));
    }
    is_making = false;
    atomic_store(&is_made, true);
    errno = saved;
}

void global_ensure(void)
{
    // What the maker calls may ask again.
    if (!atomic_load_explicit(&is_made, memory_order_acquire) && !is_making)
        pthread_once(&once, make_all);
}

void global_default_tracer_provider(struct tl_tracer_provider *provider)
{
    atomic_store(&own_tracers, provider);
}

void global_default_meter_provider(struct tl_meter_provider *provider)
{
    atomic_store(&own_meters, provider);
    // What the SDK tells of itself goes where the program's metrics go.
    tl_self_observe(provider);
}

void global_default_logger_provider(struct tl_logger_provider *provider)
{
    atomic_store(&own_loggers, provider);
}

struct tl_tracer_provider *tl_tracer_provider_global(void)
{
    struct tl_tracer_provider *set = atomic_load(&tracers);

    if (set)
        return set;
    global_ensure();
    return atomic_load(&own_tracers);
}

void tl_tracer_provider_global_set(struct tl_tracer_provider *provider)
{
    atomic_store(&tracers, provider);
    atomic_store(&tracer, NULL);
}

struct tl_tracer *tracer_default(void)
{
    struct tl_tracer *now = atomic_load_explicit(&tracer, memory_order_acquire);

    if (__builtin_expect(now == NULL, 0)) {
        static const struct tl_scope scope = {.name = "throughline"};

        struct tl_tracer_provider *const provider = atomic_load(&tracers);

        now = tl_tracer_get(provider, &scope);
        atomic_store(&tracer, now);
        // Another provider was set meanwhile: the tracer of the former one must not stay.
        if (atomic_load(&tracers) != provider)
            atomic_store(&tracer, NULL);
    }
    return now;
}

void tl_init(void)
{
    global_ensure();
    tracer_default();
    logger_default();
    pipe_threads_start();
}

struct tl_meter_provider *tl_meter_provider_global(void)
{
    struct tl_meter_provider *set = atomic_load(&meters);

    if (set)
        return set;
    global_ensure();
    return atomic_load(&own_meters);
}

void tl_meter_provider_global_set(struct tl_meter_provider *provider)
{
    atomic_store(&meters, provider);
}

struct tl_logger_provider *tl_logger_provider_global(void)
{
    struct tl_logger_provider *set = atomic_load(&loggers);

    if (set)
        return set;
    global_ensure();
    return atomic_load(&own_loggers);
}

void tl_logger_provider_global_set(struct tl_logger_provider *provider)
{
    atomic_store(&loggers, provider);
}

int tl_flush(uint64_t timeout_ms)
{
    const uint64_t deadline_ns = clock_after_ms(clock_mono_ns(), timeout_ms);
    const int traces = tl_tracer_provider_flush(atomic_load(&own_tracers), timeout_ms);
    const int logs =
        tl_logger_provider_flush(atomic_load(&own_loggers), clock_left_ms(deadline_ns));
    // Last: they tell what became of the others.
    const int metrics =
        tl_meter_provider_flush(atomic_load(&own_meters), clock_left_ms(deadline_ns));

    return traces ? traces : logs ? logs : metrics;
}

int tl_shutdown(uint64_t timeout_ms)
{
    const uint64_t deadline_ns = clock_after_ms(clock_mono_ns(), timeout_ms);
    const int traces = tl_tracer_provider_shutdown(atomic_load(&own_tracers), timeout_ms);
    const int logs =
        tl_logger_provider_shutdown(atomic_load(&own_loggers), clock_left_ms(deadline_ns));
    const int metrics =
        tl_meter_provider_shutdown(atomic_load(&own_meters), clock_left_ms(deadline_ns));

    return traces ? traces : logs ? logs : metrics;
}

// When the program leaves main or calls exit(3).
__attribute__((destructor)) static void at_exit(void)
{
    if (!atomic_exchange(&is_exiting, true) && atomic_load(&is_made))
        tl_shutdown(1000);
}

bool global_is_exiting(void)
{
    return atomic_load(&is_exiting);
}

void global_exit_first(void)
{
    // When it finds no memory the destructor is still there.
    (void)atexit(at_exit);
}

uint64_t tl_dropped(enum tl_signal signal)
{
    uint64_t dropped = 0;

    if (signal > TL_LOGS)
        return 0;
    for (int loss = LOSS_QUEUE_FULL; loss <= LOSS_UNDELIVERED; loss++)
        dropped += signal_get(signal, (enum sdk_loss)loss);
    return dropped;
}

void tl_stats_read(struct tl_stats *out_stats)
{
    if (!out_stats)
        return;
    for (unsigned signal = 0; signal < 3; signal++) {
        out_stats->dropped[signal] = tl_dropped((enum tl_signal)signal);
        out_stats->dropped_queue_full[signal] = signal_get(signal, LOSS_QUEUE_FULL);
        out_stats->dropped_no_memory[signal] = signal_get(signal, LOSS_NO_MEMORY);
        out_stats->dropped_export[signal] = signal_get(signal, LOSS_UNDELIVERED);
        out_stats->exported[signal] = signal_get(signal, EXPORTED);
    }
    out_stats->misuses = stats_get(&sdk_stats, SDK_misuses);
    out_stats->invalid_text = stats_get(&sdk_stats, SDK_invalid_text);
    out_stats->invalid_values = stats_get(&sdk_stats, SDK_invalid_values);
    out_stats->invalid_instruments = stats_get(&sdk_stats, SDK_invalid_instruments);
    out_stats->invalid_settings = stats_get(&sdk_stats, SDK_invalid_settings);
    out_stats->schema_conflicts = stats_get(&sdk_stats, SDK_schema_conflicts);
    out_stats->baggage_dropped = stats_get(&sdk_stats, SDK_baggage_dropped);
}
