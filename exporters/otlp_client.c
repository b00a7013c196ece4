// SPDX-License-Identifier: Apache-2.0
// What HTTP and gRPC share.

#include "exporters/otlp_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "exporters/endpoint.h"
#include "libtrace/base/clock.h"

void otlp_client_free(struct otlp_client *client)
{
    if (client)
        client->free(client);
}

void otlp_client_send(struct otlp_client *client, const struct otlp_request *request,
                      struct answer *out_answer)
{
    void *ticket;

    *out_answer = (struct answer){.result = SEND_RETRY};
    if (client->begin(client, request, out_answer) != 0) {
        why_fail(&out_answer->why, -EAGAIN, "too many requests are under way");
        return;
    }
    // It ends by its own timeout; with none the caller wants to wait for ever.
    while (!client->next(client, 60 * 1000, &ticket, out_answer))
        ;
}

uint64_t otlp_client_time_ms(uint64_t timeout_ms, uint64_t deadline_mono_ns)
{
    const uint64_t now_ns = clock_mono_ns();
    uint64_t left_ms;

    if (!deadline_mono_ns)
        return timeout_ms;
    left_ms = deadline_mono_ns > now_ns ? (deadline_mono_ns - now_ns) / NS_PER_MS : 0;
    if (timeout_ms && timeout_ms < left_ms)
        return timeout_ms;
    return left_ms ? left_ms : 1;
}

char *otlp_client_shown(const char *endpoint)
{
    struct endpoint parts;
    struct str path;
    char *shown = NULL;
    char port[8] = "";

    if (endpoint_read(str_of(endpoint), &parts, NULL) != 0)
        return strdup(endpoint);
    path = parts.path;
    path.len = str_find(path, '?');
    path.len = str_find(path, '#');
    if (parts.port && snprintf(port, sizeof port, ":%u", parts.port) >= (int)sizeof port)
        port[0] = '\0';
    if (asprintf(&shown, "%s%.*s%s%.*s",
                 !parts.has_scheme ? ""
                 : parts.is_tls    ? "https://"
                                   : "http://",
                 STR_ARGS(parts.host), port, STR_ARGS(path)) < 0)
        return NULL;
    return shown;
}

void otlp_client_too_large(struct answer *out_answer, uint64_t bytes, uint64_t bytes_max)
{
    out_answer->result = SEND_REFUSED;
    why_fail(&out_answer->why, -E2BIG, "the request has %llu bytes, more than %llu",
             (unsigned long long)bytes, (unsigned long long)bytes_max);
}
