// SPDX-License-Identifier: Apache-2.0
// The life of a span: start, the changes that are not attributes, end. The end writes it into the
// ring of each processor of ours; only then is its slot free.

#include "libtrace/sdk/trace/span.h"

#include <errno.h>

#include "libtrace/base/clock.h"
#include "libtrace/sdk/encode.h"
#include "libtrace/sdk/export/pipe.h"
#include "libtrace/sdk/stats.h"
#include "libtrace/sdk/thread.h"
#include "libtrace/sdk/trace/sampler.h"

struct span *span_hold(struct tl_span *handle)
{
    struct span *span = span_of(handle);
    const uint16_t generation = generation_of(handle);
    uint32_t tag;

    if (!handle)
        return NULL;
    if (!tl_span_wants(handle))
        return NULL;
    if (__builtin_expect(span_is_of_process(span), 1)) {
        span_lock(span);
        tag = atomic_load_explicit(&span->tag, memory_order_acquire);
        if (__builtin_expect(tag == span_tag(generation, SPAN_RECORDING) ||
                                 tag == span_tag(generation, SPAN_ENDING),
                             1))
            return span;
        span_unlock(span);
    }
    stats_add(&sdk_stats, SDK_misuses, 1);
    return NULL;
}

// Copies the identity behind a handle, as long as its slot is not another span's. Another thread
// may take the slot meanwhile: it changes the generation first, so a copy that it spoiled is not
// taken.
__attribute__((no_sanitize("thread"))) static bool identity_read(const struct tl_span *handle,
                                                                 struct tl_span_context *out)
{
    const struct span *span = span_of(handle);
    struct tl_span_context copy;

    if (!handle || (uint16_t)(atomic_load_explicit(&span->tag, memory_order_acquire) >> 8) !=
                       generation_of(handle))
        return false;
    copy = *(const volatile struct tl_span_context *)&span->context;
    SPAN_FENCE(memory_order_acquire);
    if ((uint16_t)(atomic_load_explicit(&span->tag, memory_order_relaxed) >> 8) !=
        generation_of(handle))
        return false;
    *out = copy;
    return true;
}

struct tl_span_context tl_span_context(const struct tl_span *handle)
{
    struct tl_span_context context;

    return identity_read(handle, &context) ? context : (struct tl_span_context){0};
}

// Who the parent is: what was given, else what is current. NULL: nobody.
static const struct tl_span_context *parent_find(const struct thread *thread,
                                                 const struct tl_span_options *options,
                                                 struct tl_span_context *room)
{
    const struct tl_span_context *parent = options->parent;

    if (options->is_root)
        return NULL;
    if (!parent && options->context) {
        *room = tl_context_span_context(options->context);
        parent = room;
    } else if (!parent && thread->span) {
        // A copy: the span may have ended, and its memory be the new one's.
        parent = identity_read(thread->span, room) ? room : NULL;
    } else if (!parent && thread->context) {
        *room = tl_context_span_context(thread->context);
        parent = room;
    }
    return tl_span_context_is_valid(parent) ? parent : NULL;
}

static void name_set(struct span *span, const char *name, size_t len)
{
    if (!name)
        len = 0;
    else if (len == 0)
        len = strlen(name);
    // A bad byte may become three.
    if (len <= TL_NAME_MAX / 3)
        span->name_len = (uint8_t)text_copy((uint8_t *)span->name, name, len);
    else {
        char room[3 * TL_NAME_MAX];

        len = text_cut(name, len, TL_NAME_MAX);
        len = text_copy((uint8_t *)room, name, len);
        span->name_len = (uint8_t)text_cut(room, len, TL_NAME_MAX);
        memcpy(span->name, room, span->name_len);
    }
}

// Keeps a copy of the tracestate; without memory the span goes on without one.
static void trace_state_set(struct span *span, const char *text, size_t len)
{
    const int saved = errno;

    span->trace_state.len = 0;
    if (text && len && span_trace_state_room(span, len)) {
        memmove(span->trace_state.at, text, len);
        span->trace_state.len = len;
    }
    span->context.trace_state = (const char *)span->trace_state.at;
    span->context.trace_state_len = (uint16_t)span->trace_state.len;
    errno = saved;
}

// Ids and flags of a span whose parent is this one. The sampled bit is the sampler's to set.
static void identity_make(struct span *span, struct thread *thread,
                          const struct tl_span_context *parent)
{
    const struct tl_tracer_provider *provider = span->tracer->provider;
    struct tl_span_context *context = &span->context;
    uint64_t *const generator = thread_generator(thread);
    bool is_random = true;
    uint64_t left, right;

    context->is_remote = false;
    context->trace_state = NULL;
    context->trace_state_len = 0;
    span->has_parent = parent != NULL;
    span->parent_is_remote = parent && parent->is_remote;
    if (parent) {
        memcpy(context->trace_id, parent->trace_id, 16);
        memcpy(span->parent_id, parent->span_id, 8);
        span->parent_flags = parent->flags;
        context->flags = parent->flags & TL_FLAG_RANDOM;
    } else if (provider->has_ids) {
        provider->ids.trace_id(provider->ids.self, context->trace_id, &is_random);
        context->flags = is_random ? TL_FLAG_RANDOM : 0;
    } else {
        left = random_step(generator);
        right = random_step(generator);
        memcpy(context->trace_id, &left, 8);
        memcpy(context->trace_id + 8, &right, 8);
        right = random_step(generator);
        memcpy(context->span_id, &right, 8);
        context->flags = TL_FLAG_RANDOM;
        return;
    }
    if (provider->has_ids) {
        provider->ids.span_id(provider->ids.self, context->span_id);
        return;
    }
    right = random_step(generator);
    memcpy(context->span_id, &right, 8);
}

// The sampler's long way: everything is shown to it, and it may add attributes and change the
// tracestate.
static enum tl_decision sampler_ask(struct span *span, const struct tl_span_options *options,
                                    const struct tl_span_context *parent,
                                    struct tl_sampling_result *result)
{
    static const struct tl_span_context nobody;
    const struct tl_tracer *tracer = span->tracer;
    const struct tl_sampling sampling = {
        .context = options->context ? options->context : thread_context(),
        .parent = parent ? parent : &nobody,
        .trace_id = span->context.trace_id,
        .name = options->name ? options->name : "",
        .name_len = options->name_len ? options->name_len
                    : options->name   ? strlen(options->name)
                                      : 0,
        .kind = (enum tl_kind)span->kind,
        .attributes = options->attributes,
        .attribute_count = options->attributes ? options->attribute_count : 0,
        .links = options->links,
        .link_count = options->links ? options->link_count : 0,
        .scope = &tracer->scope.as,
    };

    result->decision = TL_DROP;
    result->attributes = NULL;
    result->attribute_count = 0;
    result->trace_state = parent ? parent->trace_state : NULL;
    result->trace_state_len = parent ? parent->trace_state_len : 0;
    tl_sampler_ask(tracer->provider->sampler, &sampling, result);
    // The program's sampler may say anything; what it says is counted by this number.
    return (unsigned)result->decision <= TL_RECORD_AND_SAMPLE ? result->decision : TL_DROP;
}

static void recording_init(struct span *span, const struct tl_span_options *options,
                           struct thread *thread)
{
    span->status = TL_STATUS_UNSET;
    span->message.len = 0;
    span->end_ns = 0;
    span->keys[0] = span->keys[1] = 0;
    span->attribute_count = span->event_count = span->link_count = 0;
    span->dropped_attributes = span->dropped_events = span->dropped_links = 0;
    span->body.len = 0;
    name_set(span, options->name, options->name_len);
    span->start_ns = options->start_ns ? options->start_ns : tick_now(&thread->tick);
    if (options->attribute_count)
        span_attributes_add(span, options->attributes, options->attribute_count);
    for (size_t i = 0; options->links && i < options->link_count; i++)
        span_link_add(span, &options->links[i]);
}

static void started_tell(struct tl_span *handle, const struct tl_tracer_provider *provider,
                         const struct tl_span_options *options,
                         const struct tl_span_context *parent)
{
    struct tl_context *context = tl_context_ref(options->context);
    const int saved = errno;

    // A processor is told the whole context; of a bare identity one is made.
    if (!context && options->parent && parent)
        context = tl_context_with_remote(NULL, parent);
    else if (!context && !options->is_root)
        context = tl_context_current();
    for (size_t i = 0; i < provider->processor_count; i++) {
        const struct tl_span_processor *processor = &provider->processors[i];

        if (processor->on_start)
            processor->on_start(processor->self, handle, context);
    }
    errno = saved;
    tl_context_unref(context);
}

static void started_count(struct thread *thread, const struct span *span, enum tl_decision decision)
{
    const unsigned origin = !span->has_parent ? 0 : span->parent_is_remote ? 2 : 1;

    thread_count(&thread->started[origin * SPAN_DECISIONS + (unsigned)decision]);
}

// Nobody records: the identity that came goes on as it is (specification, "Behavior of the API in
// the absence of an installed SDK").
static struct tl_span *passive_of(const struct tl_span_context *context)
{
    struct span *span = context ? span_take() : NULL;

    if (!span)
        return NULL;
    span->context = *context;
    span->tracer = NULL;
    span->has_parent = false;
    trace_state_set(span, context->trace_state, context->trace_state_len);
    span_open(span, SPAN_PASSIVE);
    return span_handle(span, false);
}

struct tl_span *tl_span_wrap(const struct tl_span_context *context)
{
    return passive_of(context);
}

static bool is_recorder(const struct tl_tracer *tracer)
{
    return tracer && tracer->is_enabled &&
           !atomic_load_explicit(&tracer->provider->is_shut, memory_order_relaxed);
}

static struct tl_span *span_start(struct tl_tracer *tracer, const struct tl_span_options *options)
{
    struct thread *thread = thread_get();
    struct tl_span_context parent_room;
    struct tl_sampling_result result;
    struct sampler_quick quick;
    const struct tl_span_context *parent;
    const struct tl_tracer_provider *provider;
    enum tl_decision decision;
    struct span *span;
    bool is_asked;

    if (!thread) {
        signal_add(TL_TRACES, LOSS_NO_MEMORY, 1);
        return NULL;
    }
    parent = parent_find(thread, options, &parent_room);
    if (!is_recorder(tracer))
        return passive_of(parent);
    span = span_take();
    if (!span) {
        signal_add(TL_TRACES, LOSS_NO_MEMORY, 1);
        return NULL;
    }
    provider = tracer->provider;
    span->tracer = tracer;
    // A wire value of another size would spoil the records around it.
    span->kind =
        (uint8_t)(options->kind >= TL_INTERNAL && options->kind <= TL_CONSUMER ? options->kind
                                                                               : TL_INTERNAL);
    identity_make(span, thread, parent);
    quick = sampler_quick(provider->sampler, parent, span->context.trace_id);
    is_asked = quick.verdict == SAMPLER_ASK;
    if (is_asked)
        decision = sampler_ask(span, options, parent, &result);
    else
        decision = quick.verdict == SAMPLER_YES ? TL_RECORD_AND_SAMPLE : TL_DROP;
    if (decision == TL_RECORD_AND_SAMPLE)
        span->context.flags |= TL_FLAG_SAMPLED;
    if (is_asked)
        trace_state_set(span, result.trace_state, result.trace_state_len);
    else if (quick.trace_state_len)
        trace_state_set(span, quick.trace_state, quick.trace_state_len);
    else if (parent && parent->trace_state_len)
        trace_state_set(span, parent->trace_state, parent->trace_state_len);
    started_count(thread, span, decision);
    if (decision == TL_DROP) {
        span_open(span, SPAN_PASSIVE);
        return span_handle(span, false);
    }
    recording_init(span, options, thread);
    if (is_asked && result.attribute_count)
        span_attributes_add(span, result.attributes, result.attribute_count);
    span_open(span, SPAN_RECORDING);
    if (__builtin_expect(provider->has_custom, 0))
        started_tell(span_handle(span, true), provider, options, parent);
    return span_handle(span, true);
}

struct tl_span *tl_span_start(const char *name, enum tl_kind kind,
                              const struct tl_span_context *parent)
{
    const struct tl_span_options options = {.name = name, .kind = kind, .parent = parent};

    return span_start(tracer_default(), &options);
}

struct tl_span *tl_span_start_with(struct tl_tracer *tracer, const struct tl_span_options *options)
{
    static const struct tl_span_options none;

    return span_start(tracer ? tracer : tracer_default(), options ? options : &none);
}

// The record goes straight from the span into the ring.
static void span_export(const struct span *span, struct pipe *pipe, uint32_t entry)
{
    const struct ring_mark mark = {entry, TL_TRACES, 1};
    const size_t size = span_size(span);
    struct ring_slot slot;

    if (!pipe_reserve(pipe, &mark, (uint32_t)size, &slot))
        return;
    span_put(slot.at, span);
    pipe_commit(pipe, &slot);
}

// The lock is not held while a processor of the program's is called.
static void processors_tell(struct span *span, const struct tl_span *handle)
{
    const struct tl_tracer *tracer = span->tracer;
    const struct tl_tracer_provider *provider = tracer->provider;

    for (size_t i = 0; i < provider->processor_count; i++) {
        const struct tl_span_processor *processor = &provider->processors[i];

        if (provider->pipes[i]) {
            if (span->context.flags & TL_FLAG_SAMPLED)
                span_export(span, provider->pipes[i], tracer->entries[i]);
        } else if (processor->on_end) {
            processor->on_end(processor->self, handle);
        }
    }
}

static void ending_tell(struct span *span, struct tl_span *handle)
{
    const struct tl_tracer_provider *provider = span->tracer->provider;

    for (size_t i = 0; i < provider->processor_count; i++) {
        const struct tl_span_processor *processor = &provider->processors[i];

        if (processor->on_ending)
            processor->on_ending(processor->self, handle);
    }
}

// A span that only carries an identity: its slot is free again. True when it was one.
static bool passive_end(struct tl_span *handle)
{
    struct span *span = span_of(handle);
    uint32_t tag = span_tag(generation_of(handle), SPAN_PASSIVE);

    return atomic_compare_exchange_strong_explicit(&span->tag, &tag,
                                                   span_tag(generation_of(handle), SPAN_ENDED),
                                                   memory_order_acq_rel, memory_order_relaxed);
}

static void recording_end(struct span *span, struct tl_span *handle, uint64_t end_ns)
{
    const uint16_t generation = generation_of(handle);
    const bool has_custom = span->tracer->provider->has_custom;
    int saved;

    span->end_ns = end_ns > span->start_ns ? end_ns : span->start_ns;
    if (__builtin_expect(has_custom, 0)) {
        atomic_store_explicit(&span->tag, span_tag(generation, SPAN_ENDING), memory_order_release);
        span_unlock(span);
        // Processors and exporters of the program's do as they like.
        saved = errno;
        ending_tell(span, handle);
        span_lock(span);
        atomic_store_explicit(&span->tag, span_tag(generation, SPAN_READING), memory_order_release);
        span_unlock(span);
        processors_tell(span, handle);
        errno = saved;
        span_lock(span);
    } else {
        processors_tell(span, handle);
    }
    atomic_store_explicit(&span->tag, span_tag(generation, SPAN_ENDED), memory_order_release);
    span_unlock(span);
}

static void span_end(struct tl_span *handle, uint64_t end_ns)
{
    struct span *span = span_of(handle);
    struct thread *thread = thread_get();

    if (!handle)
        return;
    if (thread && thread->span == handle) {
        thread->span = NULL;
        thread_context_note(thread);
    }
    if (!tl_span_wants(handle)) {
        if (passive_end(handle))
            span_give(span);
        else
            stats_add(&sdk_stats, SDK_misuses, 1);
        return;
    }
    span = span_hold(handle);
    if (!span)
        return;
    // Its processors end it already.
    if (atomic_load_explicit(&span->tag, memory_order_relaxed) !=
        span_tag(generation_of(handle), SPAN_RECORDING)) {
        span_unlock(span);
        stats_add(&sdk_stats, SDK_misuses, 1);
        return;
    }
    if (!end_ns)
        end_ns = thread ? tick_now(&thread->tick) : clock_unix_ns();
    recording_end(span, handle, end_ns);
    if (thread)
        thread_count(&thread->ended);
    span_give(span);
}

void tl_span_end(struct tl_span *handle)
{
    span_end(handle, 0);
}

void tl_span_end_at(struct tl_span *handle, uint64_t end_ns)
{
    span_end(handle, end_ns);
}

bool tl_span_is_recording(struct tl_span *handle)
{
    const uint32_t tag =
        handle ? atomic_load_explicit(&span_of(handle)->tag, memory_order_acquire) : 0;
    const uint16_t generation = generation_of(handle);

    return tl_span_wants(handle) && span_is_of_process(span_of(handle)) &&
           (tag == span_tag(generation, SPAN_RECORDING) ||
            tag == span_tag(generation, SPAN_ENDING));
}

void tl_span_name(struct tl_span *handle, const char *name)
{
    struct span *span = span_hold(handle);

    if (!span)
        return;
    name_set(span, name, 0);
    span_unlock(span);
}

void tl_span_status(struct tl_span *handle, enum tl_status status, const char *message)
{
    const size_t len = status == TL_STATUS_ERROR && message ? strlen(message) : 0;
    const size_t kept = text_cut(message, len, STATUS_BYTES_MAX);
    struct span *span = span_hold(handle);
    const int saved = errno;
    uint8_t *to;

    if (!span)
        return;
    // Ok is final; Unset is ignored (specification, "Set Status").
    if (span->status != TL_STATUS_OK && (status == TL_STATUS_OK || status == TL_STATUS_ERROR)) {
        span->status = (uint8_t)status;
        span->message.len = 0;
        to = kept ? bytes_reserve(&span->message, 3 * kept) : NULL;
        if (to)
            span->message.len = text_copy(to, message, kept);
        span->message.is_failed = false;
    }
    span_unlock(span);
    errno = saved;
}

struct tl_span *tl_current(void)
{
    const struct thread *thread = thread_block;

    return thread ? thread->span : NULL;
}

struct tl_span *tl_current_set(struct tl_span *handle)
{
    struct thread *thread = thread_get();
    struct tl_span *former;

    if (!thread)
        return NULL;
    former = thread->span;
    thread->span = handle;
    thread_context_note(thread);
    return former;
}
