// SPDX-License-Identifier: Apache-2.0
// The table of connections: found by their number, forgotten by their last use.

#include "libtrace/conversation/assembler.h"

#include <errno.h>
#include <stdlib.h>

#include "libtrace/conversation/conversation.h"
#include "libtrace/conversation/stats.h"

enum { BUCKETS_MAX = 1 << 16 };

static const uint64_t silence_usual_ns = 1000000000;

static void count(enum conversation_stat row)
{
    stats_add(&conversation_stats, row, 1);
}

struct assembler *assembler_new(const struct assembler_plan *plan)
{
    struct assembler *assembler = calloc(1, sizeof *assembler);

    if (!assembler)
        return NULL;
    assembler->plan = *plan;
    if (assembler->plan.limits.silence_ns == 0)
        assembler->plan.limits.silence_ns = silence_usual_ns;
    assembler->bucket_count = 64;
    while (assembler->bucket_count < plan->limits.max_connections &&
           assembler->bucket_count < BUCKETS_MAX)
        assembler->bucket_count *= 2;
    assembler->buckets = calloc(assembler->bucket_count, sizeof assembler->buckets[0]);
    assembler->spare = exchange_take(assembler);
    if (!assembler->buckets || !assembler->spare) {
        assembler_free(assembler);
        return NULL;
    }
    return assembler;
}

static struct conversation **slot_of(struct assembler *assembler, uint64_t conn)
{
    // Fibonacci hashing: cookies are often consecutive.
    const uint64_t hash = conn * UINT64_C(0x9e3779b97f4a7c15);
    struct conversation **slot = &assembler->buckets[(hash >> 40) & (assembler->bucket_count - 1)];

    while (*slot && (*slot)->about.conn != conn)
        slot = &(*slot)->hash_next;
    return slot;
}

static void list_remove(struct assembler *assembler, struct conversation *conversation)
{
    if (conversation->newer)
        conversation->newer->older = conversation->older;
    else
        assembler->newest = conversation->older;
    if (conversation->older)
        conversation->older->newer = conversation->newer;
    else
        assembler->oldest = conversation->newer;
}

static void list_add(struct assembler *assembler, struct conversation *conversation)
{
    conversation->newer = NULL;
    conversation->older = assembler->newest;
    if (assembler->newest)
        assembler->newest->newer = conversation;
    else
        assembler->oldest = conversation;
    assembler->newest = conversation;
}

// What is open must be told or counted before.
static void conversation_remove(struct assembler *assembler, struct conversation *conversation)
{
    *slot_of(assembler, conversation->about.conn) = conversation->hash_next;
    list_remove(assembler, conversation);
    assembler->count--;
    conversation_ignore(conversation);
    free(conversation);
}

static void conversation_forget(struct assembler *assembler, struct conversation *conversation)
{
    exchange_end_unknown(assembler, conversation);
    conversation_remove(assembler, conversation);
}

void assembler_free(struct assembler *assembler)
{
    if (!assembler)
        return;
    while (assembler->oldest) {
        exchange_abandon_all(assembler, assembler->oldest);
        conversation_remove(assembler, assembler->oldest);
    }
    if (assembler->spare)
        exchange_give_back(assembler, assembler->spare);
    while (assembler->free) {
        struct open_exchange *open = assembler->free;

        assembler->free = open->next;
        arena_done(&open->arena);
        free(open);
    }
    free(assembler->buckets);
    free(assembler);
}

// The conversation of that number, made when there is none; it becomes the newest.
static struct conversation *conversation_of(struct assembler *assembler, uint64_t conn)
{
    struct conversation *conversation = *slot_of(assembler, conn);

    if (conversation) {
        list_remove(assembler, conversation);
        list_add(assembler, conversation);
        return conversation;
    }
    if (assembler->count && assembler->count >= assembler->plan.limits.max_connections) {
        count(CONVERSATION_connections_evicted);
        conversation_forget(assembler, assembler->oldest);
    }
    conversation = calloc(1, sizeof *conversation);
    if (!conversation) {
        count(CONVERSATION_connections_refused);
        return NULL;
    }
    count(CONVERSATION_connections);
    conversation->about.conn = conn;
    conversation->about.local_address = STR("");
    conversation->about.peer_address = STR("");
    *slot_of(assembler, conn) = conversation;
    list_add(assembler, conversation);
    assembler->count++;
    return conversation;
}

static struct str address_keep(char to[static ADDRESS_TEXT_MAX], struct str address)
{
    const size_t len = address.len < ADDRESS_TEXT_MAX ? address.len : ADDRESS_TEXT_MAX;

    if (len)
        memcpy(to, address.at, len);
    return (struct str){to, len};
}

int assembler_open(struct assembler *assembler, const struct connection *connection)
{
    struct conversation *conversation = conversation_of(assembler, connection->conn);
    struct connection *about;

    if (!conversation)
        return -ENOMEM;
    about = &conversation->about;
    // Once it is known who asks, that is no longer changed: requests are waiting.
    if (connection->role != CONN_ROLE_UNKNOWN && conversation->state == CONVERSATION_NEW)
        about->role = connection->role;
    if (connection->pid)
        about->pid = connection->pid;
    if (connection->local_address.len)
        about->local_address = address_keep(conversation->local_address, connection->local_address);
    if (connection->peer_address.len)
        about->peer_address = address_keep(conversation->peer_address, connection->peer_address);
    if (connection->local_port)
        about->local_port = connection->local_port;
    if (connection->peer_port)
        about->peer_port = connection->peer_port;
    about->is_peer_traced = about->is_peer_traced || connection->is_peer_traced;
    return 0;
}

void assembler_segment(struct assembler *assembler, const struct segment *segment)
{
    struct conversation *conversation = conversation_of(assembler, segment->conn);

    count(CONVERSATION_segments);
    stats_add(&conversation_stats, CONVERSATION_bytes, segment->bytes.len);
    if (conversation)
        conversation_segment(assembler, conversation, segment);
}

void assembler_close(struct assembler *assembler, uint64_t conn, uint64_t time_ns)
{
    struct conversation *conversation = *slot_of(assembler, conn);
    const struct stream *answers;
    bool is_clean;

    if (!conversation)
        return;
    count(CONVERSATION_connections_closed);
    // That nothing came is only known when nothing was missed.
    answers = stream_from_server(conversation);
    is_clean = answers->state == STREAM_HEAD && !answers->is_tentative &&
               answers->buffer.len == 0 && !answers->is_head_open;
    if (is_clean)
        exchange_end_closed(assembler, conversation, time_ns);
    else
        exchange_end_unknown(assembler, conversation);
    conversation_remove(assembler, conversation);
}

// The response began, its end cannot be seen, and nothing more came.
static void silence_end(struct assembler *assembler, struct conversation *conversation)
{
    const struct open_exchange *oldest = conversation->waiting.oldest;
    struct stream *answers = stream_from_server(conversation);
    const bool is_lost = answers->state == STREAM_LOST;

    if (!oldest)
        return;
    if (oldest->is_answering && (is_lost || answers->is_suspect)) {
        stream_lose(conversation, answers);
        exchange_answered(assembler, conversation);
    } else if (is_lost && answers->last_ns >= oldest->start_ns) {
        exchange_end_unknown(assembler, conversation);
    }
}

void assembler_tick(struct assembler *assembler, uint64_t now_ns, uint64_t idle_ns)
{
    struct conversation *conversation = assembler->oldest;

    while (conversation) {
        struct conversation *newer = conversation->newer;
        uint64_t silent_ns;

        // Opened, and nothing came yet: silence is counted from the first look on.
        if (conversation->last_ns == 0)
            conversation->last_ns = now_ns;
        silent_ns = now_ns > conversation->last_ns ? now_ns - conversation->last_ns : 0;

        if (silent_ns >= idle_ns) {
            count(CONVERSATION_connections_idle);
            conversation_forget(assembler, conversation);
        } else if (silent_ns >= assembler->plan.limits.silence_ns) {
            silence_end(assembler, conversation);
        } else {
            return;
        }
        conversation = newer;
    }
}
