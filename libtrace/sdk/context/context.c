// SPDX-License-Identifier: Apache-2.0
// Contexts. Each is whole: making one of another copies the span's identity and shares the rest.
// A thread keeps a few that it gave back, so that a request takes no memory once it is warm.

#include "libtrace/sdk/context/context.h"

#include <errno.h>
#include <stdlib.h>

#include <throughline/trace.h>

#include "libtrace/sdk/context/trace_state.h"
#include "libtrace/sdk/stats.h"
#include "libtrace/sdk/thread.h"

enum { KEEP_MAX = 8, KEYS_MAX = 1024, KEY_NAME_BYTES = 32 };

struct tl_context_key {
    char name[KEY_NAME_BYTES]; // for people with a debugger
};

// One value, held by each context that has it.
struct held_value {
    _Atomic uint32_t references;
    void *value;
    void (*drop)(void *value);
};

struct context_value {
    const struct tl_context_key *key;
    struct held_value *held;
};

// Shared by the contexts that differ in something else.
struct context_values {
    _Atomic uint32_t references;
    uint32_t count;
    struct context_value list[];
};

static struct tl_context_key keys[KEYS_MAX];
static _Atomic uint32_t key_count;

// ---- Memory

static void *memory_take(size_t bytes)
{
    const int saved = errno;
    void *at = malloc(bytes);

    errno = saved;
    return at;
}

static struct tl_context *context_take(void)
{
    struct thread *thread = thread_get();
    struct tl_context *context = thread ? thread->kept_contexts : NULL;

    if (context) {
        thread->kept_contexts = context->next;
        thread->kept_context_count--;
    } else {
        context = memory_take(sizeof *context);
        if (!context)
            return NULL;
    }
    atomic_store_explicit(&context->references, 1, memory_order_relaxed);
    context->long_state = NULL;
    return context;
}

static void context_put(struct tl_context *context)
{
    struct thread *thread = thread_get();

    if (context->long_state)
        free(context->long_state);
    if (!thread || thread->kept_context_count >= KEEP_MAX) {
        free(context);
        return;
    }
    context->next = thread->kept_contexts;
    thread->kept_contexts = context;
    thread->kept_context_count++;
}

// ---- Values

static void held_unref(struct held_value *held)
{
    if (atomic_fetch_sub_explicit(&held->references, 1, memory_order_acq_rel) != 1)
        return;
    if (held->drop)
        held->drop(held->value);
    free(held);
}

static void values_unref(struct context_values *values)
{
    if (!values || atomic_fetch_sub_explicit(&values->references, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < values->count; i++)
        held_unref(values->list[i].held);
    free(values);
}

// The list with one more, or one replaced.
static struct context_values *values_with(const struct context_values *old,
                                          const struct tl_context_key *key, struct held_value *held)
{
    const uint32_t count = old ? old->count : 0;
    struct context_values *values =
        memory_take(sizeof *values + (count + 1) * sizeof values->list[0]);

    if (!values)
        return NULL;
    atomic_init(&values->references, 1);
    values->count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (old->list[i].key == key)
            continue;
        values->list[values->count++] = old->list[i];
        atomic_fetch_add_explicit(&old->list[i].held->references, 1, memory_order_relaxed);
    }
    values->list[values->count++] = (struct context_value){key, held};
    return values;
}

struct tl_context_key *tl_context_key_new(const char *name)
{
    const uint32_t index = atomic_fetch_add(&key_count, 1);

    if (index >= KEYS_MAX) {
        atomic_store(&key_count, KEYS_MAX);
        return NULL;
    }
    if (name)
        memcpy(keys[index].name, name, strnlen(name, KEY_NAME_BYTES - 1));
    return &keys[index];
}

struct tl_context *tl_context_with_value(struct tl_context *context,
                                         const struct tl_context_key *key, void *value,
                                         void (*drop)(void *value))
{
    struct held_value *held;
    struct context_values *values;
    struct tl_context *made;

    if (!key)
        return NULL;
    held = memory_take(sizeof *held);
    if (!held)
        return NULL;
    atomic_init(&held->references, 1);
    held->value = value;
    held->drop = NULL; // until it is sure: on failure the caller keeps the value
    values = values_with(context ? context->values : NULL, key, held);
    if (!values) {
        held_unref(held);
        return NULL;
    }
    made = context_copy(context);
    if (!made) {
        values_unref(values);
        return NULL;
    }
    held->drop = drop;
    values_unref(made->values);
    made->values = values;
    return made;
}

void *tl_context_value(const struct tl_context *context, const struct tl_context_key *key)
{
    const struct context_values *values = context ? context->values : NULL;

    for (uint32_t i = 0; values && i < values->count; i++) {
        if (values->list[i].key == key)
            return values->list[i].held->value;
    }
    return NULL;
}

// ---- Life

struct tl_context *tl_context_ref(struct tl_context *context)
{
    if (context)
        atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void tl_context_unref(struct tl_context *context)
{
    if (!context)
        return;
    // Who sees one reference has it, and nobody else can make another: no locked instruction.
    if (atomic_load_explicit(&context->references, memory_order_acquire) != 1 &&
        atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) != 1)
        return;
    baggage_unref(context->baggage);
    values_unref(context->values);
    context_put(context);
}

struct tl_context *context_derive(const struct tl_context *from)
{
    struct tl_context *context = context_take();

    if (!context)
        return NULL;
    context->span = NULL;
    context->identity = (struct tl_span_context){.flags = 0};
    context->is_debug = from && from->is_debug;
    context->baggage = baggage_ref(from ? from->baggage : NULL);
    context->values = from ? from->values : NULL;
    if (context->values)
        atomic_fetch_add_explicit(&context->values->references, 1, memory_order_relaxed);
    return context;
}

struct tl_context *context_or(struct tl_context *made, struct tl_context *given)
{
    return made ? made : tl_context_ref(given);
}

// ---- The span

char *context_state_room(struct tl_context *context, size_t len)
{
    if (len <= CONTEXT_STATE_BYTES)
        return context->state;
    context->long_state = memory_take(len);
    return context->long_state;
}

// The identity with a tracestate of its own. Without memory for a long one it goes without.
static void identity_set(struct tl_context *context, const struct tl_span_context *identity)
{
    char *room;

    context->identity = *identity;
    context->identity.trace_state = NULL;
    context->identity.trace_state_len = 0;
    if (!identity->trace_state_len || !identity->trace_state)
        return;
    room = context_state_room(context, identity->trace_state_len);
    if (!room)
        return;
    memcpy(room, identity->trace_state, identity->trace_state_len);
    context->identity.trace_state = room;
    context->identity.trace_state_len = identity->trace_state_len;
}

struct tl_context *context_copy(const struct tl_context *from)
{
    struct tl_context *made = context_derive(from);

    if (!made || !from)
        return made;
    made->span = from->span;
    identity_set(made, &from->identity);
    return made;
}

struct tl_context *tl_context_with_span(struct tl_context *context, struct tl_span *span)
{
    struct tl_context *made = context_derive(context);
    const struct tl_span_context identity = tl_span_context(span);

    if (!made)
        return NULL;
    made->span = span;
    identity_set(made, &identity);
    return made;
}

struct tl_span *tl_context_span(const struct tl_context *context)
{
    return context ? context->span : NULL;
}

struct tl_context *tl_context_with_remote(struct tl_context *context,
                                          const struct tl_span_context *remote)
{
    struct tl_context *made = context_derive(context);
    struct tl_span_context identity;

    if (!made || !tl_span_context_is_valid(remote))
        return made;
    identity = *remote;
    // A caller may have it from anywhere, and it is written into headers.
    if (identity.trace_state_len &&
        !trace_state_is_valid((struct str){identity.trace_state, identity.trace_state_len})) {
        identity.trace_state_len = 0;
        stats_add(&sdk_stats, SDK_misuses, 1);
    }
    identity_set(made, &identity);
    return made;
}

struct tl_span_context tl_context_span_context(const struct tl_context *context)
{
    return context ? context->identity : (struct tl_span_context){.flags = 0};
}

// ---- The current one

struct tl_context *tl_context_current(void)
{
    struct tl_context *context = thread_context();
    struct tl_span *span = tl_current();

    if (!span || (context && context->span == span))
        return tl_context_ref(context);
    return tl_context_with_span(context, span);
}

struct tl_context_token tl_context_attach(struct tl_context *context)
{
    struct tl_context_token token = {.depth = 0};
    struct thread *thread = thread_get();

    // Without memory for what a thread has, nothing becomes current, and detach knows by the zero.
    if (!thread)
        return token;
    token.former = thread_context_swap(tl_context_ref(context));
    token.former_span = tl_current_set(context ? context->span : NULL);
    token.depth = ++thread->context_depth;
    return token;
}

bool tl_context_detach(struct tl_context_token token)
{
    struct thread *thread = thread_get();

    if (!thread || token.depth == 0 || token.depth != thread->context_depth) {
        stats_add(&sdk_stats, SDK_misuses, 1);
        return false;
    }
    thread->context_depth--;
    tl_context_unref(thread_context_swap(token.former));
    tl_current_set(token.former_span);
    return true;
}
