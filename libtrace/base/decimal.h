// SPDX-License-Identifier: Apache-2.0
// Numbers with a point as text, whatever the program's locale is. Any thread.

#pragma once

#include "libtrace/base/str.h"

enum { DECIMAL_TEXT_MAX = 32 };

// The shortest text that reads as the same number: "0.25", "1e-09", "inf", "nan". Terminated.
void decimal_write(char out_text[static DECIMAL_TEXT_MAX], double value);

// A whole decimal number, with or without point and exponent; no hexadecimal, no blanks, no words.
// What is too large for a double fails. On failure out_value is untouched.
bool decimal_read(struct str text, double *out_value);

// strtod(3) of a whole text, whatever the program's locale is.
double decimal_parse(const char *text);
