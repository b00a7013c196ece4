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

static void field_print(void *carrier, const char *key, size_t key_len, const char *value,
                        size_t value_len)
{
    (void)value;
    (void)value_len;
    fprintf(carrier, "field %.*s\n", (int)key_len, key);
}

// Two of everything that has a limit.
static struct tl_span *span_start(void)
{
    static const struct tl_attribute attributes[] = {
        {"a", 1, {TL_TYPE_STRING, 9, {.string = "123456789"}}},
        {"b", 1, {TL_TYPE_STRING, 1, {.string = "2"}}},
        {"c", 1, {TL_TYPE_STRING, 1, {.string = "3"}}}};
    static const struct tl_span_context other = {.trace_id = {1}, .span_id = {1}};
    const struct tl_link links[] = {{other, attributes, 3}, {other, attributes, 3}};
    struct tl_span *span =
        tl_span_start_with(NULL, &(struct tl_span_options){.name = "checkout",
                                                           .kind = TL_SERVER,
                                                           .attributes = attributes,
                                                           .attribute_count = 3,
                                                           .links = links,
                                                           .link_count = 2});

    tl_span_event(span, "first", attributes, 3);
    tl_span_event(span, "second", NULL, 0);
    return span;
}

static void rest_record(struct tl_span *span)
{
    const struct tl_attribute attributes[] = {TL_STR("x", "123456789"), TL_STR("y", "2")};
    const struct tl_log_record record = {.severity = TL_WARN,
                                         .body = TL_BODY("out of stock"),
                                         .attributes = attributes,
                                         .attribute_count = 2};
    struct tl_context *context = tl_context_with_span(NULL, span);
    struct tl_span *former = tl_current_set(span);

    tl_measure(tl_counter(NULL, "things", "{thing}", NULL), 3, NULL, 0);
    tl_measure_double(tl_histogram(NULL, "waits", "s", NULL), 0.25, NULL, 0);
    tl_log_emit(NULL, &record);
    tl_current_set(former);
    tl_inject(NULL, context, field_print, stdout);
    tl_context_unref(context);
}

int main(int argc, char **argv)
{
    const bool is_patient = argc > 1 && strcmp(argv[1], "until-recording") == 0;
    const long spans = is_patient ? 1 << 30 : argc > 1 ? strtol(argv[1], NULL, 10) : 1;
    unsigned recording = 0;
    int failed;

    tl_log_hook_set(hook, NULL);
    for (long i = 0; i < spans && !(is_patient && recording); i++) {
        struct tl_span *span = span_start();

        recording += tl_span_is_recording(span);
        if (i == 0)
            rest_record(span);
        tl_span_end(span);
    }
    failed = tl_shutdown(3000);
    printf("recording %u shutdown %d dropped %llu\n", recording, failed,
           (unsigned long long)tl_dropped(TL_TRACES));
    return 0;
}
