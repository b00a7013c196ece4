// SPDX-License-Identifier: Apache-2.0
// The settings of the OTLP/HTTP exporter, for those who fill them without a configuration file.

#pragma once

#include "libtrace/flow/contract.h"

struct otlp_client;

struct otlp_http {
    struct str endpoint;
    struct str compression;
    struct str headers;
    uint64_t timeout_ms;
    uint64_t max_response_bytes;
    struct otlp_client *client;
};

extern const struct exporter otlp_http_exporter;
