// SPDX-License-Identifier: Apache-2.0
// The reader's side. Of a ring from elsewhere it maps only the header pages and copies records by
// pread, which cannot fault and allocates nothing in a sparse file; its own process's ring it reads
// where it lies.

#include "libtrace/base/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libtrace/base/ring_layout.h"

struct ring_reader {
    const struct ring *own; // NULL: of another process
    int fd;
    int event_fd;
    struct header *header; // mapped; never believed for sizes
    unsigned subs;
    uint64_t sub_bytes;
    uint64_t position[RING_SUBS_MAX]; // read up to here
    uint64_t released[RING_SUBS_MAX];
    uint64_t last[RING_SUBS_MAX]; // where a writer that is gone had got to
    bool is_last_known;
    unsigned turn;      // the sub-ring that comes first, so that none starves
    size_t max_records; // of one call of ring_reader_read
    uint64_t fixed;
    uint8_t *scratch; // one record
};

// Any other descriptor could make whoever waits on it wait for something else.
static bool is_eventfd(int fd)
{
    char path[64];
    char name[64] = "";

    if (snprintf(path, sizeof path, "/proc/self/fd/%d", fd) < 0 ||
        readlink(path, name, sizeof name - 1) < 0)
        return false;
    return strcmp(name, "anon_inode:[eventfd]") == 0;
}

static int header_check(struct ring_reader *reader, struct why *why)
{
    struct stat status;
    const struct header *header;
    const int seals = fcntl(reader->fd, F_GET_SEALS);

    if (seals < 0 || (seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW))
        return why_fail(why, -EBADMSG, "the ring is not sealed against resizing");
    if (!is_eventfd(reader->event_fd))
        return why_fail(why, -EBADMSG, "the ring's second descriptor is not an eventfd");
    if (fstat(reader->fd, &status) != 0 || status.st_size < HEADER_BYTES + RING_TABLE_BYTES)
        return why_fail(why, -EBADMSG, "the ring is too small");
    reader->header = mmap(NULL, HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, reader->fd, 0);
    if (reader->header == MAP_FAILED) {
        reader->header = NULL;
        return why_fail(why, -ENOMEM, "the ring cannot be mapped");
    }
    header = reader->header;
    reader->subs = header->subs;
    reader->sub_bytes = header->sub_bytes;
    if (header->magic != RING_MAGIC || header->version != RING_VERSION)
        return why_fail(why, -EBADMSG, "the ring is of another version");
    if (reader->subs == 0 || reader->subs > RING_SUBS_MAX ||
        (reader->subs & (reader->subs - 1)) != 0 || reader->sub_bytes < 4096 ||
        reader->sub_bytes > (64u << 20) || (reader->sub_bytes & (reader->sub_bytes - 1)) != 0 ||
        (uint64_t)status.st_size != file_bytes(reader->subs, reader->sub_bytes))
        return why_fail(why, -EBADMSG, "the ring's sizes do not agree");
    return 0;
}

static void positions_take(struct ring_reader *reader)
{
    for (unsigned i = 0; i < reader->subs; i++)
        reader->position[i] = atomic_load(&reader->header->index[i].tail) & ~(uint64_t)(STEP - 1);
    memcpy(reader->released, reader->position, sizeof reader->released);
}

int ring_reader_new(int fd, int event_fd, struct ring_reader **out_reader, struct why *why)
{
    struct ring_reader *reader = calloc(1, sizeof *reader);
    int failed;

    if (!reader) {
        close(fd);
        close(event_fd);
        return why_fail(why, -ENOMEM, "out of memory");
    }
    reader->fd = fd;
    reader->event_fd = event_fd;
    reader->scratch = malloc(RING_RECORD_MAX);
    failed = reader->scratch ? header_check(reader, why) : -ENOMEM;
    if (failed) {
        ring_reader_free(reader);
        return failed;
    }
    positions_take(reader);
    *out_reader = reader;
    return 0;
}

struct ring_reader *ring_reader_own(struct ring *ring)
{
    struct ring_reader *reader = calloc(1, sizeof *reader);

    if (!reader)
        return NULL;
    reader->own = ring;
    reader->header = ring->header;
    reader->subs = ring->subs;
    reader->sub_bytes = ring->sub_bytes;
    reader->fd = ring->fd;
    reader->event_fd = ring->event_fd;
    positions_take(reader);
    return reader;
}

void ring_reader_free(struct ring_reader *reader)
{
    if (!reader)
        return;
    if (reader->own) {
        free(reader);
        return;
    }
    if (reader->header)
        munmap(reader->header, HEADER_BYTES);
    close(reader->fd);
    close(reader->event_fd);
    free(reader->scratch);
    free(reader);
}

int ring_reader_event_fd(const struct ring_reader *reader)
{
    return reader->event_fd;
}

static bool data_read(struct ring_reader *reader, unsigned sub, uint64_t position, void *to,
                      size_t len)
{
    const uint64_t at = HEADER_BYTES + RING_TABLE_BYTES + sub * reader->sub_bytes +
                        (position & (reader->sub_bytes - 1));

    return pread(reader->fd, to, len, (off_t)at) == (ssize_t)len;
}

struct plain_head {
    uint32_t commit;
    uint32_t len;
    uint32_t entry;
    uint16_t signal;
    uint16_t count;
};

// One step at the position: bytes passed over, or 0 when there is nothing to read yet.
static uint64_t read_one(struct ring_reader *reader, unsigned sub, uint64_t end,
                         bool is_writer_gone, ring_visit *visit, void *self)
{
    const uint64_t position = reader->position[sub];
    const uint64_t left = reader->sub_bytes - (position & (reader->sub_bytes - 1));
    struct plain_head head;
    uint64_t need;

    if (!data_read(reader, sub, position, &head, sizeof head))
        return 0;
    if (head.commit != commit_of(position)) {
        if (!is_writer_gone)
            return 0;
        reader->fixed++;
        return STEP;
    }
    if (head.len == RING_SKIP && left <= end - position)
        return left;
    need = ((uint64_t)head.len + HEAD_BYTES + STEP - 1) & ~(uint64_t)(STEP - 1);
    // A hostile length: pass over the head alone.
    if (head.len > RING_RECORD_MAX || need > left || need > end - position) {
        reader->fixed++;
        return STEP;
    }
    if (head.len && !data_read(reader, sub, position + HEAD_BYTES, reader->scratch, head.len))
        return STEP;
    if (head.signal >= RING_SIGNALS || head.count == 0)
        reader->fixed++;
    else
        visit(self, &(struct ring_record){{head.entry, head.signal, head.count},
                                          {(const char *)reader->scratch, head.len}});
    return need;
}

// The same in the own ring, whose writers are trusted to keep its form. Counts what was visited:
// the empty rest of a lap is no record.
static uint64_t read_own(struct ring_reader *reader, unsigned sub, ring_visit *visit, void *self,
                         size_t *inout_records)
{
    const uint64_t position = reader->position[sub];
    const uint8_t *at =
        reader->own->data + sub * reader->sub_bytes + (position & (reader->sub_bytes - 1));
    const struct record_head *head = (const struct record_head *)at;

    if (atomic_load_explicit(&head->commit, memory_order_acquire) != commit_of(position))
        return 0;
    if (head->len == RING_SKIP)
        return reader->sub_bytes - (position & (reader->sub_bytes - 1));
    visit(self, &(struct ring_record){{head->entry, head->signal, head->count},
                                      {(const char *)at + HEAD_BYTES, head->len}});
    ++*inout_records;
    return ((uint64_t)head->len + HEAD_BYTES + STEP - 1) & ~(uint64_t)(STEP - 1);
}

// Up to where one sub-ring may be read. Writers are at most one lap ahead of what was released: a
// head that ran away is believed no more than that.
static uint64_t end_of(const struct ring_reader *reader, unsigned sub)
{
    const uint64_t head =
        atomic_load_explicit(&reader->header->index[sub].head, memory_order_acquire) &
        ~(uint64_t)(STEP - 1);

    if (head < reader->position[sub])
        return reader->position[sub];
    if (head - reader->released[sub] > reader->sub_bytes)
        return reader->released[sub] + reader->sub_bytes;
    return head;
}

// Whoever still maps the ring of a program that is gone cannot keep its reader busy for ever.
static void last_note(struct ring_reader *reader)
{
    if (reader->is_last_known)
        return;
    for (unsigned sub = 0; sub < reader->subs; sub++)
        reader->last[sub] = end_of(reader, sub);
    reader->is_last_known = true;
}

void ring_reader_limit(struct ring_reader *reader, size_t max_records)
{
    reader->max_records = max_records;
}

size_t ring_reader_read(struct ring_reader *reader, size_t max_bytes, bool is_writer_gone,
                        ring_visit *visit, void *self)
{
    const size_t max_records = reader->max_records ? reader->max_records : SIZE_MAX;
    size_t read_bytes = 0;
    size_t records = 0;

    if (is_writer_gone)
        last_note(reader);
    for (unsigned i = 0; i < reader->subs; i++) {
        const unsigned sub = (reader->turn + i) & (reader->subs - 1);
        const uint64_t end = is_writer_gone ? reader->last[sub] : end_of(reader, sub);

        while (reader->position[sub] < end && read_bytes < max_bytes && records < max_records) {
            const uint64_t step = reader->own
                                      ? read_own(reader, sub, visit, self, &records)
                                      : read_one(reader, sub, end, is_writer_gone, visit, self);

            if (step == 0)
                break;
            reader->position[sub] += step;
            read_bytes += step;
            records += !reader->own;
        }
    }
    reader->turn++;
    return read_bytes;
}

void ring_reader_release(struct ring_reader *reader)
{
    for (unsigned sub = 0; sub < reader->subs; sub++)
        atomic_store_explicit(&reader->header->index[sub].tail, reader->position[sub],
                              memory_order_release);
    memcpy(reader->released, reader->position, sizeof reader->released);
}

void ring_reader_rewind(struct ring_reader *reader)
{
    memcpy(reader->position, reader->released, sizeof reader->position);
}

void ring_reader_sleep(struct ring_reader *reader)
{
    atomic_store(&reader->header->is_reader_asleep, 1);
}

bool ring_reader_entry(struct ring_reader *reader, uint32_t offset, struct bytes *out)
{
    const uint32_t known = atomic_load(&reader->header->table_len);
    uint32_t len = 0;
    uint8_t *to;

    if (known > RING_TABLE_BYTES || offset > known || known - offset < sizeof len ||
        pread(reader->fd, &len, sizeof len, (off_t)HEADER_BYTES + offset) != sizeof len ||
        len > known - offset - sizeof len)
        return false;
    to = bytes_reserve(out, len + 1);
    if (!to ||
        pread(reader->fd, to, len, (off_t)(HEADER_BYTES + offset + sizeof len)) != (ssize_t)len)
        return false;
    out->len += len;
    return true;
}

uint64_t ring_reader_fixed(const struct ring_reader *reader)
{
    return reader->fixed;
}

uint64_t ring_reader_dropped(const struct ring_reader *reader, unsigned signal)
{
    uint64_t dropped = 0;

    for (unsigned sub = 0; sub < reader->subs; sub++)
        dropped +=
            atomic_load_explicit(&reader->header->index[sub].dropped[signal], memory_order_relaxed);
    return dropped;
}
