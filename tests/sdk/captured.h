// SPDX-License-Identifier: Apache-2.0
// An exporter for tests that keeps every request, and the spans in them as decoded.

#pragma once

#include "tests/support/check.h"

#include <pthread.h>

#include <throughline/sdk.h>

#include "libtrace/base/arena.h"
#include "libtrace/otlp/index.h"
#include "libtrace/otlp/span.h"

enum { CAPTURED_MAX = 20000 };

struct captured_span {
    struct span span;
    struct scope scope;
    struct resource resource;
    struct str scope_url;
    struct str resource_url;
};

struct captured {
    pthread_mutex_t lock;
    struct arena arena;
    struct captured_span spans[CAPTURED_MAX];
    size_t count;
    size_t requests;
    size_t largest;        // records of one request
    enum tl_result result; // what is answered
    uint32_t wait_ms;
    int flush_result;
    size_t flushes;
    size_t shutdowns;
    size_t frees;
    pthread_mutex_t gate; // held by a test: sends wait
};

static bool captured_keep(void *self, const struct otlp_record *record)
{
    struct captured *captured = self;
    struct captured_span *to = &captured->spans[captured->count];

    if (captured->count == CAPTURED_MAX)
        return false;
    assert_int_equal(span_read(record->record, &captured->arena, &to->span, NULL), 0);
    assert_int_equal(scope_read(record->scope, &captured->arena, &to->scope, NULL), 0);
    assert_int_equal(resource_read(record->resource, &captured->arena, &to->resource, NULL), 0);
    to->scope_url = record->scope_url;
    to->resource_url = record->resource_url;
    captured->count++;
    return true;
}

static void captured_send(void *self, const struct tl_request *request,
                          struct tl_answer *out_answer)
{
    struct captured *captured = self;
    struct str copy;
    size_t records = 0;

    pthread_mutex_lock(&captured->gate);
    pthread_mutex_unlock(&captured->gate);
    memset(out_answer, 0, sizeof *out_answer);
    pthread_mutex_lock(&captured->lock);
    out_answer->result = captured->result;
    out_answer->wait_ms = captured->wait_ms;
    captured->requests++;
    if (captured->result == TL_RESULT_DONE) {
        copy =
            arena_copy(&captured->arena, (struct str){(const char *)request->bytes, request->len});
        assert_int_equal(otlp_check(SIGNAL_TRACES, copy, &records, NULL), 0);
        assert_int_equal(records, request->records);
        if (records > captured->largest)
            captured->largest = records;
        otlp_each(SIGNAL_TRACES, copy, captured_keep, captured);
    }
    pthread_mutex_unlock(&captured->lock);
}

static int captured_flush(void *self, uint64_t timeout_ms)
{
    struct captured *captured = self;

    (void)timeout_ms;
    captured->flushes++;
    return captured->flush_result;
}

static int captured_shutdown(void *self, uint64_t timeout_ms)
{
    struct captured *captured = self;

    (void)timeout_ms;
    captured->shutdowns++;
    return 0;
}

static void captured_free_note(void *self)
{
    struct captured *captured = self;

    captured->frees++;
}

static struct captured *captured_new(void)
{
    struct captured *captured = calloc(1, sizeof *captured);

    assert_non_null(captured);
    pthread_mutex_init(&captured->lock, NULL);
    pthread_mutex_init(&captured->gate, NULL);
    arena_init(&captured->arena, 0);
    return captured;
}

static void captured_free(struct captured *captured)
{
    arena_done(&captured->arena);
    pthread_mutex_destroy(&captured->lock);
    pthread_mutex_destroy(&captured->gate);
    free(captured);
}

static struct tl_exporter_v1 captured_exporter(struct captured *captured)
{
    return (struct tl_exporter_v1){
        .size = sizeof(struct tl_exporter_v1),
        .type = "captured",
        .self = captured,
        .send = captured_send,
        .flush = captured_flush,
        .shutdown = captured_shutdown,
        .free = captured_free_note,
    };
}

// A provider whose spans are captured as each ends.
__attribute__((unused)) static struct tl_tracer_provider *
captured_provider(struct captured *captured, struct tl_tracer_provider_options options)
{
    const struct tl_exporter_v1 exporter = captured_exporter(captured);
    const struct tl_span_processor processor = tl_span_processor_simple(&exporter);

    options.processors = &processor;
    options.processor_count = 1;
    return tl_tracer_provider_new(&options);
}
