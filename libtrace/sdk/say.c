// SPDX-License-Identifier: Apache-2.0
// The log hook and its level: the one piece of global state besides counters and globals.

#include "libtrace/sdk/say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

static _Atomic(tl_log_hook *) hook;
static _Atomic(void *) hook_self;
static _Atomic int level = TL_INFO;

void tl_log_hook_set(tl_log_hook *call, void *self)
{
    // One that is running may still get the former's self: hooks are set once, at the start.
    atomic_store(&hook, NULL);
    atomic_store(&hook_self, self);
    atomic_store(&hook, call);
}

void say_level_set(enum tl_severity severity)
{
    atomic_store(&level, (int)severity);
}

void say(enum tl_severity severity, const char *format, ...)
{
    tl_log_hook *const call = atomic_load(&hook);
    const int saved = errno;
    char text[512];
    va_list arguments;

    if (!call || (int)severity < atomic_load_explicit(&level, memory_order_relaxed))
        return;
    va_start(arguments, format);
    if (vsnprintf(text, sizeof text, format, arguments) >= 0)
        call(atomic_load(&hook_self), severity, text);
    va_end(arguments);
    errno = saved;
}
