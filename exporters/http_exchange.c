// SPDX-License-Identifier: Apache-2.0
// The pieces of a body are read where they lie.

#include "exporters/http_exchange.h"

#include <strings.h>

enum { WAIT_MAX_S = 3600 };

static size_t read_pieces(char *to, size_t size, size_t count, void *self)
{
    struct exchange *exchange = self;
    const size_t room = size * count;
    size_t filled = 0;

    while (filled < room && exchange->piece < exchange->request.piece_count) {
        const struct str left =
            str_from(exchange->request.pieces[exchange->piece], exchange->offset);
        const size_t step = left.len < room - filled ? left.len : room - filled;

        if (step)
            memcpy(to + filled, left.at, step);
        filled += step;
        exchange->offset += step;
        if (step == left.len) {
            exchange->piece++;
            exchange->offset = 0;
        }
    }
    return filled;
}

// libcurl rewinds when a kept connection turns out to be closed.
static int rewind_pieces(void *self, curl_off_t offset, int origin)
{
    struct exchange *exchange = self;

    if (offset != 0 || origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    exchange->piece = 0;
    exchange->offset = 0;
    return CURL_SEEKFUNC_OK;
}

static size_t keep_response(char *from, size_t size, size_t count, void *self)
{
    struct exchange *exchange = self;

    bytes_add(&exchange->response, from, size * count);
    return exchange->response.is_failed ? 0 : size * count;
}

void exchange_attach(struct exchange *exchange)
{
    CURL *curl = exchange->curl;

    curl_easy_setopt(curl, CURLOPT_PRIVATE, exchange);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep_response);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_pieces);
    curl_easy_setopt(curl, CURLOPT_READDATA, exchange);
    curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, rewind_pieces);
    curl_easy_setopt(curl, CURLOPT_SEEKDATA, exchange);
}

void exchange_prepare(struct exchange *exchange, const struct http_request *request)
{
    CURL *curl = exchange->curl;
    curl_off_t len = 0;

    exchange->request = *request;
    exchange->piece = 0;
    exchange->offset = 0;
    exchange->response.len = 0;
    exchange->response.is_failed = false;
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    if (!request->pieces) {
        curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
        return;
    }
    for (size_t i = 0; i < request->piece_count; i++)
        len += (curl_off_t)request->pieces[i].len;
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, NULL);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, len);
}

static bool code_is_hopeless(CURLcode code)
{
    return code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT ||
           code == CURLE_NOT_BUILT_IN;
}

void exchange_answer(struct exchange *exchange, struct http_answer *out_answer)
{
    curl_off_t wait_s = 0;
    char *type = NULL;
    long status = 0;

    curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(exchange->curl, CURLINFO_CONTENT_TYPE, &type);
    curl_easy_getinfo(exchange->curl, CURLINFO_RETRY_AFTER, &wait_s);
    out_answer->status = (int)status;
    out_answer->is_too_large = exchange->response.is_failed;
    out_answer->is_hopeless = code_is_hopeless(exchange->code);
    if (exchange->code != CURLE_OK)
        out_answer->problem = curl_easy_strerror(exchange->code);
    // The type may have parameters behind it.
    out_answer->has_json = type && strncasecmp(type, "application/json", 16) == 0;
    out_answer->has_protobuf = type && strncasecmp(type, "application/x-protobuf", 22) == 0;
    if (wait_s > 0)
        out_answer->wait_ms = (uint32_t)(wait_s > WAIT_MAX_S ? WAIT_MAX_S : wait_s) * 1000;
    out_answer->body = bytes_str(&exchange->response);
}
