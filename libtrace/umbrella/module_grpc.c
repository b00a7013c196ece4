// SPDX-License-Identifier: Apache-2.0
// libthroughline-grpc: OTLP over gRPC by its C core. Any thread.

#include "libtrace/umbrella/module_exporter.h"

static int otlp_exporter(const struct tl_otlp_options *options, struct tl_exporter_v1 *out_exporter,
                         char out_why[256])
{
    static const struct module_exporter_kind kind = {
        .type = "otlp_grpc_exporter",
        .default_urls = {"http://localhost:4317", "http://localhost:4317", "http://localhost:4317"},
        .client_new = otlp_grpc_client_new,
    };

    return module_exporter_make(&kind, options, out_exporter, out_why);
}

const struct tl_module_v1 *tl_module_grpc(void)
{
    static const struct tl_module_v1 module = {
        .size = sizeof module,
        .name = "grpc",
        .otlp_exporter = otlp_exporter,
    };

    return &module;
}
