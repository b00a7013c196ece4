// SPDX-License-Identifier: Apache-2.0
// Independent views make one stream each; composed ones are laid over each other by the name of
// the stream, the last that says something wins, and attribute filters hold together.

#include "libtrace/sdk/metrics/view.h"

#include <stdlib.h>

#include "libtrace/sdk/metrics/instrument.h"
#include "libtrace/sdk/metrics/meter.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"

enum { LIMIT_DEFAULT = 2000, BOUNDARIES_MAX = 1024 };

static const double BOUNDARIES[] = {0,   5,   10,   25,   50,   75,   100,  250,
                                    500, 750, 1000, 2500, 5000, 7500, 10000};

struct view {
    struct tl_view is;
    struct str *keep;
    struct str *drop;
    struct tl_reservoir reservoir;
};

struct view_set {
    enum tl_view_matching matching;
    size_t count;
    struct arena arena;
    struct view views[];
};

static const char *text_copy_of(struct arena *arena, const char *text, bool *is_failed)
{
    struct str copy;

    if (!text)
        return NULL;
    copy = arena_format(arena, "%s", text);
    *is_failed |= !copy.at;
    return copy.at;
}

static struct str *keys_of(struct arena *arena, const char *const *keys, size_t count,
                           bool *is_failed)
{
    struct str *copies = arena_take(arena, (count + 1) * sizeof *copies);

    *is_failed |= !copies;
    for (size_t i = 0; copies && keys && i < count; i++) {
        copies[i] = arena_copy(arena, str_of(keys[i]));
        *is_failed |= !copies[i].at;
    }
    return copies;
}

static bool view_copy(struct arena *arena, struct view *to, const struct tl_view *from)
{
    const struct tl_aggregation *aggregation = &from->aggregation;
    bool is_failed = false;
    double *boundaries;

    to->is = *from;
    to->is.instrument_name = text_copy_of(arena, from->instrument_name, &is_failed);
    to->is.instrument_unit = text_copy_of(arena, from->instrument_unit, &is_failed);
    to->is.meter_name = text_copy_of(arena, from->meter_name, &is_failed);
    to->is.meter_version = text_copy_of(arena, from->meter_version, &is_failed);
    to->is.meter_schema_url = text_copy_of(arena, from->meter_schema_url, &is_failed);
    to->is.name = text_copy_of(arena, from->name, &is_failed);
    to->is.description = text_copy_of(arena, from->description, &is_failed);
    to->keep = keys_of(arena, from->attribute_keys, from->attribute_key_count, &is_failed);
    to->drop = keys_of(arena, from->excluded_keys, from->excluded_key_count, &is_failed);
    if (from->reservoir) {
        to->reservoir = *from->reservoir;
        to->is.reservoir = &to->reservoir;
    }
    if (aggregation->boundary_count) {
        boundaries = arena_take(arena, aggregation->boundary_count * sizeof *boundaries);
        if (!boundaries)
            return false;
        memcpy(boundaries, aggregation->boundaries,
               aggregation->boundary_count * sizeof *boundaries);
        to->is.aggregation.boundaries = boundaries;
        to->is.aggregation.has_boundaries = true;
    }
    return !is_failed;
}

// Why a view cannot be; NULL: it can.
static const char *view_fault(const struct tl_view *view)
{
    const bool is_wild = view->instrument_name && strpbrk(view->instrument_name, "*?");

    if (!view->instrument_name && !view->instrument_kind && !view->instrument_unit &&
        !view->meter_name && !view->meter_version && !view->meter_schema_url)
        return "it selects nothing";
    if (view->name && (is_wild || !view->instrument_name))
        return "it gives one name to several instruments";
    if (!boundaries_are_valid(view->aggregation.boundaries, view->aggregation.boundary_count))
        return "its boundaries do not ascend";
    return NULL;
}

struct view_set *view_set_new(const struct tl_view *views, size_t count,
                              enum tl_view_matching matching)
{
    struct view_set *set = calloc(1, sizeof *set + count * sizeof set->views[0]);

    if (!set)
        return NULL;
    set->matching = matching;
    arena_init(&set->arena, 0);
    for (size_t i = 0; i < count; i++) {
        const char *fault = view_fault(&views[i]);

        if (fault) {
            stats_add(&sdk_stats, SDK_invalid_settings, 1);
            say(TL_WARN, "metrics: view %zu (%s) is left out: %s", i,
                views[i].instrument_name ? views[i].instrument_name : "-", fault);
            continue;
        }
        if (!view_copy(&set->arena, &set->views[set->count], &views[i])) {
            view_set_free(set);
            return NULL;
        }
        set->count++;
    }
    return set;
}

void view_set_free(struct view_set *views)
{
    if (!views)
        return;
    arena_done(&views->arena);
    free(views);
}

enum tl_view_matching view_set_matching(const struct view_set *views)
{
    return views->matching;
}

bool boundaries_are_valid(const double *boundaries, size_t count)
{
    if (count > BOUNDARIES_MAX || (count && !boundaries))
        return false;
    for (size_t i = 0; i < count; i++) {
        // A comparison with NaN is false.
        if (!(boundaries[i] >= -__DBL_MAX__ && boundaries[i] <= __DBL_MAX__) ||
            (i && !(boundaries[i - 1] < boundaries[i])))
            return false;
    }
    return true;
}

static char lower(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter + 32) : letter;
}

// '*' any text, '?' one character; letters without case, as instrument names are.
static bool wild_match(const char *pattern, const char *text)
{
    const char *star = NULL;
    const char *resume = NULL;

    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            resume = text;
        } else if (*pattern && (*pattern == '?' || lower(*pattern) == lower(*text))) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

static bool text_is(const char *wanted, const char *text)
{
    return !wanted || strcmp(wanted, text ? text : "") == 0;
}

static bool view_matches(const struct tl_view *view, const struct tl_instrument *instrument)
{
    const struct tl_scope *scope = &instrument->meter->scope;

    return (!view->instrument_name || wild_match(view->instrument_name, instrument->name)) &&
           (!view->instrument_kind || view->instrument_kind == instrument->kind) &&
           text_is(view->instrument_unit, instrument->unit) &&
           text_is(view->meter_name, scope->name) && text_is(view->meter_version, scope->version) &&
           text_is(view->meter_schema_url, scope->schema_url);
}

// An asynchronous instrument tells sums and values; there is nothing to put into buckets.
static bool aggregation_fits(const struct tl_instrument *instrument,
                             const struct tl_aggregation *aggregation)
{
    if (aggregation->kind > TL_AGGREGATION_EXPONENTIAL_HISTOGRAM)
        return false;
    return !kind_is_observed(instrument->kind) ||
           aggregation->kind < TL_AGGREGATION_EXPLICIT_HISTOGRAM;
}

static enum tl_aggregation_kind kind_default(enum tl_instrument_kind kind)
{
    switch (kind) {
    case TL_HISTOGRAM:
        return TL_AGGREGATION_EXPLICIT_HISTOGRAM;
    case TL_GAUGE:
    case TL_OBSERVABLE_GAUGE:
        return TL_AGGREGATION_LAST_VALUE;
    default:
        return TL_AGGREGATION_SUM;
    }
}

// Everything that is left open gets its value. `is_default`: no view chose the aggregation, so that
// the instrument's advice counts.
static void aggregation_complete(const struct tl_instrument *instrument, bool is_default,
                                 struct tl_aggregation *aggregation)
{
    if (aggregation->kind == TL_AGGREGATION_DEFAULT)
        aggregation->kind = kind_default(instrument->kind);
    if (is_default && instrument->has_boundaries) {
        aggregation->boundaries = instrument->boundaries;
        aggregation->boundary_count = instrument->boundary_count;
    } else if (!aggregation->has_boundaries) {
        aggregation->boundaries = BOUNDARIES;
        aggregation->boundary_count = sizeof BOUNDARIES / sizeof BOUNDARIES[0];
    }
    if (aggregation->max_size < EXPONENTIAL_SIZE_MIN)
        aggregation->max_size = aggregation->max_size ? EXPONENTIAL_SIZE_MIN : EXPONENTIAL_SIZE;
    if (aggregation->max_size > EXPONENTIAL_SIZE_MAX)
        aggregation->max_size = EXPONENTIAL_SIZE_MAX;
    if (!aggregation->has_max_scale || aggregation->max_scale > EXPONENTIAL_SCALE)
        aggregation->max_scale = EXPONENTIAL_SCALE;
    if (aggregation->max_scale < EXPONENTIAL_SCALE_MIN)
        aggregation->max_scale = EXPONENTIAL_SCALE_MIN;
}

// What several views, or one, or none, say about one stream.
struct choice {
    const char *name;
    const char *description;
    const struct tl_aggregation *aggregation;
    const struct tl_reservoir *reservoir;
    uint32_t limit;
    struct key_filter filter;
    bool has_filter;
};

// The plan; false: the stream is dropped.
static bool plan_of(const struct tl_instrument *instrument, const struct reader_defaults *defaults,
                    const struct choice *choice, struct stream_plan *out, unsigned *notes)
{
    const bool is_default = !choice->aggregation;

    *out = (struct stream_plan){
        .kind = instrument->kind,
        .is_double = instrument->is_double,
        .name = choice->name ? choice->name : instrument->name,
        .unit = instrument->unit,
        .description = choice->description ? choice->description : instrument->description,
        .aggregation = is_default ? defaults->aggregation : *choice->aggregation,
        .temporality = defaults->temporality,
        .filter = choice->filter,
        .limit = choice->limit     ? choice->limit
                 : defaults->limit ? defaults->limit
                                   : LIMIT_DEFAULT,
        .reservoir = choice->reservoir,
        .created_ns = instrument->created_ns,
    };
    if (is_default && !aggregation_fits(instrument, &out->aggregation)) {
        *notes |= VIEW_READER_MISFIT;
        out->aggregation = (struct tl_aggregation){0};
    }
    if (!choice->has_filter && instrument->has_attribute_keys) {
        out->filter.keep = instrument->attribute_keys;
        out->filter.keep_count = instrument->attribute_key_count;
        out->filter.has_keep = true;
    }
    aggregation_complete(instrument, is_default, &out->aggregation);
    return out->aggregation.kind != TL_AGGREGATION_DROP;
}

// Lays a view over what was chosen before.
static void choice_add(struct choice *choice, const struct view *view, struct arena *arena)
{
    const struct tl_view *is = &view->is;
    struct str *both;
    size_t kept = 0;

    if (is->name)
        choice->name = is->name;
    if (is->description)
        choice->description = is->description;
    if (is->aggregation.kind != TL_AGGREGATION_DEFAULT)
        choice->aggregation = &is->aggregation;
    if (is->reservoir)
        choice->reservoir = is->reservoir;
    if (is->cardinality_limit)
        choice->limit = is->cardinality_limit;
    choice->has_filter |= is->has_attribute_keys || is->excluded_key_count;
    if (is->has_attribute_keys && !choice->filter.has_keep) {
        choice->filter.keep = view->keep;
        choice->filter.keep_count = is->attribute_key_count;
        choice->filter.has_keep = true;
    } else if (is->has_attribute_keys) {
        // Both lists must have a key: those of the new one stay that the former keeps.
        both = arena_take(arena, (is->attribute_key_count + 1) * sizeof *both);
        for (size_t i = 0; both && i < is->attribute_key_count; i++) {
            if (key_filter_keeps(&choice->filter, view->keep[i]))
                both[kept++] = view->keep[i];
        }
        choice->filter.keep = both;
        choice->filter.keep_count = kept;
    }
    if (is->excluded_key_count == 0)
        return;
    both = arena_take(arena, (choice->filter.drop_count + is->excluded_key_count) * sizeof *both);
    if (!both)
        return;
    if (choice->filter.drop_count)
        memcpy(both, choice->filter.drop, choice->filter.drop_count * sizeof *both);
    memcpy(both + choice->filter.drop_count, view->drop, is->excluded_key_count * sizeof *both);
    choice->filter.drop = both;
    choice->filter.drop_count += is->excluded_key_count;
}

static bool name_is(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

// Composed: the names that matching views give, at most `most`; none: one stream, named NULL.
static size_t group_names(const struct view_set *views, const struct tl_instrument *instrument,
                          const char *out_names[VIEW_STREAMS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < views->count; i++) {
        const struct tl_view *view = &views->views[i].is;
        size_t known = 0;

        if (!view->name || !view_matches(view, instrument))
            continue;
        while (known < count && !name_is(out_names[known], view->name))
            known++;
        if (known == count && count < VIEW_STREAMS_MAX)
            out_names[count++] = view->name;
    }
    if (count == 0)
        out_names[count++] = NULL;
    return count;
}

static size_t composed_plans(const struct view_set *views, const struct tl_instrument *instrument,
                             const struct reader_defaults *defaults, struct arena *arena,
                             struct stream_plan *out_plans, unsigned *notes)
{
    const char *names[VIEW_STREAMS_MAX];
    const size_t groups = group_names(views, instrument, names);
    size_t count = 0;

    for (size_t g = 0; g < groups; g++) {
        struct choice choice = {0};

        for (size_t i = 0; i < views->count; i++) {
            const struct view *view = &views->views[i];
            struct view fitting = *view;

            if (!view_matches(&view->is, instrument) ||
                (view->is.name && !name_is(view->is.name, names[g])))
                continue;
            if (aggregation_fits(instrument, &view->is.aggregation)) {
                choice_add(&choice, view, arena);
                continue;
            }
            // Only what does not fit is left out, the rest of the view holds.
            *notes |= VIEW_MISFIT;
            fitting.is.aggregation = (struct tl_aggregation){0};
            choice_add(&choice, &fitting, arena);
        }
        count += plan_of(instrument, defaults, &choice, &out_plans[count], notes);
    }
    return count;
}

size_t view_plans(const struct view_set *views, const struct tl_instrument *instrument,
                  const struct reader_defaults *defaults, struct arena *arena,
                  struct stream_plan *out_plans, unsigned *notes)
{
    struct choice choice = {0};
    size_t matched = 0;
    size_t count = 0;

    if (views->matching == TL_VIEWS_COMPOSED)
        return composed_plans(views, instrument, defaults, arena, out_plans, notes);
    for (size_t i = 0; i < views->count && count < VIEW_STREAMS_MAX; i++) {
        const struct view *view = &views->views[i];

        if (!view_matches(&view->is, instrument))
            continue;
        if (!aggregation_fits(instrument, &view->is.aggregation)) {
            *notes |= VIEW_MISFIT;
            continue;
        }
        matched++;
        choice = (struct choice){0};
        choice_add(&choice, view, arena);
        count += plan_of(instrument, defaults, &choice, &out_plans[count], notes);
    }
    if (matched)
        return count;
    return plan_of(instrument, defaults, &choice, &out_plans[0], notes);
}
