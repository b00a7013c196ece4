// SPDX-License-Identifier: Apache-2.0
// The base-2 exponential histogram (specification, "Base2 Exponential Bucket Histogram
// Aggregation"). The caller locks.

#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    EXPONENTIAL_SIZE = 160,
    EXPONENTIAL_SIZE_MIN = 2,
    EXPONENTIAL_SIZE_MAX = 640,
    EXPONENTIAL_SCALE = 20,
    EXPONENTIAL_SCALE_MIN = -11, // the whole range of a double in two buckets
};

struct exponential_side {
    int32_t start; // index of counts[0]
    uint32_t len;  // 0: empty
    uint64_t *counts;
};

struct exponential {
    double sum;
    double min;
    double max;
    uint64_t count;
    uint64_t zero_count;
    int32_t scale;
    int32_t scale_max;
    uint32_t size;
    struct exponential_side positive;
    struct exponential_side negative;
    uint64_t counts[]; // 2 * size
};

size_t exponential_bytes(uint32_t size);
// `to` has exponential_bytes(size).
void exponential_init(struct exponential *to, uint32_t size, int32_t scale_max);
void exponential_reset(struct exponential *to);
// `value` is finite.
void exponential_record(struct exponential *to, double value);

// The bucket (base^index, base^(index + 1)] of a finite value above zero, base = 2^(2^-scale).
// Exact at powers of two; elsewhere the logarithm is off by at most 2^-48, so that only a value
// within that of a boundary may stand on its other side.
int32_t exponential_index(double value, int32_t scale);
