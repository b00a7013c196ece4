// SPDX-License-Identifier: Apache-2.0
// Composable samplers (specification 1.60, "CompositeSampler"; development): each says with which
// threshold it would sample; one composite sampler makes the decision and writes the tracestate.
// Counted, immutable; any thread.

#pragma once

#include <throughline/sdk.h>

#include "libtrace/sdk/trace/trace_state_ot.h"

enum { INTENT_LISTS_MAX = 8 };

struct intent {
    bool has_threshold; // false: drop
    bool is_reliable;   // the threshold says how many spans this one stands for
    uint64_t threshold;
    // Attributes of a sampled span, outermost last.
    struct {
        const struct tl_attribute *attributes;
        size_t count;
    } lists[INTENT_LISTS_MAX];
    size_t list_count;
};

struct composable_question {
    const struct tl_sampling *sampling;
    const struct tl_span_context *parent; // valid, or NULL
    struct trace_state_ot ot;             // of the parent
};

struct composable_functions {
    void (*intend)(void *self, const struct composable_question *question, struct intent *out);
    void (*free)(void *self);
    void *self;
};

// Takes `self`, also on failure. The description is copied. NULL without memory.
struct tl_composable *composable_new(const struct composable_functions *functions,
                                     const char *description);
struct tl_composable *composable_ref(struct tl_composable *composable);
const char *composable_description(const struct tl_composable *composable);
void composable_intend(struct tl_composable *composable, const struct composable_question *question,
                       struct intent *out);
