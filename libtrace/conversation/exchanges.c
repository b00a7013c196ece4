// SPDX-License-Identifier: Apache-2.0
// Requests wait in the order they came; a response ends the oldest. Each exchange owns its texts
// and goes back to a small pool when it was told.

#include <stdlib.h>

#include "libtrace/conversation/conversation.h"
#include "libtrace/conversation/stats.h"

enum {
    POOL_MAX = 256,
    POOL_ARENA_BYTES_MAX = 16 * 1024,
    ARENA_BYTES_MAX = 64 * 1024,
    WAITING_MAX = 1024,
};

static const uint64_t repeat_ns_max = 1000000000;
static const uint64_t stuck_ns = 10000000000;

static void count(enum conversation_stat row)
{
    stats_add(&conversation_stats, row, 1);
}

struct open_exchange *exchange_take(struct assembler *assembler)
{
    struct open_exchange *open = assembler->free;

    if (open) {
        assembler->free = open->next;
        assembler->free_count--;
        open->next = NULL;
        return open;
    }
    open = calloc(1, sizeof *open);
    if (open)
        arena_init(&open->arena, ARENA_BYTES_MAX);
    return open;
}

void exchange_give_back(struct assembler *assembler, struct open_exchange *open)
{
    struct arena arena = open->arena;

    if (assembler->free_count >= POOL_MAX) {
        arena_done(&open->arena);
        free(open);
        return;
    }
    if (arena.used_bytes > POOL_ARENA_BYTES_MAX)
        arena_done(&arena);
    arena_reset(&arena);
    *open = (struct open_exchange){.arena = arena, .next = assembler->free};
    assembler->free = open;
    assembler->free_count++;
}

static void span_begin(const struct open_exchange *open, struct span *span)
{
    const struct identity *identity = &open->identity;

    memcpy(span->trace_id, identity->trace_id, TRACE_ID_BYTES);
    memcpy(span->span_id, identity->span_id, SPAN_ID_BYTES);
    memcpy(span->parent_id, identity->parent_id, SPAN_ID_BYTES);
    span->flags = identity->flags;
    span->start_ns = open->start_ns;
    span->end_ns = open->end_ns > open->start_ns ? open->end_ns : open->start_ns;
}

static void exchange_tell(struct assembler *assembler, struct conversation *conversation,
                          struct open_exchange *open, enum ending ending)
{
    const struct connection *about = &conversation->about;
    struct exchange *exchange = &open->exchange;
    struct span span = {.kind = SPAN_KIND_UNSPECIFIED};

    exchange->ending = ending;
    exchange->is_server = about->role == CONN_ROLE_SERVER;
    exchange->is_peer_traced = about->is_peer_traced;
    exchange->peer_address = about->peer_address;
    exchange->peer_port = about->peer_port;
    exchange->local_address = about->local_address;
    exchange->local_port = about->local_port;
    span_begin(open, &span);
    if (conversation->protocol->describe(exchange, &open->arena, &span)) {
        if (open->identity.is_inferred)
            describe_flag(&span, &open->arena, "throughline.parent.inferred", true);
        count(CONVERSATION_spans);
        if (exchange->request.role == MESSAGE_REQUEST && exchange->response.role == MESSAGE_NONE)
            count(CONVERSATION_spans_unanswered);
        assembler->plan.emit(assembler->plan.emit_self, about, &span);
    } else {
        count(CONVERSATION_messages_untold);
    }
    exchange_give_back(assembler, open);
}

static struct open_exchange *list_take(struct exchange_list *list)
{
    struct open_exchange *open = list->oldest;

    list->oldest = open->next;
    if (!list->oldest)
        list->newest = NULL;
    list->count--;
    list->held_bytes -= open->held_bytes;
    open->next = NULL;
    return open;
}

// When a request that was perhaps answered ended at the latest: with the last bytes from the other
// side, or, when there were none since, now.
static uint64_t unknown_end_ns(struct conversation *conversation, const struct open_exchange *open)
{
    const uint64_t last_ns = stream_from_server(conversation)->last_ns;

    return last_ns >= open->start_ns ? last_ns : conversation->last_ns;
}

static void list_add(struct exchange_list *list, struct open_exchange *open)
{
    if (list->newest)
        list->newest->next = open;
    else
        list->oldest = open;
    list->newest = open;
    list->count++;
    open->held_bytes = sizeof *open + open->arena.used_bytes;
    list->held_bytes += open->held_bytes;
}

// Tells the oldest ones until `left` remain. What was being answered keeps its end.
static void tell_until(struct assembler *assembler, struct conversation *conversation, size_t left,
                       enum ending ending, uint64_t end_ns)
{
    while (conversation->waiting.count > left) {
        struct open_exchange *open = list_take(&conversation->waiting);
        const bool is_answered = open->is_answering;

        if (!is_answered)
            open->end_ns = ending == ENDING_UNKNOWN ? unknown_end_ns(conversation, open) : end_ns;
        exchange_tell(assembler, conversation, open, is_answered ? ENDING_ANSWERED : ending);
    }
}

static void end_all(struct assembler *assembler, struct conversation *conversation,
                    enum ending ending, uint64_t end_ns)
{
    tell_until(assembler, conversation, 0, ending, end_ns);
    conversation->crowded = 0;
    if (conversation->early) {
        count(CONVERSATION_responses_orphaned);
        exchange_give_back(assembler, conversation->early);
        conversation->early = NULL;
    }
}

void exchange_end_unknown(struct assembler *assembler, struct conversation *conversation)
{
    end_all(assembler, conversation, ENDING_UNKNOWN, 0);
}

void exchange_end_closed(struct assembler *assembler, struct conversation *conversation,
                         uint64_t time_ns)
{
    end_all(assembler, conversation, ENDING_CLOSED, time_ns);
}

void exchange_abandon_all(struct assembler *assembler, struct conversation *conversation)
{
    while (conversation->waiting.count) {
        count(CONVERSATION_messages_abandoned);
        exchange_give_back(assembler, list_take(&conversation->waiting));
    }
    if (conversation->early)
        exchange_give_back(assembler, conversation->early);
    conversation->early = NULL;
}

void exchange_answered(struct assembler *assembler, struct conversation *conversation)
{
    if (conversation->waiting.oldest && conversation->waiting.oldest->is_answering)
        exchange_tell(assembler, conversation, list_take(&conversation->waiting), ENDING_ANSWERED);
}

void exchange_answers_lost(struct assembler *assembler, struct conversation *conversation)
{
    struct exchange_list *waiting = &conversation->waiting;
    struct open_exchange *answering = NULL;

    if (waiting->oldest && waiting->oldest->is_answering)
        answering = list_take(waiting);
    tell_until(assembler, conversation, 0, ENDING_UNKNOWN, 0);
    conversation->crowded = 0;
    if (answering)
        list_add(waiting, answering);
}

// How many of those that wait had been sent when the message began that is read now.
static size_t asked_count(const struct feed *feed)
{
    size_t asked = 0;

    for (const struct open_exchange *open = feed->conversation->waiting.oldest;
         open && open->end_ns <= feed->stream->head_ns; open = open->next)
        asked++;
    return asked;
}

void exchange_resynced(struct feed *feed)
{
    struct conversation *conversation = feed->conversation;
    const bool is_lockstep = conversation->protocol->is_lockstep && !conversation->is_pipelined;
    size_t asked;

    if (feed->from_client)
        return;
    exchange_answered(feed->assembler, conversation);
    asked = asked_count(feed);
    // One was asked: it is that one's. Of several nobody knows, but who does not pipeline asked
    // last for what comes now.
    if (asked + conversation->crowded > 1) {
        tell_until(feed->assembler, conversation,
                   conversation->waiting.count - asked + (is_lockstep ? 1 : 0), ENDING_UNKNOWN, 0);
        conversation->crowded = 0;
    }
}

// The spare becomes `open`, and a new spare takes its place. NULL without memory.
static struct open_exchange *spare_take(struct feed *feed, const struct message *message)
{
    struct assembler *assembler = feed->assembler;
    struct open_exchange *open = assembler->spare;
    struct open_exchange *next = exchange_take(assembler);
    const struct identity_source source = {
        .direction = feed->segment->direction,
        .is_first = feed->messages == 0,
        .traceparent = message->traceparent,
        .context = &feed->segment->context,
        .random = assembler->plan.random,
        .random_self = assembler->plan.random_self,
    };

    count(CONVERSATION_messages);
    if (!next) {
        count(CONVERSATION_messages_no_memory);
        return NULL;
    }
    assembler->spare = next;
    open->exchange.request = *message;
    open->identity = identity_choose(&source);
    open->start_ns = feed->stream->head_ns;
    open->end_ns = feed->segment->time_ns;
    open->begins_segment = feed->stream->begins_segment;
    return open;
}

void exchange_one_way(struct feed *feed, const struct message *message)
{
    struct open_exchange *open = spare_take(feed, message);

    feed->messages++;
    if (open)
        exchange_tell(feed->assembler, feed->conversation, open, ENDING_ANSWERED);
}

// A send that found no room is shown to the tap once more when it is tried again.
static bool is_repeated(const struct feed *feed, const struct open_exchange *open)
{
    const struct conversation *conversation = feed->conversation;
    const struct open_exchange *before = conversation->waiting.newest;
    const struct message *a = &open->exchange.request;
    const struct message *b = before ? &before->exchange.request : NULL;

    return before && conversation->waiting.count == 1 && !before->is_answering &&
           conversation->protocol->is_lockstep && !conversation->is_pipelined &&
           feed->segment->direction == DIRECTION_OUT && before->begins_segment &&
           open->begins_segment && open->start_ns - before->start_ns < repeat_ns_max &&
           a->head_bytes == b->head_bytes && a->body == b->body && a->body_bytes == b->body_bytes &&
           str_equal(a->operation, b->operation) && str_equal(a->target, b->target) &&
           str_equal(a->host, b->host);
}

// Responses come, but none ends: what is read of them is not what they are.
static bool is_stuck(const struct feed *feed, const struct stream *answers)
{
    const struct conversation *conversation = feed->conversation;
    const struct open_exchange *oldest = conversation->waiting.oldest;

    if (oldest->is_answering || answers->last_ns <= oldest->end_ns || !answers->is_head_open)
        return false;
    if (conversation->protocol->is_lockstep && !conversation->is_pipelined)
        return conversation->waiting.count > 1;
    return feed->segment->time_ns - oldest->end_ns > stuck_ns &&
           feed->segment->time_ns > oldest->end_ns;
}

// What a new request says about those that still wait.
static void waiting_review(struct feed *feed)
{
    struct conversation *conversation = feed->conversation;
    struct stream *answers = stream_from_server(conversation);
    const struct open_exchange *oldest = conversation->waiting.oldest;
    const bool is_lockstep = conversation->protocol->is_lockstep && !conversation->is_pipelined;
    bool is_stale;

    if (!oldest)
        return;
    // Answers that are lost, or one response too few long ago: then all since went to the wrong
    // one.
    is_stale = answers->state == STREAM_LOST
                   ? feed->messages == 1
                   : is_lockstep && conversation->is_response_last && !oldest->is_answering;
    if (is_stuck(feed, answers)) {
        exchange_end_unknown(feed->assembler, conversation);
        stream_lose(conversation, answers);
    } else if (is_stale) {
        exchange_end_unknown(feed->assembler, conversation);
    } else if (oldest->is_answering && answers->body.kind == BODY_UNTIL_CLOSE) {
        exchange_answered(feed->assembler, conversation);
        stream_lose(conversation, answers);
    } else if (oldest->is_answering) {
        answers->is_suspect = true;
    }
}

static struct str text_move(struct arena *arena, struct str text)
{
    const struct str moved = arena_copy(arena, text);

    return moved.at ? moved : STR("");
}

// Of a response, spans need its numbers and what went wrong.
static void response_keep(struct open_exchange *open, const struct message *message,
                          uint64_t end_ns)
{
    struct message *response = &open->exchange.response;

    *response = (struct message){
        .role = message->role,
        .status = message->status,
        .number = message->number,
        .has_number = message->has_number,
        .error = text_move(&open->arena, message->error),
        .text = text_move(&open->arena, message->text),
    };
    open->end_ns = end_ns;
    open->is_answering = true;
}

// The response may have been seen before its request, by another thread's segment.
static bool early_take(struct feed *feed, struct open_exchange *open)
{
    struct conversation *conversation = feed->conversation;
    struct open_exchange *early = conversation->early;

    if (!early)
        return false;
    conversation->early = NULL;
    if (early->end_ns < open->end_ns || conversation->waiting.count != 1) {
        count(CONVERSATION_responses_orphaned);
        exchange_give_back(feed->assembler, early);
        return false;
    }
    response_keep(open, &early->exchange.response, early->end_ns);
    exchange_give_back(feed->assembler, early);
    return true;
}

static bool is_crowded(const struct assembler *assembler, const struct conversation *conversation)
{
    const size_t held = conversation->streams[0].buffer.capacity +
                        conversation->streams[1].buffer.capacity + conversation->waiting.held_bytes;

    return conversation->crowded || conversation->waiting.count >= WAITING_MAX ||
           held + sizeof(struct open_exchange) > assembler->plan.limits.max_bytes_each;
}

void exchange_request(struct feed *feed, const struct message *message)
{
    struct conversation *conversation = feed->conversation;
    struct stream *answers = stream_from_server(conversation);
    struct open_exchange *open = spare_take(feed, message);

    if (feed->messages++)
        conversation->is_pipelined = true;
    if (!open)
        return;
    waiting_review(feed);
    // What comes now is of this request.
    if (feed->messages == 1)
        answers->has_passed = false;
    if (is_repeated(feed, open)) {
        open->start_ns = conversation->waiting.oldest->start_ns;
        count(CONVERSATION_messages_repeated);
        exchange_give_back(feed->assembler, list_take(&conversation->waiting));
    }
    conversation->is_response_last = false;
    if (is_crowded(feed->assembler, conversation)) {
        conversation->crowded++;
        count(CONVERSATION_messages_crowded);
        exchange_give_back(feed->assembler, open);
        return;
    }
    list_add(&conversation->waiting, open);
    if (early_take(feed, open)) {
        answers->is_answer = answers->state == STREAM_BODY;
        if (!answers->is_answer)
            exchange_answered(feed->assembler, conversation);
    }
}

static void early_keep(struct feed *feed, const struct message *message)
{
    struct assembler *assembler = feed->assembler;
    struct conversation *conversation = feed->conversation;
    struct open_exchange *open = assembler->spare;
    struct open_exchange *next = exchange_take(assembler);

    // Of two nobody knows which is whose.
    if (conversation->early || !next) {
        count(CONVERSATION_responses_orphaned);
        if (next)
            exchange_give_back(assembler, next);
        return;
    }
    assembler->spare = next;
    open->exchange.response = *message;
    open->end_ns = feed->segment->time_ns;
    conversation->early = open;
}

bool exchange_response(struct feed *feed, const struct message *message)
{
    struct conversation *conversation = feed->conversation;
    struct open_exchange *oldest = conversation->waiting.oldest;

    count(CONVERSATION_responses);
    if (conversation->is_response_last && oldest)
        conversation->is_pipelined = true;
    conversation->is_response_last = true;
    if (!oldest && conversation->crowded) {
        conversation->crowded--;
        return false;
    }
    if (!oldest) {
        // Its request may be in what is taken for the body of another.
        stream_from_client(conversation)->is_suspect = true;
        early_keep(feed, message);
        return false;
    }
    if (feed->stream->head_ns < oldest->end_ns) {
        count(CONVERSATION_responses_orphaned);
        return false;
    }
    response_keep(oldest, message, feed->segment->time_ns);
    return true;
}
