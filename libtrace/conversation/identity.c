// SPDX-License-Identifier: Apache-2.0
// What is on the wire counts before what the tap says, outbound; inbound the other way round,
// because there the tap's span id was already handed on as the parent of others.

#include "libtrace/conversation/identity.h"

#include "libtrace/model/traceparent.h"

enum { FLAG_SAMPLED = 1, FLAG_HAS_IS_REMOTE = 0x100, FLAG_IS_REMOTE = 0x200 };

static void random_id(const struct identity_source *source, uint8_t *out_id, size_t len)
{
    do {
        for (size_t at = 0; at < len; at += 8) {
            const uint64_t bits = source->random(source->random_self);

            memcpy(out_id + at, &bits, 8);
        }
    } while (!id_is_valid(out_id, len));
}

static void random_root(const struct identity_source *source, struct identity *identity)
{
    random_id(source, identity->trace_id, TRACE_ID_BYTES);
    random_id(source, identity->span_id, SPAN_ID_BYTES);
    identity->flags = FLAG_SAMPLED;
}

// The context's own span id belongs to one message.
static void from_context(const struct identity_source *source, struct identity *identity)
{
    const struct segment_context *context = source->context;

    memcpy(identity->trace_id, context->trace_id, TRACE_ID_BYTES);
    memcpy(identity->parent_id, context->parent_id, SPAN_ID_BYTES);
    if (source->is_first && id_is_valid(context->span_id, SPAN_ID_BYTES))
        memcpy(identity->span_id, context->span_id, SPAN_ID_BYTES);
    else
        random_id(source, identity->span_id, SPAN_ID_BYTES);
    identity->flags = context->flags;
    identity->is_inferred = context->is_inferred;
}

static void from_wire(const struct identity_source *source, const struct traceparent *wire,
                      struct identity *identity)
{
    memcpy(identity->trace_id, wire->trace_id, TRACE_ID_BYTES);
    memcpy(identity->parent_id, wire->span_id, SPAN_ID_BYTES);
    random_id(source, identity->span_id, SPAN_ID_BYTES);
    identity->flags = wire->flags;
}

// The tap wrote the traceparent: its parent-id is this message's own span.
static void from_written(const struct identity_source *source, const struct traceparent *wire,
                         struct identity *identity)
{
    const struct segment_context *context = source->context;

    memcpy(identity->trace_id, wire->trace_id, TRACE_ID_BYTES);
    memcpy(identity->span_id, wire->span_id, SPAN_ID_BYTES);
    identity->flags = wire->flags;
    if (context->is_known && memcmp(context->trace_id, wire->trace_id, TRACE_ID_BYTES) == 0) {
        memcpy(identity->parent_id, context->parent_id, SPAN_ID_BYTES);
        identity->is_inferred = context->is_inferred;
    }
}

static void choose_outbound(const struct identity_source *source, struct identity *identity)
{
    struct traceparent wire;
    const bool has_wire = traceparent_read(source->traceparent, &wire);

    if (has_wire && source->context->is_written)
        from_written(source, &wire, identity);
    else if (has_wire)
        from_wire(source, &wire, identity);
    else if (source->context->is_known)
        from_context(source, identity);
    else
        random_root(source, identity);
}

static void choose_inbound(const struct identity_source *source, struct identity *identity)
{
    const bool is_known = source->context->is_known;
    struct traceparent wire;
    const bool has_wire = traceparent_read(source->traceparent, &wire);

    // Only the first message of a segment was looked at by the tap.
    if (is_known && (source->is_first || !has_wire))
        from_context(source, identity);
    else if (has_wire)
        from_wire(source, &wire, identity);
    else
        random_root(source, identity);
    if (id_is_valid(identity->parent_id, SPAN_ID_BYTES) && !identity->is_inferred)
        identity->flags |= FLAG_HAS_IS_REMOTE | FLAG_IS_REMOTE;
}

struct identity identity_choose(const struct identity_source *source)
{
    struct identity identity = {.flags = 0};

    // A context that says it is known and has no trace is none.
    if (source->context->is_known && !id_is_valid(source->context->trace_id, TRACE_ID_BYTES)) {
        struct identity_source without = *source;
        struct segment_context context = *source->context;

        context.is_known = false;
        without.context = &context;
        return identity_choose(&without);
    }
    if (source->direction == DIRECTION_OUT)
        choose_outbound(source, &identity);
    else
        choose_inbound(source, &identity);
    return identity;
}
