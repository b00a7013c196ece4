// SPDX-License-Identifier: Apache-2.0
// Any text as every variable at once, and as each: read or refused, and what was read keeps its
// promises.

#include <stdlib.h>
#include <string.h>

#include "libtrace/umbrella/environment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Lines NAME=value; a first line without '=' is the value of all that have none.
static const char *get(void *self, const char *name)
{
    char *const *lines = self;
    const size_t len = strlen(name);

    for (size_t i = 1; lines[i]; i++) {
        if (strncmp(lines[i], name, len) == 0 && lines[i][len] == '=')
            return lines[i] + len + 1;
    }
    return strcmp(name, "OTEL_CONFIG_FILE") == 0 || strcmp(name, "OTEL_SDK_DISABLED") == 0 ||
                   strstr(name, "EXPERIMENTAL")
               ? NULL
               : lines[0];
}

static void headers_check(const struct otlp_variables *otlp)
{
    size_t count = 0;

    while (otlp->headers[count]) {
        if (count >= 2 * VARIABLE_HEADERS_MAX || strpbrk(otlp->headers[count], "\r\n"))
            abort();
        if (count % 2 == 0 && strpbrk(otlp->headers[count], " :\t"))
            abort();
        count++;
        if (count % 2 && !otlp->headers[count])
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    char *lines[64] = {NULL};
    size_t count = 0;
    struct variables v;
    char *at = text;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    while (at && count < 63) {
        char *end = strchr(at, '\n');

        lines[count++] = at;
        if (end)
            *end++ = '\0';
        at = end;
    }
    variables_read(&v, get, lines);
    for (int signal = 0; signal < 3 && !v.is_disabled && !v.config_file; signal++) {
        headers_check(&v.signals[signal].otlp);
        if (v.signals[signal].exporter_count > VARIABLE_EXPORTERS_MAX ||
            v.signals[signal].otlp.timeout_ms == 0)
            abort();
    }
    if (!v.is_disabled && !v.config_file &&
        (!(v.sampler.ratio >= 0 && v.sampler.ratio <= 1) || v.metric_interval_ms == 0 ||
         v.span_batch.max_batch_records > v.span_batch.max_queue_records ||
         v.span_batch.max_batch_records == 0))
        abort();
    variables_done(&v);
    free(text);
    return 0;
}
