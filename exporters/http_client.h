// SPDX-License-Identifier: Apache-2.0
// HTTP requests, several under way at once, over connections that are kept. Waiting is one
// descriptor. The one thread that uses a client owns it; in a child of fork it starts anew.

#pragma once

#include "libtrace/base/str.h"
#include "libtrace/base/why.h"

struct http_client;

// What is NULL or zero is left at its default. Borrowed by http_client_new alone.
struct http_client_plan {
    size_t in_flight_max;            // at least 1
    const char *const *header_lines; // "Name: value", NULL at the end; sent with each request
    const char *user_agent;
    const char *ca_file; // PEM files
    const char *client_certificate_file;
    const char *client_key_file;
    uint64_t response_bytes_max; // decompressed
    size_t upload_buffer_bytes;
};

// Borrowed until the answer is given back.
struct http_request {
    const char *url;
    const struct str *pieces; // the body; NULL: a GET
    size_t piece_count;
    bool is_gzip;        // "Content-Encoding: gzip"; other encodings are header lines
    uint64_t timeout_ms; // 0: none
};

struct http_answer {
    size_t slot;
    bool is_sent;        // false: http_client_complete ended it
    bool is_too_large;   // the response went over its limit
    bool is_hopeless;    // another attempt will end like this one
    const char *problem; // no answer came, and why; NULL: one came
    int status;
    bool has_json; // by its Content-Type
    bool has_protobuf;
    uint32_t wait_ms; // Retry-After, in either form; 0: none
    struct str body;  // until the next call
};

struct http_client *http_client_new(const struct http_client_plan *plan, struct why *why);
void http_client_free(struct http_client *client);

// A free slot below in_flight_max, which is the caller's until http_client_next gives it back;
// -EAGAIN: all are in use.
int http_client_take(struct http_client *client);
// Ends by http_client_next, whatever happens.
void http_client_begin(struct http_client *client, size_t slot, const struct http_request *request);
// Gives it to http_client_next without sending anything.
void http_client_complete(struct http_client *client, size_t slot);
// An ended request, waiting at most that long; its slot is free again. False: none.
bool http_client_next(struct http_client *client, uint32_t wait_ms, struct http_answer *out_answer);
// Readable when http_client_next has something to do. The same for the client's life.
int http_client_fd(const struct http_client *client);
