// SPDX-License-Identifier: Apache-2.0
// Sends batches to an OTLP/HTTP destination as protobuf. Uncompressed pieces go out as they came
// in, without a copy. One connection, kept alive, used by the one thread that calls send. Rules:
// OTLP specification, "OTLP/HTTP"; which codes retry is its "Retryable response codes".

#include "exporters/otlp_http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "exporters/compress.h"
#include "exporters/stats.h"
#include "libtrace/base/arena.h"
#include "libtrace/otlp/response.h"

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

struct otlp_http_state {
    CURL *curl;
    struct curl_slist *headers;
    char *urls[SIGNAL_COUNT];
    enum compression compression;
    struct compressor *compressor;
    struct bytes plain;      // all pieces in a row, when they are compressed
    struct bytes compressed; // what is sent then
    struct bytes response;
    // While sending without compression: where in which piece.
    const struct batch *batch;
    size_t piece;
    size_t offset;
};

static size_t read_pieces(char *to, size_t size, size_t count, void *self)
{
    struct otlp_http_state *state = self;
    const size_t room = size * count;
    size_t filled = 0;

    while (filled < room && state->piece < batch_pieces(state->batch)) {
        const struct str left = str_from(batch_piece(state->batch, state->piece), state->offset);
        const size_t step = left.len < room - filled ? left.len : room - filled;

        memcpy(to + filled, left.at, step);
        filled += step;
        state->offset += step;
        if (step == left.len) {
            state->piece++;
            state->offset = 0;
        }
    }
    return filled;
}

// libcurl rewinds when a kept connection turns out to be closed.
static int rewind_pieces(void *self, curl_off_t offset, int origin)
{
    struct otlp_http_state *state = self;

    if (offset != 0 || origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    state->piece = 0;
    state->offset = 0;
    return CURL_SEEKFUNC_OK;
}

static size_t keep_response(char *from, size_t size, size_t count, void *self)
{
    struct otlp_http_state *state = self;

    bytes_add(&state->response, from, size * count);
    return state->response.is_failed ? 0 : size * count;
}

static int add_header(struct otlp_http_state *state, const char *line)
{
    struct curl_slist *grown = curl_slist_append(state->headers, line);

    if (!grown)
        return -ENOMEM;
    state->headers = grown;
    return 0;
}

static int add_headers(const struct otlp_http *self, struct otlp_http_state *state, struct why *why)
{
    struct str left = self->headers;
    int failed = add_header(state, "Content-Type: application/x-protobuf");

    // Without this libcurl waits for a "100 Continue" before a large body.
    if (!failed)
        failed = add_header(state, "Expect:");
    if (!failed && state->compression == COMPRESSION_GZIP)
        failed = add_header(state, "Content-Encoding: gzip");
    if (!failed && state->compression == COMPRESSION_ZSTD)
        failed = add_header(state, "Content-Encoding: zstd");
    while (!failed && left.len) {
        const size_t end = str_find(left, '\n');
        const struct str row = {left.at, end};
        const size_t tab = str_find(row, '\t');
        char line[8192];
        const int len = snprintf(line, sizeof line, "%.*s: %.*s", (int)tab, row.at,
                                 STR_ARGS(str_from(row, tab + 1)));

        if (len < 0 || (size_t)len >= sizeof line)
            return why_fail(why, -EINVAL, "headers: '%.*s' is too long", (int)tab, row.at);
        failed = add_header(state, line);
        left = str_from(left, end + 1);
    }
    return failed ? why_fail(why, failed, "out of memory") : 0;
}

static int make_urls(const struct otlp_http *self, struct otlp_http_state *state, struct why *why)
{
    struct str base = self->endpoint;

    while (base.len && base.at[base.len - 1] == '/')
        base.len--;
    for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
        if (asprintf(&state->urls[signal], "%.*s/v1/%s", STR_ARGS(base),
                     signal_text((enum signal)signal)) < 0) {
            state->urls[signal] = NULL;
            return why_fail(why, -ENOMEM, "out of memory");
        }
    }
    return 0;
}

static void close_state(struct otlp_http_state *state)
{
    if (!state)
        return;
    if (state->curl)
        curl_easy_cleanup(state->curl);
    curl_slist_free_all(state->headers);
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        free(state->urls[signal]);
    compressor_free(state->compressor);
    bytes_done(&state->plain);
    bytes_done(&state->compressed);
    bytes_done(&state->response);
    free(state);
}

static int open_state(const struct otlp_http *self, struct otlp_http_state *state, struct why *why)
{
    int failed;

    if (str_equal(self->compression, STR("gzip")))
        state->compression = COMPRESSION_GZIP;
    else if (str_equal(self->compression, STR("zstd")))
        state->compression = COMPRESSION_ZSTD;
    state->compressor = compressor_new(state->compression);
    state->curl = curl_easy_init();
    state->response.limit = self->max_response_bytes;
    if (!state->compressor || !state->curl)
        return why_fail(why, -ENOMEM, "out of memory");
    failed = make_urls(self, state, why);
    if (!failed)
        failed = add_headers(self, state, why);
    if (failed)
        return failed;
    curl_easy_setopt(state->curl, CURLOPT_HTTPHEADER, state->headers);
    curl_easy_setopt(state->curl, CURLOPT_POST, 1L);
    curl_easy_setopt(state->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(state->curl, CURLOPT_TIMEOUT_MS, (long)self->timeout_ms);
    curl_easy_setopt(state->curl, CURLOPT_USERAGENT, "OTel-OTLP-Exporter-Throughline/0.1.0");
    curl_easy_setopt(state->curl, CURLOPT_WRITEFUNCTION, keep_response);
    curl_easy_setopt(state->curl, CURLOPT_WRITEDATA, state);
    curl_easy_setopt(state->curl, CURLOPT_UPLOAD_BUFFERSIZE, 512L * 1024);
    return 0;
}

static int otlp_http_open(void *self_, struct why *why)
{
    struct otlp_http *self = self_;
    struct otlp_http_state *state = calloc(1, sizeof *state);
    int failed;

    if (!state)
        return why_fail(why, -ENOMEM, "out of memory");
    failed = open_state(self, state, why);
    if (failed) {
        close_state(state);
        return failed;
    }
    self->state = state;
    return 0;
}

static void otlp_http_close(void *self_)
{
    struct otlp_http *self = self_;

    close_state(self->state);
    self->state = NULL;
}

static int set_body(struct otlp_http_state *state, const struct batch *batch, struct why *why)
{
    int failed;

    state->batch = batch;
    state->piece = 0;
    state->offset = 0;
    if (state->compression == COMPRESSION_NONE) {
        curl_easy_setopt(state->curl, CURLOPT_POSTFIELDS, NULL);
        curl_easy_setopt(state->curl, CURLOPT_READFUNCTION, read_pieces);
        curl_easy_setopt(state->curl, CURLOPT_READDATA, state);
        curl_easy_setopt(state->curl, CURLOPT_SEEKFUNCTION, rewind_pieces);
        curl_easy_setopt(state->curl, CURLOPT_SEEKDATA, state);
        curl_easy_setopt(state->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)batch_bytes(batch));
        return 0;
    }
    state->plain.len = 0;
    state->compressed.len = 0;
    for (size_t i = 0; i < batch_pieces(batch); i++)
        bytes_add_str(&state->plain, batch_piece(batch, i));
    if (state->plain.is_failed)
        return why_fail(why, -ENOMEM, "out of memory");
    failed = compress_add(state->compressor, bytes_str(&state->plain), &state->compressed, why);
    if (failed)
        return failed;
    curl_easy_setopt(state->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)state->compressed.len);
    curl_easy_setopt(state->curl, CURLOPT_POSTFIELDS, (const char *)state->compressed.at);
    return 0;
}

static enum send_result judge(struct otlp_http_state *state, const struct batch *batch,
                              uint32_t *out_wait_ms, struct why *why)
{
    long code = 0;
    curl_off_t after_s = 0;
    uint64_t rejected = 0;
    struct str message = {"", 0};

    curl_easy_getinfo(state->curl, CURLINFO_RESPONSE_CODE, &code);
    if (code >= 200 && code < 300) {
        if (otlp_response_read(bytes_str(&state->response), &rejected, &message, NULL) == 0)
            stats_add(&exporters_stats, EXPORTERS_otlp_http_rejected, rejected);
        return SEND_DONE;
    }
    why_fail(why, -EIO, "%s answered %ld", state->urls[batch_signal(batch)], code);
    if (code != 429 && code != 502 && code != 503 && code != 504)
        return SEND_REFUSED;
    // Retry-After, in seconds; libcurl reads the date form too.
    if (curl_easy_getinfo(state->curl, CURLINFO_RETRY_AFTER, &after_s) == CURLE_OK && after_s > 0 &&
        after_s < 3600)
        *out_wait_ms = (uint32_t)after_s * 1000;
    return SEND_RETRY;
}

static enum send_result otlp_http_send(void *self_, const struct batch *batch,
                                       uint32_t *out_wait_ms, struct why *why)
{
    struct otlp_http *self = self_;
    struct otlp_http_state *state = self->state;
    CURLcode result;

    if (set_body(state, batch, why) != 0)
        return SEND_RETRY;
    state->response.len = 0;
    state->response.is_failed = false;
    curl_easy_setopt(state->curl, CURLOPT_URL, state->urls[batch_signal(batch)]);
    stats_add(&exporters_stats, EXPORTERS_otlp_http_requests, 1);
    stats_add(&exporters_stats, EXPORTERS_otlp_http_bytes,
              state->compression == COMPRESSION_NONE ? batch_bytes(batch) : state->compressed.len);
    result = curl_easy_perform(state->curl);
    if (result == CURLE_WRITE_ERROR && state->response.is_failed) {
        why_fail(why, -E2BIG, "%s: the response is larger than the limit",
                 state->urls[batch_signal(batch)]);
        return SEND_REFUSED;
    }
    if (result != CURLE_OK) {
        why_fail(why, -EIO, "%s: %s", state->urls[batch_signal(batch)], curl_easy_strerror(result));
        return SEND_RETRY;
    }
    return judge(state, batch, out_wait_ms, why);
}

const struct exporter otlp_http_exporter = {
    .name = "otlp_http",
    .settings = settings,
    .size = sizeof(struct otlp_http),
    .open = otlp_http_open,
    .send = otlp_http_send,
    .close = otlp_http_close,
};
