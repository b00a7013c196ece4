// SPDX-License-Identifier: Apache-2.0
// What a reader collected, as lines that a test compares. One request:
//   scope NAME VERSION URL {attributes}
//   metric NAME [UNIT] "DESCRIPTION" sum cumulative monotonic
//   point {attributes} 5
//   point {attributes} count 2 sum 3 min 1 max 2 buckets 0 2 0 bounds 1 5
//   point {attributes} count 2 sum 3 min 1 max 2 scale 20 zero 0 positive -1: 1 negative
//   exemplar 5 TRACE SPAN {attributes}
// Points of one metric are sorted by their text; times are in the lists.

#pragma once

#include <throughline/sdk.h>

#include "libtrace/base/bytes.h"

enum { SEEN_POINTS_MAX = 4096 };

struct seen {
    char *text; // terminated
    size_t len;
    size_t points;
    uint64_t start_ns[SEEN_POINTS_MAX];
    uint64_t time_ns[SEEN_POINTS_MAX];
    uint64_t exemplar_ns; // of the last one
};

// Of bytes that must pass otlp_check.
struct seen *seen_of(struct str request);
// Collects with a pull reader, which must work.
struct seen *seen_by(struct tl_metric_reader *reader);
void seen_free(struct seen *seen);

// The whole text but for the first line when it is about the test's own scope.
#define assert_seen(reader, expected)                                                              \
    do {                                                                                           \
        struct seen *seen_ = seen_by(reader);                                                      \
                                                                                                   \
        assert_string_equal(seen_->text, expected);                                                \
        seen_free(seen_);                                                                          \
    } while (0)

// A provider with one pull reader, made by what is not NULL.
struct rig {
    struct tl_meter_provider *provider;
    struct tl_metric_reader *reader;
    struct tl_meter *meter; // "test"
};
struct rig rig_new(const struct tl_reader_options *reader_options,
                   const struct tl_meter_provider_options *provider_options);
void rig_free(struct rig *rig);

// What the SDK said and how often; begins with nothing.
void said_watch(void);
size_t said_count(void);
const char *said_last(void);
