// SPDX-License-Identifier: Apache-2.0
// A provider made by hand: resource, sampler, limits, a batch processor before an exporter that
// keeps what it is given. Any number of such providers may live beside the global ones.

#include <stdio.h>
#include <stdlib.h>

#include <throughline/sdk.h>

int main(void)
{
    const struct tl_attribute service[] = {TL_STR("service.name", "by-hand")};
    struct tl_memory_exporter *memory = tl_memory_exporter_new();
    struct tl_exporter_v1 exporter = tl_memory_exporter_as(memory);
    struct tl_span_processor processor =
        tl_span_processor_batch(&exporter, &(struct tl_batch_options){.delay_ms = 200});
    struct tl_tracer_provider *provider =
        tl_tracer_provider_new(&(struct tl_tracer_provider_options){
            .resource = tl_resource_new(service, TL_COUNT(service), NULL),
            .sampler = tl_sampler_parent_based(tl_sampler_ratio(1.0), NULL, NULL, NULL, NULL),
            .processors = &processor,
            .processor_count = 1,
            .limits = {.attribute_count = 16},
        });
    struct tl_tracer *tracer =
        tl_tracer_get(provider, &(struct tl_scope){.name = "example", .version = "1"});
    struct tl_span *span = tl_span_start_with(tracer, &(struct tl_span_options){.name = "by hand"});
    char *json;

    tl_span_end(span);
    tl_tracer_provider_flush(provider, 1000);
    json = tl_memory_exporter_json(memory, TL_TRACES);
    printf("%s\n", json ? json : "");
    free(json);
    tl_tracer_provider_shutdown(provider, 1000);
    tl_tracer_provider_free(provider);
    tl_memory_exporter_free(memory);
    return 0;
}
