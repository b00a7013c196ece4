// SPDX-License-Identifier: Apache-2.0
// Writers map the whole file. The reader maps only the header page and copies records by pread,
// which cannot fault and allocates nothing in a sparse file.

#include "libtrace/base/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_BYTES = 3 * 4096, HEAD_BYTES = 16, STEP = 16 };

static const uint64_t MAGIC = UINT64_C(0x31474e4952544c54); // "TLTRING1"

struct sub_index {
    _Alignas(128) _Atomic uint64_t head; // bytes ever reserved
    _Atomic uint64_t dropped;
    _Alignas(64) _Atomic uint64_t tail; // bytes ever released; the reader writes it
};

struct header {
    uint64_t magic;
    uint32_t version;
    uint32_t subs;
    uint64_t sub_bytes;
    _Atomic uint32_t table_len;
    _Atomic uint32_t is_reader_asleep;
    struct sub_index index[RING_SUBS_MAX];
};

_Static_assert(sizeof(struct header) <= HEADER_BYTES, "the header fits its pages");

struct record_head {
    _Atomic uint32_t commit;
    uint32_t len; // RING_SKIP: nothing until the end of the sub-ring
    uint32_t entry;
    uint32_t pad_;
};

static const uint32_t SKIP = UINT32_MAX;

struct ring {
    int fd;
    int event_fd;
    size_t map_bytes;
    struct header *header;
    uint8_t *table;
    uint8_t *data;
    uint64_t sub_bytes; // copies: the reader's side could write the header
    unsigned subs;
};

static uint32_t commit_of(uint64_t position)
{
    return (uint32_t)((position / STEP) * UINT64_C(0x9E3779B97F4A7C15) >> 32) | 1;
}

static size_t file_bytes(unsigned subs, uint64_t sub_bytes)
{
    return HEADER_BYTES + RING_TABLE_BYTES + subs * sub_bytes;
}

struct ring *ring_new(unsigned subs, size_t sub_bytes)
{
    struct ring *ring = calloc(1, sizeof *ring);
    const size_t bytes = file_bytes(subs, sub_bytes);

    if (!ring)
        return NULL;
    ring->fd = memfd_create("throughline-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ring->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    ring->header = MAP_FAILED;
    if (ring->fd >= 0 && ring->event_fd >= 0 && ftruncate(ring->fd, (off_t)bytes) == 0 &&
        fcntl(ring->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        ring->header = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
    if (ring->header == MAP_FAILED) {
        ring->header = NULL;
        ring_free(ring);
        return NULL;
    }
    ring->map_bytes = bytes;
    ring->table = (uint8_t *)ring->header + HEADER_BYTES;
    ring->data = ring->table + RING_TABLE_BYTES;
    ring->subs = subs;
    ring->sub_bytes = sub_bytes;
    ring->header->version = 1;
    ring->header->subs = subs;
    ring->header->sub_bytes = sub_bytes;
    ring->header->magic = MAGIC;
    return ring;
}

void ring_free(struct ring *ring)
{
    if (!ring)
        return;
    if (ring->header)
        munmap(ring->header, ring->map_bytes);
    if (ring->fd >= 0)
        close(ring->fd);
    if (ring->event_fd >= 0)
        close(ring->event_fd);
    free(ring);
}

int ring_fd(const struct ring *ring)
{
    return ring->fd;
}

int ring_event_fd(const struct ring *ring)
{
    return ring->event_fd;
}

int64_t ring_table_add(struct ring *ring, struct str bytes)
{
    const uint32_t at = atomic_load(&ring->header->table_len);
    const uint32_t len = (uint32_t)bytes.len;

    if (at > RING_TABLE_BYTES - sizeof len || bytes.len > RING_TABLE_BYTES - sizeof len - at)
        return -ENOSPC;
    memcpy(ring->table + at, &len, sizeof len);
    if (len)
        memcpy(ring->table + at + sizeof len, bytes.at, len);
    atomic_store(&ring->header->table_len, at + (uint32_t)sizeof len + len);
    return at;
}

bool ring_reserve(struct ring *ring, uint32_t len, uint32_t entry, struct ring_slot *out_slot)
{
    const int cpu = sched_getcpu();
    const unsigned sub = (unsigned)(cpu < 0 ? 0 : cpu) & (ring->subs - 1);
    struct sub_index *index = &ring->header->index[sub];
    uint8_t *base = ring->data + sub * ring->sub_bytes;
    const uint64_t need = ((uint64_t)len + HEAD_BYTES + STEP - 1) & ~(uint64_t)(STEP - 1);
    uint64_t head = atomic_load_explicit(&index->head, memory_order_relaxed);
    struct record_head *record;
    uint64_t skip;

    do {
        const uint64_t left = ring->sub_bytes - (head & (ring->sub_bytes - 1));

        skip = left < need ? left : 0;
        if (len > RING_RECORD_MAX ||
            head + skip + need - atomic_load_explicit(&index->tail, memory_order_acquire) >
                ring->sub_bytes) {
            atomic_fetch_add_explicit(&index->dropped, 1, memory_order_relaxed);
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&index->head, &head, head + skip + need,
                                                    memory_order_acq_rel, memory_order_relaxed));
    if (skip) {
        record = (struct record_head *)(base + (head & (ring->sub_bytes - 1)));
        record->len = SKIP;
        atomic_store_explicit(&record->commit, commit_of(head), memory_order_release);
        head += skip;
    }
    record = (struct record_head *)(base + (head & (ring->sub_bytes - 1)));
    record->len = len;
    record->entry = entry;
    *out_slot = (struct ring_slot){
        .at = (uint8_t *)record + HEAD_BYTES,
        .len = len,
        .head = index,
        .commit = commit_of(head),
    };
    return true;
}

void ring_commit(struct ring *ring, const struct ring_slot *slot)
{
    struct record_head *record = (struct record_head *)(slot->at - HEAD_BYTES);
    struct sub_index *index = slot->head;
    const uint64_t one = 1;

    atomic_store_explicit(&record->commit, slot->commit, memory_order_release);
    if (!atomic_load_explicit(&ring->header->is_reader_asleep, memory_order_relaxed) ||
        atomic_load_explicit(&index->head, memory_order_relaxed) -
                atomic_load_explicit(&index->tail, memory_order_relaxed) <
            ring->sub_bytes / 4)
        return;
    // A failed write means that the counter is full: the reader is awake then.
    if (atomic_exchange(&ring->header->is_reader_asleep, 0)) {
        const int saved = errno;

        if (write(ring->event_fd, &one, sizeof one) < 0)
            errno = saved;
    }
}

uint64_t ring_dropped(const struct ring *ring)
{
    uint64_t dropped = 0;

    for (unsigned i = 0; i < ring->subs; i++)
        dropped += atomic_load_explicit(&ring->header->index[i].dropped, memory_order_relaxed);
    return dropped;
}

struct ring_reader {
    int fd;
    int event_fd;
    struct header *header; // mapped; never believed for sizes
    unsigned subs;
    uint64_t sub_bytes;
    uint64_t position[RING_SUBS_MAX]; // read up to here
    uint64_t released[RING_SUBS_MAX];
    uint64_t last[RING_SUBS_MAX]; // where a writer that is gone had got to
    bool is_last_known;
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
    if (header->magic != MAGIC || header->version != 1)
        return why_fail(why, -EBADMSG, "the ring is of another version");
    if (reader->subs == 0 || reader->subs > RING_SUBS_MAX ||
        (reader->subs & (reader->subs - 1)) != 0 || reader->sub_bytes < 4096 ||
        reader->sub_bytes > (64u << 20) || (reader->sub_bytes & (reader->sub_bytes - 1)) != 0 ||
        (uint64_t)status.st_size != file_bytes(reader->subs, reader->sub_bytes))
        return why_fail(why, -EBADMSG, "the ring's sizes do not agree");
    return 0;
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
    for (unsigned i = 0; i < reader->subs; i++)
        reader->position[i] = atomic_load(&reader->header->index[i].tail) & ~(uint64_t)(STEP - 1);
    memcpy(reader->released, reader->position, sizeof reader->released);
    *out_reader = reader;
    return 0;
}

void ring_reader_free(struct ring_reader *reader)
{
    if (!reader)
        return;
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
    uint32_t pad_;
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
    if (head.len == SKIP && left <= end - position)
        return left;
    need = ((uint64_t)head.len + HEAD_BYTES + STEP - 1) & ~(uint64_t)(STEP - 1);
    // A hostile length: pass over the head alone.
    if (head.len > RING_RECORD_MAX || need > left || need > end - position) {
        reader->fixed++;
        return STEP;
    }
    if (head.len && !data_read(reader, sub, position + HEAD_BYTES, reader->scratch, head.len))
        return STEP;
    visit(self, &(struct ring_record){head.entry, {(const char *)reader->scratch, head.len}});
    return need;
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

size_t ring_reader_read(struct ring_reader *reader, size_t max_bytes, bool is_writer_gone,
                        ring_visit *visit, void *self)
{
    size_t read_bytes = 0;

    if (is_writer_gone)
        last_note(reader);
    for (unsigned sub = 0; sub < reader->subs; sub++) {
        const uint64_t end = is_writer_gone ? reader->last[sub] : end_of(reader, sub);

        while (reader->position[sub] < end && read_bytes < max_bytes) {
            const uint64_t step = read_one(reader, sub, end, is_writer_gone, visit, self);

            if (step == 0)
                break;
            reader->position[sub] += step;
            read_bytes += step;
        }
    }
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

uint64_t ring_reader_dropped(const struct ring_reader *reader)
{
    uint64_t dropped = 0;

    for (unsigned sub = 0; sub < reader->subs; sub++)
        dropped += atomic_load_explicit(&reader->header->index[sub].dropped, memory_order_relaxed);
    return dropped;
}
