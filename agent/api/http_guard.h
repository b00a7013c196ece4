// SPDX-License-Identifier: Apache-2.0
// What every HTTP server of the agent checks before it reads a request: who asks (Host, Origin) and
// for how long (headers and bodies that come drop by drop). Any thread.

#pragma once

#include <microhttpd.h>

#include "libtrace/base/str.h"
#include "libtrace/base/why.h"

struct http_guard;

struct http_guard_plan {
    bool is_loopback;         // bound to loopback: a foreign Host is refused (DNS rebinding)
    bool is_host_required;    // elsewhere: asked by an address or a name that is allowed
    struct str allowed_hosts; // further names, joined by '\n'
    uint64_t request_ms;      // from accept, or the first byte of a later request, to the end
};

struct http_guard *http_guard_new(const struct http_guard_plan *plan);
void http_guard_free(struct http_guard *guard);

// Give these two to MHD_OPTION_NOTIFY_CONNECTION and call the second from the completion callback.
void http_guard_connection(void *guard, struct MHD_Connection *connection, void **socket_context,
                           enum MHD_ConnectionNotificationCode code);
void http_guard_request_ended(struct http_guard *guard, struct MHD_Connection *connection);

// The present request may take for ever: a live stream, whose end is noticed otherwise.
void http_guard_stream(struct http_guard *guard, struct MHD_Connection *connection);

// True when Host and Origin are ours, and no foreign page is behind the request.
bool http_guard_allows(const struct http_guard *guard, struct MHD_Connection *connection);

// Ends connections whose time is over; call it about once a second. Returns how many.
unsigned http_guard_sweep(struct http_guard *guard);

// "127.0.0.1:4318" or "[::1]:4318" or ":4318". Fills a socket address and whether it is loopback.
struct sockaddr_storage;
int endpoint_parse(struct str endpoint, struct sockaddr_storage *out_address, bool *out_loopback,
                   struct why *why);
