// SPDX-License-Identifier: Apache-2.0
// Bytes as lower-case hexadecimal text and back.

#pragma once

#include "libtrace/base/str.h"

// Writes 2 * len digits and a NUL: out_text must hold 2 * len + 1.
void hex_write(char *out_text, const uint8_t *bytes, size_t len);

// Reads exactly 2 * len digits of either case. On failure out_bytes is untouched.
bool hex_read(struct str text, uint8_t *out_bytes, size_t len);
