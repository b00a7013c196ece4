// SPDX-License-Identifier: Apache-2.0
// Spans through batch processors, one for each URL given, as a program would have it: what a test
// needs that plays the destinations. Arguments: KIND (http, grpc) SPANS URL...
// Prints: flush RESULT, then exported=N dropped=N.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <throughline/sdk.h>

enum { URLS_MAX = 4 };

static void say_hook(void *self, enum tl_severity severity, const char *text)
{
    (void)self;
    printf("said %d %s\n", (int)severity, text);
    fflush(stdout);
}

static struct tl_span_processor processor_make(const char *kind, const char *url)
{
    const struct tl_otlp_options options = {.traces_endpoint = url};
    const struct tl_batch_options batch = {.delay_ms = 10, .max_batch_records = 100};
    struct tl_exporter_v1 exporter;
    char why[256];
    const int failed = strcmp(kind, "grpc") == 0 ? tl_exporter_otlp_grpc(&options, &exporter, why)
                                                 : tl_exporter_otlp_http(&options, &exporter, why);

    if (failed) {
        fprintf(stderr, "%s\n", why);
        exit(2);
    }
    return tl_span_processor_batch(&exporter, &batch);
}

int main(int argc, char **argv)
{
    struct tl_span_processor processors[URLS_MAX];
    struct tl_tracer_provider_options options = {.processors = processors};
    struct tl_tracer_provider *provider;
    const struct tl_scope scope = {.name = "driver"};
    struct tl_stats stats;
    struct tl_tracer *tracer;

    if (argc < 4 || argc > 3 + URLS_MAX)
        return 2;
    tl_log_hook_set(say_hook, NULL);
    for (int i = 3; i < argc; i++)
        processors[options.processor_count++] = processor_make(argv[1], argv[i]);
    provider = tl_tracer_provider_new(&options);
    tracer = tl_tracer_get(provider, &scope);
    for (unsigned long left = strtoul(argv[2], NULL, 10); left; left--)
        tl_span_end(tl_span_start_with(tracer, &(struct tl_span_options){.name = "x"}));
    printf("flush %d\n", tl_tracer_provider_flush(provider, 20000));
    tl_tracer_provider_shutdown(provider, 1000);
    tl_tracer_provider_free(provider);
    tl_stats_read(&stats);
    printf("exported=%llu dropped=%llu\n", (unsigned long long)stats.exported[TL_TRACES],
           (unsigned long long)stats.dropped[TL_TRACES]);
    return 0;
}
