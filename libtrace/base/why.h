// SPDX-License-Identifier: Apache-2.0
// Why something failed, in a sentence fragment for a person. The caller owns the struct.

#pragma once

struct why {
    char text[512];
};

// Writes the reason and returns `code` (a negative errno). `why` may be NULL.
__attribute__((format(printf, 3, 4))) int why_fail(struct why *why, int code, const char *format,
                                                   ...);

// Puts "PREFIX: " before the reason, so that each caller adds where it is. Returns `code`.
__attribute__((format(printf, 3, 4))) int why_prefix(struct why *why, int code, const char *format,
                                                     ...);
