// SPDX-License-Identifier: Apache-2.0
// A record as a line for people, with its line end; a metric is a line for each point. Appended.
// Pure; the bytes have passed otlp_check.

#pragma once

#include "libtrace/base/bytes.h"
#include "libtrace/otlp/index.h"

void console_span_write(struct bytes *out, const struct otlp_record *record);
void console_log_write(struct bytes *out, const struct otlp_record *record);
void console_metric_write(struct bytes *out, const struct otlp_record *record);
