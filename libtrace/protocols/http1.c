// SPDX-License-Identifier: Apache-2.0
// HTTP/1.0 and 1.1 (RFC 9112): heads are read, bodies are counted.

#include "libtrace/model/statement.h"
#include "libtrace/protocols/protocol.h"

enum {
    HEAD_BYTES_MAX = 32 * 1024,
    METHOD_BYTES_MAX = 20,
    TARGET_BYTES_MAX = 4096,
    LONG_BYTES = 2048
};

// A head while it is read: what decides where the message ends must be said once, and clearly.
struct head {
    struct message message;
    bool has_length;
    bool has_coding;
    bool is_framing; // the line before was one of those two
};

static const char *const methods[] = {"GET",     "POST",  "PUT",   "DELETE", "HEAD",
                                      "OPTIONS", "PATCH", "TRACE", "CONNECT"};

static bool is_known(struct str method)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (str_equal(method, str_of(methods[i])))
            return true;
    }
    return false;
}

static enum match method_match(struct str head)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        const struct str method = str_of(methods[i]);

        if (head.len <= method.len ? str_starts(method, head)
                                   : str_starts(head, method) && head.at[method.len] == ' ')
            return head.len > method.len + 1 ? MATCH_YES : MATCH_MAYBE;
    }
    return MATCH_NO;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// "HTTP/1.1 200"
static enum match status_match(struct str head)
{
    static const char pattern[] = "HTTP/1.d ddd";

    for (size_t i = 0; i < sizeof pattern - 1; i++) {
        if (i == head.len)
            return MATCH_MAYBE;
        if (pattern[i] == 'd' ? !is_digit(head.at[i]) : head.at[i] != pattern[i])
            return MATCH_NO;
    }
    return MATCH_YES;
}

static enum match detect(struct str head, bool from_client)
{
    enum match match;
    size_t end;

    if (!from_client)
        return status_match(head);
    match = method_match(head);
    if (match != MATCH_YES)
        return match;
    // A first line in sight must be one of HTTP/1.
    end = str_find(head, '\n');
    if (end == head.len)
        return end > HEAD_BYTES_MAX ? MATCH_NO : MATCH_YES;
    return memmem(head.at, end, " HTTP/1.", 8) ? MATCH_YES : MATCH_NO;
}

static size_t find(struct str bytes, bool from_client)
{
    return detect(bytes, from_client) != MATCH_NO ? 0 : bytes.len;
}

static bool line_next(struct str *left, struct str *out_line)
{
    const size_t end = str_find(*left, '\n');

    if (end == left->len)
        return false;
    *out_line = (struct str){left->at, end && left->at[end - 1] == '\r' ? end - 1 : end};
    *left = str_from(*left, end + 1);
    return true;
}

static bool length_read(struct str value, struct head *head)
{
    uint64_t length;

    if (!str_to_u64(value, &length) || (head->has_length && length != head->message.body_bytes))
        return false;
    head->has_length = true;
    head->message.body_bytes = length;
    return true;
}

// Only "chunked" alone is understood; others are seldom and end at close in responses.
static bool coding_read(struct str value, struct head *head)
{
    if (head->has_coding)
        return false;
    head->has_coding = true;
    if (value.len < 7 || !str_equal_nocase(str_from(value, value.len - 7), STR("chunked")))
        return false;
    if (value.len > 7 && value.at[value.len - 8] != ' ' && value.at[value.len - 8] != ',')
        return false;
    head->message.body = BODY_CHUNKED;
    return true;
}

// False: where this message ends cannot be trusted (RFC 9112 6.3, and 5.2 for folded lines).
static bool header_read(struct str line, struct head *head)
{
    struct message *message = &head->message;
    const size_t colon = str_find(line, ':');
    const struct str name = {line.at, colon};
    const struct str value = str_trim(str_from(line, colon + 1));

    if (line.at[0] == ' ' || line.at[0] == '\t')
        return !head->is_framing;
    head->is_framing = false;
    if (colon == 0 || colon == line.len || memchr(line.at, '\0', line.len) ||
        name.at[colon - 1] == ' ' || name.at[colon - 1] == '\t')
        return false;
    if (str_equal_nocase(name, STR("content-length"))) {
        head->is_framing = true;
        return length_read(value, head);
    }
    if (str_equal_nocase(name, STR("transfer-encoding"))) {
        head->is_framing = true;
        return coding_read(value, head);
    }
    if (str_equal_nocase(name, STR("host")))
        message->host = value;
    else if (str_equal_nocase(name, STR("user-agent")))
        message->agent = value;
    else if (str_equal_nocase(name, STR("traceparent")))
        message->traceparent = value;
    return true;
}

static bool is_method(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((text.at[i] < 'A' || text.at[i] > 'Z') && text.at[i] != '-' && text.at[i] != '_')
            return false;
    }
    return text.len > 0 && text.len <= METHOD_BYTES_MAX;
}

static bool request_line(struct str line, struct message *message)
{
    const struct str method = {line.at, str_find(line, ' ')};
    const struct str rest = str_from(line, method.len + 1);
    const size_t end = str_find(rest, ' ');
    const struct str version = str_from(rest, end + 1);

    if (!is_method(method) || end == 0 || version.len != 8 || !str_starts(version, STR("HTTP/1.")))
        return false;
    message->role = MESSAGE_REQUEST;
    message->operation = method;
    message->target = (struct str){rest.at, end};
    message->detail = str_from(version, 5); // "1.1"
    return true;
}

static bool status_line(struct str line, struct message *message)
{
    uint64_t status;

    if (status_match(line) != MATCH_YES || !str_to_u64((struct str){line.at + 9, 3}, &status) ||
        status < 100)
        return false;
    message->status = (unsigned)status;
    // 1xx is not the answer yet (RFC 9110 15.2), but 101 ends HTTP on this connection.
    message->role = status >= 200 || status == 101 ? MESSAGE_RESPONSE : MESSAGE_NONE;
    return true;
}

// RFC 9112 6.3. False: not to be trusted.
static bool body_choose(const struct message *oldest, bool from_client, struct head *head)
{
    struct message *message = &head->message;
    const struct str method = oldest ? oldest->operation : STR("");
    const unsigned status = message->status;

    if (from_client)
        return !(head->has_length && head->has_coding);
    if (status == 101 || (str_equal(method, STR("CONNECT")) && status / 100 == 2)) {
        message->body = BODY_OPAQUE;
    } else if (str_equal(method, STR("HEAD")) || status == 204 || status == 304 || status < 200) {
        message->body = BODY_LENGTH;
        message->body_bytes = 0;
    } else if (head->has_length && head->has_coding) {
        return false;
    } else if (!head->has_length && !head->has_coding) {
        message->body = BODY_UNTIL_CLOSE;
    }
    return true;
}

static struct str keep(struct arena *arena, struct str text, size_t most)
{
    if (text.len > most)
        text.len = most;
    text = arena_copy(arena, text);
    return text.at ? text : STR("");
}

// Texts are copied: the buffer moves on.
static void texts_keep(struct message *message, struct arena *arena)
{
    message->operation = keep(arena, message->operation, METHOD_BYTES_MAX);
    message->target = keep(arena, message->target, TARGET_BYTES_MAX);
    message->host = keep(arena, message->host, 255);
    message->agent = keep(arena, message->agent, 512);
    message->traceparent = keep(arena, message->traceparent, 255);
    message->detail = keep(arena, message->detail, 8);
}

static enum parse more(struct str bytes, struct message *out_message)
{
    out_message->head_bytes = bytes.len + 1;
    return bytes.len > HEAD_BYTES_MAX ? PARSE_RESYNC : PARSE_MORE;
}

static bool has_end(struct str bytes)
{
    return memmem(bytes.at, bytes.len, "\n\r\n", 3) || memmem(bytes.at, bytes.len, "\n\n", 2);
}

static enum parse read_message(void *memory, struct str bytes, bool from_client,
                               const struct message *oldest, struct arena *arena,
                               struct message *out_message)
{
    struct head head = {.message = {.role = MESSAGE_NONE}};
    struct str left = bytes;
    struct str line;

    (void)memory;
    // An empty line before a request is to be passed over (RFC 9112 2.2).
    if (from_client && (bytes.at[0] == '\r' || bytes.at[0] == '\n')) {
        *out_message = (struct message){.head_bytes = 1};
        return PARSE_DONE;
    }
    if (from_client ? bytes.at[0] < 'A' || bytes.at[0] > 'Z' : status_match(bytes) == MATCH_NO)
        return PARSE_RESYNC;
    // A long head that comes byte by byte is not read all over again for each.
    if (!line_next(&left, &line) || (bytes.len > LONG_BYTES && !has_end(bytes)))
        return more(bytes, out_message);
    if (!(from_client ? request_line(line, &head.message) : status_line(line, &head.message)))
        return PARSE_RESYNC;
    for (;;) {
        if (!line_next(&left, &line))
            return more(bytes, out_message);
        if (line.len == 0)
            break;
        if (!header_read(line, &head))
            return PARSE_RESYNC;
    }
    if (!body_choose(oldest, from_client, &head))
        return PARSE_RESYNC;
    head.message.head_bytes = (size_t)(left.at - bytes.at);
    texts_keep(&head.message, arena);
    *out_message = head.message;
    return PARSE_DONE;
}

// A part of a path that names the same thing for every request: letters, or v1, v2 ...
static bool is_fixed(struct str part)
{
    size_t digits = 0;

    for (size_t i = 0; i < part.len; i++) {
        const char c = part.at[i];
        const char lower = (char)(c | 32);

        if (is_digit(c))
            digits++;
        else if (!(lower >= 'a' && lower <= 'z') && c != '_' && c != '-' && c != '.')
            return false;
    }
    return part.len <= 24 && (digits == 0 || (part.len <= 3 && part.at[0] == 'v'));
}

// A guess of low cardinality, good enough for the span's name and never called http.route: parts
// that look like ids become {id}, and what is deeper than six parts is left out.
static struct str route_guess(struct str path, struct arena *arena)
{
    char *route = arena_take(arena, path.len + 64);
    size_t len = 0;

    if (!route)
        return (struct str){"", 0};
    for (unsigned parts = 0; path.len && path.at[0] == '/' && parts < 6; parts++) {
        struct str part = str_from(path, 1);

        part.len = str_find(part, '/');
        path = str_from(path, part.len + 1);
        route[len++] = '/';
        if (!is_fixed(part))
            part = STR("{id}");
        memcpy(route + len, part.at, part.len);
        len += part.len;
    }
    return (struct str){route, len};
}

// Host decides; the connection's own address stands in for a missing one.
static void host_describe(struct span *span, struct arena *arena, const struct exchange *exchange)
{
    struct str name = exchange->request.host;
    uint64_t port = exchange->is_server ? exchange->local_port : exchange->peer_port;
    size_t end = str_find(name, ':');

    if (name.len && name.at[0] == '[') { // an IPv6 address, shown without its brackets
        name = str_from(name, 1);
        end = str_find(name, ']');
        str_to_u64(str_from(name, end + 2), &port);
    } else {
        str_to_u64(str_from(name, end + 1), &port);
    }
    name.len = end;
    if (name.len == 0)
        name = exchange->is_server ? exchange->local_address : exchange->peer_address;
    describe_text(span, arena, "server.address", name);
    if (port && port <= UINT16_MAX)
        describe_number(span, arena, "server.port", (int64_t)port);
}

static void url_describe(struct span *span, struct arena *arena, const struct exchange *exchange)
{
    const struct message *request = &exchange->request;
    const size_t mark = str_find(request->target, '?');
    const bool is_absolute = memmem(request->target.at, mark, "://", 3) != NULL;
    const struct str host = request->host.len ? request->host : exchange->peer_address;
    struct str url = request->target;

    if (exchange->is_server) {
        describe_text(span, arena, "url.path", (struct str){url.at, mark});
        describe_text(span, arena, "url.query",
                      statement_clean_query(str_from(url, mark + 1), arena));
        describe_text(span, arena, "url.scheme", STR("http"));
        return;
    }
    if (!is_absolute)
        url = arena_format(arena, "http://%.*s%.*s", STR_ARGS(host), STR_ARGS(url));
    describe_text(span, arena, "url.full", statement_clean_url(url, arena));
}

static void outcome_describe(struct span *span, struct arena *arena,
                             const struct exchange *exchange)
{
    const unsigned status = exchange->response.status;

    if (describe_closed(span, arena, exchange) || exchange->response.role == MESSAGE_NONE)
        return;
    describe_number(span, arena, "http.response.status_code", status);
    if (status >= (exchange->is_server ? 500u : 400u)) {
        span->status = SPAN_STATUS_ERROR;
        describe_text(span, arena, "error.type", arena_format(arena, "%u", status));
    }
}

static bool describe(const struct exchange *exchange, struct arena *arena, struct span *span)
{
    const struct message *request = &exchange->request;
    const struct str path = {request->target.at, str_find(request->target, '?')};
    const struct str route = exchange->is_server ? route_guess(path, arena) : STR("");
    const bool is_other = !is_known(request->operation);
    const struct str method = is_other ? STR("HTTP") : request->operation;

    span->kind = exchange->is_server ? SPAN_KIND_SERVER : SPAN_KIND_CLIENT;
    span->name =
        route.len ? arena_format(arena, "%.*s %.*s", STR_ARGS(method), STR_ARGS(route)) : method;
    describe_text(span, arena, "http.request.method", is_other ? STR("_OTHER") : method);
    if (is_other)
        describe_text(span, arena, "http.request.method_original", request->operation);
    url_describe(span, arena, exchange);
    host_describe(span, arena, exchange);
    if (exchange->is_server)
        describe_text(span, arena, "client.address", exchange->peer_address);
    describe_text(span, arena, "network.peer.address", exchange->peer_address);
    if (exchange->peer_port)
        describe_number(span, arena, "network.peer.port", exchange->peer_port);
    describe_text(span, arena, "network.protocol.version", request->detail);
    describe_text(span, arena, "user_agent.original", request->agent);
    outcome_describe(span, arena, exchange);
    return true;
}

const struct protocol http1_protocol = {
    .name = "http1",
    .is_lockstep = true,
    .head_end = "\r\n",
    .detect = detect,
    .find = find,
    .read = read_message,
    .describe = describe,
};
