// SPDX-License-Identifier: Apache-2.0
// Export...ServiceResponse{1: partial_success{1: rejected, 2: error_message}} and
// google.rpc.Status.

#include "libtrace/otlp/response.h"

#include <errno.h>

#include "libtrace/otlp/json_text.h"
#include "libtrace/otlp/json_token.h"
#include "libtrace/otlp/varint.h"

enum { NESTING_MAX = 16 };

void otlp_status_write(enum otlp_encoding encoding, int code, struct str message, struct bytes *out)
{
    if (encoding == OTLP_JSON) {
        bytes_format(out, "{\"code\":%d,\"message\":", code);
        json_text_write(out, message);
        bytes_add_byte(out, '}');
        return;
    }
    tag_write(out, 1, WIRE_VARINT);
    varint_write(out, (uint64_t)(int64_t)code);
    body_write(out, 2, message);
}

void otlp_response_write(enum signal signal, enum otlp_encoding encoding, uint64_t rejected,
                         struct str message, struct bytes *out)
{
    static const char *const names[SIGNAL_COUNT] = {"rejectedSpans", "rejectedDataPoints",
                                                    "rejectedLogRecords"};
    size_t mark;

    if (rejected == 0 && message.len == 0) {
        if (encoding == OTLP_JSON)
            bytes_add_str(out, STR("{}"));
        return;
    }
    if (encoding == OTLP_JSON) {
        bytes_format(out, "{\"partialSuccess\":{\"%s\":\"%llu\",\"errorMessage\":", names[signal],
                     (unsigned long long)rejected);
        json_text_write(out, message);
        bytes_add_str(out, STR("}}"));
        return;
    }
    mark = message_begin(out, 1);
    tag_write(out, 1, WIRE_VARINT);
    varint_write(out, rejected);
    body_write(out, 2, message);
    message_end(out, mark);
}

int otlp_response_read(struct str wire, uint64_t *out_rejected, struct str *out_message,
                       struct why *why)
{
    struct reader outer = reader_of(wire);
    struct reader inner = {0};
    struct str message = {"", 0};
    struct wire_field field;
    uint64_t rejected = 0;

    while (!inner.is_failed && wire_next(&outer, &field)) {
        if (field.number != 1 || !field.body.at)
            continue;
        inner = reader_of(field.body);
        while (wire_next(&inner, &field)) {
            if (field.number == 1)
                rejected = field.value;
            if (field.number == 2 && field.body.at)
                message = field.body;
        }
    }
    if (outer.is_failed || inner.is_failed)
        return why_fail(why, -EBADMSG, "the response is malformed");
    *out_rejected = rejected;
    *out_message = message;
    return 0;
}

// "rejectedSpans" and its like: a 64-bit integer, so a string or a number.
static uint64_t count_take(struct json_tokens *tokens)
{
    uint64_t count = 0;
    struct str text;

    switch (json_peek(tokens)) {
    case JSON_STRING:
        text = json_string_take(tokens);
        break;
    case JSON_NUMBER:
        text = json_plain_take(tokens);
        break;
    default:
        json_skip(tokens, NESTING_MAX);
        return 0;
    }
    return str_to_u64(text, &count) ? count : 0;
}

static void text_take(struct json_tokens *tokens, struct bytes *out_message)
{
    if (json_peek(tokens) == JSON_STRING)
        bytes_add_str(out_message, json_string_take(tokens));
    else
        json_skip(tokens, NESTING_MAX);
}

static uint64_t partial_success_take(struct json_tokens *tokens, struct bytes *out_message)
{
    bool is_first = true;
    uint64_t rejected = 0;
    struct str key;

    while (json_next(tokens, &is_first, &key)) {
        if (str_equal(key, STR("errorMessage")))
            text_take(tokens, out_message);
        else if (str_starts(key, STR("rejected")))
            rejected = count_take(tokens);
        else
            json_skip(tokens, NESTING_MAX);
    }
    return rejected;
}

int otlp_response_read_json(struct str json, uint64_t *out_rejected, struct bytes *out_message,
                            struct why *why)
{
    struct json_tokens tokens = json_tokens_of(json);
    bool is_first = true;
    uint64_t rejected = 0;
    struct str key;
    int failed = 0;

    if (json_peek(&tokens) != JSON_OBJECT)
        failed = why_fail(why, -EBADMSG, "the response is not an object");
    while (!failed && json_next(&tokens, &is_first, &key)) {
        if (str_equal(key, STR("partialSuccess")) && json_peek(&tokens) == JSON_OBJECT)
            rejected = partial_success_take(&tokens, out_message);
        else
            json_skip(&tokens, NESTING_MAX);
    }
    if (!failed && tokens.problem)
        failed = json_tokens_why(&tokens, why);
    json_tokens_done(&tokens);
    if (!failed)
        *out_rejected = rejected;
    return failed;
}

static int status_read_json(struct str json, struct bytes *out_message, struct why *why)
{
    struct json_tokens tokens = json_tokens_of(json);
    bool is_first = true;
    struct str key;
    int failed = 0;

    if (json_peek(&tokens) != JSON_OBJECT)
        failed = why_fail(why, -EBADMSG, "the status is not an object");
    while (!failed && json_next(&tokens, &is_first, &key)) {
        if (str_equal(key, STR("message")))
            text_take(&tokens, out_message);
        else
            json_skip(&tokens, NESTING_MAX);
    }
    if (!failed && tokens.problem)
        failed = json_tokens_why(&tokens, why);
    json_tokens_done(&tokens);
    return failed;
}

int otlp_status_read(enum otlp_encoding encoding, struct str text, struct bytes *out_message,
                     struct why *why)
{
    struct reader reader = reader_of(text);
    struct wire_field field;

    if (encoding == OTLP_JSON)
        return status_read_json(text, out_message, why);
    while (wire_next(&reader, &field)) {
        if (field.number == 2 && field.body.at)
            bytes_add_str(out_message, field.body);
    }
    return reader.is_failed ? why_fail(why, -EBADMSG, "the status is malformed") : 0;
}
