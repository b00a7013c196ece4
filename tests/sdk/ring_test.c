// SPDX-License-Identifier: Apache-2.0
// What was committed is read once and in order, whatever happens to the writer; a hostile ring is
// refused or harmless.

#include "tests/support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <throughline/throughline.h>

#include "libtrace/base/ring.h"
#include "libtrace/otlp/index.h"
#include "libtrace/otlp/span.h"
#include "libtrace/sdk/export/pipe_own.h"

static struct ring_reader *reader_of_ring(const struct ring *ring)
{
    struct ring_reader *reader = NULL;

    assert_int_equal(ring_reader_new(dup(ring_fd(ring)), dup(ring_event_fd(ring)), &reader, NULL),
                     0);
    return reader;
}

static const struct ring_mark one = {0, 1, 1};

static bool put(struct ring *ring, uint32_t number, uint32_t len)
{
    struct ring_slot slot;

    if (!ring_reserve(ring, &one, len, &slot))
        return false;
    memset(slot.at, 0, len);
    memcpy(slot.at, &number, sizeof number);
    ring_commit(ring, &slot);
    return true;
}

struct seen {
    uint32_t count;
    uint32_t next;
    bool is_in_order;
};

static void see(void *self, const struct ring_record *record)
{
    struct seen *seen = self;
    uint32_t number;

    memcpy(&number, record->bytes.at, sizeof number);
    seen->is_in_order &= number == seen->next;
    seen->next = number + 1;
    seen->count++;
}

static void records_come_in_order_over_many_laps(void **state)
{
    struct ring *ring = ring_new(1, 4096, -1);
    struct ring_reader *reader = reader_of_ring(ring);
    struct seen seen = {.is_in_order = true};
    uint32_t number = 0;

    (void)state;
    for (int lap = 0; lap < 2000; lap++) {
        for (int i = 0; i < 7; i++, number++)
            assert_true(put(ring, number, 20 + number % 300));
        ring_reader_read(reader, 1 << 20, false, see, &seen);
        ring_reader_release(reader);
    }
    assert_int_equal(seen.count, number);
    assert_true(seen.is_in_order);
    ring_reader_free(reader);
    ring_free(ring);
}

static void a_full_ring_drops_the_newest_and_counts(void **state)
{
    struct ring *ring = ring_new(1, 4096, -1);
    struct ring_reader *reader = reader_of_ring(ring);
    struct seen seen = {.is_in_order = true};
    uint32_t kept = 0;

    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        kept += put(ring, i, 100);
    assert_int_equal(ring_dropped(ring, 1), 100 - kept);
    ring_reader_read(reader, 1 << 20, false, see, &seen);
    assert_int_equal(seen.count, kept);
    assert_true(seen.is_in_order);
    // Until it is released the room is not given back; a rewind reads it again.
    assert_false(put(ring, 0, 100));
    ring_reader_rewind(reader);
    seen = (struct seen){.is_in_order = true};
    ring_reader_read(reader, 1 << 20, false, see, &seen);
    assert_int_equal(seen.count, kept);
    ring_reader_release(reader);
    assert_true(put(ring, 0, 100));
    ring_reader_free(reader);
    ring_free(ring);
}

static void a_slot_whose_writer_died_is_passed_over(void **state)
{
    struct ring *ring = ring_new(1, 4096, -1);
    struct ring_reader *reader = reader_of_ring(ring);
    struct seen seen = {.is_in_order = true};
    struct ring_slot never;

    (void)state;
    put(ring, 0, 40);
    assert_true(ring_reserve(ring, &one, 200, &never));
    put(ring, 1, 40);
    ring_reader_read(reader, 1 << 20, false, see, &seen);
    assert_int_equal(seen.count, 1);
    ring_reader_read(reader, 1 << 20, true, see, &seen);
    assert_int_equal(seen.count, 2);
    assert_true(seen.is_in_order);
    assert_true(ring_reader_fixed(reader) > 0);
    ring_reader_free(reader);
    ring_free(ring);
}

enum { THREADS = 4, EACH = 20000 };

static void *write_many(void *self)
{
    for (uint32_t i = 0; i < EACH;) {
        if (put(self, i, 50))
            i++;
        else
            sched_yield();
    }
    return NULL;
}

static void count_one(void *self, const struct ring_record *record)
{
    assert_int_equal(record->bytes.len, 50);
    (*(size_t *)self)++;
}

static void nothing_is_lost_among_threads(void **state)
{
    struct ring *ring = ring_new(2, 65536, -1);
    struct ring_reader *reader = reader_of_ring(ring);
    pthread_t threads[THREADS];
    size_t count = 0;

    (void)state;
#ifdef __SANITIZE_THREAD__
    // The reader's release is seen by writers through another mapping of the same page: the
    // sanitizer knows addresses, not pages, and would call every second lap a race.
    printf("SKIPPED: ThreadSanitizer does not see ordering through two mappings of one page\n");
    ring_reader_free(reader);
    ring_free(ring);
    skip();
#endif
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, write_many, ring);
    while (count < THREADS * EACH) {
        ring_reader_read(reader, 1 << 20, false, count_one, &count);
        ring_reader_release(reader);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(count, THREADS * EACH);
    ring_reader_free(reader);
    ring_free(ring);
}

// The header as it lies in the file: the layout is the contract between two programs.
struct laid_out {
    uint64_t magic;
    uint32_t version;
    uint32_t subs;
    uint64_t sub_bytes;
    uint32_t table_len;
    uint32_t is_reader_asleep;
};

enum { DATA_AT = 3 * 4096 + RING_TABLE_BYTES, HEAD_AT = 128, TAIL_AT = 192 };

static const struct laid_out good = {UINT64_C(0x31474e4952544c54), 2, 1, 4096, 0, 0};

static int file_of(const struct laid_out *header, off_t bytes, int seals)
{
    const int fd = memfd_create("x", MFD_ALLOW_SEALING);

    assert_int_equal(ftruncate(fd, bytes), 0);
    if (bytes >= (off_t)sizeof *header)
        assert_int_equal(pwrite(fd, header, sizeof *header, 0), sizeof *header);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void refused(int fd, int event_fd, const char *expected)
{
    struct ring_reader *reader = NULL;
    struct why why = {""};

    assert_int_equal(ring_reader_new(fd, event_fd, &reader, &why), -EBADMSG);
    assert_string_equal(why.text, expected);
    // Both descriptors were taken over.
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(fcntl(event_fd, F_GETFD), -1);
}

static void hostile_rings_are_refused(void **state)
{
    static const struct {
        struct laid_out header;
        off_t bytes;
        const char *problem;
    } cases[] = {
        {{0}, 100, "the ring is too small"},
        {{0}, 1 << 20, "the ring is of another version"},
        {{UINT64_C(0x31474e4952544c54), 3, 1, 4096},
         DATA_AT + 4096,
         "the ring is of another version"},
        {{UINT64_C(0x31474e4952544c54), 2, 1, 4096},
         DATA_AT + 8192,
         "the ring's sizes do not agree"},
        {{UINT64_C(0x31474e4952544c54), 2, 0, 4096}, DATA_AT, "the ring's sizes do not agree"},
        {{UINT64_C(0x31474e4952544c54), 2, 128, 4096},
         DATA_AT + 128 * 4096,
         "the ring's sizes do not agree"},
        {{UINT64_C(0x31474e4952544c54), 2, 3, 4096},
         DATA_AT + 3 * 4096,
         "the ring's sizes do not agree"},
        {{UINT64_C(0x31474e4952544c54), 2, 1, 2048},
         DATA_AT + 2048,
         "the ring's sizes do not agree"},
        {{UINT64_C(0x31474e4952544c54), 2, 1, 4097},
         DATA_AT + 4097,
         "the ring's sizes do not agree"},
        {{UINT64_C(0x31474e4952544c54), 2, 2, UINT64_MAX / 2 + 1},
         DATA_AT,
         "the ring's sizes do not agree"},
    };
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW;
    int pipe_ends[2];
    int fd;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refused(file_of(&cases[i].header, cases[i].bytes, seals), eventfd(0, 0), cases[i].problem);
    fd = file_of(&good, DATA_AT + 4096, F_SEAL_SHRINK);
    refused(fd, eventfd(0, 0), "the ring is not sealed against resizing");
    fd = file_of(&good, DATA_AT + 4096, F_SEAL_GROW);
    refused(fd, eventfd(0, 0), "the ring is not sealed against resizing");
    refused(eventfd(0, 0), eventfd(0, 0), "the ring is not sealed against resizing");
    // One that blocks whoever reads it.
    assert_int_equal(pipe(pipe_ends), 0);
    fd = file_of(&good, DATA_AT + 4096, seals);
    refused(fd, pipe_ends[0], "the ring's second descriptor is not an eventfd");
    close(pipe_ends[1]);
}

static void count_any(void *self, const struct ring_record *record)
{
    assert_true(record->bytes.len <= RING_RECORD_MAX);
    (*(size_t *)self)++;
}

static void a_head_that_runs_away_ends_with_one_lap(void **state)
{
    static const uint64_t heads[] = {UINT64_MAX, UINT64_MAX / 2, 4096 * 3, 4097, 1};
    static const uint64_t tails[] = {0, 4095, UINT64_MAX - 4096, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0] * 4; i++) {
        const int fd = file_of(&good, DATA_AT + 4096, F_SEAL_SHRINK | F_SEAL_GROW);
        struct ring_reader *reader = NULL;
        size_t records = 0;
        size_t turns = 0;

        assert_int_equal(pwrite(fd, &heads[i / 4], 8, HEAD_AT), 8);
        assert_int_equal(pwrite(fd, &tails[i % 4], 8, TAIL_AT), 8);
        assert_int_equal(ring_reader_new(dup(fd), eventfd(0, 0), &reader, NULL), 0);
        assert_int_equal(ring_reader_read(reader, 1 << 20, false, count_any, &records), 0);
        // The program is gone, but another still maps its ring and moves the head on.
        while (ring_reader_read(reader, 1 << 20, true, count_any, &records)) {
            const uint64_t further = heads[i / 4] + 8192 * ++turns;

            ring_reader_release(reader);
            assert_int_equal(pwrite(fd, &further, 8, HEAD_AT), 8);
            assert_true(turns < 10);
        }
        assert_int_equal(records, 0);
        ring_reader_free(reader);
        close(fd);
    }
}

static void hostile_tables_give_no_entry(void **state)
{
    static const struct {
        uint32_t table_len;
        uint32_t offset;
        uint32_t len; // written at the offset
    } cases[] = {
        {0, 0, 0},     {UINT32_MAX, 0, 8}, {RING_TABLE_BYTES + 1, 0, 8}, {100, 97, 0},
        {100, 101, 0}, {100, 0, 97},       {100, 0, UINT32_MAX},         {100, UINT32_MAX - 1, 0},
    };
    struct bytes out = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int fd = file_of(&good, DATA_AT + 4096, F_SEAL_SHRINK | F_SEAL_GROW);
        struct ring_reader *reader = NULL;

        assert_int_equal(pwrite(fd, &cases[i].table_len, 4, 24), 4);
        if (cases[i].offset < RING_TABLE_BYTES)
            assert_int_equal(pwrite(fd, &cases[i].len, 4, 3 * 4096 + cases[i].offset), 4);
        assert_int_equal(ring_reader_new(fd, eventfd(0, 0), &reader, NULL), 0);
        assert_false(ring_reader_entry(reader, cases[i].offset, &out));
        assert_int_equal(out.len, 0);
        ring_reader_free(reader);
    }
    bytes_done(&out);
}

// kill -9 between reserve and commit, among records that were committed before and after it.
static void a_writer_killed_inside_a_record_loses_that_one(void **state)
{
    struct ring *ring = ring_new(1, 65536, -1);
    struct ring_reader *reader = reader_of_ring(ring);
    struct seen seen = {.is_in_order = true};
    int ready[2];
    char byte;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        struct ring_slot slot;

        for (uint32_t i = 0; i < 50; i++)
            put(ring, i, 100 + i);
        ring_reserve(ring, &one, 5000, &slot);
        memset(slot.at, 0xff, slot.len / 2);
        for (uint32_t i = 50; i < 80; i++)
            put(ring, i, 100);
        if (write(ready[1], "x", 1) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    // As long as the socket is open the slot may still be finished by another thread.
    ring_reader_read(reader, 1 << 20, false, see, &seen);
    assert_int_equal(seen.count, 50);
    ring_reader_read(reader, 1 << 20, true, see, &seen);
    assert_int_equal(seen.count, 80);
    assert_true(seen.is_in_order);
    assert_int_equal(ring_reader_fixed(reader), (5000 + 16 + 15) / 16);
    ring_reader_release(reader);
    // The room is free again.
    assert_true(put(ring, 0, 40000));
    close(ready[0]);
    close(ready[1]);
    ring_reader_free(reader);
    ring_free(ring);
}

struct ended {
    size_t count;
    struct span last;
    struct arena arena;
};

static void read_span(void *self, const struct ring_record *record)
{
    struct ended *ended = self;
    const struct str kept = arena_copy(&ended->arena, record->bytes);

    assert_int_equal(span_read(kept, &ended->arena, &ended->last, NULL), 0);
    ended->count++;
}

// The ring of this process, made with a first span.
static struct ring *shared_ring(void)
{
    tl_span_end(tl_span_start("first", TL_INTERNAL, NULL));
    return atomic_load(&pipe_shared()->ring);
}

static void spans_outlive_a_killed_process(void **state)
{
    struct ended ended = {0};
    struct ring_reader *reader;
    int ready[2];
    pid_t child;

    (void)state;
    // The ring is made first and inherited by its descriptor; the child writes with its own copy.
    shared_ring();
    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        struct ring *own = shared_ring();
        int fds[2] = {ring_fd(own), ring_event_fd(own)};

        for (int i = 0; i < 100; i++) {
            struct tl_span *span = tl_span_start("work", TL_INTERNAL, NULL);

            tl_span_set_one(span, TL_INT("i", i));
            tl_span_status(span, TL_STATUS_ERROR, "why");
            tl_span_end(span);
        }
        if (write(ready[1], fds, sizeof fds) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    {
        int fds[2];
        char path[64];
        int copies[2];

        assert_int_equal(read(ready[0], fds, sizeof fds), sizeof fds);
        // The agent got its copies over the socket long before; here /proc gives them.
        for (int i = 0; i < 2; i++) {
            snprintf(path, sizeof path, "/proc/%d/fd/%d", child, fds[i]);
            copies[i] = i ? eventfd(0, EFD_CLOEXEC) : open(path, O_RDWR | O_CLOEXEC);
        }
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        assert_int_equal(ring_reader_new(copies[0], copies[1], &reader, NULL), 0);
    }
    arena_init(&ended.arena, 0);
    ring_reader_read(reader, 1 << 20, true, read_span, &ended);
    assert_int_equal(ended.count, 101);
    assert_str(ended.last.name, "work");
    assert_int_equal(ended.last.attributes.at[0].value.integer, 99);
    assert_str(ended.last.status_message, "why");
    assert_int_equal(ended.last.status, SPAN_STATUS_ERROR);
    arena_done(&ended.arena);
    ring_reader_free(reader);
    close(ready[0]);
    close(ready[1]);
}

static void what_finds_no_room_is_counted_on_its_span(void **state)
{
    struct ring *ring = shared_ring();
    struct ring_reader *reader = reader_of_ring(ring);
    struct ended ended = {0};
    char *big = calloc(1, 300001);
    struct tl_attribute text;
    char name[300] = "";
    struct tl_span *span;

    (void)state;
    arena_init(&ended.arena, 0);
    ring_reader_read(reader, 1 << 20, false, read_span, &ended);
    ended.count = 0;
    memset(big, 'x', 300000);
    text = TL_STR("text", big + 295000);
    memset(name, 'a', 254);
    memcpy(name + 254, "\xc3\xa4", 3);
    errno = 77;
    span = tl_span_start(name, (enum tl_kind)200, NULL);
    tl_span_set_one(span, TL_STR("big", big));
    tl_span_set_one(span, TL_STR("small", "fits"));
    tl_span_status(span, (enum tl_status)77, "none of these");
    tl_span_event(span, big, NULL, 0);
    for (int i = 0; i < 200; i++)
        tl_span_event(span, "event", &text, 1);
    for (int i = 0; i < 2000; i++)
        tl_span_link(span, &(struct tl_span_context){.trace_id = {1}, .span_id = {2}});
    tl_span_status(span, TL_STATUS_ERROR, big);
    tl_span_end(span);
    assert_int_equal(errno, 77);
    ring_reader_read(reader, 1 << 20, false, read_span, &ended);
    assert_int_equal(ended.count, 1);
    assert_int_equal(ended.last.kind, SPAN_KIND_INTERNAL);
    assert_int_equal(ended.last.name.len, 254);
    assert_int_equal(ended.last.attributes.count, 1);
    assert_int_equal(ended.last.dropped_attributes, 1);
    assert_int_equal(ended.last.events[0].name.len, 255);
    assert_int_equal(ended.last.event_count + ended.last.dropped_events, 201);
    assert_true(ended.last.dropped_events > 0);
    assert_int_equal(ended.last.link_count + ended.last.dropped_links, 2000);
    assert_true(ended.last.dropped_links > 0);
    arena_done(&ended.arena);
    ring_reader_free(reader);
    free(big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_in_order_over_many_laps),
        cmocka_unit_test(a_full_ring_drops_the_newest_and_counts),
        cmocka_unit_test(a_slot_whose_writer_died_is_passed_over),
        cmocka_unit_test(nothing_is_lost_among_threads),
        cmocka_unit_test(hostile_rings_are_refused),
        cmocka_unit_test(a_head_that_runs_away_ends_with_one_lap),
        cmocka_unit_test(hostile_tables_give_no_entry),
        cmocka_unit_test(a_writer_killed_inside_a_record_loses_that_one),
        cmocka_unit_test(spans_outlive_a_killed_process),
        cmocka_unit_test(what_finds_no_room_is_counted_on_its_span),
    };

    setenv("THROUGHLINE_SOCKET", "/nonexistent/agent.sock", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
