// SPDX-License-Identifier: Apache-2.0
// Whatever passes otlp_check becomes Prometheus' text of both kinds, and is split into requests.

#include <stdlib.h>

#include "libtrace/otlp/index.h"
#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/metrics/metric_write.h"
#include "libtrace/sdk/metrics/prometheus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void split(struct str request)
{
    struct request_builder builder;
    struct reader reader = reader_of(request);
    struct wire_field group;

    request_builder_init(&builder, (struct str){"", 0}, 3);
    while (wire_next(&reader, &group)) {
        struct reader inner = reader_of(group.body);
        struct wire_field field;

        while (group.number == 1 && wire_next(&inner, &field)) {
            if (field.number == 2 && field.body.at)
                scope_metrics_split(&builder.sink, field.body);
        }
    }
    request_builder_end(&builder, false);
    for (size_t i = 0; i < builder.count; i++) {
        size_t points = 0;

        // What comes out is the protocol again, and no part is too large.
        if (otlp_check(SIGNAL_METRICS, bytes_str(&builder.requests[i].bytes), &points, NULL) != 0 ||
            points != builder.requests[i].points || points > 3)
            abort();
    }
    request_builder_done(&builder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str request = {(const char *)data, size};
    const struct tl_prometheus_options options = {0};
    struct point_sums *sums;
    size_t points;

    if (otlp_check(SIGNAL_METRICS, request, &points, NULL) != 0)
        return 0;
    sums = point_sums_new();
    for (int is_openmetrics = 0; sums && is_openmetrics < 2; is_openmetrics++) {
        struct bytes out = {.limit = 16 << 20};

        prometheus_write(&out, &options, is_openmetrics, sums, request);
        bytes_done(&out);
    }
    point_sums_free(sums);
    split(request);
    return 0;
}
