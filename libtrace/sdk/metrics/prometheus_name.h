// SPDX-License-Identifier: Apache-2.0
// Names by Prometheus' rules (specification, "Prometheus and OpenMetrics Compatibility"). Appended.

#pragma once

#include "libtrace/base/bytes.h"

// A metric name [a-zA-Z_:][a-zA-Z0-9_:]*; what is not allowed becomes '_', runs of '_' one.
void prometheus_name_write(struct bytes *out, struct str name);
// A label name: the same without ':'.
void prometheus_label_write(struct bytes *out, struct str key);
// A UCUM unit in words: "By/s" is bytes_per_second. Nothing for none and for remarks in braces.
void prometheus_unit_write(struct bytes *out, struct str unit, bool is_gauge);
// A sample's value, or a boundary in the form that OpenMetrics calls canonical.
void prometheus_number_write(struct bytes *out, double value);
void prometheus_boundary_write(struct bytes *out, double value, bool is_openmetrics);
// A label's value between quotes, or a help text.
void prometheus_text_write(struct bytes *out, struct str text);
void prometheus_help_write(struct bytes *out, struct str text, bool is_openmetrics);
