// SPDX-License-Identifier: Apache-2.0
// Reasons are cut, never overflowed: they end in a fixed buffer that the caller owns.

#include "libtrace/base/why.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int why_fail(struct why *why, int code, const char *format, ...)
{
    va_list args;

    if (!why)
        return code;
    va_start(args, format);
    if (vsnprintf(why->text, sizeof why->text, format, args) < 0)
        why->text[0] = '\0';
    va_end(args);
    return code;
}

int why_prefix(struct why *why, int code, const char *format, ...)
{
    char prefix[sizeof why->text];
    char old[sizeof why->text];
    va_list args;

    if (!why)
        return code;
    va_start(args, format);
    if (vsnprintf(prefix, sizeof prefix, format, args) < 0)
        prefix[0] = '\0';
    va_end(args);
    memcpy(old, why->text, sizeof old);
    // A cut reason is still a reason.
    if (snprintf(why->text, sizeof why->text, "%.200s: %.300s", prefix, old) < 0)
        why->text[0] = '\0';
    return code;
}
