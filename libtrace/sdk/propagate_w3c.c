// SPDX-License-Identifier: Apache-2.0
// W3C Trace Context level 2: traceparent and tracestate. Pure, but for the memory of a context.

#include "libtrace/model/traceparent.h"
#include "libtrace/sdk/propagate.h"
#include "libtrace/sdk/trace_state.h"

enum { LINES_MAX = TRACE_STATE_MEMBERS_MAX };

static const struct str traceparent_key = {"traceparent", 11};
static const struct str tracestate_key = {"tracestate", 10};
static const char *const fields[] = {"traceparent", "tracestate", NULL};

static bool identity_write(const struct tl_span_context *identity, char out_text[TRACEPARENT_TEXT])
{
    struct traceparent traceparent;

    memcpy(traceparent.trace_id, identity->trace_id, TRACE_ID_BYTES);
    memcpy(traceparent.span_id, identity->span_id, SPAN_ID_BYTES);
    traceparent.flags = identity->flags;
    return traceparent_write(&traceparent, out_text);
}

static bool identity_read(struct str text, struct tl_span_context *out_identity)
{
    struct traceparent traceparent;

    if (!traceparent_read(text, &traceparent))
        return false;
    *out_identity = (struct tl_span_context){.flags = traceparent.flags, .is_remote = true};
    memcpy(out_identity->trace_id, traceparent.trace_id, TRACE_ID_BYTES);
    memcpy(out_identity->span_id, traceparent.span_id, SPAN_ID_BYTES);
    return true;
}

bool tl_traceparent_write(const struct tl_span_context *context, char out_text[56])
{
    if (!out_text)
        return false;
    out_text[0] = '\0';
    return context && identity_write(context, out_text);
}

bool tl_traceparent_read(const char *text, size_t len, struct tl_span_context *out_context)
{
    struct tl_span_context read;

    if (!out_context || !identity_read((struct str){text, len}, &read))
        return false;
    *out_context = read;
    return true;
}

static void identity_inject(const struct tl_span_context *span, tl_set_function *set, void *carrier)
{
    char text[TRACEPARENT_TEXT];

    if (!identity_write(span, text))
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
    struct tl_span_context identity;
    struct tl_context *made;
    struct str text;
    const char *more = NULL;
    size_t more_len = 0;

    // More than one is nobody's (3.2.2 has exactly one): the trace starts anew.
    if (!field_get(getter, carrier, traceparent_key, &text) || !identity_read(text, &identity) ||
        getter->get(carrier, traceparent_key.at, traceparent_key.len, 1, &more, &more_len))
        return tl_context_ref(context);
    made = context_derive(context);
    if (!made)
        return tl_context_ref(context);
    made->is_debug = false;
    made->identity = identity;
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
