// SPDX-License-Identifier: Apache-2.0
// Exemplars of one series: the two built-in reservoirs (specification, "ExemplarReservoir") and the
// caller's own. Offered to by any thread, collected under the stream's lock.

#pragma once

#include "libtrace/base/bytes.h"
#include "libtrace/sdk/metrics/series.h"
#include "throughline/sdk.h"

struct stream;

// Bytes of attributes that a view leaves out which are kept on one exemplar; what does not fit is
// left out.
enum { EXEMPLAR_REST_BYTES = 512, EXEMPLARS_SIMPLE = 1, EXEMPLARS_EXPONENTIAL = 20 };

// One measurement, before it is known whether it is kept.
struct offer {
    union number value;
    const struct tl_attribute *attributes; // all of them
    size_t count;
    struct tl_span_context span;
    const struct tl_context *context;
};

void exemplar_offer(struct stream *stream, struct series *series, const struct offer *offer);

// Appends the exemplars as fields `number` of a data point and begins the next round: with delta
// temporality they are forgotten.
void exemplars_collect(const struct stream *stream, struct series *series, unsigned number,
                       struct bytes *out);

void reservoir_free(const struct stream *stream, struct reservoir *reservoir);
