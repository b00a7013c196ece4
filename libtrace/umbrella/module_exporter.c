// SPDX-License-Identifier: Apache-2.0
// The public options with their defaults, and answers in the public form. It runs in the module;
// nothing but the public structs crosses to the library that loaded it.

#include "libtrace/umbrella/module_exporter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "exporters/endpoint.h"

enum { TIMEOUT_MS = 10000, IN_FLIGHT_MAX = 4, IN_FLIGHT_LIMIT = 256 };

static const uint64_t REQUEST_BYTES_MAX = UINT64_C(64) << 20;
static const uint64_t RESPONSE_BYTES_MAX = UINT64_C(4) << 20;

// One thread at a time.
struct module_exporter {
    struct otlp_client *client;
    bool is_shut;
    char *address;
};

void module_why(char out_why[256], const struct why *why)
{
    if (out_why && snprintf(out_why, 256, "%.255s", why->text) < 0)
        out_why[0] = '\0';
}

static void answer_give(const struct answer *answer, struct tl_answer *out)
{
    static const enum tl_result results[] = {
        [SEND_DONE] = TL_RESULT_DONE,
        [SEND_RETRY] = TL_RESULT_RETRY,
        [SEND_REFUSED] = TL_RESULT_REFUSED,
    };

    *out = (struct tl_answer){
        .result = results[answer->result],
        .wait_ms = answer->wait_ms,
        .rejected = answer->rejected,
        .status = answer->status,
    };
    module_why(out->message, &answer->why);
}

// False: `out` says why it is not sent.
static bool request_of(const struct module_exporter *self, const struct tl_request *request,
                       struct str *piece, struct otlp_request *out_request, struct tl_answer *out)
{
    *out = (struct tl_answer){.result = TL_RESULT_REFUSED};
    if (self->is_shut || (unsigned)request->signal >= SIGNAL_COUNT ||
        (!request->bytes && request->len)) {
        module_why(out->message,
                   &(struct why){"the exporter was shut down, or the request is none"});
        return false;
    }
    *piece = (struct str){(const char *)request->bytes, request->len};
    *out_request = (struct otlp_request){
        .signal = (enum signal)request->signal,
        .pieces = piece,
        .piece_count = 1,
        .deadline_mono_ns = request->deadline_ns,
    };
    return true;
}

static void exporter_send(void *self_, const struct tl_request *request,
                          struct tl_answer *out_answer)
{
    const int saved = errno;
    struct module_exporter *self = self_;
    struct otlp_request below;
    struct answer answer;
    struct str piece;

    if (request_of(self, request, &piece, &below, out_answer)) {
        otlp_client_send(self->client, &below, &answer);
        answer_give(&answer, out_answer);
    }
    errno = saved;
}

static int exporter_begin(void *self_, const struct tl_request *request, void *ticket)
{
    const int saved = errno;
    struct module_exporter *self = self_;
    struct otlp_request below;
    struct tl_answer answer;
    struct str piece;
    int failed = -ESHUTDOWN;

    if (request_of(self, request, &piece, &below, &answer))
        failed = self->client->begin(self->client, &below, ticket);
    errno = saved;
    return failed;
}

static bool exporter_next(void *self_, uint32_t wait_ms, void **out_ticket,
                          struct tl_answer *out_answer)
{
    const int saved = errno;
    struct module_exporter *self = self_;
    struct answer answer;
    const bool has_one = self->client->next(self->client, wait_ms, out_ticket, &answer);

    if (has_one)
        answer_give(&answer, out_answer);
    errno = saved;
    return has_one;
}

static int exporter_fd(void *self_)
{
    struct module_exporter *self = self_;

    return self->client->fd(self->client);
}

static int exporter_shutdown(void *self_, uint64_t timeout_ms)
{
    struct module_exporter *self = self_;

    (void)timeout_ms;
    self->is_shut = true;
    return 0;
}

static void exporter_free(void *self_)
{
    const int saved = errno;
    struct module_exporter *self = self_;

    otlp_client_free(self->client);
    free(self->address);
    free(self);
    errno = saved;
}

static int compression_read(const char *text, enum compression *out_compression, struct why *why)
{
    const struct str name = str_of(text);

    *out_compression = COMPRESSION_NONE;
    if (str_equal_nocase(name, STR("gzip")))
        *out_compression = COMPRESSION_GZIP;
    else if (name.len && !str_equal_nocase(name, STR("none")))
        return why_fail(why, -EINVAL, "compression: '%s' is neither none nor gzip", text);
    return 0;
}

static uint64_t or_else(uint64_t value, uint64_t otherwise)
{
    return value ? value : otherwise;
}

static int plan_make(const struct module_exporter_kind *kind, const struct tl_otlp_options *options,
                     struct otlp_client_plan *out_plan, struct why *why)
{
    const uint32_t in_flight = options->max_in_flight ? options->max_in_flight : IN_FLIGHT_MAX;
    const char *const given[SIGNAL_COUNT] = {
        options->traces_endpoint,
        options->metrics_endpoint,
        options->logs_endpoint,
    };

    *out_plan = (struct otlp_client_plan){
        .is_json = options->is_json && kind->json_type,
        .is_insecure = options->is_insecure,
        .headers = options->headers,
        .timeout_ms = or_else(options->timeout_ms, TIMEOUT_MS),
        .ca_file = options->ca_file,
        .client_key_file = options->client_key_file,
        .client_certificate_file = options->client_certificate_file,
        .request_bytes_max = or_else(options->max_request_bytes, REQUEST_BYTES_MAX),
        .response_bytes_max = or_else(options->max_response_bytes, RESPONSE_BYTES_MAX),
        .in_flight_max = in_flight < IN_FLIGHT_LIMIT ? in_flight : IN_FLIGHT_LIMIT,
        .user_agent = "OTel-OTLP-Exporter-C/" VERSION,
    };
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        out_plan->endpoints[signal] = given[signal] ? given[signal] : kind->default_urls[signal];
    return compression_read(options->compression, &out_plan->compression, why);
}

// Where the traces go: the SDK's own metrics want one address.
static void server_set(struct module_exporter *self, const char *url, bool is_grpc,
                       struct tl_exporter_v1 *out)
{
    struct endpoint parts;

    if (endpoint_read(str_of(url), &parts, NULL) != 0)
        return;
    self->address = strndup(parts.host.at, parts.host.len);
    out->server_address = self->address;
    out->server_port = parts.port;
    if (!out->server_port)
        out->server_port = parts.is_tls || (is_grpc && !parts.has_scheme) ? 443 : 80;
}

int module_exporter_make(const struct module_exporter_kind *kind,
                         const struct tl_otlp_options *options, struct tl_exporter_v1 *out_exporter,
                         char out_why[256])
{
    static const struct tl_otlp_options defaults;
    struct module_exporter *self = calloc(1, sizeof *self);
    struct otlp_client_plan plan = {0};
    struct why why = {"out of memory"};

    if (!options)
        options = &defaults;
    if (self && plan_make(kind, options, &plan, &why) == 0)
        self->client = kind->client_new(&plan, &why);
    if (!self || !self->client) {
        free(self);
        module_why(out_why, &why);
        return -EINVAL;
    }
    *out_exporter = (struct tl_exporter_v1){
        .size = sizeof *out_exporter,
        .type = plan.is_json ? kind->json_type : kind->type,
        .self = self,
        .send = exporter_send,
        .begin = exporter_begin,
        .next = exporter_next,
        .fd = exporter_fd,
        .shutdown = exporter_shutdown,
        .free = exporter_free,
    };
    server_set(self, plan.endpoints[SIGNAL_TRACES], !kind->json_type, out_exporter);
    return 0;
}
