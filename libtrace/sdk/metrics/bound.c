// SPDX-License-Identifier: Apache-2.0
// Bound instruments: the series of one attribute set, found once for each list of streams. A change
// of views gives the instrument another list; the next measurement finds its series anew. Former
// bindings live as long as the handle: another thread may still be using one.

#include <errno.h>
#include <stdlib.h>

#include "libtrace/sdk/metrics/measure.h"
#include "libtrace/sdk/metrics/reader.h"
#include "libtrace/sdk/stats.h"

struct binding {
    struct stream_list *list;
    struct binding *former;
    int only; // the cell of a single stream; -1: there are several, or none
    struct series *series[];
};

struct tl_bound {
    struct tl_instrument *instrument;
    _Atomic(struct binding *) binding;
    size_t count;
    struct tl_attribute *attributes;
    _Alignas(16) uint8_t room[];
};

static struct series *series_bind(struct stream *stream, const struct tl_bound *bound)
{
    struct tl_attribute set[SET_ATTRIBUTES_MAX];
    const size_t count = set_normal(&stream->filter, bound->attributes, bound->count, set, NULL);
    struct series *series;

    reader_wake(stream->reader);
    pthread_mutex_lock(stream->lock);
    series = stream_series(stream, set, count);
    series->bound++;
    pthread_mutex_unlock(stream->lock);
    return series;
}

static void binding_free(struct binding *binding)
{
    for (size_t i = 0; i < binding->list->count; i++)
        stream_unbind(binding->list->streams[i], binding->series[i]);
    free(binding);
}

// The binding for that list; NULL without memory.
static struct binding *bind(struct tl_bound *bound, struct stream_list *list)
{
    struct binding *seen = atomic_load_explicit(&bound->binding, memory_order_acquire);
    struct binding *made;

    for (struct binding *each = seen; each; each = each->former) {
        if (each->list == list)
            return each;
    }
    made = calloc(1, sizeof *made + list->count * sizeof made->series[0]);
    if (!made)
        return NULL;
    made->list = list;
    made->only = list->count == 1 ? (int)list->streams[0]->cell : -1;
    if (made->only == CELL_EXPLICIT && !list->streams[0]->is_double)
        made->only = -1;
    for (size_t i = 0; i < list->count; i++)
        made->series[i] = series_bind(list->streams[i], bound);
    // Nobody is asked which one is newer: an old one in front only means another search.
    made->former = seen;
    while (!atomic_compare_exchange_weak(&bound->binding, &made->former, made)) {
    }
    return made;
}

// The list of now, counted as used until list_release.
static struct stream_list *list_hold(const struct tl_instrument *instrument)
{
    const uint64_t ticket = guard_enter();
    struct stream_list *list = atomic_load_explicit(&instrument->streams, memory_order_acquire);

    atomic_fetch_add(&list->under_way, 1);
    guard_leave(ticket);
    return list;
}

static void list_release(struct stream_list *list)
{
    atomic_fetch_sub(&list->under_way, 1);
}

// Binds to the list of now; false without memory.
static bool bind_now(struct tl_bound *bound)
{
    struct stream_list *list = list_hold(bound->instrument);
    const bool is_done = bind(bound, list) != NULL;

    list_release(list);
    return is_done;
}

struct tl_bound *tl_bound_new(struct tl_instrument *instrument,
                              const struct tl_attribute *attributes, size_t count)
{
    static const struct key_filter open;
    struct tl_attribute set[SET_ATTRIBUTES_MAX];
    const int saved = errno;
    struct tl_bound *bound = NULL;
    size_t invalid = 0;
    size_t room;

    if (!instrument)
        return NULL;
    count = set_normal(&open, attributes, attributes ? count : 0, set, &invalid);
    if (invalid)
        stats_add(&sdk_stats, SDK_invalid_values, invalid);
    room = set_room(set, count);
    if (room != SIZE_MAX)
        bound = calloc(1, sizeof *bound + room);
    if (bound) {
        bound->instrument = instrument;
        bound->count = count;
        bound->attributes = set_copy(bound->room, set, count);
    }
    if (bound && !bind_now(bound)) {
        free(bound);
        bound = NULL;
    }
    errno = saved;
    return bound;
}

void tl_bound_free(struct tl_bound *bound)
{
    struct binding *binding = bound ? atomic_load(&bound->binding) : NULL;

    while (binding) {
        struct binding *former = binding->former;

        binding_free(binding);
        binding = former;
    }
    free(bound);
}

static __attribute__((noinline)) void bound_offer(struct tl_bound *bound,
                                                  const struct binding *binding, union number value)
{
    struct offer offer = {.value = value, .attributes = bound->attributes, .count = bound->count};

    if (thread_has_span()) {
        offer.context = thread_context();
        offer.span = thread_span_context();
    }
    if (bound->instrument->exemplars != TL_EXEMPLARS_ALWAYS_ON &&
        !(offer.span.flags & TL_FLAG_SAMPLED))
        return;
    for (size_t i = 0; i < binding->list->count; i++)
        exemplar_offer(binding->list->streams[i], binding->series[i], &offer);
}

static inline bool may_be_offered(const struct tl_instrument *instrument)
{
    return instrument->exemplars == TL_EXEMPLARS_ALWAYS_ON ||
           (instrument->exemplars == TL_EXEMPLARS_TRACE_BASED && thread_has_span());
}

// Without a binding for the list of now, or without a section.
static __attribute__((noinline)) void measure_anew(struct tl_bound *bound, union number value)
{
    const int saved = errno;
    struct stream_list *list = list_hold(bound->instrument);
    const struct binding *binding = bind(bound, list);

    if (!binding)
        signal_add(TL_METRICS, LOSS_NO_MEMORY, 1);
    for (size_t i = 0; binding && i < list->count; i++)
        series_record(list->streams[i], binding->series[i], value);
    if (binding && may_be_offered(bound->instrument))
        bound_offer(bound, binding, value);
    list_release(list);
    errno = saved;
}

// Within a section: the cell, and the exemplar when there may be one.
static __attribute__((noinline)) void
binding_record(struct tl_bound *bound, const struct binding *binding, union number value)
{
    for (size_t i = 0; i < binding->list->count; i++)
        series_record(binding->list->streams[i], binding->series[i], value);
    if (may_be_offered(bound->instrument))
        bound_offer(bound, binding, value);
}

// A section with the binding for the instrument's list of now; 0: there is none.
static inline uint64_t binding_enter(struct tl_bound *bound, const struct binding **out_binding)
{
    const uint64_t ticket = guard_enter();
    const struct binding *binding = atomic_load_explicit(&bound->binding, memory_order_acquire);

    *out_binding = binding;
    if (__builtin_expect(ticket &&
                             binding->list == atomic_load_explicit(&bound->instrument->streams,
                                                                   memory_order_acquire),
                         1))
        return ticket;
    guard_leave(ticket);
    return 0;
}

static __attribute__((noinline)) void refuse(const struct tl_bound *bound)
{
    if (bound)
        stats_add(&sdk_stats, bound->instrument->is_observed ? SDK_misuses : SDK_invalid_values, 1);
}

void tl_bound_measure(struct tl_bound *bound, int64_t value)
{
    const struct binding *binding;
    union number number;
    uint64_t ticket;

    if (!bound || !value_of_integer(bound->instrument, value, &number)) {
        refuse(bound);
        return;
    }
    ticket = binding_enter(bound, &binding);
    if (!ticket) {
        measure_anew(bound, number);
        return;
    }
    // The usual one: a single sum, and no span.
    if (__builtin_expect(binding->only == CELL_SUM && !may_be_offered(bound->instrument), 1)) {
        atomic_fetch_add_explicit(&binding->series[0]->value, number.bits, memory_order_relaxed);
        series_touch(binding->series[0]);
    } else {
        binding_record(bound, binding, number);
    }
    guard_leave(ticket);
}

void tl_bound_measure_double(struct tl_bound *bound, double value)
{
    const struct binding *binding;
    union number number;
    uint64_t ticket;

    if (!bound || !value_of_double(bound->instrument, value, &number)) {
        refuse(bound);
        return;
    }
    ticket = binding_enter(bound, &binding);
    if (!ticket) {
        measure_anew(bound, number);
        return;
    }
    if (__builtin_expect(binding->only == CELL_EXPLICIT && !may_be_offered(bound->instrument), 1)) {
        histogram_record(binding->list->streams[0], binding->series[0], value);
        series_touch(binding->series[0]);
    } else {
        binding_record(bound, binding, number);
    }
    guard_leave(ticket);
}
