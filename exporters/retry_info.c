// SPDX-License-Identifier: Apache-2.0
// google.rpc.Status{1: code, 2: message, 3: repeated Any{1: type_url, 2: value}};
// RetryInfo{1: Duration{1: seconds, 2: nanos}}.

#include "exporters/retry_info.h"

#include "libtrace/otlp/varint.h"

static bool duration_read(struct str wire, uint32_t *out_wait_ms)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;
    int64_t seconds = 0;
    int64_t nanos = 0;
    int64_t ms;

    while (wire_next(&reader, &field)) {
        if (field.number == 1)
            seconds = (int64_t)field.value;
        if (field.number == 2)
            nanos = (int32_t)field.value;
    }
    if (reader.is_failed)
        return false;
    if (seconds < 0 || nanos < 0)
        seconds = nanos = 0;
    if (seconds > RETRY_WAIT_MAX_MS / 1000)
        seconds = RETRY_WAIT_MAX_MS / 1000;
    // Rounded up: not before the time the server asked for.
    ms = seconds * 1000 + (nanos + 999999) / 1000000;
    *out_wait_ms = ms > RETRY_WAIT_MAX_MS ? RETRY_WAIT_MAX_MS : (uint32_t)ms;
    return true;
}

static bool retry_delay_read(struct str wire, uint32_t *out_wait_ms)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;
    struct str delay = {"", 0};

    while (wire_next(&reader, &field)) {
        if (field.number == 1 && field.body.at)
            delay = field.body;
    }
    return !reader.is_failed && duration_read(delay, out_wait_ms);
}

static bool detail_read(struct str wire, uint32_t *out_wait_ms)
{
    static const struct str type = {"google.rpc.RetryInfo", sizeof "google.rpc.RetryInfo" - 1};
    struct reader reader = reader_of(wire);
    struct wire_field field;
    struct str url = {"", 0};
    struct str value = {"", 0};

    while (wire_next(&reader, &field)) {
        if (field.number == 1 && field.body.at)
            url = field.body;
        if (field.number == 2 && field.body.at)
            value = field.body;
    }
    // Any: what follows the last '/' of the URL names the type.
    while (str_has(url, '/'))
        url = str_from(url, str_find(url, '/') + 1);
    return !reader.is_failed && str_equal(url, type) && retry_delay_read(value, out_wait_ms);
}

bool retry_info_read(struct str status, uint32_t *out_wait_ms)
{
    struct reader reader = reader_of(status);
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        if (field.number == 3 && field.body.at && detail_read(field.body, out_wait_ms))
            return true;
    }
    return false;
}
