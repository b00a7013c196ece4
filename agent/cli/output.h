// SPDX-License-Identifier: Apache-2.0
// Options that several commands share: how to print. False, and a line on stderr, when the value is
// none of those known.

#pragma once

#include <stdbool.h>

// -o text|json
bool output_option(const char *value, bool *out_is_json);

// --color auto|always|never: auto is a terminal without NO_COLOR.
bool color_option(const char *value, bool *out_has_color);
