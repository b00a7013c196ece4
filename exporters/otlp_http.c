// SPDX-License-Identifier: Apache-2.0
// The agent's exporter to an OTLP/HTTP destination: its settings, and one request at a time through
// the client that the SDK has too. The one thread that calls send owns it.

#include "exporters/otlp_http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "exporters/otlp_client.h"
#include "exporters/stats.h"
#include "libtrace/base/arena.h"

enum { HEADER_PAIRS_MAX = 64, PIECES_AT_HAND = 64, UPLOAD_BUFFER_BYTES = 512 * 1024 };

static const struct setting settings[] = {
    SETTING_URL(struct otlp_http, endpoint, "http://127.0.0.1:4318",
                "Base URL; /v1/traces, /v1/metrics or /v1/logs is appended."),
    SETTING_CHOICE(struct otlp_http, compression, "none", "none|gzip|zstd",
                   "How bodies are compressed."),
    SETTING_MAP(struct otlp_http, headers, "", "Headers sent with each request."),
    SETTING_DURATION(struct otlp_http, "timeout", timeout_ms, "10s",
                     "How long one request may take."),
    SETTING_SIZE(struct otlp_http, "max_response_size", max_response_bytes, "4MiB",
                 "A larger response is an error."),
    SETTING_END,
};

// "name\tvalue" lines as name, value, ..., NULL; what they point to comes from the arena.
static int headers_split(struct str left, struct arena *arena,
                         const char *out_headers[HEADER_PAIRS_MAX * 2 + 1], struct why *why)
{
    size_t count = 0;

    while (left.len) {
        const size_t end = str_find(left, '\n');
        const struct str row = {left.at, end};
        const size_t tab = str_find(row, '\t');

        if (count == HEADER_PAIRS_MAX * 2)
            return why_fail(why, -E2BIG, "headers: more than %d", HEADER_PAIRS_MAX);
        out_headers[count++] = arena_format(arena, "%.*s", (int)tab, row.at).at;
        out_headers[count++] = arena_format(arena, "%.*s", STR_ARGS(str_from(row, tab + 1))).at;
        if (!out_headers[count - 2] || !out_headers[count - 1])
            return why_fail(why, -ENOMEM, "out of memory");
        left = str_from(left, end + 1);
    }
    out_headers[count] = NULL;
    return 0;
}

static int client_make(const struct otlp_http *self, struct arena *arena,
                       struct otlp_client **out_client, struct why *why)
{
    const char *headers[HEADER_PAIRS_MAX * 2 + 1];
    struct otlp_client_plan plan = {
        .headers = headers,
        .timeout_ms = self->timeout_ms,
        .response_bytes_max = self->max_response_bytes,
        .in_flight_max = 1,
        .user_agent = "OTel-OTLP-Exporter-Throughline/0.1.0",
        .upload_buffer_bytes = UPLOAD_BUFFER_BYTES,
    };
    struct str base = self->endpoint;
    int failed = headers_split(self->headers, arena, headers, why);

    if (failed)
        return failed;
    if (str_equal(self->compression, STR("gzip")))
        plan.compression = COMPRESSION_GZIP;
    else if (str_equal(self->compression, STR("zstd")))
        plan.compression = COMPRESSION_ZSTD;
    while (base.len && base.at[base.len - 1] == '/')
        base.len--;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
        plan.endpoints[signal] =
            arena_format(arena, "%.*s/v1/%s", STR_ARGS(base), signal_text((enum signal)signal)).at;
        if (!plan.endpoints[signal])
            return why_fail(why, -ENOMEM, "out of memory");
    }
    *out_client = otlp_http_client_new(&plan, why);
    return *out_client ? 0 : -EINVAL;
}

static int otlp_http_open(void *self_, struct why *why)
{
    struct otlp_http *self = self_;
    struct arena arena;
    int failed;

    arena_init(&arena, 0);
    failed = client_make(self, &arena, &self->client, why);
    arena_done(&arena);
    return failed;
}

static void otlp_http_close(void *self_)
{
    struct otlp_http *self = self_;

    otlp_client_free(self->client);
    self->client = NULL;
}

static enum send_result otlp_http_send(void *self_, const struct batch *batch,
                                       uint32_t *out_wait_ms, struct why *why)
{
    struct otlp_http *self = self_;
    const size_t count = batch_pieces(batch);
    struct str at_hand[PIECES_AT_HAND];
    struct str *pieces = count <= PIECES_AT_HAND ? at_hand : malloc(count * sizeof pieces[0]);
    struct otlp_request request = {batch_signal(batch), pieces, count, 0};
    struct answer answer;

    if (!pieces) {
        why_fail(why, -ENOMEM, "out of memory");
        return SEND_RETRY;
    }
    for (size_t i = 0; i < count; i++)
        pieces[i] = batch_piece(batch, i);
    otlp_client_send(self->client, &request, &answer);
    if (pieces != at_hand)
        free(pieces);
    stats_add(&exporters_stats, EXPORTERS_otlp_http_requests, 1);
    stats_add(&exporters_stats, EXPORTERS_otlp_http_bytes, answer.sent_bytes);
    stats_add(&exporters_stats, EXPORTERS_otlp_http_rejected, answer.rejected);
    if (answer.result != SEND_DONE && why)
        *why = answer.why;
    *out_wait_ms = answer.wait_ms;
    return answer.result;
}

const struct exporter otlp_http_exporter = {
    .name = "otlp_http",
    .settings = settings,
    .size = sizeof(struct otlp_http),
    .open = otlp_http_open,
    .send = otlp_http_send,
    .close = otlp_http_close,
};
