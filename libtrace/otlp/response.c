// SPDX-License-Identifier: Apache-2.0
// Export...ServiceResponse{1: partial_success{1: rejected, 2: error_message}} and
// google.rpc.Status.

#include "libtrace/otlp/response.h"

#include <errno.h>

#include "libtrace/otlp/json_text.h"
#include "libtrace/otlp/varint.h"

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

static bool read_pair(struct reader *reader, uint64_t *out_number, uint64_t *out_value,
                      struct str *out_body)
{
    const uint64_t tag = varint_read(reader);

    *out_number = tag >> 3;
    *out_value = 0;
    *out_body = (struct str){NULL, 0};
    switch (tag & 7) {
    case WIRE_VARINT:
        *out_value = varint_read(reader);
        break;
    case WIRE_BYTES:
        *out_body = reader_take(reader, varint_read(reader));
        break;
    case WIRE_FIXED64:
        reader_take(reader, 8);
        break;
    case WIRE_FIXED32:
        reader_take(reader, 4);
        break;
    default:
        return false;
    }
    return !reader->is_failed;
}

int otlp_response_read(struct str wire, uint64_t *out_rejected, struct str *out_message,
                       struct why *why)
{
    struct reader outer = reader_of(wire);
    struct str message = {"", 0};
    uint64_t rejected = 0;
    uint64_t number;
    uint64_t value;
    struct str body;

    while (outer.at < outer.end) {
        struct reader inner;

        if (!read_pair(&outer, &number, &value, &body))
            return why_fail(why, -EBADMSG, "the response is malformed");
        if (number != 1 || !body.at)
            continue;
        inner = reader_of(body);
        while (inner.at < inner.end) {
            if (!read_pair(&inner, &number, &value, &body))
                return why_fail(why, -EBADMSG, "the partial_success is malformed");
            if (number == 1)
                rejected = value;
            if (number == 2 && body.at)
                message = body;
        }
    }
    *out_rejected = rejected;
    *out_message = message;
    return 0;
}
