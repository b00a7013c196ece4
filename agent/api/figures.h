// SPDX-License-Identifier: Apache-2.0
// Rate, errors and durations of services and their operations, and the map, as JSON text.
// They read the store given and write no HTTP. 0 or -EIO.

#pragma once

#include "agent/store/store.h"
#include "libtrace/base/bytes.h"

int figures_services(struct store *store, uint64_t since_ns, uint64_t now_ns, struct bytes *out);
int figures_operations(struct store *store, struct str service, uint64_t since_ns, uint64_t now_ns,
                       struct bytes *out);
int figures_map(struct store *store, uint64_t since_ns, struct bytes *out);
