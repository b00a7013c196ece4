// SPDX-License-Identifier: Apache-2.0
// The store as an exporter, with its settings.

#pragma once

#include "libtrace/flow/contract.h"

struct store_exporter {
    struct str directory;
    uint64_t max_bytes;
    uint64_t max_age_ms;
    bool was_moved_aside; // a damaged file was kept aside at open
    struct store *store;
};

extern const struct exporter store_exporter;
