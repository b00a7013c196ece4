// SPDX-License-Identifier: Apache-2.0
// W3C Trace Context level 2: traceparent and tracestate. Pure, but for the memory of a context.

#include "libtrace/model/traceparent.h"
#include "libtrace/sdk/context/propagate.h"
#include "libtrace/sdk/context/trace_state.h"

enum { LINES_MAX = TRACE_STATE_MEMBERS_MAX };

static const struct str traceparent_key = {"traceparent", 11};
static const struct str tracestate_key = {"tracestate", 10};
static const char *const fields[] = {"traceparent", "tracestate", NULL};

// Writes every field of the identity, one by one: a struct that is put together and then copied
// waits for its parts to arrive in memory.
static inline bool identity_read(struct str text, struct tl_span_context *out_identity)
{
    if (!traceparent_ids_read(text, out_identity->trace_id, out_identity->span_id,
                              &out_identity->flags))
        return false;
    out_identity->is_remote = true;
    out_identity->trace_state_len = 0;
    out_identity->trace_state = NULL;
    return true;
}

bool tl_traceparent_write(const struct tl_span_context *context, char out_text[56])
{
    if (!out_text)
        return false;
    out_text[0] = '\0';
    return context &&
           traceparent_ids_write(context->trace_id, context->span_id, context->flags, out_text);
}

bool tl_traceparent_read(const char *text, size_t len, struct tl_span_context *out_context)
{
    return out_context && identity_read((struct str){text, len}, out_context);
}

static void identity_inject(const struct tl_span_context *span, tl_set_function *set, void *carrier)
{
    char text[TRACEPARENT_TEXT];

    if (!traceparent_ids_write(span->trace_id, span->span_id, span->flags, text))
        return;
    set(carrier, traceparent_key.at, traceparent_key.len, text, TRACEPARENT_BYTES);
    if (span->trace_state_len)
        set(carrier, tracestate_key.at, tracestate_key.len, span->trace_state,
            span->trace_state_len);
}

void tl_inject_span(const struct tl_span_context *context, tl_set_function *set, void *carrier)
{
    struct tl_span_context span;

    if (!context || !set)
        return;
    if (context->trace_state_len == 0 ||
        trace_state_is_valid((struct str){context->trace_state, context->trace_state_len})) {
        identity_inject(context, set, carrier);
        return;
    }
    // The caller's own text; written as it is it could be anything, also another header.
    span = *context;
    span.trace_state_len = 0;
    identity_inject(&span, set, carrier);
}

static void inject(const struct outgoing *outgoing, tl_set_function *set, void *carrier)
{
    identity_inject(&outgoing->span, set, carrier);
}

// All lines of tracestate, joined (3.3.1.1), into the context; nothing when one member is bad.
static void state_read(struct tl_context *context, struct str first, const struct tl_getter *getter,
                       void *carrier)
{
    struct str lines[LINES_MAX];
    size_t count = 0;
    size_t bytes = 0;
    size_t written = 0;
    unsigned members = 0;
    char *room;

    for (struct str line = first; line.at;) {
        if (count == LINES_MAX)
            return;
        lines[count++] = line;
        bytes += line.len + 1;
        line = (struct str){NULL, 0};
        if (!getter->get(carrier, tracestate_key.at, tracestate_key.len, count, &line.at,
                         &line.len))
            break;
    }
    // Twice what can be valid: blanks and empty members may make it longer than that.
    if (bytes > 2 * TRACE_STATE_BYTES_MAX)
        return;
    room = context_state_room(context, bytes);
    for (size_t i = 0; room && i < count; i++) {
        const int len = trace_state_add(room + written, lines[i], &members);

        if (len < 0)
            return;
        written += (size_t)len;
    }
    if (!room || written == 0)
        return;
    context->identity.trace_state = room;
    context->identity.trace_state_len = (uint16_t)written;
}

static struct tl_context *extract(struct tl_context *context, const struct tl_getter *getter,
                                  void *carrier)
{
    struct tl_context *made;
    struct str text;
    const char *more = NULL;
    size_t more_len = 0;

    // More than one is nobody's (3.2.2 has exactly one): the trace starts anew.
    if (!field_get(getter, carrier, traceparent_key, &text) ||
        getter->get(carrier, traceparent_key.at, traceparent_key.len, 1, &more, &more_len))
        return tl_context_ref(context);
    made = context_derive(context);
    if (!made)
        return tl_context_ref(context);
    if (!identity_read(text, &made->identity)) {
        tl_context_unref(made);
        return tl_context_ref(context);
    }
    made->is_debug = false;
    if (field_get(getter, carrier, tracestate_key, &text))
        state_read(made, text, getter, carrier);
    return made;
}

const struct propagate_format w3c_format = {
    .name = "tracecontext",
    .inject = inject,
    .extract = extract,
    .fields = fields,
};
