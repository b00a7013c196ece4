// SPDX-License-Identifier: Apache-2.0
// Propagators: a list of formats, functions of the caller's and other propagators, and the global
// one. A propagator that was global is kept for ever: another thread may be using it right now.

#include "libtrace/sdk/context/propagate.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "libtrace/sdk/global.h"
#include "libtrace/sdk/resource/environment.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"
#include "libtrace/sdk/thread.h"

static const struct propagate_format *const formats[] = {
    &w3c_format,    &baggage_format, &b3_format,   &b3_multi_format,
    &jaeger_format, &ot_format,      &xray_format,
};

enum { FORMATS = sizeof formats / sizeof formats[0], NAME_SAID_MAX = 64 };

// One of the three.
struct part {
    const struct propagate_format *format;
    struct tl_propagator *propagator;
    const struct tl_propagator_functions *functions; // &own below
};

struct tl_propagator {
    _Atomic uint32_t references;
    uint32_t part_count;
    struct tl_propagator_functions own;
    const char **fields;
    struct tl_propagator *retired; // the next of those that were global
    struct part parts[];
};

// What a propagator of no parts answers.
static const char *const no_fields[] = {NULL};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct tl_propagator *) global;
static struct tl_propagator *retired;

// ---- Making

static struct tl_propagator *propagator_take(size_t parts)
{
    const int saved = errno;
    struct tl_propagator *propagator =
        calloc(1, sizeof *propagator + parts * sizeof propagator->parts[0]);

    errno = saved;
    if (propagator)
        atomic_init(&propagator->references, 1);
    return propagator;
}

static const char *const *part_fields(const struct part *part)
{
    if (part->format)
        return part->format->fields;
    if (part->propagator)
        return tl_propagator_fields(part->propagator);
    return part->functions->fields ? part->functions->fields : no_fields;
}

static bool has_field(const char *const *fields, size_t count, const char *field)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(fields[i], field) == 0)
            return true;
    }
    return false;
}

// The fields of all parts, each once. False without memory.
static bool fields_make(struct tl_propagator *propagator)
{
    const int saved = errno;
    size_t count = 0;

    for (uint32_t i = 0; i < propagator->part_count; i++) {
        for (const char *const *field = part_fields(&propagator->parts[i]); *field; field++)
            count++;
    }
    propagator->fields = calloc(count + 1, sizeof propagator->fields[0]);
    errno = saved;
    if (!propagator->fields)
        return false;
    count = 0;
    for (uint32_t i = 0; i < propagator->part_count; i++) {
        for (const char *const *field = part_fields(&propagator->parts[i]); *field; field++) {
            if (!has_field(propagator->fields, count, *field))
                propagator->fields[count++] = *field;
        }
    }
    return true;
}

static struct tl_propagator *propagator_finish(struct tl_propagator *propagator)
{
    if (fields_make(propagator))
        return propagator;
    tl_propagator_unref(propagator);
    return NULL;
}

static const struct propagate_format *format_find(struct str name)
{
    for (size_t i = 0; i < FORMATS; i++) {
        if (str_equal_nocase(name, str_of(formats[i]->name)))
            return formats[i];
    }
    return NULL;
}

static bool has_part(const struct tl_propagator *propagator, const struct propagate_format *format)
{
    for (uint32_t i = 0; i < propagator->part_count; i++) {
        if (propagator->parts[i].format == format)
            return true;
    }
    return false;
}

// `is_setting`: an unknown name is told and left out; else it is the end.
static struct tl_propagator *propagator_of_names(struct str names, bool is_setting)
{
    struct tl_propagator *propagator = propagator_take(FORMATS);

    while (propagator && names.len) {
        const size_t end = str_find(names, ',');
        const struct str name = str_trim((struct str){names.at, end});
        const struct propagate_format *format = format_find(name);

        names = str_from(names, end + 1);
        if (format && !has_part(propagator, format))
            propagator->parts[propagator->part_count++].format = format;
        if (format || name.len == 0 || str_equal_nocase(name, STR("none")))
            continue;
        if (!is_setting) {
            tl_propagator_unref(propagator);
            return NULL;
        }
        stats_add(&sdk_stats, SDK_invalid_settings, 1);
        say(TL_WARN, "OTEL_PROPAGATORS: '%.*s' is not a propagator",
            (int)(name.len < NAME_SAID_MAX ? name.len : NAME_SAID_MAX), name.at);
    }
    return propagator ? propagator_finish(propagator) : NULL;
}

struct tl_propagator *tl_propagator_new(const char *names)
{
    return names ? propagator_of_names(str_of(names), false) : NULL;
}

struct tl_propagator *propagator_of_setting(const char *names)
{
    return propagator_of_names(str_of(names ? names : ""), true);
}

struct tl_propagator *tl_propagator_custom(const struct tl_propagator_functions *functions)
{
    struct tl_propagator *propagator = functions ? propagator_take(1) : NULL;

    if (!propagator)
        return NULL;
    propagator->own = *functions;
    propagator->own.free = NULL; // until it is sure: on failure the caller keeps what it has
    propagator->parts[propagator->part_count++].functions = &propagator->own;
    propagator = propagator_finish(propagator);
    if (propagator)
        propagator->own.free = functions->free;
    return propagator;
}

struct tl_propagator *tl_propagator_composite(struct tl_propagator *const *list, size_t count)
{
    struct tl_propagator *propagator = propagator_take(list ? count : 0);

    for (size_t i = 0; list && i < count; i++) {
        if (propagator && list[i])
            propagator->parts[propagator->part_count++].propagator = list[i];
        else
            tl_propagator_unref(list[i]);
    }
    return propagator ? propagator_finish(propagator) : NULL;
}

struct tl_propagator *tl_propagator_ref(struct tl_propagator *propagator)
{
    if (propagator)
        atomic_fetch_add_explicit(&propagator->references, 1, memory_order_relaxed);
    return propagator;
}

void tl_propagator_unref(struct tl_propagator *propagator)
{
    if (!propagator ||
        atomic_fetch_sub_explicit(&propagator->references, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < propagator->part_count; i++)
        tl_propagator_unref(propagator->parts[i].propagator);
    if (propagator->own.free)
        propagator->own.free(propagator->own.self);
    free(propagator->fields);
    free(propagator);
}

const char *const *tl_propagator_fields(const struct tl_propagator *propagator)
{
    if (!propagator)
        propagator = tl_propagator_global();
    return propagator ? propagator->fields : no_fields;
}

// ---- The global one

static void global_replace(struct tl_propagator *propagator, bool wins)
{
    struct tl_propagator *former;

    pthread_mutex_lock(&lock);
    former = atomic_load(&global);
    if (former && !wins) {
        former = propagator;
    } else {
        atomic_store(&global, propagator);
        if (former) {
            former->retired = retired;
            retired = former;
        }
        former = NULL;
    }
    pthread_mutex_unlock(&lock);
    tl_propagator_unref(former);
}

void propagator_default_set(struct tl_propagator *propagator)
{
    global_replace(propagator ? propagator : propagator_of_names(STR(""), false), false);
}

void tl_propagator_global_set(struct tl_propagator *propagator)
{
    if (!propagator)
        propagator = propagator_of_names(STR(""), false);
    if (propagator)
        global_replace(propagator, true);
}

struct tl_propagator *tl_propagator_global(void)
{
    struct tl_propagator *propagator = atomic_load_explicit(&global, memory_order_acquire);

    if (propagator)
        return propagator;
    // Whoever reads the settings may set it; without that room the environment is read here.
    global_ensure();
    propagator = atomic_load(&global);
    if (!propagator) {
        const char *names = environment_read()->propagators;

        propagator_default_set(propagator_of_setting(names ? names : "tracecontext,baggage"));
    }
    return atomic_load(&global);
}

// ---- Out

// The context that a part of the caller's sees, made when there is one.
struct sending {
    struct outgoing outgoing;
    const struct tl_context *given;
    struct tl_context *current;
    tl_set_function *set;
    void *carrier;
};

static const struct tl_context *context_of(struct sending *sending)
{
    if (sending->given)
        return sending->given;
    if (!sending->current)
        sending->current = tl_context_current();
    return sending->current;
}

static void inject_parts(const struct tl_propagator *propagator, struct sending *sending)
{
    for (uint32_t i = 0; i < propagator->part_count; i++) {
        const struct part *part = &propagator->parts[i];

        if (part->format)
            part->format->inject(&sending->outgoing, sending->set, sending->carrier);
        else if (part->propagator)
            inject_parts(part->propagator, sending);
        else if (part->functions->inject)
            part->functions->inject(part->functions->self, context_of(sending), sending->set,
                                    sending->carrier);
    }
}

void tl_inject(struct tl_propagator *propagator, const struct tl_context *context,
               tl_set_function *set, void *carrier)
{
    const struct tl_context *from = context ? context : thread_context();
    struct sending sending = {.given = context, .set = set, .carrier = carrier};

    if (!propagator)
        propagator = tl_propagator_global();
    if (!propagator || !set)
        return;
    sending.outgoing.span = context ? context->identity : thread_span_context();
    if (from) {
        sending.outgoing.baggage = from->baggage;
        sending.outgoing.is_debug = from->is_debug;
    }
    inject_parts(propagator, &sending);
    tl_context_unref(sending.current);
}

// ---- In

static struct tl_context *extract_parts(const struct tl_propagator *propagator,
                                        struct tl_context *context, const struct tl_getter *getter,
                                        void *carrier)
{
    struct tl_context *made = tl_context_ref(context);

    for (uint32_t i = 0; i < propagator->part_count; i++) {
        const struct part *part = &propagator->parts[i];
        struct tl_context *next = NULL;

        if (part->format)
            next = part->format->extract(made, getter, carrier);
        else if (part->propagator)
            next = extract_parts(part->propagator, made, getter, carrier);
        else if (part->functions->extract)
            next = part->functions->extract(part->functions->self, made, getter, carrier);
        else
            continue;
        tl_context_unref(made);
        made = next;
    }
    return made;
}

struct tl_context *tl_extract(struct tl_propagator *propagator, struct tl_context *context,
                              const struct tl_getter *getter, void *carrier)
{
    if (!propagator)
        propagator = tl_propagator_global();
    if (!propagator || !getter || !getter->get)
        return tl_context_ref(context);
    return extract_parts(propagator, context, getter, carrier);
}
