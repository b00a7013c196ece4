// SPDX-License-Identifier: Apache-2.0
// A GET by libcurl; the data directory is read through the API's own answers, so that both ways
// print the same.

#include "agent/cli/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>

#include "agent/api/answer.h"
#include "libtrace/base/clock.h"

static size_t keep(char *from, size_t size, size_t count, void *self)
{
    bytes_add(self, from, size * count);
    return ((struct bytes *)self)->is_failed ? 0 : size * count;
}

static int from_agent(const char *endpoint, const char *path, struct bytes *out, struct why *why)
{
    CURL *curl = curl_easy_init();
    char url[4096];
    long code = 0;
    CURLcode result;

    if (!curl || snprintf(url, sizeof url, "%s%s", endpoint, path) >= (int)sizeof url) {
        curl_easy_cleanup(curl);
        return why_fail(why, -ENOMEM, "the request is too long");
    }
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 30000L);
    result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_cleanup(curl);
    if (result != CURLE_OK)
        return why_fail(why, -ECONNREFUSED,
                        "no agent answers at %s (%s): start 'throughline agent' or give --data-dir",
                        endpoint, curl_easy_strerror(result));
    if (code == 404)
        return why_fail(why, -ENOENT, "trace not found");
    if (code == 409)
        return why_fail(why, -EEXIST, "more than one trace begins with these digits");
    return code == 200 ? 0 : why_fail(why, -EIO, "the agent answered %ld", code);
}

static int from_store(const struct fetch_plan *plan, const char *path, struct bytes *out,
                      struct why *why)
{
    static const char traces[] = "/api/v1/traces/";
    const struct store_query query = {.service = plan->service, .limit = plan->limit};
    const struct str asked = str_of(path);
    struct store *store = NULL;
    uint8_t id[16];
    int failed = store_open_readonly(str_of(plan->data_dir), &store, why);

    if (failed)
        return failed;
    if (str_starts(asked, str_of(traces))) {
        const struct str text = str_from(asked, sizeof traces - 1);

        failed = store_trace_find(store, str_equal(text, STR("latest")) ? STR("") : text, id);
        if (!failed)
            failed = answer_trace(store, id, out);
        if (failed)
            why_fail(why, failed,
                     failed == -EEXIST ? "more than one trace begins with these digits"
                                       : "trace not found");
    } else {
        failed = answer_traces(store, &query, out);
    }
    store_close(store);
    return failed;
}

int fetch_json(const struct fetch_plan *plan, const char *path, struct bytes *out, struct why *why)
{
    if (plan->data_dir)
        return from_store(plan, path, out, why);
    return from_agent(plan->endpoint, path, out, why);
}
