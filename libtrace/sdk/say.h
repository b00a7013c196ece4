// SPDX-License-Identifier: Apache-2.0
// What the SDK tells whoever set a hook; it never prints. Call it with no lock held.

#pragma once

#include <throughline/sdk.h>

// Nothing below the level is formatted.
void say_level_set(enum tl_severity severity);
__attribute__((format(printf, 2, 3))) void say(enum tl_severity severity, const char *format, ...);
