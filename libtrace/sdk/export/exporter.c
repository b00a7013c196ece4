// SPDX-License-Identifier: Apache-2.0
// The exporters that are modules: found when they are first wanted.

#include <throughline/exporter.h>

#include <errno.h>
#include <stdio.h>

#include "libtrace/sdk/export/module.h"

static int otlp_exporter(const char *name, const struct tl_otlp_options *options,
                         struct tl_exporter_v1 *out_exporter, char out_why[256])
{
    const int saved = errno;
    const struct tl_module_v1 *module;
    struct why why = {""};
    char unread[256];
    int failed;

    if (!out_exporter)
        return -EINVAL;
    module = module_find(name, &why);
    if (!module || !module->otlp_exporter) {
        if (out_why && snprintf(out_why, 256, "%.255s", why.text) < 0)
            out_why[0] = '\0';
        return -ENOENT;
    }
    failed = module->otlp_exporter(options, out_exporter, out_why ? out_why : unread);
    errno = saved;
    return failed;
}

int tl_exporter_otlp_http(const struct tl_otlp_options *options,
                          struct tl_exporter_v1 *out_exporter, char out_why[256])
{
    return otlp_exporter("http", options, out_exporter, out_why);
}

int tl_exporter_otlp_grpc(const struct tl_otlp_options *options,
                          struct tl_exporter_v1 *out_exporter, char out_why[256])
{
    return otlp_exporter("grpc", options, out_exporter, out_why);
}
