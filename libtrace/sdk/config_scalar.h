// SPDX-License-Identifier: Apache-2.0
// What a plain scalar is (YAML 1.2, 10.3.2: tag resolution of the core schema). Pure.

#pragma once

#include <throughline/config.h>

#include "libtrace/base/str.h"

// A whole number beyond 64 bits is a double. The outputs are written for their kinds alone.
enum tl_config_kind config_scalar_kind(struct str text, int64_t *out_integer, double *out_number);
