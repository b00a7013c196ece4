// SPDX-License-Identifier: Apache-2.0
// The way of records that are encoded: into a ring, and out through an exporter, batch by batch.
// Every signal uses it; a batch processor is a pipe. Any thread puts; one task takes.

#pragma once

#include <throughline/sdk.h>

#include "libtrace/base/ring.h"

struct pipe;

struct pipe_plan {
    enum tl_signal signal;
    struct tl_exporter_v1 exporter; // taken, also on failure
    struct tl_batch_options batch;  // zero: the signal's defaults
};

// A private ring with a sender. NULL without memory.
struct pipe *pipe_new(const struct pipe_plan *plan);
// The process's shared ring, which the node agent drains; every signal's records go through it.
// Counted: each call is one more reference.
struct pipe *pipe_shared(void);

// An entry of resource and scope that records refer to; the same for the same text. The text is
// protobuf: the body of ResourceSpans/ResourceMetrics/ResourceLogs with resource and schema_url
// alone, and of ScopeSpans/... with scope and schema_url alone. UINT32_MAX: no room.
uint32_t pipe_entry(struct pipe *pipe, struct str resource, struct str scope);

// Room for one record (body of a Span, Metric or LogRecord); false: full or too large, counted as
// `records` of that signal. Follow with pipe_commit on the same thread.
bool pipe_reserve(struct pipe *pipe, enum tl_signal signal, uint32_t entry, uint32_t len,
                  uint32_t records, struct ring_slot *out_slot);
void pipe_commit(struct pipe *pipe, const struct ring_slot *slot);

// 0 when all that was in it at the call is delivered or given up; -ETIMEDOUT, -EIO.
int pipe_flush(struct pipe *pipe, uint64_t timeout_ms);
// Flushes, then takes no more.
int pipe_shutdown(struct pipe *pipe, uint64_t timeout_ms);
void pipe_free(struct pipe *pipe);
