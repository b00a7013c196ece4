// SPDX-License-Identifier: Apache-2.0
// Reads messages from the bytes of each direction. Heads are buffered only while they are not
// whole; bodies are counted. Whatever does not add up makes a stream lost until a message surely
// begins.

#include "libtrace/conversation/conversation.h"

#include <stdlib.h>

#include "libtrace/conversation/stats.h"

enum {
    DETECT_HOLD_BYTES = 4096, // of a stream whose protocol is not known
    DETECT_BYTES_MAX = 16 * 1024,
    DETECT_SEGMENTS_MAX = 256,
    OLD_SEGMENTS_MAX = 8,
    BUFFER_KEEP_BYTES = 2048,
};

static void count(enum conversation_stat row)
{
    stats_add(&conversation_stats, row, 1);
}

static bool is_known(const struct feed *feed)
{
    return feed->conversation->state == CONVERSATION_KNOWN;
}

static void stream_lose(struct feed *feed)
{
    struct conversation *conversation = feed->conversation;
    struct stream *stream = feed->stream;

    stream->state = STREAM_LOST;
    stream->buffer.len = 0;
    stream->wanted = 0;
    stream->is_head_open = false;
    stream->is_tentative = false;
    stream->is_suspect = false;
    if (conversation->protocol && conversation->protocol->forget)
        conversation->protocol->forget(conversation->memory, feed->from_client);
}

// The body is over, or what is left of it will never be known.
static void body_end(struct feed *feed, enum stream_state next)
{
    struct stream *stream = feed->stream;

    if (stream->is_answer)
        exchange_answered(feed->assembler, feed->conversation);
    stream->is_answer = false;
    stream->is_suspect = false;
    stream->state = next;
}

static void answer_touch(struct feed *feed)
{
    struct open_exchange *oldest = feed->conversation->waiting.oldest;

    if (feed->stream->is_answer && oldest && oldest->is_answering)
        oldest->end_ns = feed->segment->time_ns;
}

static void opaque_begin(struct feed *feed)
{
    exchange_answered(feed->assembler, feed->conversation);
    exchange_end_unknown(feed->assembler, feed->conversation);
    feed->conversation->state = CONVERSATION_IGNORED;
}

// A message, or a part of one, was read.
static void message_take(struct feed *feed, const struct message *message)
{
    struct stream *stream = feed->stream;
    bool is_answer = false;

    if (stream->is_tentative) {
        count(CONVERSATION_resyncs);
        stream->is_tentative = false;
        exchange_resynced(feed);
    }
    if (message->role == MESSAGE_REQUEST)
        exchange_request(feed, message);
    else if (message->role == MESSAGE_ONE_WAY)
        exchange_one_way(feed, message);
    else if (message->role == MESSAGE_RESPONSE)
        is_answer = exchange_response(feed, message);
    if (message->role != MESSAGE_PART)
        stream->is_head_open = false;
    stream->wanted = 0;
    stream->is_suspect = false;
    stream->is_answer = is_answer;
    if (message->body == BODY_OPAQUE) {
        opaque_begin(feed);
        return;
    }
    switch (body_begin(&stream->body, message)) {
    case BODY_ENDED:
        body_end(feed, STREAM_HEAD);
        return;
    case BODY_GOES_ON:
        stream->state = STREAM_BODY;
        return;
    case BODY_LOST:
        stream->state = STREAM_LOST;
    }
}

// The response's texts belong to the request that it answers; all others to the spare.
static enum parse head_read(struct feed *feed, struct str view, struct message *out_message)
{
    struct conversation *conversation = feed->conversation;
    struct open_exchange *oldest = feed->from_client ? NULL : conversation->waiting.oldest;
    struct open_exchange *owner = oldest ? oldest : feed->assembler->spare;
    enum parse parse;

    *out_message = (struct message){.role = MESSAGE_NONE};
    parse = conversation->protocol->read(conversation->memory, view, feed->from_client,
                                         oldest ? &oldest->exchange.request : NULL, &owner->arena,
                                         out_message);
    if (parse != PARSE_DONE && owner == feed->assembler->spare && owner->arena.used_bytes)
        arena_reset(&owner->arena);
    return parse;
}

// Looks for a message in a segment's bytes. How many of them are passed over.
static size_t lost_step(struct feed *feed, struct str view, bool at_start)
{
    const size_t at =
        at_start ? feed->conversation->protocol->find(view, feed->from_client) : view.len;

    if (at >= view.len)
        return view.len;
    feed->stream->state = STREAM_HEAD;
    feed->stream->is_tentative = true;
    feed->stream->is_head_open = false;
    return at;
}

// Bytes used; 0: more are wanted.
static size_t head_step(struct feed *feed, struct str view, bool at_start)
{
    struct stream *stream = feed->stream;
    struct message message;
    enum parse parse;
    bool is_sure;
    size_t at;

    if (view.len < stream->wanted)
        return 0;
    if (!stream->is_head_open) {
        stream->is_head_open = true;
        stream->head_ns = feed->segment->time_ns;
        stream->begins_segment = at_start;
    }
    // With more bytes in sight it may be plain that no message begins here.
    is_sure =
        !stream->is_tentative || feed->conversation->protocol->find(view, feed->from_client) == 0;
    parse = is_sure ? head_read(feed, view, &message) : PARSE_RESYNC;
    if (parse == PARSE_MORE) {
        stream->wanted = message.head_bytes > view.len ? message.head_bytes : 0;
        return 0;
    }
    if (parse == PARSE_DONE && message.head_bytes && message.head_bytes <= view.len) {
        message_take(feed, &message);
        if (feed->assembler->spare->arena.used_bytes)
            arena_reset(&feed->assembler->spare->arena);
        return message.head_bytes;
    }
    stream_lose(feed);
    // Not at its start, but further on there may be one.
    at = at_start ? lost_step(feed, view, true) : view.len;
    if (at == 0)
        stream_lose(feed);
    return at ? at : view.len;
}

// The body should have ended and what comes now begins like a message.
static bool is_body_over(const struct feed *feed, struct str view)
{
    const struct stream *stream = feed->stream;
    const struct conversation *conversation = feed->conversation;
    const bool is_suspect = feed->from_client
                                ? conversation->is_response_last && !conversation->waiting.oldest
                                : stream->is_suspect;

    return is_suspect && conversation->protocol->detect(view, feed->from_client) == MATCH_YES &&
           (!feed->from_client || str_find(view, '\n') < view.len);
}

static size_t body_step(struct feed *feed, struct str view, bool at_start)
{
    struct stream *stream = feed->stream;
    enum body_state state;
    size_t used = 0;

    if (at_start && is_body_over(feed, view)) {
        body_end(feed, STREAM_HEAD);
        stream->is_tentative = true;
        return head_step(feed, view, true);
    }
    state = body_take(&stream->body, view, &used);
    answer_touch(feed);
    if (state == BODY_ENDED) {
        body_end(feed, STREAM_HEAD);
    } else if (state == BODY_LOST) {
        // The exchange stays open until a message begins, silence or the end.
        stream_lose(feed);
        return view.len;
    }
    return used;
}

static size_t step(struct feed *feed, struct str view, bool at_start)
{
    size_t used;

    switch (feed->stream->state) {
    case STREAM_BODY:
        return body_step(feed, view, at_start);
    case STREAM_HEAD:
        return head_step(feed, view, at_start);
    case STREAM_LOST:
        break;
    }
    answer_touch(feed);
    used = lost_step(feed, view, at_start);
    return used ? used : head_step(feed, view, at_start);
}

// Runs over `view` as far as it goes; out_rest is what waits for more.
static void view_run(struct feed *feed, struct str view, bool at_start, struct str *out_rest)
{
    while (view.len && is_known(feed)) {
        const size_t used = step(feed, view, at_start);

        if (used == 0)
            break;
        view = str_from(view, used);
        at_start = false;
    }
    *out_rest = view;
}

static void buffer_keep(struct feed *feed, struct str rest)
{
    struct bytes *buffer = &feed->stream->buffer;

    bytes_add_str(buffer, rest);
    if (!buffer->is_failed && feed->stream->wanted <= buffer->limit)
        return;
    count(CONVERSATION_heads_long);
    bytes_done(buffer);
    stream_lose(feed);
}

// A head lacks its end, and a whole new one begins with the segment: bytes in between were not
// seen.
static bool is_head_over(const struct feed *feed, struct str bytes)
{
    const struct protocol *protocol = feed->conversation->protocol;

    return protocol->head_end && str_find(bytes, '\n') < bytes.len &&
           protocol->detect(bytes, feed->from_client) == MATCH_YES;
}

static void fresh_run(struct feed *feed, struct str bytes)
{
    struct str rest;

    view_run(feed, bytes, true, &rest);
    if (rest.len && is_known(feed))
        buffer_keep(feed, rest);
}

static void stream_run(struct feed *feed, struct str bytes)
{
    struct bytes *buffer = &feed->stream->buffer;
    struct str rest;

    if (buffer->len && is_head_over(feed, bytes)) {
        count(CONVERSATION_heads_cut);
        stream_lose(feed);
    }
    if (buffer->len)
        buffer_keep(feed, bytes);
    if (buffer->len == 0) {
        fresh_run(feed, bytes);
        return;
    }
    view_run(feed, bytes_str(buffer), false, &rest);
    // What was begun made no sense, but the segment by itself may.
    if (feed->stream->state == STREAM_LOST && buffer->len == 0 && is_known(feed)) {
        fresh_run(feed, bytes);
        return;
    }
    if (rest.len)
        memmove(buffer->at, rest.at, rest.len);
    buffer->len = rest.len;
    if (buffer->len == 0 && buffer->capacity > BUFFER_KEEP_BYTES)
        bytes_done(buffer);
}

// The end of a head is missing: it is read up to its last whole line.
static bool head_mend(struct feed *feed)
{
    const struct protocol *protocol = feed->conversation->protocol;
    struct bytes *buffer = &feed->stream->buffer;
    struct message message;

    while (buffer->len && buffer->at[buffer->len - 1] != '\n')
        buffer->len--;
    if (!protocol->head_end || buffer->len == 0)
        return false;
    bytes_add_str(buffer, str_of(protocol->head_end));
    if (buffer->is_failed || head_read(feed, bytes_str(buffer), &message) != PARSE_DONE ||
        message.body == BODY_OPAQUE)
        return false;
    message.body = BODY_UNKNOWN;
    message_take(feed, &message);
    return true;
}

static void stream_pass(struct feed *feed, uint64_t lost)
{
    struct stream *stream = feed->stream;

    stats_add(&conversation_stats, CONVERSATION_lost_bytes, lost);
    if (feed->conversation->state == CONVERSATION_NEW)
        stream->buffer.len = 0;
    if (!is_known(feed))
        return;
    if (stream->state == STREAM_BODY) {
        answer_touch(feed);
        switch (body_pass(&stream->body, lost)) {
        case BODY_ENDED:
            body_end(feed, STREAM_HEAD);
            return;
        case BODY_GOES_ON:
            return;
        case BODY_LOST:
            if (stream->body.kind == BODY_LENGTH)
                body_end(feed, STREAM_LOST);
            stream_lose(feed);
            return;
        }
    }
    if (stream->state == STREAM_HEAD && stream->buffer.len) {
        count(CONVERSATION_heads_cut);
        head_mend(feed);
    }
    stream_lose(feed);
}

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

void conversation_ignore(struct conversation *conversation)
{
    conversation->state = CONVERSATION_IGNORED;
    free(conversation->memory);
    conversation->memory = NULL;
    bytes_done(&conversation->streams[0].buffer);
    bytes_done(&conversation->streams[1].buffer);
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
    view_run(&other, bytes_str(&stream->buffer), true, &rest);
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
            count(CONVERSATION_connections_refused);
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
static enum match unknown_detect(struct feed *feed, struct str bytes,
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

// Bytes of a connection whose protocol is not known yet.
static void unknown_take(struct feed *feed, struct str bytes)
{
    struct conversation *conversation = feed->conversation;
    struct stream *stream = feed->stream;
    const struct protocol *protocol;
    enum conn_role role;
    enum match match;

    if (stream->buffer.len > DETECT_HOLD_BYTES)
        stream->buffer.len = 0;
    if (stream->buffer.len == 0) {
        stream->is_head_open = true;
        stream->head_ns = feed->segment->time_ns;
        stream->begins_segment = true;
    }
    conversation->seen_bytes += bytes.len;
    conversation->seen_segments++;
    match = unknown_detect(feed, bytes, &protocol, &role);
    if (match == MATCH_YES) {
        protocol_choose(feed, protocol, role);
        return;
    }
    if (match == MATCH_NO || stream->buffer.is_failed) {
        bytes_done(&stream->buffer);
        stream->is_head_open = false;
    }
    if (conversation->seen_bytes > DETECT_BYTES_MAX ||
        conversation->seen_segments > DETECT_SEGMENTS_MAX) {
        count(CONVERSATION_connections_unknown);
        conversation_ignore(conversation);
    }
}

// Compares offsets: what was seen before is cut off, what is missing is passed. False: all old.
static bool offset_check(struct feed *feed, struct str *inout_bytes, uint64_t *inout_lost)
{
    const struct segment *segment = feed->segment;
    struct stream *stream = feed->stream;
    const uint64_t total = inout_bytes->len + *inout_lost;
    uint64_t old;

    if (!stream->is_started) {
        stream->is_started = true;
        stream->next_offset = segment->offset;
    }
    if (segment->offset > stream->next_offset) {
        count(CONVERSATION_gaps);
        stream_pass(feed, segment->offset - stream->next_offset);
        stream->next_offset = segment->offset;
    }
    old = stream->next_offset - segment->offset;
    if (old >= total && total) {
        count(CONVERSATION_repeats);
        // Once or twice it is the same bytes again; else the offsets began anew.
        if (++stream->old_segments <= OLD_SEGMENTS_MAX)
            return false;
        stream_lose(feed);
        stream->next_offset = segment->offset;
        old = 0;
    }
    stream->old_segments = 0;
    if (old > inout_bytes->len)
        *inout_lost -= old - inout_bytes->len;
    *inout_bytes =
        str_from(*inout_bytes, (size_t)(old < inout_bytes->len ? old : inout_bytes->len));
    stream->next_offset = segment->offset + total;
    return true;
}

void conversation_segment(struct assembler *assembler, struct conversation *conversation,
                          const struct segment *segment)
{
    struct feed feed = {
        .assembler = assembler,
        .conversation = conversation,
        .stream = &conversation->streams[segment->direction],
        .segment = segment,
        .from_client =
            (conversation->about.role == CONN_ROLE_CLIENT) == (segment->direction == DIRECTION_OUT),
    };
    const size_t limit = assembler->plan.limits.max_bytes_each / 4;
    struct str bytes = segment->bytes;
    uint64_t lost = segment->lost_bytes;

    if (segment->time_ns > conversation->last_ns)
        conversation->last_ns = segment->time_ns;
    if (conversation->state == CONVERSATION_IGNORED)
        return;
    feed.stream->buffer.limit = limit;
    if (!offset_check(&feed, &bytes, &lost))
        return;
    if (bytes.len && conversation->state == CONVERSATION_NEW) {
        unknown_take(&feed, bytes);
        feed.from_client =
            (conversation->about.role == CONN_ROLE_CLIENT) == (segment->direction == DIRECTION_OUT);
    } else if (bytes.len) {
        stream_run(&feed, bytes);
    }
    if (lost)
        stream_pass(&feed, lost);
    feed.stream->last_ns = segment->time_ns;
    if (conversation->state == CONVERSATION_IGNORED)
        conversation_ignore(conversation);
}
