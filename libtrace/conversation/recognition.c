// SPDX-License-Identifier: Apache-2.0
// Which protocol a connection speaks: its first bytes are held until one is sure of them, or none.

#include "libtrace/conversation/conversation.h"

#include <stdlib.h>

#include "libtrace/conversation/stats.h"

enum {
    HOLD_BYTES = 4096, // of a direction
    SEEN_BYTES_MAX = 16 * 1024,
    SEEN_SEGMENTS_MAX = 256,
};

static enum match detect_all(const struct conversation *conversation, struct str head,
                             enum direction direction, const struct protocol **out_protocol,
                             enum conn_role *out_role)
{
    enum match best = MATCH_NO;

    for (size_t i = 0; protocols[i]; i++) {
        for (int from_client = 1; from_client >= 0; from_client--) {
            const enum conn_role role = (direction == DIRECTION_OUT) == (from_client == 1)
                                            ? CONN_ROLE_CLIENT
                                            : CONN_ROLE_SERVER;
            enum match match;

            if (conversation->about.role != CONN_ROLE_UNKNOWN && conversation->about.role != role)
                continue;
            match = protocols[i]->detect(head, from_client == 1);
            if (match == MATCH_YES) {
                *out_protocol = protocols[i];
                *out_role = role;
                return MATCH_YES;
            }
            best = match > best ? match : best;
        }
    }
    return best;
}

// Reads what was held of a direction while the protocol was not known. Only this segment's own
// direction has a context.
static void held_run(struct feed *feed, enum direction direction)
{
    struct conversation *conversation = feed->conversation;
    struct stream *stream = &conversation->streams[direction];
    const struct segment *segment = feed->segment;
    struct segment held = {.direction = direction, .time_ns = stream->last_ns};
    struct feed other = *feed;
    struct str rest;

    other.stream = stream;
    other.from_client =
        (conversation->about.role == CONN_ROLE_CLIENT) == (direction == DIRECTION_OUT);
    if (direction != segment->direction) {
        other.segment = &held;
        stream->is_tentative = stream->is_started;
    }
    conversation_run(&other, bytes_str(&stream->buffer), true, &rest);
    if (rest.len)
        memmove(stream->buffer.at, rest.at, rest.len);
    stream->buffer.len = stream->state == STREAM_LOST ? 0 : rest.len;
}

static void protocol_choose(struct feed *feed, const struct protocol *protocol, enum conn_role role)
{
    struct conversation *conversation = feed->conversation;
    const enum direction asks = role == CONN_ROLE_CLIENT ? DIRECTION_OUT : DIRECTION_IN;

    if (protocol->memory_bytes) {
        conversation->memory = calloc(1, protocol->memory_bytes);
        if (!conversation->memory) {
            stats_add(&conversation_stats, CONVERSATION_connections_refused, 1);
            conversation_ignore(conversation);
            return;
        }
    }
    conversation->protocol = protocol;
    conversation->about.role = role;
    conversation->state = CONVERSATION_KNOWN;
    held_run(feed, asks);
    held_run(feed, asks == DIRECTION_OUT ? DIRECTION_IN : DIRECTION_OUT);
}

// Recognises what is held with the new bytes, or those bytes by themselves.
static enum match recognise(struct feed *feed, struct str bytes,
                            const struct protocol **out_protocol, enum conn_role *out_role)
{
    struct bytes *buffer = &feed->stream->buffer;
    const enum direction direction = feed->segment->direction;
    enum match match;

    bytes_add_str(buffer, bytes);
    match = detect_all(feed->conversation, bytes_str(buffer), direction, out_protocol, out_role);
    if (match == MATCH_YES || buffer->is_failed || buffer->len == bytes.len)
        return match;
    if (detect_all(feed->conversation, bytes, direction, out_protocol, out_role) != MATCH_YES)
        return match;
    buffer->len = 0;
    bytes_add_str(buffer, bytes);
    feed->stream->head_ns = feed->segment->time_ns;
    return MATCH_YES;
}

void recognition_take(struct feed *feed, struct str bytes)
{
    struct conversation *conversation = feed->conversation;
    struct stream *stream = feed->stream;
    const struct protocol *protocol;
    enum conn_role role;
    enum match match;

    if (stream->buffer.len > HOLD_BYTES)
        stream->buffer.len = 0;
    if (stream->buffer.len == 0) {
        stream->is_head_open = true;
        stream->head_ns = feed->segment->time_ns;
        stream->begins_segment = true;
    }
    conversation->seen_bytes += bytes.len;
    conversation->seen_segments++;
    match = recognise(feed, bytes, &protocol, &role);
    if (match == MATCH_YES) {
        protocol_choose(feed, protocol, role);
        return;
    }
    if (match == MATCH_NO || stream->buffer.is_failed) {
        bytes_done(&stream->buffer);
        stream->is_head_open = false;
    }
    if (conversation->seen_bytes > SEEN_BYTES_MAX ||
        conversation->seen_segments > SEEN_SEGMENTS_MAX) {
        stats_add(&conversation_stats, CONVERSATION_connections_unknown, 1);
        conversation_ignore(conversation);
    }
}
