// SPDX-License-Identifier: Apache-2.0
// What the modules for OTLP share: the public struct of an exporter around a client.

#pragma once

#include <throughline/exporter.h>

#include "exporters/otlp_client.h"

struct module_exporter_kind {
    const char *type;                       // otel.component.type
    const char *json_type;                  // the same when it sends JSON; NULL: it cannot
    const char *default_urls[SIGNAL_COUNT]; // by signal
    struct otlp_client *(*client_new)(const struct otlp_client_plan *plan, struct why *why);
};

// 0 or -errno with a reason. The exporter owns the client.
int module_exporter_make(const struct module_exporter_kind *kind,
                         const struct tl_otlp_options *options, struct tl_exporter_v1 *out_exporter,
                         char out_why[256]);

// Cuts a reason to what the public API has room for. NULL is fine.
void module_why(char out_why[256], const struct why *why);
