// SPDX-License-Identifier: Apache-2.0
// Redis RESP2 and RESP3: a request is an array of bulk strings, a response is any value. Values are
// read one element at a time, so that neither size nor nesting needs memory. Source: "Redis
// serialization protocol specification".

#include "libtrace/model/statement.h"
#include "libtrace/protocols/protocol.h"

enum {
    ARGS_MAX = 16,
    ARG_BYTES_MAX = 128, // what is longer is never shown
    ARGS_BYTES_MAX = 1024,
    LINE_BYTES_MAX = 4096,
    COUNT_MAX = 1 << 24,
    BULK_BYTES_MAX = 512 << 20,
};

struct request {
    uint64_t left; // elements still to come
    size_t count;
    size_t used;
    uint16_t args[ARGS_MAX]; // lengths; UINT16_MAX: too long to keep
    char bytes[ARGS_BYTES_MAX];
};

struct response {
    uint64_t left; // values still to come
    bool is_open;
    bool is_push;  // RESP3: nobody asked for it
    bool is_first; // the next value is the first element of an array
    bool is_subscribed;
    char kind[16]; // that element, when it is short
    size_t kind_len;
};

struct memory {
    struct request request;
    struct response response;
};

#define VALUE_TYPES STR("+-:$*_#,(!=%~>|")

// A line without its end. PARSE_DONE, PARSE_MORE or PARSE_RESYNC.
static enum parse line_read(struct str bytes, struct str *out_line, size_t *out_bytes)
{
    const size_t end = str_find(bytes, '\n');

    if (end == bytes.len)
        return end > LINE_BYTES_MAX ? PARSE_RESYNC : PARSE_MORE;
    if (end < 2 || bytes.at[end - 1] != '\r')
        return PARSE_RESYNC;
    *out_line = (struct str){bytes.at, end - 1};
    *out_bytes = end + 1;
    return PARSE_DONE;
}

static bool is_null(struct str line)
{
    return line.len == 3 && line.at[1] == '-' && line.at[2] == '1';
}

// The number behind the type byte; null has nothing behind it.
static bool count_read(struct str line, uint64_t most, uint64_t *out_count)
{
    uint64_t count = 0;

    if (!is_null(line) && (!str_to_u64(str_from(line, 1), &count) || count > most))
        return false;
    *out_count = count;
    return true;
}

// "*3\r\n$", or as much of it as there is.
static enum match request_match(struct str head)
{
    size_t at = 1;

    if (head.len == 0)
        return MATCH_MAYBE;
    if (head.at[0] != '*' || (head.len > 1 && (head.at[1] < '1' || head.at[1] > '9')))
        return MATCH_NO;
    while (at < head.len && at < 9 && head.at[at] >= '0' && head.at[at] <= '9')
        at++;
    for (const char *rest = "\r\n$"; *rest; rest++, at++) {
        if (at >= head.len)
            return MATCH_MAYBE;
        if (head.at[at] != *rest)
            return MATCH_NO;
    }
    return MATCH_YES;
}

static enum match detect(struct str head, bool from_client)
{
    if (from_client)
        return request_match(head);
    // Too little to be sure of: the client's side decides.
    return head.len == 0 || str_has(VALUE_TYPES, head.at[0]) ? MATCH_MAYBE : MATCH_NO;
}

static size_t find(struct str bytes, bool from_client)
{
    struct str line;
    size_t len;

    if (from_client)
        return request_match(bytes) != MATCH_NO ? 0 : bytes.len;
    if (!str_has(VALUE_TYPES, bytes.at[0]))
        return bytes.len;
    switch (line_read(bytes, &line, &len)) {
    case PARSE_DONE:
        return line.len > 1 || line.at[0] == '_' ? 0 : bytes.len;
    case PARSE_MORE:
        return 0;
    default:
        return bytes.len;
    }
}

static void arg_keep(struct request *request, struct str arg)
{
    const bool is_kept =
        arg.len <= ARG_BYTES_MAX && request->used + arg.len <= sizeof request->bytes;

    if (request->count >= ARGS_MAX)
        return;
    request->args[request->count++] = is_kept ? (uint16_t)arg.len : UINT16_MAX;
    if (is_kept && arg.len) {
        memcpy(request->bytes + request->used, arg.at, arg.len);
        request->used += arg.len;
    }
}

static void request_make(const struct request *request, struct arena *arena, struct message *out)
{
    struct str args[ARGS_MAX];
    struct statement statement;
    const char *at = request->bytes;

    for (size_t i = 0; i < request->count; i++) {
        const bool is_kept = request->args[i] != UINT16_MAX;

        args[i] = (struct str){at, is_kept ? request->args[i] : 0};
        at += args[i].len;
    }
    out->role = MESSAGE_REQUEST;
    if (statement_clean_redis(args, request->count, arena, &statement) == 0) {
        out->operation = statement.operation;
        out->target = statement.text;
    }
}

static enum parse read_request(struct request *request, struct str bytes, struct arena *arena,
                               struct message *out)
{
    struct str line;
    uint64_t count;
    size_t len;
    enum parse parse;

    if (bytes.at[0] != (request->left ? '$' : '*'))
        return PARSE_RESYNC;
    parse = line_read(bytes, &line, &len);
    if (parse != PARSE_DONE)
        return parse;
    if (!count_read(line, request->left ? BULK_BYTES_MAX : COUNT_MAX, &count))
        return PARSE_RESYNC;
    out->head_bytes = len;
    if (request->left == 0) {
        *request = (struct request){.left = count};
        out->role = count ? MESSAGE_PART : MESSAGE_NONE;
        return PARSE_DONE;
    }
    // A short argument is waited for, a long one passes by.
    if (count <= ARG_BYTES_MAX) {
        out->head_bytes = len + count + 2;
        if (bytes.len < out->head_bytes)
            return PARSE_MORE;
        if (bytes.at[len + count] != '\r')
            return PARSE_RESYNC;
        arg_keep(request, (struct str){bytes.at + len, count});
    } else {
        out->body_bytes = count + 2;
        arg_keep(request, (struct str){bytes.at, ARG_BYTES_MAX + 1});
    }
    out->role = MESSAGE_PART;
    if (--request->left == 0)
        request_make(request, arena, out);
    return PARSE_DONE;
}

static bool is_subscribe(struct str command)
{
    return command.len >= 9 &&
           str_equal_nocase(str_from(command, command.len - 9), STR("subscribe"));
}

static bool is_published(struct str kind)
{
    return str_equal(kind, STR("message")) || str_equal(kind, STR("pmessage")) ||
           str_equal(kind, STR("smessage"));
}

// A published message is nobody's response; nor is the second confirmation of one SUBSCRIBE.
static void response_end(struct response *response, const struct message *oldest,
                         struct message *out)
{
    const struct str kind = {response->kind, response->kind_len};
    const bool is_confirmation = is_subscribe(kind);
    const bool is_asked = oldest && is_subscribe(oldest->operation);

    if (is_confirmation && is_asked)
        response->is_subscribed = true;
    out->role = MESSAGE_RESPONSE;
    if ((is_confirmation && !is_asked && response->is_subscribed) ||
        (is_published(kind) && response->is_subscribed) ||
        (response->is_push && !(is_confirmation && is_asked)))
        out->role = MESSAGE_NONE;
    response->is_open = false;
}

// The value that begins here, and how many values it holds. False: not RESP.
static bool value_read(struct response *response, struct str line, struct message *out)
{
    const char type = line.at[0];
    uint64_t count;

    switch (type) {
    case '+':
    case '-':
    case ':':
    case '_':
    case '#':
    case ',':
    case '(':
        return true;
    case '$':
    case '=':
    case '!':
        if (!count_read(line, BULK_BYTES_MAX, &count))
            return false;
        out->body_bytes = is_null(line) ? 0 : count + 2;
        return true;
    case '*':
    case '~':
    case '>':
    case '%':
    case '|':
        if (!count_read(line, COUNT_MAX, &count) || response->left > UINT32_MAX)
            return false;
        response->left += type == '%' || type == '|' ? 2 * count : count;
        response->left += type == '|'; // attributes come before the value itself
        return true;
    default:
        return false;
    }
}

static enum parse read_response(struct response *response, struct str bytes,
                                const struct message *oldest, struct arena *arena,
                                struct message *out)
{
    const bool is_top = !response->is_open;
    const bool is_kind = !is_top && response->is_first;
    struct str line;
    size_t len;
    enum parse parse = line_read(bytes, &line, &len);

    if (parse != PARSE_DONE)
        return parse;
    if (is_top)
        *response = (struct response){.left = 1, .is_subscribed = response->is_subscribed};
    if (!value_read(response, line, out))
        return PARSE_RESYNC;
    out->head_bytes = len;
    if (is_kind && line.at[0] == '$' && out->body_bytes <= sizeof response->kind) {
        out->head_bytes = len + out->body_bytes;
        if (bytes.len < out->head_bytes)
            return PARSE_MORE;
        response->kind_len = out->body_bytes ? out->body_bytes - 2 : 0;
        memcpy(response->kind, bytes.at + len, response->kind_len);
        out->body_bytes = 0;
    }
    response->is_first = is_top && (line.at[0] == '*' || line.at[0] == '>');
    response->is_push = response->is_push || (is_top && line.at[0] == '>');
    response->is_open = true;
    response->left--;
    if (is_top && line.at[0] == '-') {
        out->text = arena_copy(arena, str_from(line, 1));
        out->error = (struct str){out->text.at, str_find(out->text, ' ')};
    } else if (is_top && line.at[0] == '!') {
        out->error = STR("ERR");
    }
    out->role = MESSAGE_PART;
    if (response->left == 0)
        response_end(response, oldest, out);
    return PARSE_DONE;
}

static enum parse read_message(void *memory, struct str bytes, bool from_client,
                               const struct message *oldest, struct arena *arena,
                               struct message *out_message)
{
    struct memory *redis = memory;
    struct message message = {.role = MESSAGE_NONE};
    const enum parse parse = from_client
                                 ? read_request(&redis->request, bytes, arena, &message)
                                 : read_response(&redis->response, bytes, oldest, arena, &message);

    *out_message = message;
    return parse;
}

static void forget(void *memory, bool from_client)
{
    struct memory *redis = memory;

    if (from_client)
        redis->request.left = 0;
    else
        redis->response = (struct response){.is_subscribed = redis->response.is_subscribed};
}

static bool describe(const struct exchange *exchange, struct arena *arena, struct span *span)
{
    const struct message *request = &exchange->request;

    // A database is shown by those who ask it, when they can.
    if (exchange->is_server && exchange->is_peer_traced)
        return false;
    span->kind = exchange->is_server ? SPAN_KIND_SERVER : SPAN_KIND_CLIENT;
    span->name = request->operation.len ? request->operation : STR("redis");
    describe_text(span, arena, "db.system.name", STR("redis"));
    describe_text(span, arena, "db.operation.name", request->operation);
    describe_text(span, arena, "db.query.text", request->target);
    describe_ends(span, arena, exchange, 6379);
    if (exchange->response.error.len) {
        span->status = SPAN_STATUS_ERROR;
        span->status_message = exchange->response.text;
        describe_text(span, arena, "db.response.status_code", exchange->response.error);
        describe_text(span, arena, "error.type", exchange->response.error);
    }
    describe_closed(span, arena, exchange);
    return true;
}

const struct protocol redis_protocol = {
    .name = "redis",
    .memory_bytes = sizeof(struct memory),
    .detect = detect,
    .find = find,
    .read = read_message,
    .forget = forget,
    .describe = describe,
};
