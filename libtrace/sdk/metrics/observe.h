// SPDX-License-Identifier: Apache-2.0
// The SDK about itself (semantic conventions 1.44, "OpenTelemetry SDK metrics"): what is counted
// elsewhere becomes instruments of one meter, read by one callback. Spans and log records are
// counted by thread.h, queues and their exporters by pipe.h; exporters of metrics are counted here.

#pragma once

#include <stdatomic.h>

#include <throughline/sdk.h>

struct tl_metric_reader;

// otel.component.name is `type/number`: the next number of that type in this process.
unsigned observe_number(const char *type);

// The standard value of otel.component.type: what an exporter for OTLP calls itself says no signal,
// "otlp_http_exporter" is otlp_http_span_exporter for spans. Others stay as they are.
enum { OBSERVE_TYPE_MAX = 128 };
void observe_type_write(char *out_text, const char *type, enum tl_signal signal);

// An exporter that the figures are told of. NULL without memory; NULL is taken by all functions.
struct observed;
struct observed *observed_exporter(const struct tl_exporter_v1 *exporter, enum tl_signal signal);
void observed_free(struct observed *observed);

// So many records were handed over; observe_exported ends it.
void observe_in_flight(struct observed *observed, uint64_t records);
// One operation ended: `lost` of `records` were not taken; from the first attempt it took that
// long.
void observe_exported(struct observed *observed, uint64_t records, uint64_t lost,
                      const struct tl_answer *answer, uint64_t took_ns);

// An operation of an exporter that is counted elsewhere (a pipe's), all attempts together.
struct observed_operation {
    const char *type; // as the exporter calls itself
    enum tl_signal signal;
    unsigned number;
    const char *server_address;
    uint16_t server_port;
    uint64_t lost;
    const struct tl_answer *answer;
    uint64_t took_ns;
};
void observe_operation(const struct observed_operation *operation);

// A collection of a reader ended with 0 or -errno.
void observe_collection(const struct tl_metric_reader *reader, uint64_t took_ns, int result);

// The provider goes: nothing is recorded with it any more.
void observe_forget(const struct tl_meter_provider *gone);

// After a fork, in the child: nobody else records.
void observe_forked(void);
void observed_forked(void);

// For observe.c: the exporters counted here.
struct observed_figures {
    const char *type;
    unsigned number;
    const char *server_address;
    uint16_t server_port;
    enum tl_signal signal;
    uint64_t in_flight;
    uint64_t exported;
    size_t cause_count;
    struct {
        char text[24]; // error.type
        uint64_t records;
    } causes[8];
};
void observed_each(void (*visit)(void *self, const struct observed_figures *figures), void *self);
