// SPDX-License-Identifier: Apache-2.0
// Short ways to a log record, and bridges from what programs log with: printf's and syslog's
// arguments, and the ids for lines that a program writes by itself. Any thread; no memory.

#include <errno.h>
#include <stdio.h>
#include <syslog.h>

#include "libtrace/base/hex.h"
#include "libtrace/sdk/encode.h"
#include "libtrace/sdk/logs/logger.h"
#include "libtrace/sdk/stats.h"
#include "libtrace/sdk/thread.h"

enum { TEXT_BYTES = 8 * 1024 };

void tl_log(enum tl_severity severity, const char *text, const struct tl_attribute *attributes,
            size_t count)
{
    struct tl_value body = tl_body(text);

    if (text)
        body.count = text_cut(text, body.count, TEXT_BYTES);
    tl_log_emit(NULL, &(struct tl_log_record){
                          .severity = severity,
                          .body = text ? body : (struct tl_value){0},
                          .attributes = attributes,
                          .attribute_count = count,
                      });
}

void tl_event(const char *event_name, const struct tl_attribute *attributes, size_t count)
{
    tl_log_emit(NULL, &(struct tl_log_record){
                          .event_name = event_name,
                          .attributes = attributes,
                          .attribute_count = count,
                      });
}

// Formats into `text`; false when it cannot be formatted, which is counted. errno is the caller's,
// for %m, and stays.
__attribute__((format(printf, 2, 0))) static bool
text_format(char text[TEXT_BYTES], const char *format, va_list arguments, struct tl_value *out_body)
{
    const int saved = errno;
    const int len = format ? vsnprintf(text, TEXT_BYTES, format, arguments) : -1;

    errno = saved;
    if (len < 0) {
        stats_add(&sdk_stats, SDK_misuses, 1);
        return false;
    }
    *out_body = tl_body(text);
    // vsnprintf cuts anywhere, perhaps within a character.
    if (len >= TEXT_BYTES) {
        while (out_body->count && ((unsigned char)text[out_body->count - 1] & 0xc0) == 0x80)
            out_body->count--;
        if (out_body->count && (unsigned char)text[out_body->count - 1] >= 0xc0)
            out_body->count--;
    }
    return true;
}

void tl_logf(enum tl_severity severity, const char *format, ...)
{
    struct tl_log_record record = {.severity = severity};
    const int saved = errno; // what %m prints
    char text[TEXT_BYTES];
    va_list arguments;

    if (!tl_log_enabled(NULL, severity, NULL, NULL))
        return;
    errno = saved;
    va_start(arguments, format);
    if (text_format(text, format, arguments, &record.body))
        tl_log_emit(NULL, &record);
    va_end(arguments);
}

struct syslog_level {
    enum tl_severity severity;
    const char *text; // as syslog.conf(5) writes it
};

// Specification, "Logs Data Model", appendix B: RFC 5424's severities, by their number.
static const struct syslog_level levels[] = {
    [LOG_EMERG] = {TL_FATAL, "emerg"},    [LOG_ALERT] = {TL_ERROR + 2, "alert"},
    [LOG_CRIT] = {TL_ERROR + 1, "crit"},  [LOG_ERR] = {TL_ERROR, "err"},
    [LOG_WARNING] = {TL_WARN, "warning"}, [LOG_NOTICE] = {TL_INFO + 1, "notice"},
    [LOG_INFO] = {TL_INFO, "info"},       [LOG_DEBUG] = {TL_DEBUG, "debug"},
};

void tl_vsyslog(int priority, const char *format, va_list arguments)
{
    const struct syslog_level *level = &levels[LOG_PRI(priority)];
    // As syslog(3) does: without a facility it is the user's.
    const int facility = priority & LOG_FACMASK ? LOG_FAC(priority) : LOG_FAC(LOG_USER);
    const struct tl_attribute attribute = TL_INT("syslog.facility.code", facility);
    struct tl_log_record record = {
        .severity = level->severity,
        .severity_text = level->text,
        .attributes = &attribute,
        .attribute_count = 1,
    };
    const int saved = errno; // what %m prints
    char text[TEXT_BYTES];

    if (!tl_log_enabled(NULL, level->severity, NULL, NULL))
        return;
    errno = saved;
    if (!text_format(text, format, arguments, &record.body))
        return;
    // Many callers end the text with a line's end, as for a file.
    if (record.body.count && text[record.body.count - 1] == '\n')
        record.body.count--;
    tl_log_emit(NULL, &record);
}

void tl_syslog(int priority, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    tl_vsyslog(priority, format, arguments);
    va_end(arguments);
}

size_t tl_log_line_ids(char out_text[TL_LINE_MAX])
{
    const struct tl_span_context span = thread_span_context();
    char trace_id[33];
    char span_id[17];
    int len;

    if (!out_text)
        return 0;
    out_text[0] = 0;
    if (!tl_span_context_is_valid(&span))
        return 0;
    hex_write(trace_id, span.trace_id, 16);
    hex_write(span_id, span.span_id, 8);
    len = snprintf(out_text, TL_LINE_MAX, " trace_id=%s span_id=%s trace_flags=%02x", trace_id,
                   span_id, span.flags);
    return len > 0 && len < TL_LINE_MAX ? (size_t)len : 0;
}
