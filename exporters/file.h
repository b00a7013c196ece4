// SPDX-License-Identifier: Apache-2.0
// The exporter that writes OTLP/JSON lines.

#pragma once

#include "libtrace/flow/contract.h"

extern const struct exporter file_exporter;
