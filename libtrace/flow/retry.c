// SPDX-License-Identifier: Apache-2.0
// Doubling with full jitter: destinations that come back are not met by all at once.

#include "libtrace/flow/retry.h"

uint32_t retry_wait_ms(const struct retry_policy *policy, unsigned attempt, uint64_t random)
{
    uint64_t cap = policy->first_ms ? policy->first_ms : 1;

    while (attempt-- && cap < policy->max_ms)
        cap *= 2;
    if (cap > policy->max_ms)
        cap = policy->max_ms;
    // Never below half: a wait of nothing would be a busy loop.
    return (uint32_t)(cap / 2 + random % (cap / 2 + 1));
}
