// SPDX-License-Identifier: Apache-2.0
// A sampling strategy as a Jaeger or OpenTelemetry collector answers it (Remote Sampling API, JSON
// over HTTP): one probability, a rate, or a probability for each operation with a lower bound.
// Immutable but for the limiters' atomics; any thread samples.

#pragma once

#include <throughline/sdk.h>

#include <stdatomic.h>

#include "libtrace/base/str.h"
#include "libtrace/base/why.h"

enum { STRATEGY_BYTES_MAX = 1 << 20, STRATEGY_OPERATIONS_MAX = 2000 };

// A leaky bucket in one word: when the next one that is conformant would be due.
struct limiter {
    _Atomic uint64_t due_ns;
    uint64_t interval_ns; // 0: lets nothing through
    uint64_t tolerance_ns;
};

void limiter_init(struct limiter *limiter, double per_second);
bool limiter_take(struct limiter *limiter, uint64_t now_ns);

struct strategy;

// Reads an answer. -EBADMSG, -E2BIG or -ENOMEM with a reason.
int strategy_read(struct str json, struct strategy **out_strategy, struct why *why);
void strategy_free(struct strategy *strategy);

// As a sampler's function: out_result comes as tl_sampler_ask made it.
void strategy_sample(struct strategy *strategy, const struct tl_sampling *sampling,
                     struct tl_sampling_result *out_result, uint64_t now_ns);
