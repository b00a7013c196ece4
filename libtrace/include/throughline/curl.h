// SPDX-License-Identifier: Apache-2.0
// libcurl with a client span per request. Source: OpenTelemetry semantic conventions 1.44, "HTTP
// client span". Link libthroughline-curl and libcurl.

#pragma once

#include <curl/curl.h>

#include <throughline/throughline.h>

#ifdef __cplusplus
extern "C" {
#endif

// Performs the transfer of an easy handle inside a CLIENT span that is a child of the thread's
// current one, and sends its traceparent. `headers` is the caller's own CURLOPT_HTTPHEADER list (or
// NULL): libcurl cannot be asked for it. The list stays the caller's and is in place again when
// this returns. Returns what curl_easy_perform returned. A handle belongs to one thread at a time.
TL_API CURLcode tl_curl_easy_perform(CURL *curl, struct curl_slist *headers);

#ifdef __cplusplus
}
#endif
