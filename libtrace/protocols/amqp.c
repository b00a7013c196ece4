// SPDX-License-Identifier: Apache-2.0
// AMQP 0-9-1 as RabbitMQ speaks it: publish and deliver with their content headers. Source: the
// AMQP 0-9-1 specification, 2.3 (frames), 4.2.5 (tables) and 4.2.6 (content).

#include "libtrace/protocols/protocol.h"

enum {
    FRAME_METHOD = 1,
    FRAME_HEADER = 2,
    FRAME_BODY = 3,
    FRAME_HEARTBEAT = 8,
    FRAME_END = 0xce,
    CLASS_BASIC = 60,
    BASIC_PUBLISH = 40,
    BASIC_DELIVER = 60,
    BASIC_GET_OK = 71,
    FRAME_BYTES_MAX = 1 << 20,
    HEAD_BYTES_MAX = 16 * 1024, // of a frame that is read and not passed over
    CONTENTS_MAX = 4,
};

// A method whose content header is to come; every channel may have one.
struct content {
    uint16_t channel;
    uint16_t method; // 0: free
    uint64_t tag;
    char exchange[128];
    char key[256];
};

struct side {
    struct content contents[CONTENTS_MAX];
    size_t next;
};

struct memory {
    struct side client;
    struct side server;
};

// Content headers have their properties in this order (4.2.6.1); a flag each, from bit 15 down.
enum property {
    PROPERTY_CONTENT_TYPE,
    PROPERTY_CONTENT_ENCODING,
    PROPERTY_HEADERS,
    PROPERTY_DELIVERY_MODE,
    PROPERTY_PRIORITY,
    PROPERTY_CORRELATION_ID,
    PROPERTY_REPLY_TO,
    PROPERTY_EXPIRATION,
    PROPERTY_MESSAGE_ID,
    PROPERTIES
};

static bool is_method_of(uint16_t class_id, uint16_t method, bool from_client)
{
    // Methods of basic that each side sends: publish, ack, reject, nack, ... / deliver, get-ok, ...
    static const uint8_t client[] = {10, 20, 30, 40, 70, 80, 90, 100, 110, 120};
    static const uint8_t server[] = {11, 21, 30, 31, 50, 60, 71, 72, 80, 111, 120};
    const uint8_t *known = from_client ? client : server;
    const size_t count = from_client ? sizeof client : sizeof server;

    return class_id == CLASS_BASIC && method < 256 && memchr(known, (int)method, count);
}

// A frame that is surely one: a method of basic that this side sends.
static enum match frame_match(struct str head, bool from_client)
{
    struct reader reader = reader_of(head);
    const uint8_t type = reader_u8(&reader);
    uint16_t class_id;
    uint32_t len;

    reader_be16(&reader);
    len = reader_be32(&reader);
    if (head.len && type != FRAME_METHOD)
        return MATCH_NO;
    if (reader.is_failed)
        return MATCH_MAYBE;
    if (len < 4 || len > HEAD_BYTES_MAX)
        return MATCH_NO;
    if (head.len >= len + 8 && (uint8_t)head.at[len + 7] != FRAME_END)
        return MATCH_NO;
    if (reader_left(&reader) < 4)
        return MATCH_MAYBE;
    class_id = reader_be16(&reader);
    return is_method_of(class_id, reader_be16(&reader), from_client) ? MATCH_YES : MATCH_NO;
}

static enum match detect(struct str head, bool from_client)
{
    const struct str greeting = STR("AMQP\0\0\x09\x01");

    if (from_client && head.len && head.at[0] == 'A') {
        if (head.len < greeting.len)
            return str_starts(greeting, head) ? MATCH_MAYBE : MATCH_NO;
        return str_starts(head, greeting) ? MATCH_YES : MATCH_NO;
    }
    return frame_match(head, from_client);
}

static size_t find(struct str bytes, bool from_client)
{
    return detect(bytes, from_client) != MATCH_NO ? 0 : bytes.len;
}

static struct str short_string(struct reader *reader)
{
    return reader_take(reader, reader_u8(reader));
}

static void text_keep(char *to, size_t room, struct str text)
{
    const size_t len = text.len < room - 1 ? text.len : room - 1;

    if (len)
        memcpy(to, text.at, len);
    to[len] = '\0';
}

static struct content *content_of(struct side *side, uint16_t channel)
{
    for (size_t i = 0; i < CONTENTS_MAX; i++) {
        if (side->contents[i].method && side->contents[i].channel == channel)
            return &side->contents[i];
    }
    return NULL;
}

static bool has_open(const struct side *side)
{
    for (size_t i = 0; i < CONTENTS_MAX; i++) {
        if (side->contents[i].method)
            return true;
    }
    return false;
}

static void method_read(struct side *side, uint16_t channel, struct str body, bool from_client)
{
    struct content *content = content_of(side, channel);
    struct content read = {.channel = channel};
    struct reader reader = reader_of(body);
    const uint16_t class_id = reader_be16(&reader);

    read.method = reader_be16(&reader);
    if (content)
        content->method = 0;
    if (class_id != CLASS_BASIC)
        return;
    if (read.method == BASIC_PUBLISH && from_client) {
        reader_be16(&reader);
    } else if (read.method == BASIC_DELIVER && !from_client) {
        short_string(&reader); // consumer tag
        read.tag = reader_be64(&reader);
        reader_u8(&reader);
    } else if (read.method == BASIC_GET_OK && !from_client) {
        read.tag = reader_be64(&reader);
        reader_u8(&reader);
    } else {
        return;
    }
    text_keep(read.exchange, sizeof read.exchange, short_string(&reader));
    text_keep(read.key, sizeof read.key, short_string(&reader));
    if (reader.is_failed)
        return;
    if (!content)
        content = &side->contents[side->next++ % CONTENTS_MAX];
    *content = read;
}

// How many bytes a value of a table takes; what has a length in front is skipped by it.
static void value_skip(struct reader *reader, char type)
{
    switch (type) {
    case 't':
    case 'b':
    case 'B':
        reader_take(reader, 1);
        return;
    case 's':
    case 'u':
        reader_take(reader, 2);
        return;
    case 'I':
    case 'i':
    case 'f':
        reader_take(reader, 4);
        return;
    case 'l':
    case 'L':
    case 'd':
    case 'T':
        reader_take(reader, 8);
        return;
    case 'D':
        reader_take(reader, 5);
        return;
    case 'S':
    case 'x':
    case 'F':
    case 'A':
        reader_take(reader, reader_be32(reader));
        return;
    case 'V':
        return;
    default:
        reader->is_failed = true;
    }
}

static struct str traceparent_of(struct str table)
{
    struct reader reader = reader_of(table);

    while (reader_left(&reader) && !reader.is_failed) {
        const struct str name = short_string(&reader);
        const char type = (char)reader_u8(&reader);

        if (type == 'S' && str_equal(name, STR("traceparent"))) {
            const struct str value = reader_take(&reader, reader_be32(&reader));

            return reader.is_failed ? STR("") : value;
        }
        value_skip(&reader, type);
    }
    return STR("");
}

static void properties_read(struct reader *reader, struct str *out_texts)
{
    const uint16_t flags = reader_be16(reader);

    for (unsigned i = 0; i < PROPERTIES && !reader->is_failed; i++) {
        if (!(flags & (0x8000u >> i)))
            continue;
        if (i == PROPERTY_HEADERS)
            out_texts[i] = reader_take(reader, reader_be32(reader));
        else if (i == PROPERTY_DELIVERY_MODE || i == PROPERTY_PRIORITY)
            reader_u8(reader);
        else
            out_texts[i] = short_string(reader);
    }
}

// The traceparent is copied whole or not at all; other texts may be cut.
static void header_read(struct content *content, struct str body, struct arena *arena,
                        struct message *out)
{
    struct str texts[PROPERTIES] = {{NULL, 0}};
    struct reader reader = reader_of(body);

    reader_be32(&reader); // class and weight
    out->size = reader_be64(&reader);
    properties_read(&reader, texts);
    out->role = MESSAGE_ONE_WAY;
    out->is_delivery = content->method != BASIC_PUBLISH;
    out->is_polled = content->method == BASIC_GET_OK;
    out->host = arena_copy(arena, str_of(content->exchange));
    out->target = arena_copy(arena, str_of(content->key));
    out->number = content->tag;
    out->agent = arena_copy(arena, texts[PROPERTY_MESSAGE_ID]);
    out->detail = arena_copy(arena, texts[PROPERTY_CORRELATION_ID]);
    out->traceparent = arena_copy(arena, traceparent_of(texts[PROPERTY_HEADERS]));
    content->method = 0;
}

static enum parse read_greeting(struct str bytes, struct message *out)
{
    out->head_bytes = 8;
    if (bytes.len < 8)
        return str_starts(STR("AMQP"), (struct str){bytes.at, bytes.len < 4 ? bytes.len : 4})
                   ? PARSE_MORE
                   : PARSE_RESYNC;
    return str_starts(bytes, STR("AMQP")) ? PARSE_DONE : PARSE_RESYNC;
}

static enum parse read_frame(struct side *side, struct str bytes, bool from_client,
                             struct arena *arena, struct message *out)
{
    struct reader reader = reader_of(bytes);
    const uint8_t type = reader_u8(&reader);
    const uint16_t channel = reader_be16(&reader);
    const uint32_t len = reader_be32(&reader);
    struct content *content;
    struct str body;

    if (type == 0 || (type > FRAME_BODY && type != FRAME_HEARTBEAT))
        return PARSE_RESYNC;
    out->head_bytes = 7;
    if (reader.is_failed)
        return PARSE_MORE;
    if (len > FRAME_BYTES_MAX || (type == FRAME_HEARTBEAT && len != 0))
        return PARSE_RESYNC;
    out->body_bytes = (uint64_t)len + 1;
    if ((type == FRAME_METHOD || type == FRAME_HEADER) && len <= HEAD_BYTES_MAX) {
        out->head_bytes = len + 8;
        out->body_bytes = 0;
        if (bytes.len < out->head_bytes)
            return PARSE_MORE;
        if ((uint8_t)bytes.at[len + 7] != FRAME_END)
            return PARSE_RESYNC;
        body = (struct str){bytes.at + 7, len};
        content = content_of(side, channel);
        if (type == FRAME_METHOD)
            method_read(side, channel, body, from_client);
        else if (content)
            header_read(content, body, arena, out);
    } else if (bytes.len >= (size_t)len + 8 && (uint8_t)bytes.at[len + 7] != FRAME_END) {
        return PARSE_RESYNC;
    }
    if (out->role == MESSAGE_NONE && has_open(side))
        out->role = MESSAGE_PART;
    return PARSE_DONE;
}

static enum parse read_message(void *memory, struct str bytes, bool from_client,
                               const struct message *oldest, struct arena *arena,
                               struct message *out_message)
{
    struct memory *amqp = memory;
    struct message message = {.role = MESSAGE_NONE};
    enum parse parse;

    (void)oldest;
    // A server that does not speak this version answers with a greeting of its own.
    if (bytes.at[0] == 'A')
        parse = read_greeting(bytes, &message);
    else
        parse = read_frame(from_client ? &amqp->client : &amqp->server, bytes, from_client, arena,
                           &message);
    *out_message = message;
    return parse;
}

static void forget(void *memory, bool from_client)
{
    struct memory *amqp = memory;

    if (from_client)
        amqp->client = (struct side){.next = 0};
    else
        amqp->server = (struct side){.next = 0};
}

// "exchange:routing_key" without what is empty (semantic conventions, rabbitmq).
static struct str destination_of(const struct message *message, struct arena *arena)
{
    if (message->host.len && message->target.len)
        return arena_format(arena, "%.*s:%.*s", STR_ARGS(message->host), STR_ARGS(message->target));
    if (message->host.len)
        return message->host;
    return message->target.len ? message->target : STR("amq.default");
}

static bool describe(const struct exchange *exchange, struct arena *arena, struct span *span)
{
    const struct message *message = &exchange->request;
    const struct str where = destination_of(message, arena);
    const char *operation = !message->is_delivery ? "send"
                            : message->is_polled  ? "receive"
                                                  : "process";

    // The broker's own side is told by its clients.
    if (exchange->is_server)
        return false;
    span->kind = !message->is_delivery ? SPAN_KIND_PRODUCER
                 : message->is_polled  ? SPAN_KIND_CLIENT
                                       : SPAN_KIND_CONSUMER;
    span->name = arena_format(arena, "%s %.*s", operation, STR_ARGS(where));
    describe_text(span, arena, "messaging.system", STR("rabbitmq"));
    describe_text(span, arena, "messaging.operation.name", str_of(operation));
    describe_text(span, arena, "messaging.operation.type", str_of(operation));
    describe_text(span, arena, "messaging.destination.name", where);
    describe_text(span, arena, "messaging.rabbitmq.destination.routing_key", message->target);
    if (message->is_delivery)
        describe_number(span, arena, "messaging.rabbitmq.message.delivery_tag",
                        (int64_t)message->number);
    describe_text(span, arena, "messaging.message.id", message->agent);
    describe_text(span, arena, "messaging.message.conversation_id", message->detail);
    describe_number(span, arena, "messaging.message.body.size", (int64_t)message->size);
    describe_ends(span, arena, exchange, 5672);
    return true;
}

const struct protocol amqp_protocol = {
    .name = "amqp",
    .memory_bytes = sizeof(struct memory),
    .detect = detect,
    .find = find,
    .read = read_message,
    .forget = forget,
    .describe = describe,
};
