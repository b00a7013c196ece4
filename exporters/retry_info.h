// SPDX-License-Identifier: Apache-2.0
// What a gRPC server says about another attempt. Pure; the bytes are from outside.

#pragma once

#include "libtrace/base/str.h"

// Waits longer than this are taken as this: a client must come back some day.
#define RETRY_WAIT_MAX_MS (UINT32_C(3600) * 1000)

// Finds google.rpc.RetryInfo in a google.rpc.Status (the metadata grpc-status-details-bin). False:
// none, or malformed; then out_wait_ms is untouched. A delay below zero is zero.
bool retry_info_read(struct str status, uint32_t *out_wait_ms);
