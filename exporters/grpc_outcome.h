// SPDX-License-Identifier: Apache-2.0
// What a unary gRPC call ended with, and what that means for the records of the request. One
// thread.

#pragma once

#include <grpc/grpc.h>

#include "exporters/otlp_client.h"

// gRPC writes the fields while the call is under way.
struct grpc_outcome {
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_byte_buffer *response; // as compressed
    grpc_status_code status;
    grpc_slice details;
};

void grpc_outcome_init(struct grpc_outcome *outcome);
void grpc_outcome_done(struct grpc_outcome *outcome);

// Fills result, wait, rejected, status and the reason; `shown` is the destination.
void grpc_outcome_judge(const struct grpc_outcome *outcome, uint64_t response_bytes_max,
                        const char *shown, struct answer *out_answer);
