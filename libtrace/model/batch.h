// SPDX-License-Identifier: Apache-2.0
// A batch is received OTLP bytes: one or more pieces, each a whole Export...ServiceRequest message
// of one signal. Protobuf merges repeated fields, so the pieces in a row are one message again and
// a merge copies nothing. A sealed batch is read-only and may be read by any thread.
// Whoever is given a batch owns that reference, also when the call fails.

#pragma once

#include "libtrace/base/str.h"

enum signal { SIGNAL_TRACES, SIGNAL_METRICS, SIGNAL_LOGS, SIGNAL_COUNT };

struct batch;
struct receipt;

// Takes `wire` (from malloc), also on failure. `records`: spans, data points or log records in it.
// NULL without memory.
struct batch *batch_new(enum signal signal, uint8_t *wire, size_t wire_bytes, size_t records,
                        uint64_t received_ns);

struct batch *batch_ref(struct batch *batch);
void batch_unref(struct batch *batch);

// One batch with the pieces and receipts of all; takes every reference in `parts`. NULL without
// memory (the parts are then released and their receipts end as dropped).
struct batch *batch_merge(struct batch *const *parts, size_t count);

enum signal batch_signal(const struct batch *batch);
size_t batch_records(const struct batch *batch);
size_t batch_bytes(const struct batch *batch);
uint64_t batch_received_ns(const struct batch *batch); // the oldest piece
size_t batch_pieces(const struct batch *batch);
struct str batch_piece(const struct batch *batch, size_t index);

// "traces", "metrics", "logs".
const char *signal_text(enum signal signal);

// Adds a receipt before the batch is sealed by its first hand-over; takes the reference.
// Returns 0 or -ENOMEM (the receipt is then released).
int batch_receipt_add(struct batch *batch, struct receipt *receipt);

// Its records were given up: every receipt will end as dropped.
void batch_mark_dropped(const struct batch *batch);
