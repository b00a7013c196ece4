// SPDX-License-Identifier: Apache-2.0
// Every component of the program, one row each (registry.c).

#pragma once

#include "libtrace/flow/contract.h"

// NULL when there is none of that name. Names the collector uses for the same thing are known too.
const struct receiver *receiver_find(struct str name);
const struct exporter *exporter_find(struct str name);

// The settings of the batch processor: three numbers that become the limits of queue_take.
struct batch_settings {
    uint64_t max_records;
    uint64_t max_bytes;
    uint64_t max_age_ms;
};

extern const struct setting batch_setting_table[];

// All counters of the program, for /metrics.
extern const struct stats *const all_stats[];
extern const size_t all_stats_count;
