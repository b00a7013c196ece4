// SPDX-License-Identifier: Apache-2.0
// The way of records that are encoded: into a ring, and out through an exporter, batch by batch.
// Every signal uses it; a batch processor is a pipe. Any thread puts; one task takes.
//
// A ring is made with the first record, and again in the child of a fork. What an exporter could
// not deliver is tried again, with growing pauses, for RETRY_MINUTES; meanwhile the ring fills, and
// what finds no room there is dropped and counted.

#pragma once

#include <throughline/sdk.h>

#include "libtrace/base/ring.h"
#include "libtrace/base/str.h"

struct pipe;

// See thread.h.
void pipe_forks_watch(void);

struct pipe_plan {
    enum tl_signal signal;
    struct tl_exporter_v1 exporter; // taken, also on failure
    struct tl_batch_options batch;  // zero: the signal's defaults
};

// A private ring with a sender. NULL without memory.
struct pipe *pipe_new(const struct pipe_plan *plan);
// The process's shared ring, which the node agent drains; every signal's records go through it. One
// for ever: shutdown flushes it, free does nothing. NULL without memory.
struct pipe *pipe_shared(void);

// An entry of resource and scope that records refer to; the same for the same text. The text is
// protobuf: the body of ResourceSpans/ResourceMetrics/ResourceLogs with resource and schema_url
// alone, and of ScopeSpans/... with scope and schema_url alone. UINT32_MAX: no room.
uint32_t pipe_entry(struct pipe *pipe, struct str resource, struct str scope);

// Room for one record (body of a Span, Metric or LogRecord); false: full, too large or shut down,
// counted as `mark->count` records of mark->signal (an enum tl_signal). mark->entry is one of
// pipe_entry's; UINT32_MAX is counted as no memory. Follow with pipe_commit on the same thread.
bool pipe_reserve(struct pipe *pipe, const struct ring_mark *mark, uint32_t len,
                  struct ring_slot *out_slot);
void pipe_commit(struct pipe *pipe, const struct ring_slot *slot);

// 0 when all that was in it at the call is delivered; -ETIMEDOUT; -EIO when some was given up.
int pipe_flush(struct pipe *pipe, uint64_t timeout_ms);
// Flushes, then takes no more and shuts its exporter down. -EALREADY the second time.
int pipe_shutdown(struct pipe *pipe, uint64_t timeout_ms);
void pipe_free(struct pipe *pipe);

// Starts the senders that exist, which else start with the first record: for a program that may
// start no threads later.
void pipe_threads_start(void);

// For the SDK's own metrics.
struct pipe_figures {
    const char *exporter_type; // NULL: the shared ring, which an agent drains
    const char *server_address;
    uint16_t server_port;
    enum tl_signal signal;
    uint64_t queued_bytes;
    uint64_t capacity_bytes;
    uint64_t queued_records; // estimated from bytes unless the queue is limited in records
    uint64_t capacity_records;
    uint64_t processed; // taken from the ring, delivered or not
    uint64_t queue_full;
    uint64_t exported;
    uint64_t failed;
    uint64_t in_flight;
    uint64_t operations; // answers that came
    uint64_t operations_failed;
    uint64_t operation_ns; // together
    unsigned number;       // of this kind in the process: otel.component.name
};
void pipe_each(void (*visit)(void *self, const struct pipe_figures *figures), void *self);
