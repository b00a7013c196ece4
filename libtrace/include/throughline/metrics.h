// SPDX-License-Identifier: Apache-2.0
// Metrics (specification 1.60, "Metrics API"). An instrument lives as long as its meter, a meter as
// long as its provider; neither is freed by the caller.
//
// A measurement allocates nothing once its attribute set was seen. A bound instrument has its
// attribute set found already: one atomic addition a measurement.

#pragma once

#include <throughline/context.h>

TL_BEGIN

struct tl_meter;
struct tl_meter_provider;
struct tl_instrument;
struct tl_bound;
struct tl_observer;
struct tl_callback;

// As tl_tracer_get.
TL_API struct tl_meter *tl_meter_get(struct tl_meter_provider *provider,
                                     const struct tl_scope *scope);

// Metrics of the default provider. Setting leaves it the caller's; NULL puts the one made from
// OTEL_* back.
TL_API struct tl_meter_provider *tl_meter_provider_global(void);
TL_API void tl_meter_provider_global_set(struct tl_meter_provider *provider);

enum tl_instrument_kind {
    TL_COUNTER = 1,
    TL_UP_DOWN_COUNTER,
    TL_HISTOGRAM,
    TL_GAUGE,
    TL_OBSERVABLE_COUNTER,
    TL_OBSERVABLE_UP_DOWN_COUNTER,
    TL_OBSERVABLE_GAUGE,
};

// Zero what is not needed.
struct tl_instrument_options {
    enum tl_instrument_kind kind;
    bool is_double; // its values; else int64_t
    // A letter, then at most 254 of letters, digits, '_', '.', '-', '/': else the instrument works
    // and records nothing, and tl_stats.invalid_instruments counts it.
    const char *name;
    const char *unit;        // UCUM, at most 63 ASCII characters, kept as it is
    const char *description; // at most 1023 characters
    // Advice; a view wins. Boundaries ascend; attribute keys name what is kept by default.
    const double *boundaries;
    size_t boundary_count;
    bool has_boundaries; // also an empty list is advice: one bucket
    const char *const *attribute_keys;
    size_t attribute_key_count;
    bool has_attribute_keys;
};

// The instrument of that name (case-insensitive) and kind; the same again for the same options. A
// conflict gives a working instrument too and is counted. NULL meter: the default one. NULL without
// memory.
TL_API struct tl_instrument *tl_instrument_get(struct tl_meter *meter,
                                               const struct tl_instrument_options *options);

// Shorthands with integer values for counters and double values for the others.
TL_API struct tl_instrument *tl_counter(struct tl_meter *meter, const char *name, const char *unit,
                                        const char *description);
TL_API struct tl_instrument *tl_up_down_counter(struct tl_meter *meter, const char *name,
                                                const char *unit, const char *description);
TL_API struct tl_instrument *tl_histogram(struct tl_meter *meter, const char *name,
                                          const char *unit, const char *description);
TL_API struct tl_instrument *tl_gauge(struct tl_meter *meter, const char *name, const char *unit,
                                      const char *description);

// False when nobody would see a measurement made now.
TL_API bool tl_instrument_enabled(const struct tl_instrument *instrument);

// Measures: adds (counters), records (histograms), sets (gauges). A negative value for a counter or
// a histogram, and a value that is not a finite number, is dropped and counted. An integer given to
// an instrument of doubles is converted, a double given to one of integers is cut. The exemplar's
// trace is that of the thread's current context.
TL_API void tl_measure(struct tl_instrument *instrument, int64_t value,
                       const struct tl_attribute *attributes, size_t count);
TL_API void tl_measure_double(struct tl_instrument *instrument, double value,
                              const struct tl_attribute *attributes, size_t count);
// The same with the context given.
TL_API void tl_measure_in(struct tl_instrument *instrument, double value,
                          const struct tl_attribute *attributes, size_t count,
                          const struct tl_context *context);

// Bind. Free before the provider goes. NULL without memory.
TL_API struct tl_bound *tl_bound_new(struct tl_instrument *instrument,
                                     const struct tl_attribute *attributes, size_t count);
TL_API void tl_bound_free(struct tl_bound *bound);
TL_API void tl_bound_measure(struct tl_bound *bound, int64_t value);
TL_API void tl_bound_measure_double(struct tl_bound *bound, double value);

// Called once for each collection of each reader, on the collecting thread, and must not block.
// Observations are made with tl_observe, only inside the call and only of the instruments it was
// registered for.
typedef void tl_observe_function(void *self, struct tl_observer *observer);

// One callback for one or several observable instruments of one meter. Freeing it ends the calls
// and waits for one that runs (not from within itself). NULL without memory.
TL_API struct tl_callback *tl_callback_new(struct tl_instrument *const *instruments, size_t count,
                                           tl_observe_function *observe, void *self);
TL_API void tl_callback_free(struct tl_callback *callback);
TL_API void tl_observe(struct tl_observer *observer, struct tl_instrument *instrument,
                       int64_t value, const struct tl_attribute *attributes, size_t count);
TL_API void tl_observe_double(struct tl_observer *observer, struct tl_instrument *instrument,
                              double value, const struct tl_attribute *attributes, size_t count);

TL_END
