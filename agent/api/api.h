// SPDX-License-Identifier: Apache-2.0
// The HTTP server of the agent: the page, query API, Jaeger's API, live stream, health and metrics.
// Its threads are its own, and so are its connections to the store.

#pragma once

#include "libtrace/base/stats.h"
#include "libtrace/base/str.h"
#include "libtrace/base/why.h"

struct api;

struct api_plan {
    struct str endpoint;
    struct str allowed_hosts;
    struct str data_dir;
    const struct stats *const *stats;
    size_t stats_count;
};

// -EADDRINUSE, -EINVAL, -ENOMEM.
int api_start(const struct api_plan *plan, struct api **out_api, struct why *why);
void api_stop(struct api *api);
