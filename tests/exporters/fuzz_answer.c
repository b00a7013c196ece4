// SPDX-License-Identifier: Apache-2.0
// What a destination answers, and an endpoint as an operator writes it: read within bounds, with a
// reason when it is refused. The first byte says as what the rest is read.

#include <stdlib.h>

#include "exporters/endpoint.h"
#include "exporters/otlp_client.h"
#include "exporters/retry_info.h"
#include "libtrace/otlp/response.h"

static void response(struct str text)
{
    struct bytes message = {.limit = 512};
    struct str inside = {"", 0};
    struct why why = {""};
    uint64_t rejected = 7;

    if (otlp_response_read(text, &rejected, &inside, &why) != 0 && !why.text[0])
        abort();
    if (inside.len && (inside.at < text.at || inside.at + inside.len > text.at + text.len))
        abort();
    why.text[0] = '\0';
    if (otlp_response_read_json(text, &rejected, &message, &why) != 0 && !why.text[0])
        abort();
    if (message.len > 512)
        abort();
    bytes_done(&message);
}

static void status(enum otlp_encoding encoding, struct str text)
{
    struct bytes message = {.limit = 512};
    struct why why = {""};

    if (otlp_status_read(encoding, text, &message, &why) != 0 && !why.text[0])
        abort();
    bytes_done(&message);
}

static void retry(struct str text)
{
    uint32_t wait_ms = UINT32_MAX;

    if (retry_info_read(text, &wait_ms) != (wait_ms <= RETRY_WAIT_MAX_MS))
        abort();
}

static void endpoint(struct str text)
{
    struct endpoint parts = {0};
    struct why why = {""};

    if (endpoint_read(text, &parts, &why) != 0) {
        if (!why.text[0] || parts.host.len)
            abort();
        return;
    }
    if (!parts.host.len || parts.host.at < text.at ||
        parts.host.at + parts.host.len > text.at + text.len)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = {(const char *)data + 1, size - 1};

    if (size == 0)
        return 0;
    switch (data[0]) {
    case 'r':
        response(text);
        break;
    case 's':
        status(OTLP_PROTOBUF, text);
        status(OTLP_JSON, text);
        break;
    case 'i':
        retry(text);
        break;
    default:
        endpoint(text);
    }
    return 0;
}
