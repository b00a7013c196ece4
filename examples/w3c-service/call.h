// SPDX-License-Identifier: Apache-2.0
// Calls to other services, each a span whose context goes along. Any thread.

#pragma once

#include <stdbool.h>

// Once, before the first call and after the last.
bool call_begin(void);
void call_end(void);

// Posts a JSON text. False: no answer, or one that is not 2xx.
bool call_make(const char *url, const char *body);
