// SPDX-License-Identifier: Apache-2.0
// Registering instruments: the rules of names, what is the same instrument, and what conflicts.

#include "libtrace/sdk/metrics/instrument.h"

#include <errno.h>
#include <stdlib.h>

#include "libtrace/base/clock.h"
#include "libtrace/sdk/metrics/reader.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"

enum { UNIT_MAX = 63, DESCRIPTION_CHARACTERS_MAX = 1023, KEYS_MAX = 128 };

static struct stream_list no_streams;

// Specification, "Instrument name syntax": a letter, then letters, digits, '_', '.', '-', '/'.
static bool name_is_valid(const char *name)
{
    size_t len = 0;

    for (; name && name[len]; len++) {
        const char c = name[len];
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (len >= TL_NAME_MAX)
            return false;
        if (!is_letter && (len == 0 || !((c >= '0' && c <= '9') || strchr("_.-/", c))))
            return false;
    }
    return len > 0;
}

// Bytes of the first so many characters.
static size_t characters(const char *text, size_t most)
{
    size_t len = 0;

    for (; text[len]; len++) {
        if (((unsigned char)text[len] & 0xc0) != 0x80 && most-- == 0)
            break;
    }
    return len;
}

static const char *cut_copy(struct arena *arena, const char *text, size_t most, bool *is_failed)
{
    const struct str copy =
        arena_format(arena, "%.*s", text ? (int)characters(text, most) : 0, text ? text : "");

    *is_failed |= !copy.at;
    return copy.at;
}

static bool advice_copy(struct tl_instrument *instrument,
                        const struct tl_instrument_options *options)
{
    double *boundaries;
    struct str *keys;

    if (options->has_boundaries &&
        boundaries_are_valid(options->boundaries, options->boundary_count)) {
        boundaries =
            arena_take(&instrument->arena, (options->boundary_count + 1) * sizeof *boundaries);
        if (!boundaries)
            return false;
        if (options->boundary_count)
            memcpy(boundaries, options->boundaries, options->boundary_count * sizeof *boundaries);
        instrument->boundaries = boundaries;
        instrument->boundary_count = options->boundary_count;
        instrument->has_boundaries = true;
    }
    if (!options->has_attribute_keys || options->attribute_key_count > KEYS_MAX)
        return true;
    keys = arena_take(&instrument->arena, (options->attribute_key_count + 1) * sizeof *keys);
    for (size_t i = 0; keys && options->attribute_keys && i < options->attribute_key_count; i++) {
        keys[i] = arena_copy(&instrument->arena, str_of(options->attribute_keys[i]));
        if (!keys[i].at)
            return false;
    }
    instrument->attribute_keys = keys;
    instrument->attribute_key_count = options->attribute_key_count;
    instrument->has_attribute_keys = true;
    return keys != NULL;
}

void instrument_free(struct tl_instrument *instrument)
{
    struct stream_list *list = atomic_load(&instrument->streams);
    struct stream *stream = atomic_load(&instrument->retired);

    for (size_t i = 0; i < list->count; i++)
        stream_free(list->streams[i]);
    while (stream) {
        struct stream *next = stream->retired;

        stream_free(stream);
        stream = next;
    }
    while (list && list != &no_streams) {
        struct stream_list *former = list->former;

        free(list);
        list = former;
    }
    arena_done(&instrument->arena);
    free(instrument);
}

// `first`: an instrument of the same name in another case, or NULL.
static struct tl_instrument *instrument_new(struct tl_meter *meter,
                                            const struct tl_instrument_options *options,
                                            const struct tl_instrument *first)
{
    struct tl_instrument *made = calloc(1, sizeof *made);
    bool is_failed = false;

    if (!made)
        return NULL;
    arena_init(&made->arena, 0);
    atomic_init(&made->streams, &no_streams);
    made->meter = meter;
    made->kind = options->kind;
    made->is_double = options->is_double;
    made->is_observed = kind_is_observed(options->kind);
    made->refuses_negative = options->kind == TL_COUNTER || options->kind == TL_HISTOGRAM;
    made->exemplars = meter->provider->exemplars;
    made->is_inert = !name_is_valid(options->name);
    made->created_ns = clock_unix_ns();
    made->name =
        cut_copy(&made->arena, first ? first->name : options->name, TL_NAME_MAX + 1, &is_failed);
    made->unit = cut_copy(&made->arena, options->unit, UNIT_MAX, &is_failed);
    made->description =
        cut_copy(&made->arena, options->description, DESCRIPTION_CHARACTERS_MAX, &is_failed);
    if (is_failed || !advice_copy(made, options)) {
        instrument_free(made);
        return NULL;
    }
    return made;
}

// The same stream as before when the plan is the same, else a new one.
static struct stream *stream_of(const struct stream_list *former, const struct stream_plan *plan)
{
    for (size_t i = 0; i < former->count; i++) {
        if (stream_is(former->streams[i], plan))
            return former->streams[i];
    }
    return stream_new(plan);
}

static bool list_has(const struct stream_list *list, const struct stream *stream)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->streams[i] == stream)
            return true;
    }
    return false;
}

// Streams of one reader, appended to the list. False without memory.
static bool streams_add(struct tl_instrument *instrument, struct tl_metric_reader *reader,
                        struct stream_list *list, unsigned *notes)
{
    const struct stream_list *former = atomic_load(&instrument->streams);
    struct stream_plan plans[VIEW_STREAMS_MAX];
    struct arena arena;
    size_t count;
    bool is_done = true;

    arena_init(&arena, 0);
    count = view_plans(instrument->meter->provider->views, instrument,
                       reader_defaults_of(reader, instrument->kind), &arena, plans, notes);
    for (size_t i = 0; i < count && is_done && list->count < INSTRUMENT_STREAMS_MAX; i++) {
        plans[i].reader = reader;
        plans[i].scope = &instrument->meter->scope;
        plans[i].exemplars = instrument->exemplars;
        list->streams[list->count] = stream_of(former, &plans[i]);
        is_done = list->streams[list->count] != NULL;
        // Two views may say the very same.
        if (is_done && !list_has(list, list->streams[list->count]))
            list->count++;
    }
    arena_done(&arena);
    return is_done;
}

static void retire(struct tl_instrument *instrument, struct stream *stream)
{
    stream->retired = atomic_load(&instrument->retired);
    atomic_store(&instrument->retired, stream);
}

int instrument_resolve(struct tl_instrument *instrument, unsigned *notes)
{
    struct tl_meter_provider *provider = instrument->meter->provider;
    struct stream_list *former = atomic_load(&instrument->streams);
    struct stream_list *list;
    bool is_done = true;

    if (instrument->is_inert || instrument->meter->is_disabled || atomic_load(&provider->is_shut))
        return 0;
    list = calloc(1, sizeof *list + INSTRUMENT_STREAMS_MAX * sizeof list->streams[0]);
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < provider->reader_count && is_done; i++)
        is_done = streams_add(instrument, provider->readers[i], list, notes);
    if (!is_done) {
        for (size_t i = 0; i < list->count; i++) {
            if (!list_has(former, list->streams[i]))
                stream_free(list->streams[i]);
        }
        free(list);
        return -ENOMEM;
    }
    list->former = former == &no_streams ? NULL : former;
    atomic_store_explicit(&instrument->streams, list, memory_order_release);
    for (size_t i = 0; i < former->count; i++) {
        if (!list_has(list, former->streams[i]))
            retire(instrument, former->streams[i]);
    }
    return 0;
}

void instrument_close(struct tl_instrument *instrument)
{
    struct stream_list *former = atomic_load(&instrument->streams);
    struct stream_list *list = former->count ? calloc(1, sizeof *list) : NULL;

    if (!list)
        return; // nothing there, or no memory: what is measured is never collected
    list->former = former;
    atomic_store_explicit(&instrument->streams, list, memory_order_release);
    for (size_t i = 0; i < former->count; i++)
        retire(instrument, former->streams[i]);
}

void instrument_forked(struct tl_instrument *instrument)
{
    struct stream_list *former = atomic_load(&instrument->streams);
    const size_t bytes = sizeof *former + former->count * sizeof former->streams[0];
    struct stream_list *list = former->count ? malloc(bytes) : NULL;

    if (!list)
        return;
    memcpy(list, former, bytes);
    atomic_init(&list->under_way, 0);
    list->former = former;
    atomic_store_explicit(&instrument->streams, list, memory_order_release);
}

static bool streams_conflict(const struct stream *a, const struct stream *b, bool is_one_instrument)
{
    if (a == b || a->reader != b->reader || !str_equal_nocase(a->name, b->name))
        return false;
    return is_one_instrument || a->kind != b->kind || a->is_double != b->is_double ||
           a->cell != b->cell || !str_equal(a->unit, b->unit) ||
           !str_equal(a->description, b->description);
}

static bool instruments_conflict(const struct tl_instrument *a, const struct tl_instrument *b)
{
    const struct stream_list *of_a = atomic_load(&a->streams);
    const struct stream_list *of_b = atomic_load(&b->streams);

    for (size_t i = 0; i < of_a->count; i++) {
        for (size_t k = 0; k < of_b->count; k++) {
            if (streams_conflict(of_a->streams[i], of_b->streams[k], a == b))
                return true;
        }
    }
    return false;
}

void instrument_tell(const struct tl_instrument *instrument, unsigned notes)
{
    const struct tl_instrument *other = atomic_load(&instrument->meter->instruments);

    if (notes & VIEW_MISFIT) {
        stats_add(&sdk_stats, SDK_invalid_settings, 1);
        say(TL_WARN, "metrics: a view's aggregation does not fit %s: the view is left out",
            instrument->name);
    }
    if (notes & VIEW_READER_MISFIT)
        say(TL_WARN, "metrics: the reader's aggregation does not fit %s: its default is used",
            instrument->name);
    for (; other; other = other->next) {
        if (!instruments_conflict(instrument, other))
            continue;
        stats_add(&sdk_stats, SDK_invalid_instruments, 1);
        say(TL_WARN,
            "metrics: %s: several streams of one name in meter '%s' that differ in kind, unit, "
            "description or number; a view that selects by instrument_kind or instrument_unit can "
            "rename one or give both one description",
            instrument->name, instrument->meter->scope.name);
        return;
    }
}

static bool same_text(const char *kept, const char *given, size_t most)
{
    const size_t len = given ? characters(given, most) : 0;

    return strlen(kept) == len && (len == 0 || memcmp(kept, given, len) == 0);
}

// The instrument with those identifying fields; *out_first: one with that name at all.
static struct tl_instrument *instrument_find(struct tl_meter *meter,
                                             const struct tl_instrument_options *options,
                                             struct tl_instrument **out_first)
{
    struct tl_instrument *each = atomic_load_explicit(&meter->instruments, memory_order_acquire);

    *out_first = NULL;
    for (; each; each = each->next) {
        if (!str_equal_nocase(str_of(each->name), str_of(options->name ? options->name : "")))
            continue;
        if (!*out_first)
            *out_first = each;
        if (each->kind == options->kind && each->is_double == options->is_double &&
            same_text(each->unit, options->unit, UNIT_MAX) &&
            same_text(each->description, options->description, DESCRIPTION_CHARACTERS_MAX))
            return each;
    }
    return NULL;
}

static bool advice_is(const struct tl_instrument *instrument,
                      const struct tl_instrument_options *options)
{
    if (options->has_boundaries &&
        !boundaries_are_valid(options->boundaries, options->boundary_count))
        return !instrument->has_boundaries;
    if (options->has_boundaries != instrument->has_boundaries ||
        (options->has_boundaries &&
         (options->boundary_count != instrument->boundary_count ||
          (options->boundary_count && memcmp(options->boundaries, instrument->boundaries,
                                             options->boundary_count * sizeof(double)) != 0))))
        return false;
    if (options->has_attribute_keys != instrument->has_attribute_keys ||
        (options->has_attribute_keys &&
         options->attribute_key_count != instrument->attribute_key_count))
        return false;
    for (size_t i = 0; options->has_attribute_keys && i < options->attribute_key_count; i++) {
        if (!str_equal(instrument->attribute_keys[i], str_of(options->attribute_keys[i])))
            return false;
    }
    return true;
}

// Tells what is wrong with a registration that gave an instrument of before.
static void again_tell(const struct tl_instrument *instrument,
                       const struct tl_instrument_options *options)
{
    if (!instrument->is_inert && strcmp(instrument->name, options->name) != 0) {
        stats_add(&sdk_stats, SDK_invalid_instruments, 1);
        say(TL_WARN, "metrics: %s is the instrument %s: names have no case", options->name,
            instrument->name);
    }
    if (!advice_is(instrument, options)) {
        stats_add(&sdk_stats, SDK_invalid_instruments, 1);
        say(TL_WARN, "metrics: %s: the advice of its first registration stays", instrument->name);
    }
}

static void new_tell(const struct tl_instrument *instrument,
                     const struct tl_instrument_options *options, unsigned notes)
{
    if (instrument->is_inert) {
        stats_add(&sdk_stats, SDK_invalid_instruments, 1);
        say(TL_ERROR, "metrics: '%s' is not a name for an instrument: it records nothing",
            instrument->name);
    }
    if (options->has_boundaries && !instrument->has_boundaries) {
        stats_add(&sdk_stats, SDK_invalid_instruments, 1);
        say(TL_ERROR, "metrics: %s: its advised boundaries do not ascend", instrument->name);
    }
    instrument_tell(instrument, notes);
}

static void instrument_append(struct tl_meter *meter, struct tl_instrument *instrument)
{
    if (meter->last)
        atomic_store(&meter->last->next, instrument);
    else
        atomic_store(&meter->instruments, instrument);
    meter->last = instrument;
}

struct tl_instrument *tl_instrument_get(struct tl_meter *meter,
                                        const struct tl_instrument_options *options)
{
    const int saved = errno;
    struct tl_instrument *instrument;
    struct tl_instrument *first;
    unsigned notes = 0;
    bool is_new = false;

    if (!meter) {
        // As the default tracer is named.
        static const struct tl_scope scope = {.name = "throughline"};

        meter = tl_meter_get(NULL, &scope);
    }
    if (!meter || !options || options->kind < TL_COUNTER || options->kind > TL_OBSERVABLE_GAUGE)
        return NULL;
    pthread_mutex_lock(&meter->provider->lock);
    instrument = instrument_find(meter, options, &first);
    if (!instrument) {
        is_new = true;
        instrument = instrument_new(meter, options, first);
        // Without memory for its streams it works and records nothing.
        if (instrument && instrument_resolve(instrument, &notes) != 0)
            signal_add(TL_METRICS, LOSS_NO_MEMORY, 1);
        if (instrument)
            instrument_append(meter, instrument);
    }
    pthread_mutex_unlock(&meter->provider->lock);
    if (instrument && is_new)
        new_tell(instrument, options, notes);
    else if (instrument)
        again_tell(instrument, options);
    errno = saved;
    return instrument;
}

static struct tl_instrument *simple(struct tl_meter *meter, enum tl_instrument_kind kind,
                                    const char *const texts[static 3], bool is_double)
{
    const struct tl_instrument_options options = {.kind = kind,
                                                  .is_double = is_double,
                                                  .name = texts[0],
                                                  .unit = texts[1],
                                                  .description = texts[2]};

    return tl_instrument_get(meter, &options);
}

struct tl_instrument *tl_counter(struct tl_meter *meter, const char *name, const char *unit,
                                 const char *description)
{
    return simple(meter, TL_COUNTER, (const char *const[]){name, unit, description}, false);
}

struct tl_instrument *tl_up_down_counter(struct tl_meter *meter, const char *name, const char *unit,
                                         const char *description)
{
    return simple(meter, TL_UP_DOWN_COUNTER, (const char *const[]){name, unit, description}, false);
}

struct tl_instrument *tl_histogram(struct tl_meter *meter, const char *name, const char *unit,
                                   const char *description)
{
    return simple(meter, TL_HISTOGRAM, (const char *const[]){name, unit, description}, true);
}

struct tl_instrument *tl_gauge(struct tl_meter *meter, const char *name, const char *unit,
                               const char *description)
{
    return simple(meter, TL_GAUGE, (const char *const[]){name, unit, description}, true);
}

bool tl_instrument_enabled(const struct tl_instrument *instrument)
{
    return instrument &&
           atomic_load_explicit(&instrument->streams, memory_order_acquire)->count > 0;
}
