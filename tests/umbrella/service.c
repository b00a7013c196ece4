// SPDX-License-Identifier: Apache-2.0
// A program that knows nothing of exporters: a span, a counter and a log record; OTEL_* says the
// rest. With a number, that many spans; with "until-recording", spans until one records.

#include <stdio.h>
#include <stdlib.h>

#include <throughline/sdk.h>

static void hook(void *self, enum tl_severity severity, const char *text)
{
    (void)self;
    fprintf(stderr, "told %d: %s\n", severity, text);
}

int main(int argc, char **argv)
{
    const bool is_patient = argc > 1 && strcmp(argv[1], "until-recording") == 0;
    const long spans = is_patient ? 1 << 30 : argc > 1 ? strtol(argv[1], NULL, 10) : 1;
    unsigned recording = 0;
    int failed;

    tl_log_hook_set(hook, NULL);
    for (long i = 0; i < spans && !(is_patient && recording); i++) {
        struct tl_span *span = tl_span_start("checkout", TL_SERVER, NULL);

        recording += tl_span_is_recording(span);
        TL_SET(span, TL_STR("a", "123456789"), TL_STR("b", "2"), TL_STR("c", "3"));
        tl_span_event(span, "first", NULL, 0);
        tl_span_event(span, "second", NULL, 0);
        tl_span_end(span);
    }
    tl_measure(tl_counter(NULL, "things", "{thing}", NULL), 3, NULL, 0);
    tl_logf(TL_WARN, "out of %s", "stock");
    failed = tl_shutdown(3000);
    printf("recording %u shutdown %d dropped %llu\n", recording, failed,
           (unsigned long long)tl_dropped(TL_TRACES));
    return 0;
}
