// SPDX-License-Identifier: Apache-2.0
// The embedded store: SQLite holding zstd blocks of OTLP bytes and a small index of their spans.
// A struct store is one connection and belongs to one thread; any number may be open on one folder,
// one of them for writing.

#pragma once

#include "libtrace/base/arena.h"
#include "libtrace/base/why.h"
#include "libtrace/model/batch.h"
#include "libtrace/model/span.h"

struct store;

struct store_limits {
    uint64_t max_bytes;  // of the file; the oldest blocks make room
    uint64_t max_age_ms; // of a block
};

// For writing: makes the folder (one level) and the file. -EACCES: not writable; -ENOTSUP: made by
// a newer version; a damaged file is moved aside, counted, and *out_moved_aside says so.
int store_open(struct str folder, const struct store_limits *limits, struct store **out_store,
               bool *out_moved_aside, struct why *why);

// For reading only. -ENOENT when there is nothing yet.
int store_open_readonly(struct str folder, struct store **out_store, struct why *why);

void store_close(struct store *store);

// Only borrows the batch. 0 or -EIO.
int store_write(struct store *store, const struct batch *batch, struct why *why);

// From now on this connection's questions end after so long, as if nothing more were found; ask
// afterwards whether that happened. 0: never.
void store_deadline(struct store *store, uint64_t timeout_ms);
bool store_is_late(const struct store *store);

// Changes whenever another connection has written.
uint64_t store_version(struct store *store);

struct stored_span {
    struct span span;
    struct resource resource;
    struct scope scope;
};

typedef bool store_span_visit(void *self, const struct stored_span *span);

// Visits every span of a trace, in the order they came. 0, -ENOENT or -EIO. Memory lives for the
// call only.
int store_trace(struct store *store, const uint8_t trace_id[static 16], store_span_visit *visit,
                void *self, struct why *why);

// The one trace whose id begins with these hexadecimal digits, or the newest for an empty prefix.
// 0, -ENOENT or -EEXIST (more than one).
int store_trace_find(struct store *store, struct str prefix, uint8_t out_trace_id[static 16]);

struct store_query {
    struct str service;   // empty: any
    struct str operation; // empty: any
    uint64_t start_ns;    // of the trace's first span, inclusive
    uint64_t end_ns;      // 0: no end
    uint64_t min_duration_ns;
    uint64_t max_duration_ns; // 0: any
    bool only_errors;
    unsigned limit;
};

struct trace_summary {
    uint8_t trace_id[16];
    struct str root_service; // of the span without parent, or of the earliest
    struct str root_name;
    struct str culprit_service; // of the failed span that began last; empty without errors
    struct str culprit_name;
    bool has_root;
    uint64_t start_ns;
    uint64_t end_ns;
    uint64_t spans;
    uint64_t errors;
    struct str services; // names joined by '\n'
};

typedef bool store_summary_visit(void *self, const struct trace_summary *summary);

// Newest first.
int store_search(struct store *store, const struct store_query *query, store_summary_visit *visit,
                 void *self, struct why *why);

typedef bool store_name_visit(void *self, struct str name, enum span_kind kind);

int store_services(struct store *store, store_name_visit *visit, void *self);
int store_operations(struct store *store, struct str service, store_name_visit *visit, void *self);

// One span that enters a service (server, consumer; root of a service without either).
struct entry_span {
    struct str service;
    struct str name;
    enum span_kind kind;
    uint64_t start_ns;
    uint64_t duration_ns;
    bool is_error;
};

typedef bool store_entry_visit(void *self, const struct entry_span *entry);

// By service, then by duration, so that quantiles need no sorting.
int store_entries(struct store *store, uint64_t since_ns, store_entry_visit *visit, void *self);

// Those of one service by name and kind, then by duration.
int store_service_entries(struct store *store, struct str service, uint64_t since_ns,
                          store_entry_visit *visit, void *self);

enum edge_kind {
    EDGE_SERVICE,  // a traced service calls another
    EDGE_DATABASE, // `to` is a database
    EDGE_QUEUE,    // `to` is a broker
    EDGE_EXTERNAL, // `to` is an address that nobody traced
    EDGE_CONSUME,  // `from` is a broker
    EDGE_ENTRY,    // `from` is empty: whoever calls was not traced
};

// All calls of one kind from one end to another, as the caller saw them.
struct store_edge {
    struct str from;
    struct str to;
    enum edge_kind kind;
    uint64_t count;
    uint64_t errors;
    uint64_t p50_ns;
    uint64_t p99_ns;
    uint64_t max_ns;
};

typedef bool store_edge_visit(void *self, const struct store_edge *edge);

// Of the spans that began from since_ns on and before until_ns.
int store_edges(struct store *store, uint64_t since_ns, uint64_t until_ns, store_edge_visit *visit,
                void *self);
