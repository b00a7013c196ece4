// SPDX-License-Identifier: Apache-2.0
// gRPC's C core as this process may use it, and channels to OTLP destinations. Any thread.
//
// C core has threads of its own, so it does not survive a fork: it belongs to the process that
// first used it, and a child in which the parent had begun cannot. It is begun as late as possible,
// at the first request, so that a server may set telemetry up and fork its workers then.

#pragma once

#include <grpc/grpc.h>

#include "exporters/otlp_client.h"

// Before anything else of gRPC, and grpc_runtime_end after all of it. False with a reason: begun by
// another process. Our word that gRPC does not print holds unless the program had begun gRPC itself
// before: then its log is the program's.
bool grpc_runtime_begin(struct why *why);
void grpc_runtime_end(void);
// Begun here, and by no other process.
bool grpc_runtime_is_ours(void);

// 0, or -EINVAL with a reason when no channel can be made of that endpoint or those files. Does not
// use gRPC.
int grpc_endpoint_check(const struct otlp_client_plan *plan, const char *endpoint, struct why *why);

// "host:port" of an endpoint, and whether it has TLS; what gRPC resolves itself ("unix:PATH",
// "dns:///HOST:PORT") stays. To free(3); NULL without memory.
char *grpc_target(const struct otlp_client_plan *plan, const char *endpoint, bool *out_is_tls);

// NULL with a reason.
grpc_channel *grpc_channel_open(const struct otlp_client_plan *plan, const char *endpoint,
                                struct why *why);
