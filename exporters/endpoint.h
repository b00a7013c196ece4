// SPDX-License-Identifier: Apache-2.0
// An OTLP endpoint in its parts. Pure; the parts point into the text.

#pragma once

#include "libtrace/base/str.h"
#include "libtrace/base/why.h"

struct endpoint {
    bool has_scheme;
    bool is_tls;     // https
    struct str host; // without the brackets of an IPv6 address
    uint16_t port;   // 0: not written
    struct str path; // from the first '/' on; may be empty. Query and fragment are in it
};

// [http://|https://][user@]host[:port][/path]. -EINVAL with a reason: no host, a port that is none,
// another scheme, a blank or a control character anywhere.
int endpoint_read(struct str text, struct endpoint *out_endpoint, struct why *why);
