// SPDX-License-Identifier: Apache-2.0
// Whatever passes the check can be walked, decoded and written as JSON that reads back.

#include <stdlib.h>

#include "libtrace/otlp/index.h"
#include "libtrace/otlp/json.h"
#include "libtrace/otlp/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool decode(void *self, const struct otlp_record *record)
{
    struct arena *arena = self;
    struct resource resource;
    struct scope scope;
    struct span span;

    resource_read(record->resource, arena, &resource, NULL);
    scope_read(record->scope, arena, &scope, NULL);
    span_read(record->record, arena, &span, NULL);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const enum signal signal = size ? (enum signal)(data[0] % SIGNAL_COUNT) : SIGNAL_TRACES;
    const struct str wire = {(const char *)data + (size ? 1 : 0), size ? size - 1 : 0};
    struct bytes json = {.limit = 16 << 20};
    struct bytes back = {.limit = 16 << 20};
    struct arena arena;
    size_t records;

    if (otlp_check(signal, wire, &records, NULL) != 0)
        return 0;
    arena_init(&arena, 16 << 20);
    if (signal == SIGNAL_TRACES)
        otlp_each(signal, wire, decode, &arena);
    arena_done(&arena);
    if (otlp_wire_to_json(signal, wire, &json, NULL) == 0 &&
        otlp_json_to_wire(signal, bytes_str(&json), &back, NULL) == 0 &&
        otlp_check(signal, bytes_str(&back), &records, NULL) != 0)
        abort();
    bytes_done(&json);
    bytes_done(&back);
    return 0;
}
