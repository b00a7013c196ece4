// SPDX-License-Identifier: Apache-2.0
// Reads messages from the bytes of each direction. Heads are buffered only while they are not
// whole; bodies are counted. Whatever does not add up makes a stream lost until a message surely
// begins.

#include "libtrace/conversation/conversation.h"

#include <stdlib.h>

#include "libtrace/conversation/stats.h"

enum {
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

void stream_lose(struct conversation *conversation, struct stream *stream)
{
    stream->state = STREAM_LOST;
    stream->buffer.len = 0;
    stream->wanted = 0;
    stream->is_head_open = false;
    stream->is_tentative = false;
    stream->is_suspect = false;
    if (conversation->protocol && conversation->protocol->forget)
        conversation->protocol->forget(conversation->memory,
                                       stream == stream_from_client(conversation));
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

// Everything is read into the spare: which request a response ends is known only afterwards.
static enum parse head_read(struct feed *feed, struct str view, struct message *out_message)
{
    struct conversation *conversation = feed->conversation;
    const struct open_exchange *oldest = feed->from_client ? NULL : conversation->waiting.oldest;
    struct arena *arena = &feed->assembler->spare->arena;

    *out_message = (struct message){.role = MESSAGE_NONE};
    if (arena->used_bytes)
        arena_reset(arena);
    return conversation->protocol->read(conversation->memory, view, feed->from_client,
                                        oldest ? &oldest->exchange.request : NULL, arena,
                                        out_message);
}

// Looks for a message in a segment's bytes. How many of them are passed over.
static size_t lost_step(struct feed *feed, struct str view, bool at_start)
{
    struct conversation *conversation = feed->conversation;
    struct stream *stream = feed->stream;
    const bool is_multipart = conversation->protocol->is_multipart;
    const size_t at = at_start ? conversation->protocol->find(view, feed->from_client) : view.len;

    // Where no response begins, one began among what is missing. Of many messages, what was passed
    // over may go on to its end, but not to another beginning.
    if (!feed->from_client && (is_multipart ? at == 0 && stream->has_passed : at >= view.len))
        exchange_answers_lost(feed->assembler, conversation);
    stream->has_passed = at >= view.len;
    if (at >= view.len)
        return view.len;
    stream->state = STREAM_HEAD;
    stream->is_tentative = true;
    stream->is_head_open = false;
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
        return message.head_bytes;
    }
    stream_lose(feed->conversation, feed->stream);
    // Not at its start, but further on there may be one.
    at = at_start ? lost_step(feed, view, true) : view.len;
    if (at == 0)
        stream_lose(feed->conversation, feed->stream);
    return at ? at : view.len;
}

// The body should have ended and what comes now begins like a message. A request whose response is
// over is over itself where heads are as plain as those of HTTP.
static bool is_body_over(const struct feed *feed, struct str view)
{
    const struct conversation *conversation = feed->conversation;
    const struct protocol *protocol = conversation->protocol;
    const bool is_answered = feed->from_client && protocol->head_end && str_has(view, '\n') &&
                             conversation->is_response_last && !conversation->waiting.oldest;

    return (is_answered || feed->stream->is_suspect) &&
           protocol->detect(view, feed->from_client) == MATCH_YES;
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
        stream_lose(feed->conversation, feed->stream);
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

void conversation_run(struct feed *feed, struct str view, bool at_start, struct str *out_rest)
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
    stream_lose(feed->conversation, feed->stream);
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

    conversation_run(feed, bytes, true, &rest);
    if (rest.len && is_known(feed))
        buffer_keep(feed, rest);
}

static void stream_run(struct feed *feed, struct str bytes)
{
    struct bytes *buffer = &feed->stream->buffer;
    struct str rest;

    if (buffer->len && is_head_over(feed, bytes)) {
        count(CONVERSATION_heads_cut);
        stream_lose(feed->conversation, feed->stream);
    }
    if (buffer->len)
        buffer_keep(feed, bytes);
    if (buffer->len == 0) {
        fresh_run(feed, bytes);
        return;
    }
    conversation_run(feed, bytes_str(buffer), false, &rest);
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

// Bytes are missing that were not inside of a body: what is answered now, and what was, nobody
// knows.
static void framing_pass(struct feed *feed, bool is_gap)
{
    struct stream *stream = feed->stream;
    const bool may_go_on = !is_gap && feed->conversation->protocol->is_multipart;
    bool is_mended = false;

    if (stream->state == STREAM_BODY && stream->body.kind == BODY_LENGTH) {
        body_end(feed, STREAM_LOST);
    } else if (stream->state == STREAM_HEAD && stream->buffer.len) {
        count(CONVERSATION_heads_cut);
        is_mended = head_mend(feed);
    }
    // A request that is known only now, behind the gap, may have been answered long ago.
    if (feed->from_client ? is_mended && is_gap : !(may_go_on && stream->is_head_open))
        exchange_answers_lost(feed->assembler, feed->conversation);
    stream_lose(feed->conversation, feed->stream);
    stream->has_passed = true;
}

// `is_gap`: a whole segment is missing, or several; else the end of one was not copied.
static void stream_pass(struct feed *feed, uint64_t lost, bool is_gap)
{
    struct stream *stream = feed->stream;
    enum body_state state;

    stats_add(&conversation_stats, CONVERSATION_lost_bytes, lost);
    if (feed->conversation->state == CONVERSATION_NEW)
        stream->buffer.len = 0;
    if (!is_known(feed))
        return;
    if (stream->state != STREAM_BODY) {
        framing_pass(feed, is_gap);
        return;
    }
    answer_touch(feed);
    state = body_pass(&stream->body, lost);
    if (state == BODY_ENDED)
        body_end(feed, STREAM_HEAD);
    else if (state == BODY_LOST)
        framing_pass(feed, is_gap);
}

void conversation_ignore(struct conversation *conversation)
{
    conversation->state = CONVERSATION_IGNORED;
    free(conversation->memory);
    conversation->memory = NULL;
    bytes_done(&conversation->streams[0].buffer);
    bytes_done(&conversation->streams[1].buffer);
}

// Compares offsets: what was seen before is cut off, what is missing is passed. False: all old.
static bool offset_check(struct feed *feed, struct str *inout_bytes, uint64_t *inout_lost)
{
    const struct segment *segment = feed->segment;
    struct stream *stream = feed->stream;
    const struct stream *other = &feed->conversation->streams[1 - segment->direction];
    const uint64_t total = inout_bytes->len + *inout_lost;
    uint64_t old;

    if (total == 0)
        return false;
    if (!stream->is_started) {
        stream->is_started = true;
        stream->begins_at_zero = segment->offset == 0;
        // Where one direction was seen from its beginning, so would be the other.
        stream->next_offset = other->begins_at_zero ? 0 : segment->offset;
    }
    if (segment->offset > stream->next_offset) {
        count(CONVERSATION_gaps);
        stream_pass(feed, segment->offset - stream->next_offset, true);
        stream->next_offset = segment->offset;
    }
    old = stream->next_offset - segment->offset;
    if (old >= total) {
        count(CONVERSATION_repeats);
        // Once or twice it is the same bytes again; else the offsets began anew.
        if (++stream->old_segments <= OLD_SEGMENTS_MAX)
            return false;
        stream_lose(feed->conversation, feed->stream);
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
        recognition_take(&feed, bytes);
        feed.from_client =
            (conversation->about.role == CONN_ROLE_CLIENT) == (segment->direction == DIRECTION_OUT);
    } else if (bytes.len) {
        stream_run(&feed, bytes);
    }
    if (lost)
        stream_pass(&feed, lost, false);
    feed.stream->last_ns = segment->time_ns;
    if (conversation->state == CONVERSATION_IGNORED)
        conversation_ignore(conversation);
}
