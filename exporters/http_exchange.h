// SPDX-License-Identifier: Apache-2.0
// One request of an HTTP client and its answer, on a libcurl handle that is kept for the next one.
// The client's thread owns it.

#pragma once

#include <curl/curl.h>

#include "exporters/http_client.h"
#include "libtrace/base/bytes.h"

enum exchange_state { EXCHANGE_FREE, EXCHANGE_TAKEN, EXCHANGE_UNDER_WAY, EXCHANGE_ENDED };

struct exchange {
    struct http_client *client;
    CURL *curl;
    enum exchange_state state;
    bool is_sent;
    CURLcode code;
    struct http_request request;
    size_t piece; // the body has been read up to here
    size_t offset;
    struct bytes response;
};

// What reads the body and keeps the response; the handle points to the exchange from then on.
void exchange_attach(struct exchange *exchange);

// Before it is sent: the body from its beginning, no response yet.
void exchange_prepare(struct exchange *exchange, const struct http_request *request);

// After it was sent.
void exchange_answer(struct exchange *exchange, struct http_answer *out_answer);
