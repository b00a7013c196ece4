// SPDX-License-Identifier: Apache-2.0
// One trace as text: a tree by parent ids with offsets, durations and bars.

#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "libtrace/base/why.h"

struct waterfall_style {
    unsigned columns; // 100 when not known
    bool has_color;
};

// `trace` is the answer of /api/v1/traces/{id}. 0, -EBADMSG or -ENOMEM.
int waterfall_print(const json_t *trace, const struct waterfall_style *style, FILE *out,
                    struct why *why);
