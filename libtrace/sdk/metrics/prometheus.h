// SPDX-License-Identifier: Apache-2.0
// Metrics as Prometheus' text: version 0.0.4 and OpenMetrics 1.0 (specification, "Prometheus and
// OpenMetrics Compatibility"). Reads one Export...ServiceRequest. One thread at a time.

#pragma once

#include "libtrace/base/bytes.h"
#include "libtrace/sdk/metrics/prometheus_point.h"
#include "throughline/sdk.h"

// Appends the text. The request must have passed otlp_check. `sums`: what delta points were summed
// up to so far. -ENOMEM.
int prometheus_write(struct bytes *out, const struct tl_prometheus_options *options,
                     bool is_openmetrics, struct point_sums *sums, struct str request);
