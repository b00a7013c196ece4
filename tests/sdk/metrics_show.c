// SPDX-License-Identifier: Apache-2.0
// A program of the installed library for metrics_test.py: one metric of every kind, as OTLP and as
// Prometheus' text, in the files of a folder; then served until its input ends.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <throughline/sdk.h>

static void file_write(const char *folder, const char *name, const void *bytes, size_t len)
{
    char path[4096];
    FILE *file;

    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        exit(2);
    file = fopen(path, "wb");
    if (!file || fwrite(bytes, 1, len, file) != len || fclose(file) != 0)
        exit(2);
}

static void observe(void *self, struct tl_observer *observer)
{
    const struct tl_attribute attributes[] = {TL_STR("cpu", "0")};

    tl_observe_double(observer, self, 12.5, attributes, 1);
}

static struct tl_context *sampled(void)
{
    struct tl_span_context remote = {.flags = 1};

    memset(remote.trace_id, 0x11, 16);
    memset(remote.span_id, 0x22, 8);
    return tl_context_with_remote(NULL, &remote);
}

// Returns the callback, which stays the caller's.
static struct tl_callback *measure_all(struct tl_meter_provider *provider)
{
    const struct tl_attribute scope_attributes[] = {TL_STR("team", "a")};
    const struct tl_scope scope = {"shop", "1.0", "https://opentelemetry.io/schemas/1.40.0",
                                   scope_attributes, 1};
    const struct tl_attribute attributes[] = {
        TL_STR("http.route", "/a \"b\""), TL_INT("n", 3), TL_BOOL("ok", true), TL_DOUBLE("d", 1.5),
        TL_STRS("list", ((const char *const[]){"x", "y"}), 2)};
    struct tl_meter *meter = tl_meter_get(provider, &scope);
    struct tl_context *context = sampled();
    struct tl_instrument *observed = tl_instrument_get(
        meter,
        &(struct tl_instrument_options){
            .kind = TL_OBSERVABLE_COUNTER, .is_double = true, .name = "cpu.time", .unit = "s"});

    tl_measure_in(tl_counter(meter, "requests", "{request}", "Requests\nof all kinds"), 42,
                  attributes, 5, context);
    tl_measure(tl_up_down_counter(meter, "open", NULL, "Open ones"), -3, NULL, 0);
    tl_measure_double(tl_gauge(meter, "temperature", "Cel", ""), 21.25, NULL, 0);
    tl_measure_in(tl_histogram(meter, "latency", "ms", "How long"), 7.5, attributes, 2, context);
    tl_measure_double(tl_histogram(meter, "latency", "ms", "How long"), 99999, attributes, 2);
    tl_measure_double(tl_histogram(meter, "size", "By", "How large"), 1024, NULL, 0);
    tl_measure_double(tl_histogram(meter, "size", "By", "How large"), 0, NULL, 0);
    tl_context_unref(context);
    return tl_callback_new(&observed, 1, observe, observed);
}

int main(int argc, char **argv)
{
    const struct tl_view view = {.instrument_name = "size",
                                 .aggregation = {.kind = TL_AGGREGATION_EXPONENTIAL_HISTOGRAM}};
    const struct tl_attribute service[] = {TL_STR("service.name", "show")};
    struct tl_metric_reader *readers[2] = {tl_reader_pull(NULL), NULL};
    struct tl_meter_provider *provider;
    struct tl_callback *callback;
    uint16_t port = 0;
    char why[256] = "";
    uint8_t *bytes = NULL;
    char *text = NULL;
    size_t len = 0;

    if (argc != 2)
        return 2;
    readers[1] = tl_reader_prometheus(
        &(struct tl_prometheus_options){.host = "127.0.0.1", .any_port = true}, &port, why);
    if (!readers[1]) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    provider = tl_meter_provider_new(&(struct tl_meter_provider_options){
        .resource = tl_resource_new(service, 1, "https://opentelemetry.io/schemas/1.40.0"),
        .readers = readers,
        .reader_count = 2,
        .views = &view,
        .view_count = 1});
    callback = measure_all(provider);
    if (tl_reader_collect(readers[0], 1000, &bytes, &len) != 0)
        return 1;
    file_write(argv[1], "request.bin", bytes, len);
    free(bytes);
    for (int is_openmetrics = 0; is_openmetrics < 2; is_openmetrics++) {
        if (tl_reader_prometheus_text(readers[0], NULL, is_openmetrics, &text, &len) != 0)
            return 1;
        file_write(argv[1], is_openmetrics ? "text.om" : "text.prom", text, len);
        free(text);
    }
    printf("%u\n", port);
    fflush(stdout);
    while (read(0, why, sizeof why) > 0 || errno == EINTR)
        ;
    // In either order.
    tl_meter_provider_free(provider);
    tl_callback_free(callback);
    return 0;
}
