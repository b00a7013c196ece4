// SPDX-License-Identifier: Apache-2.0
// PostgreSQL's wire protocol 3: simple queries, and the extended protocol as one exchange from
// Parse or Bind to Sync. Source: the PostgreSQL manual, "Frontend/Backend Protocol".

#include "libtrace/model/statement.h"
#include "libtrace/protocols/protocol.h"

enum {
    PROTOCOL_MAJOR = 3,
    CANCEL_REQUEST = 80877102,
    SSL_REQUEST = 80877103,
    GSS_REQUEST = 80877104,
    STARTUP_BYTES_MAX = 10000, // the server's own limit
    MESSAGE_BYTES_MAX = 1 << 30,
    TEXT_BYTES_MAX = 32 * 1024, // of an error or a command tag, taken as a whole
    SQL_BYTES_MAX = 2048,
    PREPARED_MAX = 8,
};

struct prepared {
    char name[32];
    char sql[512];
    size_t sql_len;
};

struct memory {
    char database[64];
    bool is_typed;    // start-up is over
    bool asks_secure; // SSLRequest or GSSENCRequest waits for its one byte
    char sql[SQL_BYTES_MAX];
    size_t sql_len;
    struct prepared prepared[PREPARED_MAX];
    size_t prepared_next;
    // What was seen of the response.
    char error[8];
    char text[256];
    uint64_t rows;  // that commands said they return
    uint64_t datas; // DataRow messages since the last command
    bool has_rows;
};

static uint32_t be32(struct str bytes, size_t at)
{
    struct reader reader = reader_of(str_from(bytes, at));

    return reader_be32(&reader);
}

static bool is_startup(struct str head)
{
    const uint32_t len = be32(head, 0);
    const uint32_t code = be32(head, 4);

    return len >= 8 && len <= STARTUP_BYTES_MAX &&
           (code >> 16 == PROTOCOL_MAJOR || code == SSL_REQUEST || code == GSS_REQUEST);
}

// A whole-looking Query or Parse: the only client messages that a stream may be joined at.
static bool is_statement(struct str head)
{
    const uint32_t len = be32(head, 1);

    if ((head.at[0] != 'Q' && head.at[0] != 'P') || len < 6 || len > 1 << 24)
        return false;
    for (size_t i = 5; i < head.len && i < 16 && i < len; i++) {
        if ((uint8_t)head.at[i] < ' ' && !strchr("\t\r\n", head.at[i]))
            return false;
    }
    return head.at[0] == 'P' || head.len <= len || head.at[len] == '\0';
}

static enum match detect(struct str head, bool from_client)
{
    // What a server says at first; the client's side decides.
    if (!from_client)
        return head.len == 0 || str_has(STR("RNSGE"), head.at[0]) ? MATCH_MAYBE : MATCH_NO;
    if (head.len && head.at[0] != '\0' && head.at[0] != 'Q' && head.at[0] != 'P')
        return MATCH_NO;
    if (head.len < 8)
        return MATCH_MAYBE;
    return is_startup(head) || is_statement(head) ? MATCH_YES : MATCH_NO;
}

static enum match byte_match(struct str bytes, const char *allowed)
{
    if (bytes.len < 6)
        return MATCH_MAYBE;
    return str_has(str_of(allowed), bytes.at[5]) ? MATCH_YES : MATCH_NO;
}

// A server message that surely is one, by its type, its length and the byte behind.
static enum match server_match(struct str bytes)
{
    const uint32_t len = be32(bytes, 1);
    const bool has_len = bytes.len >= 5;

    if (!has_len)
        return bytes.len == 0 || str_has(STR("Z123InsCET"), bytes.at[0]) ? MATCH_MAYBE : MATCH_NO;
    switch (bytes.at[0]) {
    case 'Z':
        return len == 5 ? byte_match(bytes, "ITE") : MATCH_NO;
    case '1':
    case '2':
    case '3':
    case 'I':
    case 'n':
    case 's':
        return len == 4 ? MATCH_YES : MATCH_NO;
    case 'C':
        return len > 5 && len < 64 ? byte_match(bytes, "ABCDEFGILMNPRSTUV") : MATCH_NO;
    case 'E':
        return len > 8 && len < TEXT_BYTES_MAX ? byte_match(bytes, "S") : MATCH_NO;
    case 'T':
        if (len < 20 || len > 1 << 20 || (bytes.len > 5 && (uint8_t)bytes.at[5] > 6))
            return MATCH_NO;
        return bytes.len > 5 ? MATCH_YES : MATCH_MAYBE;
    default:
        return MATCH_NO;
    }
}

// "Z", length 5, and the state of the transaction end every response.
static size_t ready_find(struct str bytes)
{
    size_t at = bytes.len < 6 ? bytes.len : bytes.len - 6;

    if (at == bytes.len || bytes.at[at] != 'Z' || server_match(str_from(bytes, at)) != MATCH_YES)
        return bytes.len;
    // The command tag in front of it, when it is whole.
    for (size_t back = 6; back <= 64 && back <= at; back++) {
        const struct str tag = {bytes.at + at - back, back};

        if (tag.at[0] == 'C' && be32(tag, 1) == back - 1 && server_match(tag) == MATCH_YES)
            return at - back;
    }
    return at;
}

static size_t find(struct str bytes, bool from_client)
{
    if (from_client)
        return detect(bytes, true) != MATCH_NO ? 0 : bytes.len;
    return server_match(bytes) != MATCH_NO ? 0 : ready_find(bytes);
}

static void text_keep(char *to, size_t room, struct str text)
{
    const size_t end = str_find(text, '\0');
    const size_t len = end < room - 1 ? end : room - 1;

    if (len)
        memcpy(to, text.at, len);
    to[len] = '\0';
}

// "user\0bob\0database\0shop\0\0"; the database is the user's own when none is named.
static void startup_read(struct memory *memory, struct str body)
{
    bool is_named = false;

    while (body.len && body.at[0]) {
        const struct str name = {body.at, str_find(body, '\0')};
        const struct str value = str_from(body, name.len + 1);
        const bool is_database = str_equal(name, STR("database"));

        if (is_database || (!is_named && str_equal(name, STR("user"))))
            text_keep(memory->database, sizeof memory->database, value);
        is_named = is_named || is_database;
        body = str_from(value, str_find(value, '\0') + 1);
    }
}

static enum parse read_startup(struct memory *memory, struct str bytes, struct message *out)
{
    const uint32_t len = be32(bytes, 0);
    const uint32_t code = be32(bytes, 4);

    out->head_bytes = 8;
    if (bytes.len < 8)
        return PARSE_MORE;
    if (len < 8 || len > STARTUP_BYTES_MAX)
        return PARSE_RESYNC;
    out->head_bytes = len;
    if (bytes.len < len)
        return PARSE_MORE;
    if (code == SSL_REQUEST || code == GSS_REQUEST)
        memory->asks_secure = true;
    else if (code >> 16 == PROTOCOL_MAJOR)
        startup_read(memory, (struct str){bytes.at + 8, len - 8});
    else if (code != CANCEL_REQUEST)
        return PARSE_RESYNC;
    return PARSE_DONE;
}

static void request_make(struct memory *memory, struct arena *arena, struct message *out)
{
    struct statement statement;

    out->role = MESSAGE_REQUEST;
    out->detail = arena_copy(arena, str_of(memory->database));
    if (statement_clean_sql((struct str){memory->sql, memory->sql_len}, STATEMENT_SQL_POSTGRES,
                            arena, &statement) == 0) {
        out->target = statement.text;
        out->host = statement.summary;
    }
    memory->sql_len = 0;
}

static struct prepared *prepared_find(struct memory *memory, struct str name)
{
    for (size_t i = 0; i < PREPARED_MAX; i++) {
        struct prepared *prepared = &memory->prepared[i];

        if (prepared->name[0] && str_equal(str_of(prepared->name), name))
            return prepared;
    }
    return NULL;
}

// Parse: the statement's own name comes before its text; Bind looks the text up by it later.
static void parse_keep(struct memory *memory, struct str name, struct str sql)
{
    struct prepared *prepared = prepared_find(memory, name);

    if (memory->sql_len == 0) {
        memory->sql_len = sql.len < sizeof memory->sql ? sql.len : sizeof memory->sql;
        memcpy(memory->sql, sql.at, memory->sql_len);
    }
    if (name.len == 0 || name.len >= sizeof prepared->name)
        return;
    if (!prepared)
        prepared = &memory->prepared[memory->prepared_next++ % PREPARED_MAX];
    text_keep(prepared->name, sizeof prepared->name, name);
    prepared->sql_len = sql.len < sizeof prepared->sql ? sql.len : sizeof prepared->sql;
    memcpy(prepared->sql, sql.at, prepared->sql_len);
}

static void bind_read(struct memory *memory, struct str body)
{
    struct str name = str_from(body, str_find(body, '\0') + 1); // the portal comes first
    const struct prepared *prepared;

    name.len = str_find(name, '\0');
    prepared = name.len ? prepared_find(memory, name) : NULL;
    if (!prepared || memory->sql_len)
        return;
    memcpy(memory->sql, prepared->sql, prepared->sql_len);
    memory->sql_len = prepared->sql_len;
}

static enum parse read_client(struct memory *memory, struct str bytes, struct arena *arena,
                              struct message *out)
{
    const uint32_t len = be32(bytes, 1);
    const char type = bytes.at[0];
    struct str body;
    size_t wanted;

    if (!str_has(STR("QPBDESCHFXpfdc"), type))
        return PARSE_RESYNC;
    out->head_bytes = 5;
    if (bytes.len < 5)
        return PARSE_MORE;
    if (len < 4 || len > MESSAGE_BYTES_MAX)
        return PARSE_RESYNC;
    out->role = str_has(STR("PBDEC"), type) ? MESSAGE_PART : MESSAGE_NONE;
    if (type == 'S' || type == 'F')
        request_make(memory, arena, out);
    wanted = len - 4 < SQL_BYTES_MAX ? len - 4 : SQL_BYTES_MAX;
    if (type == 'Q' || type == 'P' || type == 'B')
        out->head_bytes = 5 + wanted;
    if (bytes.len < out->head_bytes)
        return PARSE_MORE;
    out->body_bytes = len + 1 - out->head_bytes;
    body = (struct str){bytes.at + 5, out->head_bytes - 5};
    if (type == 'Q') {
        body.len = str_find(body, '\0');
        memcpy(memory->sql, body.at, body.len);
        memory->sql_len = body.len;
        request_make(memory, arena, out);
    } else if (type == 'P') {
        const struct str name = {body.at, str_find(body, '\0')};

        body = str_from(body, name.len + 1);
        body.len = str_find(body, '\0');
        parse_keep(memory, name, body);
    } else if (type == 'B') {
        bind_read(memory, body);
    }
    return PARSE_DONE;
}

// Fields of ErrorResponse: a type byte and a terminated text each. The first error counts.
static void error_read(struct memory *memory, struct str body)
{
    if (memory->error[0])
        return;
    while (body.len && body.at[0]) {
        const char type = body.at[0];
        const struct str value = str_from(body, 1);

        if (type == 'C')
            text_keep(memory->error, sizeof memory->error, value);
        else if (type == 'M')
            text_keep(memory->text, sizeof memory->text, value);
        body = str_from(value, str_find(value, '\0') + 1);
    }
}

// "SELECT 5" says how many rows came; "INSERT 0 1" how many were touched, so there we count.
static void tag_read(struct memory *memory, struct str body)
{
    const bool is_query = str_starts(body, STR("SELECT ")) || str_starts(body, STR("FETCH "));
    uint64_t rows = memory->datas;
    struct str number = {body.at, str_find(body, '\0')};

    if (is_query)
        str_to_u64(str_from(number, str_find(number, ' ') + 1), &rows);
    memory->has_rows = memory->has_rows || is_query || rows;
    memory->rows += rows;
    memory->datas = 0;
}

static void response_make(struct memory *memory, struct arena *arena, struct message *out)
{
    out->role = MESSAGE_RESPONSE;
    out->error = arena_copy(arena, str_of(memory->error));
    out->text = arena_copy(arena, str_of(memory->text));
    out->number = memory->rows;
    out->has_number = memory->has_rows;
}

static void response_forget(struct memory *memory)
{
    memory->error[0] = '\0';
    memory->text[0] = '\0';
    memory->rows = 0;
    memory->datas = 0;
    memory->has_rows = false;
}

static enum parse read_server(struct memory *memory, struct str bytes, const struct message *oldest,
                              struct arena *arena, struct message *out)
{
    const uint32_t len = be32(bytes, 1);
    const char type = bytes.at[0];
    struct str body;

    // The answer to SSLRequest is one byte; behind a yes is another protocol.
    if (memory->asks_secure && str_has(STR("NSG"), type)) {
        memory->asks_secure = false;
        out->head_bytes = 1;
        out->body = type == 'N' ? BODY_LENGTH : BODY_OPAQUE;
        return PARSE_DONE;
    }
    if (!str_has(STR("RSKZTDCEINAVGHWdcsnt123v"), type))
        return PARSE_RESYNC;
    out->head_bytes = 5;
    if (bytes.len < 5)
        return PARSE_MORE;
    if (len < 4 || len > MESSAGE_BYTES_MAX || (str_has(STR("ECZ"), type) && len > TEXT_BYTES_MAX))
        return PARSE_RESYNC;
    memory->datas += type == 'D';
    out->body_bytes = len - 4;
    out->role = MESSAGE_PART;
    if (type != 'E' && type != 'C' && type != 'Z')
        return PARSE_DONE;
    out->head_bytes = len + 1;
    out->body_bytes = 0;
    if (bytes.len < out->head_bytes)
        return PARSE_MORE;
    body = (struct str){bytes.at + 5, len - 4};
    if (type == 'E') {
        error_read(memory, body);
    } else if (type == 'C') {
        tag_read(memory, body);
    } else {
        // The first one ends start-up, which is no request.
        if (memory->is_typed || oldest)
            response_make(memory, arena, out);
        else
            out->role = MESSAGE_NONE;
        memory->is_typed = true;
        response_forget(memory);
    }
    return PARSE_DONE;
}

static enum parse read_message(void *memory_given, struct str bytes, bool from_client,
                               const struct message *oldest, struct arena *arena,
                               struct message *out_message)
{
    struct memory *memory = memory_given;
    struct message message = {.role = MESSAGE_NONE};
    enum parse parse;

    if (!from_client)
        parse = read_server(memory, bytes, oldest, arena, &message);
    else if (bytes.at[0] == '\0' && !memory->is_typed)
        parse = read_startup(memory, bytes, &message);
    else
        parse = read_client(memory, bytes, arena, &message);
    if (message.role == MESSAGE_REQUEST && parse == PARSE_DONE)
        memory->is_typed = true;
    *out_message = message;
    return parse;
}

static void forget(void *memory_given, bool from_client)
{
    struct memory *memory = memory_given;

    if (from_client)
        memory->sql_len = 0;
    else
        response_forget(memory);
}

static bool describe(const struct exchange *exchange, struct arena *arena, struct span *span)
{
    const struct message *request = &exchange->request;
    const struct message *response = &exchange->response;

    // A database is shown by those who ask it, when they can.
    if (exchange->is_server && exchange->is_peer_traced)
        return false;
    span->kind = exchange->is_server ? SPAN_KIND_SERVER : SPAN_KIND_CLIENT;
    span->name = request->host.len ? request->host : STR("postgresql");
    describe_text(span, arena, "db.system.name", STR("postgresql"));
    describe_text(span, arena, "db.namespace", request->detail);
    describe_text(span, arena, "db.query.text", request->target);
    describe_text(span, arena, "db.query.summary", request->host);
    describe_ends(span, arena, exchange, 5432);
    if (response->has_number)
        describe_number(span, arena, "db.response.returned_rows", (int64_t)response->number);
    // SQLSTATE classes 00 and 01 are success and warning.
    if (response->error.len && !str_starts(response->error, STR("00")) &&
        !str_starts(response->error, STR("01"))) {
        span->status = SPAN_STATUS_ERROR;
        span->status_message = response->text;
        describe_text(span, arena, "db.response.status_code", response->error);
        describe_text(span, arena, "error.type", response->error);
    }
    describe_closed(span, arena, exchange);
    return true;
}

const struct protocol postgres_protocol = {
    .name = "postgres",
    .memory_bytes = sizeof(struct memory),
    .is_lockstep = true,
    .is_multipart = true,
    .detect = detect,
    .find = find,
    .read = read_message,
    .forget = forget,
    .describe = describe,
};
