// SPDX-License-Identifier: Apache-2.0
// Metrics as OTLP bytes (opentelemetry-proto metrics.proto): data points one by one, Metric bodies
// around them, cut where a request or a record of the ring has no more room. One thread.

#pragma once

#include "libtrace/base/bytes.h"
#include "libtrace/sdk/metrics/series.h"

// Where Metric bodies go.
struct metric_sink {
    // The bytes are borrowed. `scope`: body of ScopeMetrics with the scope and its schema URL alone
    // (struct scope). Sets points_left for what comes next.
    void (*take)(struct metric_sink *sink, struct str scope, struct str metric, uint32_t points);
    uint32_t points_left;
    size_t bytes_max; // about: a point may go beyond it
};

// The identity that stands in front of the points.
struct metric_head {
    struct str name;
    struct str unit;
    struct str description;
    unsigned data_number; // gauge 5, sum 7, histogram 9, exponential_histogram 10
    int temporality;      // 0: none is written
    bool is_monotonic;
};

struct metric_writer {
    struct metric_sink *sink;
    struct str scope;
    const struct metric_head *head;
    struct bytes points;
    struct bytes body;
    uint32_t count;
};

// Begins a point, a body of fields of its own; returns the mark for point_end.
size_t point_begin(struct metric_writer *writer);
void point_end(struct metric_writer *writer, size_t mark);

// Hands over what is written; call it after the last point of a head too.
void metric_end(struct metric_writer *writer);

void metric_writer_done(struct metric_writer *writer);

// The number of `attributes` in the data points of a cell.
unsigned point_attributes_number(enum cell cell);

// Puts ScopeMetrics that somebody else made into the sink, cut as above. They were checked.
void scope_metrics_split(struct metric_sink *sink, struct str scope_metrics);

// Requests of at most so many points each.
struct metric_request {
    struct bytes bytes;
    uint32_t points;
};

struct request_builder {
    struct metric_sink sink; // first: take gets it back
    struct str resource;     // body of ResourceMetrics with the resource and its schema URL alone
    uint32_t points_max;     // 0: no limit
    struct metric_request *requests;
    size_t count;
    size_t resource_mark;
    size_t scope_mark;
    size_t scope_len;
    bool is_open;
    bool has_scope;
};

void request_builder_init(struct request_builder *builder, struct str resource,
                          uint32_t points_max);
// Closes the last one. `is_empty_wanted`: a request without metrics where there would be none.
void request_builder_end(struct request_builder *builder, bool is_empty_wanted);
void request_builder_done(struct request_builder *builder);
