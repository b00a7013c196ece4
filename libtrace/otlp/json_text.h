// SPDX-License-Identifier: Apache-2.0
// Text as a JSON string.

#pragma once

#include "libtrace/base/bytes.h"

// Quotes included. Bytes that are not UTF-8 become U+FFFD, so that the result is always valid.
void json_text_write(struct bytes *out, struct str text);
