// SPDX-License-Identifier: Apache-2.0
// The store by itself, in a folder of its own.

#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/store/store.h"
#include "libtrace/base/bytes.h"
#include "libtrace/base/clock.h"
#include "libtrace/otlp/json.h"

enum { SPANS = 4000 };

static char folder[] = "/tmp/throughline-store-XXXXXX";

static struct batch *batch_of_spans(unsigned trace)
{
    struct bytes json = {0};
    struct bytes wire = {0};
    struct batch *batch;

    bytes_add_str(&json, STR("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":["));
    for (unsigned i = 1; i <= SPANS; i++)
        bytes_format(&json,
                     "%s{\"traceId\":\"%032x\",\"spanId\":\"%016x\",\"parentSpanId\":\"%s\","
                     "\"name\":\"n\",\"kind\":2,\"startTimeUnixNano\":\"%u\","
                     "\"endTimeUnixNano\":\"%u\"}",
                     i > 1 ? "," : "", trace, i, i > 1 ? "0000000000000001" : "", 1000 + i,
                     2000 + i);
    bytes_add_str(&json, STR("]}]}]}"));
    assert_int_equal(otlp_json_to_wire(SIGNAL_TRACES, bytes_str(&json), &wire, NULL), 0);
    bytes_done(&json);
    batch = batch_new(SIGNAL_TRACES, wire.at, wire.len, SPANS, clock_unix_ns());
    assert_non_null(batch);
    return batch;
}

static bool count_span(void *self, const struct stored_span *span)
{
    (void)span;
    ++*(unsigned *)self;
    return true;
}

static bool count_edge(void *self, const struct store_edge *edge)
{
    *(uint64_t *)self += edge->count;
    return true;
}

static void late_question_ends_and_says_so(void **state)
{
    const struct store_limits limits = {.max_age_ms = 3600 * 1000};
    struct store *writer;
    struct store *reader;
    struct why why = {""};
    bool is_aside;
    uint64_t calls = 0;
    unsigned spans = 0;
    uint8_t id[16] = {0};

    (void)state;
    assert_int_equal(store_open(str_of(folder), &limits, &writer, &is_aside, &why), 0);
    for (unsigned trace = 1; trace <= 4; trace++) {
        struct batch *batch = batch_of_spans(trace);

        assert_int_equal(store_write(writer, batch, &why), 0);
        batch_unref(batch);
    }
    assert_int_equal(store_open_readonly(str_of(folder), &reader, &why), 0);
    store_deadline(reader, 1);
    store_edges(reader, 0, 0, count_edge, &calls);
    assert_true(store_is_late(reader));
    calls = 0;
    store_deadline(reader, 0);
    assert_int_equal(store_edges(reader, 0, 0, count_edge, &calls), 0);
    assert_false(store_is_late(reader));
    assert_int_equal(calls, 4); // the roots, called from outside
    id[15] = 3;
    assert_int_equal(store_trace(reader, id, count_span, &spans, &why), 0);
    assert_int_equal(spans, SPANS);
    store_close(reader);
    store_close(writer);
}

static int folder_make(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int folder_remove(void **state)
{
    static const char *const names[] = {"store.sqlite", "store.sqlite-wal", "store.sqlite-shm"};
    char path[128];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (snprintf(path, sizeof path, "%s/%s", folder, names[i]) > 0)
            unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(late_question_ends_and_says_so)};

    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
