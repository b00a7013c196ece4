// SPDX-License-Identifier: Apache-2.0
// A protocol reads messages from the bytes of one direction and says what an exchange was. Pure: no
// clock, no I/O; memory comes from the arena of the exchange.

#pragma once

#include "libtrace/base/arena.h"
#include "libtrace/base/reader.h"
#include "libtrace/model/span.h"

enum match { MATCH_NO, MATCH_MAYBE, MATCH_YES };

enum parse {
    PARSE_DONE,   // a message, or a part of one, was read
    PARSE_MORE,   // its head is not whole; head_bytes says how many bytes it takes at least
    PARSE_RESYNC, // this is not where a message begins, or it cannot be trusted
};

enum message_role {
    MESSAGE_NONE,     // of the protocol's own business
    MESSAGE_PART,     // what comes next belongs to the same message
    MESSAGE_REQUEST,  // awaits a response
    MESSAGE_RESPONSE, // ends the oldest request
    MESSAGE_ONE_WAY,  // an exchange by itself
};

enum body {
    BODY_LENGTH, // body_bytes follow the head
    BODY_CHUNKED,
    BODY_UNTIL_CLOSE,
    BODY_UNKNOWN, // its length was lost with the end of the head
    BODY_OPAQUE,  // from here on, both ways, this is another protocol
};

// What a message says, as far as spans need it. Which fields are set depends on the protocol.
struct message {
    enum message_role role;
    size_t head_bytes;
    enum body body;
    uint64_t body_bytes;
    struct str operation; // method, command
    struct str target;    // path, SQL, routing key
    struct str host;      // Host, exchange, summary
    struct str traceparent;
    struct str agent;  // User-Agent, message id
    struct str detail; // protocol version, database, correlation id
    struct str error;  // SQLSTATE, redis error prefix
    struct str text;   // error message
    unsigned status;   // HTTP status
    uint64_t number;   // rows, delivery tag
    uint64_t size;     // of the message body
    bool has_number;
    bool is_delivery; // AMQP: towards the consumer
    bool is_polled;   // AMQP: the consumer asked for it
};

enum ending {
    ENDING_ANSWERED,
    ENDING_CLOSED,  // the connection ended and no response had come
    ENDING_UNKNOWN, // there may have been a response; it was not seen
};

struct exchange {
    struct message request;
    struct message response; // role MESSAGE_NONE: never seen
    enum ending ending;
    bool is_server;      // the traced process answers, or is the broker
    bool is_peer_traced; // the other end is a traced process of this node
    struct str peer_address;
    uint16_t peer_port;
    struct str local_address;
    uint16_t local_port;
};

struct protocol {
    const char *name;
    // What `memory` of a connection is, zeroed at first; 0 for none.
    size_t memory_bytes;
    // Who asks waits for the answer: a second request usually means that the first is over.
    bool is_lockstep;
    // A response is many messages and ends with one that find may find: losing some does not lose
    // it.
    bool is_multipart;
    // A head that lost its end is read up to its last whole line, closed with this; NULL: it is
    // lost.
    const char *head_end;
    enum match (*detect)(struct str head, bool from_client);
    // The offset in a segment at which a message begins with near certainty (or would, if it goes
    // on like that), after bytes were lost; bytes.len when there is none.
    size_t (*find)(struct str bytes, bool from_client);
    // `bytes` is not empty. `oldest` is the request that a response would end, or NULL.
    enum parse (*read)(void *memory, struct str bytes, bool from_client,
                       const struct message *oldest, struct arena *arena,
                       struct message *out_message);
    // Bytes of that direction were lost: what was half read is void. NULL: nothing to forget.
    void (*forget)(void *memory, bool from_client);
    // Fills name, kind, attributes and status; false: no span is made of this.
    bool (*describe)(const struct exchange *exchange, struct arena *arena, struct span *inout_span);
};

// All of them; ends with NULL.
extern const struct protocol *const protocols[];

// Adds to the list of a span being described; an empty text is no attribute. What finds no room is
// counted in the span.
enum { DESCRIBE_ATTRIBUTES_MAX = 24 };
void describe_text(struct span *span, struct arena *arena, const char *key, struct str text);
void describe_number(struct span *span, struct arena *arena, const char *key, int64_t value);
void describe_flag(struct span *span, struct arena *arena, const char *key, bool value);

// server.*, client.address and network.peer.* as the connection knows them; `usual_port` is left
// out.
void describe_ends(struct span *span, struct arena *arena, const struct exchange *exchange,
                   uint16_t usual_port);

// The client's side of a connection that closed with no answer is an error; false: not that case.
bool describe_closed(struct span *span, struct arena *arena, const struct exchange *exchange);
