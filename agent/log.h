// SPDX-License-Identifier: Apache-2.0
// The agent's log: one event, one line on stderr; a fixed event name, then key=value. Any thread.

#pragma once

enum log_level { LOG_INFO, LOG_WARN, LOG_ERROR };

__attribute__((format(printf, 3, 4))) void log_line(enum log_level level, const char *event,
                                                    const char *format, ...);

#define log_info(event, ...) log_line(LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...) log_line(LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) log_line(LOG_ERROR, event, __VA_ARGS__)
