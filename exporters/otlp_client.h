// SPDX-License-Identifier: Apache-2.0
// OTLP requests to one destination, several under way at once: over HTTP or gRPC, with the same
// answers. One thread uses a client.

#pragma once

#include "exporters/compress.h"
#include "libtrace/flow/contract.h"

// What is NULL or zero is left at its default. Borrowed by the functions that make a client alone.
struct otlp_client_plan {
    const char *endpoints[SIGNAL_COUNT]; // used as they are; each must be set
    bool is_json;                        // HTTP
    bool is_insecure;                    // gRPC: an endpoint without a scheme has no TLS
    enum compression compression;
    const char *const *headers; // name, value, name, value, NULL
    uint64_t timeout_ms;        // of one request; 0: none
    const char *ca_file;        // PEM files
    const char *client_key_file;
    const char *client_certificate_file;
    uint64_t request_bytes_max; // as protobuf, and as JSON; 0: none
    uint64_t response_bytes_max;
    uint32_t in_flight_max;
    const char *user_agent;
    size_t upload_buffer_bytes;
};

// The pieces in a row are one Export...ServiceRequest; there is at least one. Their bytes are
// borrowed until the answer, and the array is too where it has more than one.
struct otlp_request {
    enum signal signal;
    const struct str *pieces;
    size_t piece_count;
    uint64_t deadline_mono_ns; // 0: none but the plan's timeout
};

struct answer {
    enum send_result result;
    uint32_t wait_ms;  // with SEND_RETRY: the destination asked for it; 0: the caller's own
    uint64_t rejected; // with SEND_DONE: records of a partial success that were not taken
    int32_t status;    // HTTP or gRPC; 0: none came, and gRPC's OK
    size_t sent_bytes; // of the body, as compressed
    struct why why;    // for a person, also the message of a partial success; may be empty
};

struct otlp_client {
    // 0, or -EAGAIN: as many as may be are under way. What cannot be sent has its answer in `next`.
    int (*begin)(struct otlp_client *self, const struct otlp_request *request, void *ticket);
    // An ended one, waiting at most that long. False: none.
    bool (*next)(struct otlp_client *self, uint32_t wait_ms, void **out_ticket,
                 struct answer *out_answer);
    // Readable when `next` has something to do. Never another one.
    int (*fd)(struct otlp_client *self);
    void (*free)(struct otlp_client *self);
};

// NULL with a reason: an endpoint, a header or a file that is none.
struct otlp_client *otlp_http_client_new(const struct otlp_client_plan *plan, struct why *why);
struct otlp_client *otlp_grpc_client_new(const struct otlp_client_plan *plan, struct why *why);

// NULL is fine. Requests under way are given up.
void otlp_client_free(struct otlp_client *client);

// Sends one and waits for its answer. Nothing else may be under way.
void otlp_client_send(struct otlp_client *client, const struct otlp_request *request,
                      struct answer *out_answer);

// How long a request may take from now on: the smaller of timeout and deadline, at least 1; 0: for
// ever.
uint64_t otlp_client_time_ms(uint64_t timeout_ms, uint64_t deadline_mono_ns);

// "http://host:port/path" of an endpoint, without what may be secret (user, query); to free(3).
char *otlp_client_shown(const char *endpoint);

// "the request has N bytes, more than M" as a refusal.
void otlp_client_too_large(struct answer *out_answer, uint64_t bytes, uint64_t bytes_max);
