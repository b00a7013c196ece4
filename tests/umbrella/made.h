// SPDX-License-Identifier: Apache-2.0
// What was asked of the SDK, in words: the constructors of exporters, processors, readers and
// providers are wrapped by the linker (made.cmake) and write down what they are given.

#pragma once

#include "libtrace/base/bytes.h"

extern struct bytes made;

// "exporter" kinds that fail when they are asked for, as if their module were not there.
extern const char *made_fails;

void made_reset(void);
