// SPDX-License-Identifier: Apache-2.0
// Text as a JSON string.

#pragma once

#include "libtrace/base/bytes.h"

// Quotes included. Bytes that are not UTF-8 become U+FFFD, so that the result is always valid.
void json_text_write(struct bytes *out, struct str text);

// Length of the valid UTF-8 sequence at the start of a text that is not empty (RFC 3629 4), or 0.
size_t utf8_sequence_len(struct str text);

// A finite number with that many significant digits (17 keep every bit), with a point whatever the
// program's locale has there.
void json_number_write(struct bytes *out, double number, int digits);
