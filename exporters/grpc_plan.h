// SPDX-License-Identifier: Apache-2.0
// What a gRPC client was told, kept for its life: a copy of the plan, and the metadata that goes
// with each call. Constant once made.

#pragma once

#include <grpc/grpc.h>

#include "exporters/otlp_client.h"

struct grpc_plan;

// NULL with a reason. Does not use gRPC's runtime.
struct grpc_plan *grpc_plan_new(const struct otlp_client_plan *plan, struct why *why);
void grpc_plan_free(struct grpc_plan *plan);

// Its headers are not in it; they are metadata.
const struct otlp_client_plan *grpc_plan_of(const struct grpc_plan *plan);
grpc_metadata *grpc_plan_metadata(struct grpc_plan *plan, size_t *out_count);
