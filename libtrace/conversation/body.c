// SPDX-License-Identifier: Apache-2.0
// Lengths are counted down; chunks are read byte by byte between their data (RFC 9112 7.1).

#include "libtrace/conversation/body.h"

enum phase {
    PHASE_SIZE,      // hexadecimal digits
    PHASE_EXTENSION, // up to the line's end
    PHASE_DATA,
    PHASE_DATA_END, // the line's end behind the data
    PHASE_TRAILER,
};

enum { LINE_BYTES_MAX = 8192 };

enum body_state body_begin(struct body_reader *reader, const struct message *message)
{
    *reader = (struct body_reader){.kind = message->body};
    if (message->body == BODY_LENGTH)
        reader->left = message->body_bytes;
    if (message->body == BODY_UNKNOWN)
        return BODY_LOST;
    return message->body == BODY_LENGTH && reader->left == 0 ? BODY_ENDED : BODY_GOES_ON;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Behind the size of a chunk.
static void size_end(struct body_reader *reader)
{
    reader->phase = reader->left ? PHASE_DATA : PHASE_TRAILER;
    reader->line_bytes = 0;
}

static enum body_state size_take(struct body_reader *reader, char c)
{
    const int digit = hex_digit(c);

    if (digit >= 0) {
        if (++reader->line_bytes > 15)
            return BODY_LOST;
        reader->left = reader->left << 4 | (unsigned)digit;
        return BODY_GOES_ON;
    }
    if (reader->line_bytes == 0 || (c != '\r' && c != '\n' && c != ';' && c != ' ' && c != '\t'))
        return BODY_LOST;
    reader->phase = PHASE_EXTENSION;
    if (c == '\n')
        size_end(reader);
    return BODY_GOES_ON;
}

// One byte that is no data.
static enum body_state framing_take(struct body_reader *reader, char c)
{
    switch (reader->phase) {
    case PHASE_SIZE:
        return size_take(reader, c);
    case PHASE_EXTENSION:
        reader->line_bytes++;
        if (c == '\n')
            size_end(reader);
        return reader->line_bytes > LINE_BYTES_MAX ? BODY_LOST : BODY_GOES_ON;
    case PHASE_DATA_END:
        if (c != '\r' && c != '\n')
            return BODY_LOST;
        reader->line_bytes = 0;
        reader->phase = c == '\n' ? PHASE_SIZE : PHASE_DATA_END;
        return BODY_GOES_ON;
    default: // trailers end with an empty line
        if (c == '\n') {
            if (reader->line_bytes == 0)
                return BODY_ENDED;
            reader->line_bytes = 0;
            return BODY_GOES_ON;
        }
        reader->line_bytes += c != '\r';
        return reader->line_bytes > LINE_BYTES_MAX ? BODY_LOST : BODY_GOES_ON;
    }
}

static void data_take(struct body_reader *reader, uint64_t bytes)
{
    reader->left -= bytes;
    if (reader->left == 0)
        reader->phase = PHASE_DATA_END;
}

static enum body_state chunks_take(struct body_reader *reader, struct str bytes, size_t *out_used)
{
    size_t at = 0;

    while (at < bytes.len) {
        enum body_state state;

        if (reader->phase == PHASE_DATA) {
            const uint64_t left = bytes.len - at;
            const uint64_t step = reader->left < left ? reader->left : left;

            data_take(reader, step);
            at += (size_t)step;
            continue;
        }
        state = framing_take(reader, bytes.at[at++]);
        if (state != BODY_GOES_ON) {
            *out_used = at;
            return state;
        }
    }
    *out_used = at;
    return BODY_GOES_ON;
}

enum body_state body_take(struct body_reader *reader, struct str bytes, size_t *out_used)
{
    if (reader->kind == BODY_CHUNKED)
        return chunks_take(reader, bytes, out_used);
    *out_used = bytes.len;
    if (reader->kind != BODY_LENGTH)
        return BODY_GOES_ON;
    if (reader->left <= bytes.len) {
        *out_used = (size_t)reader->left;
        reader->left = 0;
        return BODY_ENDED;
    }
    reader->left -= bytes.len;
    return BODY_GOES_ON;
}

enum body_state body_pass(struct body_reader *reader, uint64_t lost)
{
    if (reader->kind == BODY_UNTIL_CLOSE)
        return BODY_GOES_ON;
    if (reader->kind == BODY_CHUNKED) {
        if (reader->phase != PHASE_DATA || lost > reader->left)
            return BODY_LOST;
        data_take(reader, lost);
        return BODY_GOES_ON;
    }
    if (reader->kind != BODY_LENGTH || lost > reader->left)
        return BODY_LOST;
    reader->left -= lost;
    return reader->left ? BODY_GOES_ON : BODY_ENDED;
}
