// SPDX-License-Identifier: Apache-2.0
// A line is written by one call, so that lines of several threads do not mix.

#include "agent/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

void log_line(enum log_level level, const char *event, const char *format, ...)
{
    static const char *const names[] = {"info", "warn", "error"};
    char line[2048];
    struct timespec now;
    struct tm calendar;
    va_list args;
    size_t len;
    int more;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &calendar);
    len = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &calendar);
    more = snprintf(line + len, sizeof line - len, ".%03ldZ %s %s ", now.tv_nsec / 1000000,
                    names[level], event);
    len += more > 0 ? (size_t)more : 0;
    va_start(args, format);
    more = vsnprintf(line + len, sizeof line - len - 1, format, args);
    va_end(args);
    len += more > 0 ? (size_t)more : 0;
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    line[len++] = '\n';
    // A log that cannot be written has nowhere to say so.
    if (write(STDERR_FILENO, line, len) < 0)
        return;
}
