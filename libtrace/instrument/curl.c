// SPDX-License-Identifier: Apache-2.0
// The span around curl_easy_perform. libcurl keeps a pointer to the header list, so a node of our
// own is put in front of the caller's and taken away again: nothing is copied.

#include <throughline/curl.h>

// The one way to libcurl: filled by the linker here.
static const struct curl_calls {
    CURLcode (*perform)(CURL *curl);
} calls = {curl_easy_perform};

static void describe(CURL *curl, CURLcode result, struct tl_span *span)
{
    const char *method = NULL;
    const char *url = NULL;
    const char *address = NULL;
    long code = 0;
    long port = 0;
    long version = 0;

    curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_METHOD, &method);
    curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &url);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_getinfo(curl, CURLINFO_PRIMARY_IP, &address);
    curl_easy_getinfo(curl, CURLINFO_PRIMARY_PORT, &port);
    curl_easy_getinfo(curl, CURLINFO_HTTP_VERSION, &version);
    tl_span_name(span, method ? method : "HTTP");
    tl_span_set_one(span, TL_STR("http.request.method", method ? method : "_OTHER"));
    if (url) {
        CURLU *parsed = curl_url();
        char *host = NULL;
        char *clean = NULL;

        // Credentials never leave: url.full is written without them.
        if (parsed && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK &&
            curl_url_set(parsed, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
            curl_url_set(parsed, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
            curl_url_get(parsed, CURLUPART_URL, &clean, 0) == CURLUE_OK)
            tl_span_set_one(span, TL_STR("url.full", clean));
        if (parsed && curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK)
            tl_span_set_one(span, TL_STR("server.address", host));
        curl_free(host);
        curl_free(clean);
        curl_url_cleanup(parsed);
    }
    if (port)
        tl_span_set_one(span, TL_INT("server.port", port));
    if (address && *address)
        tl_span_set_one(span, TL_STR("network.peer.address", address));
    if (version == CURL_HTTP_VERSION_1_1)
        tl_span_set_one(span, TL_STR("network.protocol.version", "1.1"));
    else if (version == CURL_HTTP_VERSION_2_0)
        tl_span_set_one(span, TL_STR("network.protocol.version", "2"));
    if (code)
        tl_span_set_one(span, TL_INT("http.response.status_code", code));
    if (result != CURLE_OK) {
        tl_span_set_one(span, TL_STR("error.type", curl_easy_strerror(result)));
        tl_span_status(span, TL_STATUS_ERROR, curl_easy_strerror(result));
    } else if (code >= 400) {
        const char digits[4] = {(char)('0' + code / 100 % 10), (char)('0' + code / 10 % 10),
                                (char)('0' + code % 10), '\0'};

        tl_span_set_one(span, TL_STR("error.type", digits));
        tl_span_status(span, TL_STATUS_ERROR, NULL);
    }
}

CURLcode tl_curl_easy_perform(CURL *curl, struct curl_slist *headers)
{
    struct tl_span *span = tl_span_start("HTTP", TL_CLIENT, NULL);
    const struct tl_span_context context = tl_span_context(span);
    char line[13 + 56] = "traceparent: ";
    struct curl_slist front = {line, headers};
    CURLcode result;

    if (tl_traceparent_write(&context, line + 13))
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, &front);
    result = calls.perform(curl);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    describe(curl, result, span);
    tl_span_end(span);
    return result;
}
