// SPDX-License-Identifier: Apache-2.0
// A data point of any kind as its numbers, and sums of deltas. The bytes have passed otlp_check.

#pragma once

#include "libtrace/base/arena.h"
#include "libtrace/base/bytes.h"

enum { POINT_EXEMPLARS_MAX = 64, POINT_BUCKETS_MAX = 2048 };

enum point_kind { POINT_NUMBER, POINT_HISTOGRAM, POINT_EXPONENTIAL };

struct point_exemplar {
    double value;
    uint64_t time_ns;
    struct str trace_id;
    struct str span_id;
    struct str whole; // its filtered_attributes are fields 7
};

struct point {
    uint64_t start_ns;
    uint64_t time_ns;
    bool has_no_value;
    bool has_sum;
    double value; // of a number
    double sum;
    uint64_t count;
    size_t bucket_count; // with the last one, which has no boundary
    double *boundaries;
    uint64_t *buckets;
    size_t exemplar_count;
    struct point_exemplar exemplars[POINT_EXEMPLARS_MAX];
    struct str wire;
    unsigned attributes_number;
};

// An exponential histogram becomes buckets with boundaries, at most eight to a power of two. False:
// it makes no sense (counts and boundaries do not fit), or there is no memory.
bool point_read(struct point *out, enum point_kind kind, struct str wire, struct arena *arena);

// What was summed up of deltas, by the name and labels of a series; at most POINT_SUMS_MAX.
enum { POINT_SUMS_MAX = 10000 };
struct point_sums;
struct point_sums *point_sums_new(void);
void point_sums_free(struct point_sums *sums);
// Adds the point to what came before and makes it the sum. False: there is no room for a new one.
bool point_sum(struct point_sums *sums, struct str series, struct point *point);
