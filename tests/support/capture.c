// SPDX-License-Identifier: Apache-2.0
// Reading captures, replaying them, and writing the spans one attribute a line. Ids that were drawn
// at random are written as r1, r2, ... in the order they appear.

#include "tests/support/capture.h"

#include <stdlib.h>

#include "libtrace/base/hex.h"

static struct str word_next(struct str *line)
{
    struct str word;

    *line = str_trim(*line);
    word = (struct str){line->at, 0};
    while (word.len < line->len && line->at[word.len] != ' ' && line->at[word.len] != '"')
        word.len++;
    *line = str_from(*line, word.len);
    return word;
}

// Milliseconds, with up to six digits behind a point.
static bool time_read(struct str word, uint64_t *out_ns)
{
    const struct str whole = {word.at, str_find(word, '.')};
    struct str part = str_from(word, whole.len + 1);
    uint64_t ms;
    uint64_t ns = 0;

    if (!str_to_u64(whole, &ms) || ms > UINT64_MAX / 2000000 || part.len > 6)
        return false;
    for (size_t i = 0; i < 6; i++) {
        const char c = i < part.len ? part.at[i] : '0';

        if (c < '0' || c > '9')
            return false;
        ns = ns * 10 + (uint64_t)(c - '0');
    }
    *out_ns = ms * 1000000 + ns;
    return true;
}

static bool escape_read(struct str *text, uint8_t *out_byte)
{
    static const char from[] = "rnt0\\\"";
    static const char to[] = "\r\n\t\0\\\"";
    const char *hit;

    if (text->len < 2)
        return false;
    if (text->at[1] == 'x') {
        if (text->len < 4 || !hex_read((struct str){text->at + 2, 2}, out_byte, 1))
            return false;
        *text = str_from(*text, 4);
        return true;
    }
    hit = memchr(from, text->at[1], sizeof from - 1);
    if (!hit)
        return false;
    *out_byte = (uint8_t)to[hit - from];
    *text = str_from(*text, 2);
    return true;
}

// "text" or "text"*3
static bool string_read(struct str *line, struct bytes *bytes)
{
    const size_t begin = bytes->len;
    uint64_t times = 1;
    size_t len;

    *line = str_from(*line, 1);
    while (line->len && line->at[0] != '"') {
        uint8_t byte = (uint8_t)line->at[0];

        if (byte == '\\') {
            if (!escape_read(line, &byte))
                return false;
        } else {
            *line = str_from(*line, 1);
        }
        bytes_add_byte(bytes, byte);
    }
    if (line->len == 0)
        return false;
    *line = str_from(*line, 1);
    len = bytes->len - begin;
    if (line->len && line->at[0] == '*') {
        *line = str_from(*line, 1);
        if (!str_to_u64(word_next(line), &times) || times == 0 || times > 100000 ||
            len * times > 1 << 22)
            return false;
    }
    for (uint64_t i = 1; i < times && bytes_reserve(bytes, len); i++)
        bytes_add(bytes, bytes->at + begin, len);
    return !bytes->is_failed;
}

static bool address_read(struct str value, struct str *out_address, uint16_t *out_port)
{
    uint64_t port;
    size_t colon = value.len;

    while (colon && value.at[colon - 1] != ':')
        colon--;
    if (colon == 0 || !str_to_u64(str_from(value, colon), &port) || port > UINT16_MAX)
        return false;
    *out_address = (struct str){value.at, colon - 1};
    *out_port = (uint16_t)port;
    return true;
}

static bool connection_word(struct str name, struct str value, struct connection *connection)
{
    uint64_t number;

    if (str_equal(name, STR("role"))) {
        connection->role = str_equal(value, STR("client"))   ? CONN_ROLE_CLIENT
                           : str_equal(value, STR("server")) ? CONN_ROLE_SERVER
                                                             : CONN_ROLE_UNKNOWN;
        return true;
    }
    if (str_equal(name, STR("peer")))
        return address_read(value, &connection->peer_address, &connection->peer_port);
    if (str_equal(name, STR("local")))
        return address_read(value, &connection->local_address, &connection->local_port);
    if (str_equal(name, STR("pid")) && str_to_u64(value, &number)) {
        connection->pid = (uint32_t)number;
        return true;
    }
    connection->is_peer_traced = str_equal(name, STR("peer_traced"));
    return connection->is_peer_traced;
}

static bool context_word(struct str name, struct str value, struct segment_context *context)
{
    if (str_equal(name, STR("trace"))) {
        context->is_known = true;
        return hex_read(value, context->trace_id, TRACE_ID_BYTES);
    }
    if (str_equal(name, STR("span")))
        return hex_read(value, context->span_id, SPAN_ID_BYTES);
    if (str_equal(name, STR("parent")))
        return hex_read(value, context->parent_id, SPAN_ID_BYTES);
    if (str_equal(name, STR("written"))) {
        context->is_written = true;
        return true;
    }
    context->is_inferred = str_equal(name, STR("inferred"));
    return context->is_inferred;
}

static bool segment_word(struct str name, struct str value, struct capture_event *event)
{
    uint64_t number;

    if (!str_to_u64(value, &number) || value.len >= SPAN_ID_BYTES)
        return context_word(name, value, &event->segment.context);
    if (str_equal(name, STR("lost"))) {
        event->segment.lost_bytes = (uint32_t)number;
    } else if (str_equal(name, STR("at"))) {
        event->is_offset_given = true;
        event->segment.offset = number;
    } else if (str_equal(name, STR("flags"))) {
        event->segment.context.flags = (uint8_t)number;
    } else {
        return false;
    }
    return true;
}

static bool words_read(struct str line, struct capture *capture, struct capture_event *event)
{
    for (line = str_trim(line); line.len; line = str_trim(line)) {
        struct str word;
        struct str value;
        bool is_good;

        if (line.at[0] == '"' && event->act == CAPTURE_SEGMENT) {
            if (!string_read(&line, &capture->bytes))
                return false;
            continue;
        }
        word = word_next(&line);
        value = str_from(word, str_find(word, '=') + 1);
        word.len = str_find(word, '=');
        is_good = word.len &&
                  (event->act == CAPTURE_OPEN ? connection_word(word, value, &event->connection)
                                              : segment_word(word, value, event));
        if (!is_good)
            return false;
    }
    event->segment.bytes.len = capture->bytes.len - event->bytes_at;
    return true;
}

static bool line_read(struct str line, struct capture *capture)
{
    struct capture_event event = {.act = CAPTURE_OPEN, .bytes_at = capture->bytes.len};
    struct str word = word_next(&line);
    uint64_t idle_ms = 3600000;

    if (str_equal(word, STR("whole"))) {
        capture->is_whole = true;
        return true;
    }
    if (capture->count == CAPTURE_EVENTS_MAX)
        return false;
    event.connection = (struct connection){.conn = 1};
    event.segment.conn = 1;
    if (str_equal(word, STR(">")) || str_equal(word, STR("<"))) {
        event.act = CAPTURE_SEGMENT;
        event.segment.direction = word.at[0] == '>' ? DIRECTION_OUT : DIRECTION_IN;
        event.segment.context.flags = 1;
    } else if (str_equal(word, STR("close"))) {
        event.act = CAPTURE_CLOSE;
    } else if (str_equal(word, STR("tick"))) {
        event.act = CAPTURE_TICK;
    } else if (!str_equal(word, STR("connection"))) {
        return false;
    }
    if (event.act != CAPTURE_OPEN && !time_read(word_next(&line), &event.time_ns))
        return false;
    event.segment.time_ns = event.time_ns;
    if (event.act == CAPTURE_TICK) {
        word = word_next(&line);
        if (word.len && !str_to_u64(word, &idle_ms))
            return false;
        event.idle_ns = idle_ms * 1000000;
    }
    if (!words_read(line, capture, &event))
        return false;
    capture->events[capture->count++] = event;
    return true;
}

bool capture_read(struct str text, struct capture *out_capture)
{
    *out_capture = (struct capture){.bytes = {.limit = 1 << 24}};
    for (unsigned number = 1; text.len; number++) {
        struct str line = {text.at, str_find(text, '\n')};

        text = str_from(text, line.len + 1);
        line = str_trim(line);
        if (line.len == 0 || line.at[0] == '#')
            continue;
        // A line that begins with a string goes on with the segment before.
        if (line.at[0] == '"' && out_capture->count
                ? !words_read(line, out_capture, &out_capture->events[out_capture->count - 1])
                : !line_read(line, out_capture)) {
            out_capture->bad_line = number;
            return false;
        }
    }
    return true;
}

void capture_done(struct capture *capture)
{
    bytes_done(&capture->bytes);
}

enum { RANDOM_MARK = 0xdd };

// Ids drawn here can be told by their marks.
static uint64_t random_next(void *self)
{
    uint64_t *count = self;

    return ++*count << 16 | RANDOM_MARK << 8 | RANDOM_MARK;
}

static bool is_random(const uint8_t *id)
{
    return id[0] == RANDOM_MARK && id[1] == RANDOM_MARK && id[6] == 0 && id[7] == 0;
}

struct writer {
    struct replay *replay;
    uint64_t seen[1024]; // random ids in the order they appear
    size_t seen_count;
};

static void id_write(struct writer *writer, const char *name, const uint8_t *id, size_t len)
{
    struct bytes *out = &writer->replay->spans;
    uint64_t value;
    char text[33];
    size_t i = 0;

    memcpy(&value, id, 8);
    if (!id_is_valid(id, len)) {
        bytes_format(out, "  %s none\n", name);
        return;
    }
    if (!is_random(id)) {
        hex_write(text, id, len);
        bytes_format(out, "  %s %s\n", name, text);
        return;
    }
    while (i < writer->seen_count && writer->seen[i] != value)
        i++;
    if (i == writer->seen_count && i < sizeof writer->seen / sizeof writer->seen[0])
        writer->seen[writer->seen_count++] = value;
    bytes_format(out, "  %s r%zu\n", name, i + 1);
}

static void text_write(struct bytes *out, struct str text)
{
    bytes_add_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.at[i];

        if (c < ' ' || c > '~' || c == '"')
            bytes_format(out, "\\x%02x", c);
        else
            bytes_add_byte(out, c);
    }
    bytes_add_byte(out, '"');
}

static void span_write(void *self, const struct connection *connection, const struct span *span)
{
    struct writer *writer = self;
    struct bytes *out = &writer->replay->spans;

    (void)connection;
    writer->replay->span_count++;
    if (span->end_ns < span->start_ns || !id_is_valid(span->trace_id, 16) ||
        !id_is_valid(span->span_id, 8) || span->kind == SPAN_KIND_UNSPECIFIED)
        writer->replay->bad_spans++;
    bytes_format(out, "%s ", span_kind_text(span->kind));
    text_write(out, span->name);
    bytes_format(out, "\n  time %.3f %.3f\n", (double)span->start_ns / 1e6,
                 (double)span->end_ns / 1e6);
    id_write(writer, "trace", span->trace_id, 16);
    id_write(writer, "span", span->span_id, 8);
    id_write(writer, "parent", span->parent_id, 8);
    bytes_format(out, "  flags 0x%x\n", span->flags);
    if (span->status == SPAN_STATUS_ERROR) {
        bytes_format(out, "  status error ");
        text_write(out, span->status_message);
        bytes_add_byte(out, '\n');
    }
    for (size_t i = 0; i < span->attributes.count; i++) {
        const struct attribute *attribute = &span->attributes.at[i];

        bytes_format(out, "  %.*s = ", STR_ARGS(attribute->key));
        if (attribute->value.type == VALUE_INT)
            bytes_format(out, "%lld", (long long)attribute->value.integer);
        else if (attribute->value.type == VALUE_BOOL)
            bytes_format(out, "%s", attribute->value.boolean ? "true" : "false");
        else
            text_write(out, attribute->value.string);
        bytes_add_byte(out, '\n');
    }
}

// A segment, whole or in pieces; the bytes that were lost come behind the last.
static void segment_replay(const struct replay *replay, struct assembler *assembler,
                           const struct segment *whole)
{
    const size_t cut = replay->cut_bytes ? replay->cut_bytes : whole->bytes.len;
    size_t at = 0;

    do {
        struct segment piece = *whole;

        piece.offset += at;
        piece.bytes = str_from(whole->bytes, at);
        if (piece.bytes.len > cut) {
            piece.bytes.len = cut;
            piece.lost_bytes = 0;
        }
        at += piece.bytes.len;
        for (int i = 0; i <= replay->is_doubled; i++)
            assembler_segment(assembler, &piece);
    } while (at < whole->bytes.len);
}

void capture_replay(const struct capture *capture, struct replay *replay)
{
    struct writer writer = {.replay = replay};
    uint64_t random_count = 0;
    uint64_t offsets[2] = {0, 0};
    const struct assembler_plan plan = {
        .limits = {4, replay->max_bytes_each ? replay->max_bytes_each : 256 * 1024, 0},
        .emit = span_write,
        .emit_self = &writer,
        .random = random_next,
        .random_self = &random_count,
    };
    struct assembler *assembler = assembler_new(&plan);

    if (!assembler)
        return;
    for (size_t i = 0; i < capture->count; i++) {
        const struct capture_event *event = &capture->events[i];
        struct segment segment = event->segment;

        switch (event->act) {
        case CAPTURE_OPEN:
            assembler_open(assembler, &event->connection);
            break;
        case CAPTURE_SEGMENT:
            segment.bytes.at =
                capture->bytes.at ? (const char *)capture->bytes.at + event->bytes_at : "";
            if (!event->is_offset_given)
                segment.offset = offsets[segment.direction];
            segment_replay(replay, assembler, &segment);
            offsets[segment.direction] = segment.offset + segment.bytes.len + segment.lost_bytes;
            break;
        case CAPTURE_CLOSE:
            assembler_close(assembler, 1, event->time_ns);
            break;
        case CAPTURE_TICK:
            assembler_tick(assembler, event->time_ns, event->idle_ns);
            break;
        }
    }
    assembler_free(assembler);
}
