// SPDX-License-Identifier: Apache-2.0
// Asks the running agent, or its store when no agent answers. One thread.

#pragma once

#include "libtrace/base/bytes.h"
#include "libtrace/base/str.h"
#include "libtrace/base/why.h"

struct fetch_plan {
    const char *endpoint; // "http://127.0.0.1:4320"
    const char *data_dir; // NULL: ask the agent
    struct str service;   // of the list of traces; empty: any
    unsigned limit;
};

// GET `path`, which says the same as the plan's service and limit. 0, -ENOENT (404), -EEXIST (409),
// -EIO or -ECONNREFUSED.
int fetch_json(const struct fetch_plan *plan, const char *path, struct bytes *out, struct why *why);
