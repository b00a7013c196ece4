// SPDX-License-Identifier: Apache-2.0
// Samplers as the tracer sees them: the usual ones are decided inline, so that a span that is not
// sampled costs next to nothing; the others are asked through tl_sampler_ask. Counted, immutable;
// any thread.

#pragma once

#include <throughline/sdk.h>

#include <stdatomic.h>

#include "libtrace/sdk/trace/trace_state_ot.h"

enum sampler_kind {
    SAMPLER_OTHER,
    SAMPLER_ALWAYS_ON,
    SAMPLER_ALWAYS_OFF,
    SAMPLER_RATIO,
    SAMPLER_PARENT_BASED,
};

// Whom a parent-based sampler asks; the parent's standing is the index.
enum sampler_leaf {
    LEAF_ROOT,
    LEAF_REMOTE_SAMPLED,
    LEAF_REMOTE_NOT_SAMPLED,
    LEAF_LOCAL_SAMPLED,
    LEAF_LOCAL_NOT_SAMPLED,
    LEAVES
};

struct tl_sampler {
    enum sampler_kind kind;
    _Atomic uint32_t references;
    uint64_t threshold;                 // SAMPLER_RATIO: sampled from there on, of 56 bits
    char trace_state[24];               // SAMPLER_RATIO: "ot=th:..." of a span without a parent's
    uint16_t trace_state_len;           // 0: the tracestate stays as it is
    struct tl_sampler *leaves[LEAVES];  // SAMPLER_PARENT_BASED; the first also of wrappers
    struct tl_sampler_functions custom; // SAMPLER_OTHER
    char *description;
};

enum sampler_verdict {
    SAMPLER_ASK, // tl_sampler_ask decides
    SAMPLER_NO,  // dropped; the parent's tracestate stays
    SAMPLER_YES, // recorded and sampled, no attributes
};

struct sampler_quick {
    const char *trace_state; // with YES and a length above 0: the span's; else the parent's stays
    uint16_t trace_state_len;
    uint8_t verdict; // enum sampler_verdict
};

// The right 56 bits of a trace id.
static inline uint64_t sampler_randomness(const uint8_t *trace_id)
{
    uint64_t right;

    memcpy(&right, trace_id + 8, 8);
    return __builtin_bswap64(right) & (TRACE_STATE_NEVER - 1);
}

// `parent` is valid, or NULL for a root.
static inline enum sampler_leaf sampler_leaf_of(const struct tl_span_context *parent)
{
    if (!parent)
        return LEAF_ROOT;
    if (parent->is_remote)
        return parent->flags & TL_FLAG_SAMPLED ? LEAF_REMOTE_SAMPLED : LEAF_REMOTE_NOT_SAMPLED;
    return parent->flags & TL_FLAG_SAMPLED ? LEAF_LOCAL_SAMPLED : LEAF_LOCAL_NOT_SAMPLED;
}

// `parent` is valid, or NULL for a root. NULL sampler: parent-based, always on.
static inline struct sampler_quick sampler_quick(const struct tl_sampler *sampler,
                                                 const struct tl_span_context *parent,
                                                 const uint8_t *trace_id)
{
    const struct sampler_quick yes = {NULL, 0, SAMPLER_YES};
    const struct sampler_quick no = {NULL, 0, SAMPLER_NO};
    const struct sampler_quick ask = {NULL, 0, SAMPLER_ASK};

    if (!sampler)
        return !parent || parent->flags & TL_FLAG_SAMPLED ? yes : no;
    if (sampler->kind == SAMPLER_PARENT_BASED)
        sampler = sampler->leaves[sampler_leaf_of(parent)];
    switch (sampler->kind) {
    case SAMPLER_ALWAYS_ON:
        return yes;
    case SAMPLER_ALWAYS_OFF:
        return no;
    case SAMPLER_RATIO:
        // A parent's tracestate may hold rv, and must lose its th.
        if (parent && parent->trace_state_len)
            return ask;
        if (sampler_randomness(trace_id) < sampler->threshold)
            return no;
        return (struct sampler_quick){sampler->trace_state, sampler->trace_state_len, SAMPLER_YES};
    default:
        return ask;
    }
}

// False when no span could be sampled or recorded whatever its parent: tl_tracer_enabled.
static inline bool sampler_may_record(const struct tl_sampler *sampler)
{
    return !sampler || sampler->kind != SAMPLER_ALWAYS_OFF;
}

// A sampler of functions with a description of its own, which is copied. NULL without memory, and
// then `functions->free` was called.
struct tl_sampler *sampler_new(const struct tl_sampler_functions *functions);

// The threshold of a ratio and back: 5 digits behind the leading f, as the specification's examples
// have it. Below 2^-56: TRACE_STATE_NEVER.
uint64_t threshold_of_ratio(double ratio);
