// SPDX-License-Identifier: Apache-2.0
// Tracers and their provider from inside.

#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include <throughline/sdk.h>

#include "libtrace/base/bytes.h"
#include "libtrace/sdk/scope.h"

struct pipe;

enum { PROCESSORS_MAX = 8 };

struct tl_tracer {
    struct tl_tracer_provider *provider;
    struct scope scope;
    bool is_enabled;
    uint32_t entries[PROCESSORS_MAX]; // in the pipe of that processor
    struct tl_tracer *next;
};

struct tl_tracer_provider {
    struct tl_resource *resource;
    struct tl_sampler *sampler;
    struct tl_span_processor processors[PROCESSORS_MAX];
    struct pipe *pipes[PROCESSORS_MAX]; // of those that are ours; else NULL
    size_t processor_count;
    bool has_custom; // a processor that is not ours wants calls
    bool has_ids;
    struct tl_id_generator ids;
    struct tl_limits limits; // resolved: UINT32_MAX is none
    int64_t length_max;      // of attribute values; -1: none
    bool (*is_enabled)(void *self, const struct tl_scope *scope);
    void *is_enabled_self;
    _Atomic bool is_shut;
    pthread_mutex_t lock; // the list of tracers
    _Atomic(struct tl_tracer *) tracers;
};

// The tracer that tl_span_start uses; NULL when there is no provider or no memory.
struct tl_tracer *tracer_default(void);

// The pipe behind a processor of ours; NULL for others.
struct pipe *span_processor_pipe(const struct tl_span_processor *processor);

// 0: `fallback`; TL_NONE: 0; TL_UNLIMITED stays.
uint32_t limit_of(uint32_t given, uint32_t fallback);
