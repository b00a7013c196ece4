// SPDX-License-Identifier: Apache-2.0
// One libcurl handle a call. Its headers are whatever the propagator sets.

#include "examples/w3c-service/call.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include <throughline/throughline.h>

enum { TIMEOUT_S = 10 };

struct headers {
    struct curl_slist *list;
    bool is_failed;
};

bool call_begin(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

void call_end(void)
{
    curl_global_cleanup();
}

static void line_add(struct headers *headers, const char *line)
{
    struct curl_slist *longer = curl_slist_append(headers->list, line);

    if (longer)
        headers->list = longer;
    else
        headers->is_failed = true;
}

// What tl_inject calls for each header.
static void header_set(void *self, const char *key, size_t key_len, const char *value,
                       size_t value_len)
{
    char *line = malloc(key_len + 2 + value_len + 1);
    struct headers *headers = self;

    if (!line) {
        headers->is_failed = true;
        return;
    }
    memcpy(line, key, key_len);
    memcpy(line + key_len, ": ", 2);
    memcpy(line + key_len + 2, value, value_len);
    line[key_len + 2 + value_len] = '\0';
    line_add(headers, line);
    free(line);
}

static size_t forget(char *from, size_t size, size_t count, void *self)
{
    (void)from;
    (void)self;
    return size * count;
}

// The status of the answer, 0 for none.
static long post(CURL *curl, const char *url, const char *body, struct curl_slist *headers)
{
    long status = 0;

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, forget);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    if (curl_easy_perform(curl) != CURLE_OK)
        return 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

bool call_make(const char *url, const char *body)
{
    struct tl_span *span = tl_span_start("POST", TL_CLIENT, NULL);
    struct tl_span *former = tl_current_set(span);
    struct headers headers = {NULL, false};
    CURL *curl = curl_easy_init();
    long status = 0;

    TL_SET(span, TL_STR("http.request.method", "POST"), TL_STR("url.full", url));
    line_add(&headers, "Content-Type: application/json");
    // No "Expect: 100-continue": a round trip for nothing.
    line_add(&headers, "Expect:");
    // The current span is the client's; the baggage of the attached context goes along.
    tl_inject(NULL, NULL, header_set, &headers);
    if (curl && !headers.is_failed)
        status = post(curl, url, body, headers.list);
    if (status)
        tl_span_set_one(span, TL_INT("http.response.status_code", status));
    if (status < 200 || status >= 400)
        tl_span_status(span, TL_STATUS_ERROR, status ? NULL : "no answer");
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers.list);
    tl_current_set(former);
    tl_span_end(span);
    return status >= 200 && status < 300;
}
