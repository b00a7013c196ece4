// SPDX-License-Identifier: Apache-2.0
// How a stream finds and makes its series. A series is one allocation: the attributes, their
// encoding and the cell lie behind it. It is found without a lock and made under the stream's.

#include "libtrace/sdk/metrics/stream.h"

#include <errno.h>
#include <stdlib.h>

#include "libtrace/base/clock.h"
#include "libtrace/sdk/encode.h"
#include "libtrace/sdk/metrics/metric_write.h"
#include "libtrace/sdk/metrics/reader.h"
#include "libtrace/sdk/stats.h"
#include "libtrace/sdk/thread.h"

enum { TABLE_SLOTS_MIN = 8 };

// How long a collection waits for the measurements that are under way.
#define SWEEP_WAIT_NS (100 * NS_PER_MS)

static const struct tl_attribute OVERFLOW_SET[] = {
    {"otel.metric.overflow", 20, {TL_TYPE_BOOL, 0, {.boolean = true}}}};

static size_t cell_bytes(const struct stream *stream)
{
    switch (stream->cell) {
    case CELL_EXPLICIT:
        return sizeof(struct histogram) + (stream->boundary_count + 1) * sizeof(uint64_t);
    case CELL_EXPONENTIAL:
        return exponential_bytes(stream->max_size);
    default:
        return 0;
    }
}

void series_record_exponential(struct series *series, double value)
{
    series_lock(series);
    exponential_record(series->cell, value);
    series_unlock(series);
}

// As after the first measurement that has not come yet.
void stream_cell_reset(const struct stream *stream, struct series *series)
{
    struct histogram *histogram = series->cell;

    atomic_store_explicit(&series->value, 0, memory_order_relaxed);
    if (stream->cell == CELL_EXPONENTIAL)
        exponential_reset(series->cell);
    if (stream->cell != CELL_EXPLICIT)
        return;
    histogram->sum = 0;
    histogram->min = __builtin_inf();
    histogram->max = -__builtin_inf();
    memset(histogram->counts, 0, (stream->boundary_count + 1) * sizeof(uint64_t));
}

static struct series *series_new(const struct stream *stream, const struct tl_attribute *attributes,
                                 size_t count, uint64_t now_ns)
{
    const size_t set = set_room(attributes, count);
    const size_t cell = (cell_bytes(stream) + 63) & ~(size_t)63;
    const size_t head = (sizeof(struct series) + 63) & ~(size_t)63;
    size_t encoded = 0;
    struct series *series;
    uint8_t *to;

    if (set == SIZE_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++)
        encoded += attribute_room(&attributes[i]);
    // Lines of its own: series that two threads write to must not share one.
    if (posix_memalign((void **)&series, 64, (head + cell + set + encoded + 63) & ~(size_t)63) != 0)
        return NULL;
    memset(series, 0, head + cell);
    series->cell = cell ? (uint8_t *)series + head : NULL;
    series->attributes = set_copy((uint8_t *)series + head + cell, attributes, count);
    series->attribute_count = (uint32_t)count;
    series->hash = set_hash(attributes, count);
    series->start_ns = now_ns;
    to = (uint8_t *)series + head + cell + set;
    series->encoded.at = (const char *)to;
    for (size_t i = 0; i < count; i++)
        to = attribute_put(to, point_attributes_number(stream->cell), &series->attributes[i],
                           ENCODE_UNLIMITED);
    series->encoded.len = (size_t)((const char *)to - series->encoded.at);
    if (stream->cell == CELL_EXPONENTIAL)
        exponential_init(series->cell, stream->max_size, stream->max_scale);
    else
        stream_cell_reset(stream, series);
    return series;
}

static void series_free(const struct stream *stream, struct series *series)
{
    if (!series)
        return;
    reservoir_free(stream, atomic_load(&series->reservoir));
    free(series);
}

// A table of all series that are not unlinked, with room for one more, in the place of the former.
static bool table_renew(struct stream *stream)
{
    struct table *former = atomic_load_explicit(&stream->table, memory_order_relaxed);
    size_t slots = TABLE_SLOTS_MIN;
    size_t linked = 0;
    struct table *table;

    for (struct series *each = stream->first; each; each = each->next)
        linked += !each->is_unlinked;
    while (slots < (linked + 1) * 2)
        slots *= 2;
    table = table_new(slots);
    if (!table)
        return false;
    for (struct series *each = stream->first; each; each = each->next) {
        if (!each->is_unlinked)
            table_put(table, each);
    }
    table->former = former;
    atomic_store_explicit(&stream->table, table, memory_order_release);
    return true;
}

static bool table_has_room(const struct stream *stream)
{
    const struct table *table = atomic_load_explicit(&stream->table, memory_order_relaxed);

    return table && ((size_t)stream->count + 1) * 2 <= table->mask + 1;
}

// When a series that is made now begins: at its first measurement; what is observed may have been
// there since the former collection.
static uint64_t first_ns(const struct stream *stream)
{
    if (!stream->is_observed)
        return clock_unix_ns();
    return stream->last_ns ? stream->last_ns : stream->created_ns;
}

struct series *stream_series(struct stream *stream, const struct tl_attribute *attributes,
                             size_t count)
{
    const uint64_t hash = set_hash(attributes, count);
    struct series *series = table_find(atomic_load_explicit(&stream->table, memory_order_acquire),
                                       hash, attributes, count);

    if (series)
        return series;
    if (stream->count >= stream->limit) {
        atomic_store_explicit(&stream->is_full, true, memory_order_relaxed);
        return stream->overflow;
    }
    if (!table_has_room(stream) && !table_renew(stream))
        return stream->overflow;
    series = series_new(stream, attributes, count, first_ns(stream));
    if (!series)
        return stream->overflow;
    *stream->last = series;
    stream->last = &series->next;
    stream->count++;
    table_put(atomic_load_explicit(&stream->table, memory_order_relaxed), series);
    return series;
}

void stream_record_slowly(struct stream *stream, union number value, const struct offer *offer)
{
    struct tl_attribute set[SET_ATTRIBUTES_MAX];
    const int saved = errno;
    const size_t count = set_normal(&stream->filter, offer->attributes, offer->count, set, NULL);
    struct series *series;

    reader_wake(stream->reader);
    // Its making takes a lock, and must not do so under ours: a fork takes them the other way.
    thread_get();
    pthread_mutex_lock(stream->lock);
    series = stream_series(stream, set, count);
    if (series == stream->overflow && !atomic_load(&series->is_touched))
        series->start_ns = first_ns(stream);
    series_record(stream, series, value);
    // The lock, not a section, keeps the series here.
    if (stream->exemplars == TL_EXEMPLARS_ALWAYS_ON ||
        (stream->exemplars == TL_EXEMPLARS_TRACE_BASED && offer->span.flags & TL_FLAG_SAMPLED))
        exemplar_offer(stream, series, offer);
    pthread_mutex_unlock(stream->lock);
    errno = saved;
}

void stream_observe_begin(struct stream *stream)
{
    pthread_mutex_lock(stream->lock);
    for (struct series *each = stream->first; each; each = each->next)
        atomic_store(&each->is_touched, false);
    atomic_store(&stream->overflow->is_touched, false);
    pthread_mutex_unlock(stream->lock);
}

void stream_observe(struct stream *stream, union number value,
                    const struct tl_attribute *attributes, size_t count)
{
    struct tl_attribute set[SET_ATTRIBUTES_MAX];
    const struct offer offer = {.value = value, .attributes = attributes, .count = count};
    struct series *series;
    size_t invalid = 0;
    union number sum;

    count = set_normal(&stream->filter, attributes, count, set, &invalid);
    if (invalid)
        stats_add(&sdk_stats, SDK_invalid_values, invalid);
    thread_get();
    pthread_mutex_lock(stream->lock);
    series = stream_series(stream, set, count);
    sum.bits = atomic_load(&series->value);
    if (!atomic_load(&series->is_touched) || stream->cell == CELL_LAST ||
        !(stream->is_filtered || series == stream->overflow))
        sum = value;
    else if (stream->is_double)
        sum.real += value.real;
    else
        sum.bits += value.bits;
    atomic_store(&series->value, sum.bits);
    atomic_store(&series->is_touched, true);
    if (stream->exemplars == TL_EXEMPLARS_ALWAYS_ON)
        exemplar_offer(stream, series, &offer);
    pthread_mutex_unlock(stream->lock);
}

// Takes them out of the list; the table does not know them any more.
static struct series *unlinked_take(struct stream *stream)
{
    struct series *taken = NULL;
    struct series **end = &taken;
    struct series **at = &stream->first;

    while (*at) {
        struct series *each = *at;

        if (!each->is_unlinked) {
            at = &each->next;
            continue;
        }
        *at = each->next;
        each->next = NULL;
        *end = each;
        end = &each->next;
        stream->count--;
    }
    stream->last = at;
    return taken;
}

struct series *stream_sweep(struct stream *stream)
{
    // More than half of the limit: the next interval begins with all of it. Less: the series stay,
    // so that the usual ones are allocated once.
    const bool all = !stream->is_observed && (uint64_t)stream->count * 2 > stream->limit;
    struct table *table;
    size_t found = 0;

    for (struct series *each = stream->first; each; each = each->next) {
        each->is_unlinked = each->bound == 0 && (all || !atomic_load(&each->is_touched));
        found += each->is_unlinked;
    }
    if (!found || !table_renew(stream))
        return NULL;
    if (!stream->is_observed && !guard_synchronize(clock_mono_ns() + SWEEP_WAIT_NS)) {
        for (struct series *each = stream->first; each; each = each->next)
            each->is_unlinked = false;
        table_renew(stream);
        return NULL;
    }
    table = atomic_load(&stream->table);
    tables_free(table->former);
    table->former = NULL;
    atomic_store_explicit(&stream->is_full, false, memory_order_relaxed);
    return unlinked_take(stream);
}

void stream_series_free(const struct stream *stream, struct series *list)
{
    while (list) {
        struct series *next = list->next;

        series_free(stream, list);
        list = next;
    }
}

void stream_unbind(struct stream *stream, struct series *series)
{
    pthread_mutex_lock(stream->lock);
    series->bound--;
    pthread_mutex_unlock(stream->lock);
}

// The parent's threads may have been in the middle of any series: none of them is touched again.
void stream_forked(struct stream *stream, uint64_t now_ns)
{
    struct table *table = atomic_load(&stream->table);
    struct series *overflow = series_new(stream, OVERFLOW_SET, 1, now_ns);

    *stream->last = stream->inherited;
    stream->inherited = stream->first;
    stream->first = NULL;
    stream->last = &stream->first;
    stream->count = 0;
    atomic_store(&stream->is_full, false);
    if (table) {
        struct table *oldest = table;

        while (oldest->former)
            oldest = oldest->former;
        oldest->former = stream->inherited_tables;
        stream->inherited_tables = table;
        atomic_store(&stream->table, NULL);
    }
    if (overflow) {
        stream->overflow->next = stream->inherited;
        stream->inherited = stream->overflow;
        stream->overflow = overflow;
    }
    stream->created_ns = now_ns;
    stream->last_ns = 0;
}

// Made UTF-8, with a NUL behind it.
static struct str text_keep(struct arena *arena, const char *text)
{
    const size_t len = text ? strlen(text) : 0;
    char *copy = arena_take(arena, 3 * len + 1);

    if (!copy)
        return (struct str){NULL, 0};
    return (struct str){copy, text_copy((uint8_t *)copy, text, len)};
}

static bool keys_copy(struct stream *stream, const struct str *keys, size_t count,
                      const struct str **out)
{
    struct str *copies = arena_take(&stream->arena, count * sizeof *copies);

    if (count && !copies)
        return false;
    for (size_t i = 0; i < count; i++) {
        copies[i] = arena_copy(&stream->arena, keys[i]);
        if (!copies[i].at)
            return false;
    }
    *out = copies;
    return true;
}

static bool plan_copy(struct stream *stream, const struct stream_plan *plan)
{
    const struct tl_aggregation *aggregation = &plan->aggregation;
    double *boundaries;

    stream->name = text_keep(&stream->arena, plan->name);
    stream->unit = text_keep(&stream->arena, plan->unit);
    stream->description = text_keep(&stream->arena, plan->description);
    stream->filter = plan->filter;
    stream->is_filtered = !key_filter_is_open(&plan->filter);
    if (!stream->name.at || !stream->unit.at || !stream->description.at ||
        !keys_copy(stream, plan->filter.keep, plan->filter.keep_count, &stream->filter.keep) ||
        !keys_copy(stream, plan->filter.drop, plan->filter.drop_count, &stream->filter.drop))
        return false;
    if (plan->reservoir) {
        stream->reservoir = *plan->reservoir;
        stream->has_reservoir = true;
    }
    stream->no_min_max = aggregation->no_min_max;
    stream->max_size = aggregation->max_size;
    stream->max_scale = aggregation->max_scale;
    if (stream->cell != CELL_EXPLICIT)
        return true;
    // One more than there are, so that there is a place to point at when there are none.
    boundaries = arena_take(&stream->arena, (aggregation->boundary_count + 1) * sizeof *boundaries);
    if (!boundaries)
        return false;
    if (aggregation->boundary_count)
        memcpy(boundaries, aggregation->boundaries,
               aggregation->boundary_count * sizeof *boundaries);
    stream->boundaries = boundaries;
    stream->boundary_count = (uint32_t)aggregation->boundary_count;
    return true;
}

static enum cell cell_of(const struct stream_plan *plan)
{
    switch (plan->aggregation.kind) {
    case TL_AGGREGATION_LAST_VALUE:
        return CELL_LAST;
    case TL_AGGREGATION_EXPLICIT_HISTOGRAM:
        return CELL_EXPLICIT;
    case TL_AGGREGATION_EXPONENTIAL_HISTOGRAM:
        return CELL_EXPONENTIAL;
    default:
        return plan->is_double ? CELL_SUM_DOUBLE : CELL_SUM;
    }
}

static bool keys_are(const struct str *a, size_t a_count, const struct str *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++) {
        if (!str_equal(a[i], b[i]))
            return false;
    }
    return true;
}

bool stream_is(const struct stream *stream, const struct stream_plan *plan)
{
    const struct tl_aggregation *aggregation = &plan->aggregation;
    const struct key_filter *filter = &plan->filter;

    if (stream->reader != plan->reader || stream->cell != cell_of(plan) ||
        stream->limit != plan->limit || stream->temporality != plan->temporality ||
        stream->no_min_max != aggregation->no_min_max ||
        stream->max_size != aggregation->max_size || stream->max_scale != aggregation->max_scale ||
        !str_equal(stream->name, str_of(plan->name)) ||
        !str_equal(stream->description, str_of(plan->description)) ||
        stream->has_reservoir != (plan->reservoir != NULL) ||
        (plan->reservoir &&
         memcmp(plan->reservoir, &stream->reservoir, sizeof stream->reservoir) != 0))
        return false;
    if (stream->filter.has_keep != filter->has_keep ||
        !keys_are(stream->filter.keep, stream->filter.keep_count, filter->keep,
                  filter->keep_count) ||
        !keys_are(stream->filter.drop, stream->filter.drop_count, filter->drop, filter->drop_count))
        return false;
    return stream->cell != CELL_EXPLICIT ||
           (stream->boundary_count == aggregation->boundary_count &&
            (stream->boundary_count == 0 || memcmp(stream->boundaries, aggregation->boundaries,
                                                   stream->boundary_count * sizeof(double)) == 0));
}

struct stream *stream_new(const struct stream_plan *plan)
{
    struct stream *stream = NULL;

    if (posix_memalign((void **)&stream, 64, sizeof *stream) != 0)
        return NULL;
    memset(stream, 0, sizeof *stream);
    arena_init(&stream->arena, 0);
    stream->reader = plan->reader;
    stream->scope = plan->scope;
    stream->kind = plan->kind;
    stream->is_double = plan->is_double;
    stream->is_observed = kind_is_observed(plan->kind);
    stream->is_monotonic = plan->kind == TL_COUNTER || plan->kind == TL_HISTOGRAM ||
                           plan->kind == TL_OBSERVABLE_COUNTER;
    stream->has_sum = stream->is_monotonic;
    stream->cell = cell_of(plan);
    stream->temporality = plan->temporality;
    stream->limit = plan->limit;
    stream->exemplars = plan->exemplars;
    stream->created_ns = plan->created_ns;
    stream->last = &stream->first;
    stream->lock = &plan->reader->streams_lock;
    if (!plan_copy(stream, plan)) {
        stream_free(stream);
        return NULL;
    }
    // Made at once: what finds no memory later must still be counted somewhere.
    stream->overflow = series_new(stream, OVERFLOW_SET, 1, plan->created_ns);
    if (!stream->overflow) {
        stream_free(stream);
        return NULL;
    }
    return stream;
}

void stream_free(struct stream *stream)
{
    if (!stream)
        return;
    stream_series_free(stream, stream->first);
    stream_series_free(stream, stream->inherited);
    series_free(stream, stream->overflow);
    tables_free(atomic_load(&stream->table));
    tables_free(stream->inherited_tables);
    arena_done(&stream->arena);
    free(stream);
}
