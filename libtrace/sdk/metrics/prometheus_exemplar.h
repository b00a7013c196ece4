// SPDX-License-Identifier: Apache-2.0
// An exemplar behind its sample, as OpenMetrics 1.0 writes it. Appended.

#pragma once

#include "libtrace/sdk/metrics/prometheus_label.h"
#include "libtrace/sdk/metrics/prometheus_point.h"

// ` # {labels} value time`; `labels` is room to work in.
void prometheus_exemplar_write(struct bytes *out, const struct point_exemplar *exemplar,
                               struct labels *labels);
// Seconds with three decimals.
void prometheus_seconds_write(struct bytes *out, uint64_t ns);
