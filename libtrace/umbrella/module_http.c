// SPDX-License-Identifier: Apache-2.0
// libthroughline-http: OTLP over HTTP by libcurl, and a plain GET for the remote sampler. Any
// thread.

#include <errno.h>
#include <stdlib.h>

#include "exporters/http_client.h"
#include "libtrace/base/clock.h"
#include "libtrace/umbrella/module_exporter.h"

enum { FETCH_BYTES_MAX = 4 << 20, FETCH_WAIT_MS = 60 * 1000 };

static int otlp_exporter(const struct tl_otlp_options *options, struct tl_exporter_v1 *out_exporter,
                         char out_why[256])
{
    static const struct module_exporter_kind kind = {
        .type = "otlp_http_exporter",
        .json_type = "otlp_http_json_exporter",
        .default_urls = {"http://localhost:4318/v1/traces", "http://localhost:4318/v1/metrics",
                         "http://localhost:4318/v1/logs"},
        .client_new = otlp_http_client_new,
    };

    return module_exporter_make(&kind, options, out_exporter, out_why);
}

static int body_keep(const struct http_answer *answer, const char *url, char **out_body,
                     size_t *out_len, struct why *why)
{
    char *body;

    if (answer->is_too_large)
        return why_fail(why, -E2BIG, "%s: the answer is larger than %d bytes", url,
                        FETCH_BYTES_MAX);
    if (answer->problem)
        return why_fail(why, -EIO, "%s: %s", url, answer->problem);
    if (answer->status != 200)
        return why_fail(why, -EIO, "%s answered %d", url, answer->status);
    body = malloc(answer->body.len + 1);
    if (!body)
        return why_fail(why, -ENOMEM, "out of memory");
    if (answer->body.len)
        memcpy(body, answer->body.at, answer->body.len);
    body[answer->body.len] = '\0';
    *out_body = body;
    *out_len = answer->body.len;
    return 0;
}

static int fetch_by(struct http_client *client, const struct http_request *request, char **out_body,
                    size_t *out_len, struct why *why)
{
    const int slot = http_client_take(client);
    struct http_answer answer;

    if (slot < 0)
        return why_fail(why, slot, "no request can be made");
    http_client_begin(client, (size_t)slot, request);
    while (!http_client_next(client, FETCH_WAIT_MS, &answer))
        ;
    return body_keep(&answer, request->url, out_body, out_len, why);
}

static int fetch(const char *url, uint64_t timeout_ms, char **out_body, size_t *out_len,
                 char out_why[256])
{
    const int saved = errno;
    const struct http_client_plan plan = {
        .in_flight_max = 1,
        .user_agent = "OTel-OTLP-Exporter-C/" VERSION,
        .response_bytes_max = FETCH_BYTES_MAX,
    };
    const struct http_request request = {.url = url, .timeout_ms = timeout_ms};
    struct why why = {""};
    struct http_client *client = http_client_new(&plan, &why);
    const int failed = client ? fetch_by(client, &request, out_body, out_len, &why) : -ENOMEM;

    http_client_free(client);
    if (failed)
        module_why(out_why, &why);
    errno = saved;
    return failed;
}

const struct tl_module_v1 *tl_module_http(void)
{
    static const struct tl_module_v1 module = {
        .size = sizeof module,
        .name = "http",
        .otlp_exporter = otlp_exporter,
        .fetch = fetch,
    };

    return &module;
}
