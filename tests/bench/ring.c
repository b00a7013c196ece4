// SPDX-License-Identifier: Apache-2.0
// A span with five attributes started and ended into the ring: nanoseconds and allocations. Rounds
// short enough to fit the ring are timed; a reader empties it between them.

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <throughline/throughline.h>

#include "libtrace/base/clock.h"
#include "libtrace/base/ring.h"
#include "libtrace/sdk/hand_over.h"

enum { ROUNDS = 400, SPANS = 1000 };

static size_t allocations;

extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);

void *malloc(size_t bytes)
{
    allocations++;
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    allocations++;
    return __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
    allocations++;
    return __libc_realloc(old, bytes);
}

static void count(void *self, const struct ring_record *record)
{
    *(size_t *)self += record->bytes.len > 0;
}

static int by_value(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

int main(void)
{
    static double ns[ROUNDS];
    struct ring_reader *reader;
    size_t read_spans = 0;
    size_t allocated = 0;
    uint32_t scope;

    setenv("THROUGHLINE_SOCKET", "/nonexistent/agent.sock", 1);
    tl_init();
    if (ring_reader_new(dup(ring_fd(hand_over_ring(&scope))),
                        dup(ring_event_fd(hand_over_ring(&scope))), &reader, NULL) != 0)
        return 1;
    for (int round = 0; round < ROUNDS; round++) {
        const size_t before = allocations;
        const uint64_t start_ns = clock_mono_ns();

        for (int i = 0; i < SPANS; i++) {
            struct tl_span *span = tl_span_start("GET /orders", TL_SERVER, NULL);
            const struct tl_attribute attributes[] = {
                TL_STR("http.request.method", "GET"),
                TL_STR("url.path", "/orders/17"),
                TL_STR("server.address", "shop.example"),
                TL_INT("http.response.status_code", 200),
                TL_BOOL("cached", false),
            };

            tl_span_set(span, attributes, 5);
            tl_span_end(span);
        }
        ns[round] = (double)(clock_mono_ns() - start_ns) / SPANS;
        allocated += round ? allocations - before : 0;
        ring_reader_read(reader, 64 << 20, false, count, &read_spans);
        ring_reader_release(reader);
    }
    qsort(ns, ROUNDS, sizeof ns[0], by_value);
    printf("name\tours\tpeer\tratio\n");
    printf("span with 5 attributes into the ring, ns, minimum\t%.1f\t-\t-\n", ns[0]);
    printf("span with 5 attributes into the ring, ns, median\t%.1f\t-\t-\n", ns[ROUNDS / 2]);
    printf("allocations in %d spans\t%zu\t-\t-\n", (ROUNDS - 1) * SPANS, allocated);
    printf("spans read back of %d\t%zu\t-\t-\n", ROUNDS * SPANS, read_spans);
    printf("spans dropped\t%llu\t-\t-\n", (unsigned long long)tl_dropped_spans());
    ring_reader_free(reader);
    return read_spans == (size_t)ROUNDS * SPANS ? 0 : 1;
}
