// SPDX-License-Identifier: Apache-2.0
// The list of protocols and what describing shares.

#include "libtrace/protocols/protocol.h"

#define ROW(name) extern const struct protocol name##_protocol;
#include "generated/protocol.def"
#undef ROW

const struct protocol *const protocols[] = {
#define ROW(name) &name##_protocol,
#include "generated/protocol.def"
#undef ROW
    NULL,
};

static struct attribute *attribute_next(struct span *span, struct arena *arena)
{
    if (!span->attributes.at)
        span->attributes.at =
            arena_take(arena, DESCRIBE_ATTRIBUTES_MAX * sizeof span->attributes.at[0]);
    if (!span->attributes.at || span->attributes.count == DESCRIBE_ATTRIBUTES_MAX) {
        span->dropped_attributes++;
        return NULL;
    }
    return &span->attributes.at[span->attributes.count++];
}

void describe_text(struct span *span, struct arena *arena, const char *key, struct str text)
{
    struct attribute *next = text.len && text.at ? attribute_next(span, arena) : NULL;

    if (next)
        *next = (struct attribute){str_of(key), {.type = VALUE_STRING, .string = text}};
}

void describe_number(struct span *span, struct arena *arena, const char *key, int64_t value)
{
    struct attribute *next = attribute_next(span, arena);

    if (next)
        *next = (struct attribute){str_of(key), {.type = VALUE_INT, .integer = value}};
}

void describe_flag(struct span *span, struct arena *arena, const char *key, bool value)
{
    struct attribute *next = attribute_next(span, arena);

    if (next)
        *next = (struct attribute){str_of(key), {.type = VALUE_BOOL, .boolean = value}};
}

void describe_ends(struct span *span, struct arena *arena, const struct exchange *exchange,
                   uint16_t usual_port)
{
    const bool is_server = exchange->is_server;
    const struct str server = is_server ? exchange->local_address : exchange->peer_address;
    const uint16_t port = is_server ? exchange->local_port : exchange->peer_port;

    describe_text(span, arena, "server.address", server);
    if (port && port != usual_port)
        describe_number(span, arena, "server.port", port);
    if (is_server)
        describe_text(span, arena, "client.address", exchange->peer_address);
    describe_text(span, arena, "network.peer.address", exchange->peer_address);
    if (exchange->peer_port)
        describe_number(span, arena, "network.peer.port", exchange->peer_port);
}

bool describe_closed(struct span *span, struct arena *arena, const struct exchange *exchange)
{
    if (exchange->ending != ENDING_CLOSED || exchange->is_server ||
        exchange->response.role != MESSAGE_NONE)
        return false;
    span->status = SPAN_STATUS_ERROR;
    describe_text(span, arena, "error.type", STR("connection_closed"));
    return true;
}
