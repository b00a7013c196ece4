// SPDX-License-Identifier: Apache-2.0
// OTLP over HTTP. Rules: OTLP specification, "OTLP/HTTP Request" and "OTLP/HTTP Response"; which
// codes to retry is its "Retryable Response Codes". Protobuf that is not compressed goes out as it
// lies, without a copy.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "exporters/endpoint.h"
#include "exporters/http_client.h"
#include "exporters/otlp_client.h"
#include "libtrace/otlp/json.h"
#include "libtrace/otlp/response.h"

enum { HEADERS_MAX = 64 };

// What belongs to one request under way.
struct outgoing {
    void *ticket;
    enum signal signal;
    struct answer early; // of one that is not sent
    size_t sent_bytes;
    struct bytes row;     // all pieces in a row
    struct bytes changed; // as JSON
    struct bytes compressed;
    struct str body; // the piece that is sent when it is one
};

struct otlp_http_client {
    struct otlp_client client;
    struct http_client *http;
    char *urls[SIGNAL_COUNT];
    char *shown[SIGNAL_COUNT];
    bool is_json;
    enum compression compression;
    struct compressor *compressor;
    uint64_t timeout_ms;
    uint64_t request_bytes_max;
    size_t outgoing_count;
    struct outgoing *outgoing; // by the slot of the HTTP client
};

static struct otlp_http_client *of(struct otlp_client *client)
{
    return (struct otlp_http_client *)client;
}

static int in_a_row(struct outgoing *outgoing, const struct otlp_request *request,
                    struct str *out_row)
{
    if (request->piece_count == 1) {
        *out_row = request->pieces[0];
        return 0;
    }
    outgoing->row.len = 0;
    outgoing->row.is_failed = false;
    for (size_t i = 0; i < request->piece_count; i++)
        bytes_add_str(&outgoing->row, request->pieces[i]);
    *out_row = bytes_str(&outgoing->row);
    return outgoing->row.is_failed ? -ENOMEM : 0;
}

// Makes one body of the pieces: JSON when it is to be that, compressed when it is to be that.
static int body_make(struct otlp_http_client *self, struct outgoing *outgoing,
                     const struct otlp_request *request, struct why *why)
{
    struct str body;
    int failed = in_a_row(outgoing, request, &body);

    if (failed)
        return why_fail(why, failed, "out of memory");
    if (self->is_json) {
        outgoing->changed.len = 0;
        outgoing->changed.is_failed = false;
        outgoing->changed.limit = self->request_bytes_max;
        failed = otlp_wire_to_json(request->signal, body, &outgoing->changed, why);
        if (outgoing->changed.is_failed)
            failed = why_fail(why, -E2BIG, "as JSON the request has more than %llu bytes",
                              (unsigned long long)self->request_bytes_max);
        body = bytes_str(&outgoing->changed);
    }
    if (!failed && self->compression != COMPRESSION_NONE) {
        outgoing->compressed.len = 0;
        outgoing->compressed.is_failed = false;
        failed = compress_add(self->compressor, body, &outgoing->compressed, why);
        body = bytes_str(&outgoing->compressed);
    }
    outgoing->body = body;
    return failed;
}

static size_t request_bytes(const struct otlp_request *request)
{
    size_t bytes = 0;

    for (size_t i = 0; i < request->piece_count; i++)
        bytes += request->pieces[i].len;
    return bytes;
}

// False: it has its answer already.
static bool outgoing_make(struct otlp_http_client *self, struct outgoing *outgoing,
                          const struct otlp_request *request)
{
    int failed;

    outgoing->signal = request->signal;
    outgoing->early = (struct answer){.result = SEND_REFUSED};
    outgoing->sent_bytes = request_bytes(request);
    if (self->request_bytes_max && outgoing->sent_bytes > self->request_bytes_max) {
        otlp_client_too_large(&outgoing->early, outgoing->sent_bytes, self->request_bytes_max);
        return false;
    }
    if (!self->is_json && self->compression == COMPRESSION_NONE) {
        outgoing->body = request->pieces[0];
        return true;
    }
    failed = body_make(self, outgoing, request, &outgoing->early.why);
    outgoing->sent_bytes = outgoing->body.len;
    // Memory may come back; what is malformed or too large stays so.
    if (failed == -ENOMEM)
        outgoing->early.result = SEND_RETRY;
    return !failed;
}

static int http_begin(struct otlp_client *client, const struct otlp_request *request, void *ticket)
{
    struct otlp_http_client *self = of(client);
    const int slot = http_client_take(self->http);
    struct outgoing *outgoing;
    struct http_request sent;

    if (slot < 0)
        return slot;
    outgoing = &self->outgoing[slot];
    outgoing->ticket = ticket;
    if (!outgoing_make(self, outgoing, request)) {
        http_client_complete(self->http, (size_t)slot);
        return 0;
    }
    sent = (struct http_request){
        .url = self->urls[request->signal],
        .pieces = request->pieces,
        .piece_count = request->piece_count,
        .is_gzip = self->compression == COMPRESSION_GZIP,
        .timeout_ms = otlp_client_time_ms(self->timeout_ms, request->deadline_mono_ns),
    };
    if (request->piece_count == 1 || self->is_json || self->compression != COMPRESSION_NONE) {
        sent.pieces = &outgoing->body;
        sent.piece_count = 1;
    }
    http_client_begin(self->http, (size_t)slot, &sent);
    return 0;
}

static void judge_success(const struct http_answer *got, struct answer *out)
{
    struct str message = {"", 0};
    struct bytes text = {.limit = sizeof out->why.text};

    out->result = SEND_DONE;
    // What cannot be read was taken all the same: sending it again would double it.
    if (got->body.len && got->has_protobuf)
        otlp_response_read(got->body, &out->rejected, &message, NULL);
    else if (got->body.len && got->has_json &&
             otlp_response_read_json(got->body, &out->rejected, &text, NULL) == 0 && text.len)
        message = bytes_str(&text);
    if (message.len)
        why_fail(&out->why, 0, "%.*s", STR_ARGS(message));
    bytes_done(&text);
}

static void judge_failure(const struct http_answer *got, const char *shown, struct answer *out)
{
    struct bytes text = {.limit = sizeof out->why.text};
    const int status = got->status;
    int failed = -1;

    out->result = status == 429 || status == 502 || status == 503 || status == 504 ? SEND_RETRY
                                                                                   : SEND_REFUSED;
    if (out->result == SEND_RETRY)
        out->wait_ms = got->wait_ms;
    if (got->body.len && (got->has_json || got->has_protobuf))
        failed =
            otlp_status_read(got->has_json ? OTLP_JSON : OTLP_PROTOBUF, got->body, &text, NULL);
    why_fail(&out->why, 0, "%s answered %d%s%.*s", shown, status, !failed && text.len ? ": " : "",
             failed ? 0 : (int)text.len, (const char *)text.at);
    bytes_done(&text);
}

static void judge(const struct http_answer *got, const char *shown, struct answer *out)
{
    *out = (struct answer){.status = got->status};
    if (got->is_too_large) {
        out->result = SEND_REFUSED;
        why_fail(&out->why, 0, "%s: the response is larger than the limit", shown);
    } else if (got->problem) {
        out->result = got->is_hopeless ? SEND_REFUSED : SEND_RETRY;
        why_fail(&out->why, 0, "%s: %s", shown, got->problem);
    } else if (got->status >= 200 && got->status < 300) {
        judge_success(got, out);
    } else {
        judge_failure(got, shown, out);
    }
}

static bool http_next(struct otlp_client *client, uint32_t wait_ms, void **out_ticket,
                      struct answer *out_answer)
{
    struct otlp_http_client *self = of(client);
    struct outgoing *outgoing;
    struct http_answer got;

    if (!http_client_next(self->http, wait_ms, &got))
        return false;
    outgoing = &self->outgoing[got.slot];
    if (got.is_sent) {
        judge(&got, self->shown[outgoing->signal], out_answer);
        out_answer->sent_bytes = outgoing->sent_bytes;
    } else {
        *out_answer = outgoing->early;
    }
    *out_ticket = outgoing->ticket;
    return true;
}

static int http_fd(struct otlp_client *client)
{
    return http_client_fd(of(client)->http);
}

static void http_free(struct otlp_client *client)
{
    struct otlp_http_client *self = of(client);

    http_client_free(self->http);
    for (size_t i = 0; self->outgoing && i < self->outgoing_count; i++) {
        bytes_done(&self->outgoing[i].row);
        bytes_done(&self->outgoing[i].changed);
        bytes_done(&self->outgoing[i].compressed);
    }
    for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
        free(self->urls[signal]);
        free(self->shown[signal]);
    }
    compressor_free(self->compressor);
    free(self->outgoing);
    free(self);
}

static int urls_make(struct otlp_http_client *self, const struct otlp_client_plan *plan,
                     struct why *why)
{
    for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
        struct endpoint parts;
        const char *endpoint = plan->endpoints[signal];
        const int failed = endpoint_read(str_of(endpoint), &parts, why);

        if (failed)
            return why_prefix(why, failed, "endpoint");
        if (!parts.has_scheme)
            return why_fail(why, -EINVAL, "endpoint: '%s' has no http:// or https://", endpoint);
        self->urls[signal] = strdup(endpoint);
        self->shown[signal] = otlp_client_shown(endpoint);
        if (!self->urls[signal] || !self->shown[signal])
            return why_fail(why, -ENOMEM, "out of memory");
    }
    return 0;
}

// RFC 9110 5.1 and 5.5: a token, then text without controls, which would begin another header.
static bool header_is_valid(struct str name, struct str value)
{
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < name.len; i++) {
        const char c = name.at[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c && strchr(others, c))))
            return false;
    }
    for (size_t i = 0; i < value.len; i++) {
        const unsigned char c = (unsigned char)value.at[i];

        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return name.len > 0;
}

// "Name: value" of all; the lines are the caller's to free(3).
static int lines_make(const struct otlp_client_plan *plan, char *out_lines[HEADERS_MAX + 3],
                      struct why *why)
{
    const char *const *headers = plan->headers;
    size_t count = 0;

    out_lines[count++] = strdup(plan->is_json ? "Content-Type: application/json"
                                              : "Content-Type: application/x-protobuf");
    if (plan->compression == COMPRESSION_ZSTD)
        out_lines[count++] = strdup("Content-Encoding: zstd");
    for (; headers && headers[0] && headers[1]; headers += 2) {
        char *line = NULL;
        // libcurl takes "Name;" for a header without a value, and "Name:" for one to leave out.
        const char *form = headers[1][0] ? "%s: %s" : "%s;%s";

        if (!header_is_valid(str_of(headers[0]), str_of(headers[1])))
            return why_fail(why, -EINVAL, "headers: '%s' is not a header", headers[0]);
        if (count == HEADERS_MAX + 2)
            return why_fail(why, -E2BIG, "headers: more than %d", HEADERS_MAX);
        if (asprintf(&line, form, headers[0], headers[1]) < 0)
            line = NULL;
        out_lines[count++] = line;
    }
    for (size_t i = 0; i < count; i++) {
        if (!out_lines[i])
            return why_fail(why, -ENOMEM, "out of memory");
    }
    return 0;
}

static int http_make(struct otlp_http_client *self, const struct otlp_client_plan *plan,
                     struct why *why)
{
    char *lines[HEADERS_MAX + 3] = {NULL};
    const struct http_client_plan below = {
        .in_flight_max = self->outgoing_count,
        .header_lines = (const char *const *)lines,
        .user_agent = plan->user_agent,
        .ca_file = plan->ca_file,
        .client_certificate_file = plan->client_certificate_file,
        .client_key_file = plan->client_key_file,
        .response_bytes_max = plan->response_bytes_max,
        .upload_buffer_bytes = plan->upload_buffer_bytes,
    };
    int failed = lines_make(plan, lines, why);

    if (!failed) {
        self->http = http_client_new(&below, why);
        failed = self->http ? 0 : -EINVAL;
    }
    for (size_t i = 0; i < HEADERS_MAX + 3; i++)
        free(lines[i]);
    return failed;
}

struct otlp_client *otlp_http_client_new(const struct otlp_client_plan *plan, struct why *why)
{
    struct otlp_http_client *self = calloc(1, sizeof *self);
    const size_t count = plan->in_flight_max ? plan->in_flight_max : 1;

    if (self) {
        self->client = (struct otlp_client){http_begin, http_next, http_fd, http_free};
        self->is_json = plan->is_json;
        self->compression = plan->compression;
        self->timeout_ms = plan->timeout_ms;
        self->request_bytes_max = plan->request_bytes_max;
        self->outgoing_count = count;
        self->outgoing = calloc(count, sizeof self->outgoing[0]);
        self->compressor = compressor_new(plan->compression);
    }
    if (!self || !self->outgoing || !self->compressor) {
        why_fail(why, -ENOMEM, "out of memory");
    } else if (urls_make(self, plan, why) == 0 && http_make(self, plan, why) == 0) {
        return &self->client;
    }
    if (self)
        http_free(&self->client);
    return NULL;
}
