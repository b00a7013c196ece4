// SPDX-License-Identifier: Apache-2.0
// A span with five attributes started and ended into the ring: nanoseconds and allocations, beside
// what encoding the same bytes costs at least. Rounds short enough to fit the ring are timed, one
// of ours and one of the floor in turn; a reader empties the ring between them.

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <throughline/throughline.h>

#include "libtrace/base/clock.h"
#include "libtrace/base/ring.h"
#include "libtrace/sdk/export/pipe_own.h"
#include "tests/bench/ring_floor.h"

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

static uint8_t floor_bytes[SPANS * FLOOR_BYTES_MAX];
static size_t floor_len; // of one span

// Only what is as long as the floor's span is the same span.
static void count(void *self, const struct ring_record *record)
{
    *(size_t *)self += record->bytes.len == floor_len;
}

static int by_value(const void *a, const void *b)
{
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static double ours_ns(void)
{
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
    return (double)(clock_mono_ns() - start_ns) / SPANS;
}

static double floor_ns(void)
{
    static struct floor_state state = {{1, 2, 3, 4}};
    const uint64_t start_ns = clock_mono_ns();

    for (int i = 0; i < SPANS; i++) {
        uint8_t *to = floor_bytes + (size_t)i * FLOOR_BYTES_MAX;

        floor_len = (size_t)(floor_span(&state, to) - to);
    }
    return (double)(clock_mono_ns() - start_ns) / SPANS;
}

static void row(const char *name, double ours, double floor)
{
    printf("%s\t%.1f ns\t%.1f ns\t%.3f\n", name, ours, floor, ours / floor);
}

int main(void)
{
    static double ours[ROUNDS];
    static double floor[ROUNDS];
    struct ring_reader *reader;
    size_t read_spans = 0;
    size_t allocated = 0;
    struct ring *ring;

    setenv("THROUGHLINE_SOCKET", "/nonexistent/agent.sock", 1);
    tl_init();
    ours_ns();
    ring = atomic_load(&pipe_shared()->ring);
    if (!ring || ring_reader_new(dup(ring_fd(ring)), dup(ring_event_fd(ring)), &reader, NULL) != 0)
        return 1;
    ring_reader_read(reader, 64 << 20, false, count, &read_spans);
    ring_reader_release(reader);
    read_spans = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const size_t before = allocations;

        ours[round] = ours_ns();
        allocated += round ? allocations - before : 0;
        floor[round] = floor_ns();
        ring_reader_read(reader, 64 << 20, false, count, &read_spans);
        ring_reader_release(reader);
    }
    qsort(ours, ROUNDS, sizeof ours[0], by_value);
    qsort(floor, ROUNDS, sizeof floor[0], by_value);
    printf(
        "# ours: a span with 5 attributes into the ring; peer: the same bytes encoded, no more\n");
    row("ring_span_median", ours[ROUNDS / 2], floor[ROUNDS / 2]);
    row("ring_span_minimum", ours[0], floor[0]);
    printf("ring_allocations\t%zu in %d spans\t-\t-\n", allocated, (ROUNDS - 1) * SPANS);
    printf("ring_missing\t%zu span\t-\t-\n", (size_t)ROUNDS * SPANS - read_spans);
    printf("ring_dropped\t%llu span\t-\t-\n", (unsigned long long)tl_dropped(TL_TRACES));
    ring_reader_free(reader);
    return read_spans == (size_t)ROUNDS * SPANS ? 0 : 1;
}
