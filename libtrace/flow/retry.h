// SPDX-License-Identifier: Apache-2.0
// How long to wait before the next attempt: doubling, capped, with full jitter. Pure.

#pragma once

#include <stdint.h>

struct retry_policy {
    uint32_t first_ms;
    uint32_t max_ms;
    uint64_t max_elapsed_ms; // 0: for ever
};

// attempt counts from 0. `random` is any 64 random bits.
uint32_t retry_wait_ms(const struct retry_policy *policy, unsigned attempt, uint64_t random);
