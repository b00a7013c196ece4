// SPDX-License-Identifier: Apache-2.0
// One connection's two byte streams: where each stands, and the exchanges that are open. Private to
// the assembler, whose thread it is.

#pragma once

#include "libtrace/base/bytes.h"
#include "libtrace/conversation/assembler.h"
#include "libtrace/conversation/body.h"
#include "libtrace/conversation/identity.h"

enum { ADDRESS_TEXT_MAX = 64 };

// A request that waits, or is being answered.
struct open_exchange {
    struct open_exchange *next;
    struct arena arena;
    struct exchange exchange;
    struct identity identity;
    uint64_t start_ns;
    uint64_t end_ns; // until it is answered: when its head was whole
    size_t held_bytes;
    bool is_answering;   // the head of its response was read
    bool begins_segment; // its head began where a segment did
};

struct exchange_list {
    struct open_exchange *oldest;
    struct open_exchange *newest;
    size_t count;
    size_t held_bytes;
};

enum stream_state {
    STREAM_HEAD, // a message begins here, or its head goes on
    STREAM_BODY,
    STREAM_LOST, // a message is looked for at the start of each segment
};

struct stream {
    enum stream_state state;
    bool is_started;
    bool is_tentative; // what is read may not be a message at all
    bool is_head_open; // head_ns is set
    bool has_passed;   // lost, and bytes since then made no message
    bool is_suspect;   // the body should be over: a head at a segment's start ends it
    bool is_answer;    // the body is of the response to the oldest request
    bool begins_segment;
    bool begins_at_zero; // the first offset seen
    unsigned old_segments;
    uint64_t next_offset;
    uint64_t head_ns; // when the first byte of the message came
    uint64_t last_ns; // of the segments before this one
    size_t wanted;    // bytes that the head takes at least; 0: not known
    struct bytes buffer;
    struct body_reader body;
};

enum conversation_state {
    CONVERSATION_NEW, // no protocol was recognised yet
    CONVERSATION_KNOWN,
    CONVERSATION_IGNORED,
};

struct conversation {
    struct conversation *hash_next;
    struct conversation *newer; // list by last use
    struct conversation *older;
    struct connection about;
    char local_address[ADDRESS_TEXT_MAX];
    char peer_address[ADDRESS_TEXT_MAX];
    enum conversation_state state;
    const struct protocol *protocol;
    void *memory;             // of the protocol
    struct stream streams[2]; // by direction
    struct exchange_list waiting;
    struct open_exchange *early; // a response that came before its request
    size_t crowded;              // requests behind the waiting ones that found no room
    uint64_t last_ns;
    size_t seen_bytes; // while new
    size_t seen_segments;
    bool is_response_last; // of all heads read
    bool is_pipelined;     // proven: requests come before the responses to others
};

struct assembler {
    struct assembler_plan plan;
    struct conversation **buckets;
    size_t bucket_count; // a power of two
    size_t count;
    struct conversation *newest;
    struct conversation *oldest;
    struct open_exchange *spare; // what is read next goes here; never NULL
    struct open_exchange *free;
    size_t free_count;
};

// A segment on its way through a conversation.
struct feed {
    struct assembler *assembler;
    struct conversation *conversation;
    struct stream *stream;
    const struct segment *segment;
    bool from_client;
    unsigned messages; // completed in this segment
};

static inline struct stream *stream_from_client(struct conversation *conversation)
{
    return &conversation->streams[conversation->about.role == CONN_ROLE_CLIENT ? DIRECTION_OUT
                                                                               : DIRECTION_IN];
}

static inline struct stream *stream_from_server(struct conversation *conversation)
{
    return &conversation->streams[conversation->about.role == CONN_ROLE_CLIENT ? DIRECTION_IN
                                                                               : DIRECTION_OUT];
}

// conversation.c
void conversation_segment(struct assembler *assembler, struct conversation *conversation,
                          const struct segment *segment);

// Reads messages from `view` as far as it goes; out_rest is what waits for more.
void conversation_run(struct feed *feed, struct str view, bool at_start, struct str *out_rest);

// What was half read of a direction is void; a message is looked for in the segments to come.
void stream_lose(struct conversation *conversation, struct stream *stream);

// Frees what a connection that is passed over does not need.
void conversation_ignore(struct conversation *conversation);

// recognition.c: bytes of a connection whose protocol is not known yet.
void recognition_take(struct feed *feed, struct str bytes);

// exchanges.c

struct open_exchange *exchange_take(struct assembler *assembler);
void exchange_give_back(struct assembler *assembler, struct open_exchange *open);

// `message` was read into assembler->spare; these take it on.
void exchange_request(struct feed *feed, const struct message *message);
void exchange_one_way(struct feed *feed, const struct message *message);

// True when the response answers the oldest request, whose end is not told before
// exchange_answered.
bool exchange_response(struct feed *feed, const struct message *message);
void exchange_answered(struct assembler *assembler, struct conversation *conversation);

// The responses to all that waits are missing, or may be: only what is being answered stays.
void exchange_answers_lost(struct assembler *assembler, struct conversation *conversation);

// Reading responses began anew: those that may have been answered meanwhile are told.
void exchange_resynced(struct feed *feed);

// Tells all that is open: nobody knows whether there were responses, or there were none before the
// connection closed.
void exchange_end_unknown(struct assembler *assembler, struct conversation *conversation);
void exchange_end_closed(struct assembler *assembler, struct conversation *conversation,
                         uint64_t time_ns);

// Counts all that is open as dropped.
void exchange_abandon_all(struct assembler *assembler, struct conversation *conversation);
