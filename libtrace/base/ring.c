// SPDX-License-Identifier: Apache-2.0
// The writers' side. They map the whole file.

#include "libtrace/base/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libtrace/base/descriptor.h"
#include "libtrace/base/ring_layout.h"

// Of how many sub-rings a writer asks for room: few, or a full ring would cost its writers much.
enum { SUBS_TRIED = 4 };

struct ring *ring_new(unsigned subs, size_t sub_bytes, int event_fd)
{
    struct ring *ring = calloc(1, sizeof *ring);
    const size_t bytes = file_bytes(subs, sub_bytes);

    if (!ring)
        return NULL;
    ring->fd = descriptor_keep(memfd_create("throughline-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    ring->event_fd = -1;
    if (ring->fd >= 0)
        ring->event_fd = event_fd >= 0 ? fcntl(event_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
                                       : descriptor_keep(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    ring->file = descriptor_file_of(ring->fd);
    ring->event_file = descriptor_file_of(ring->event_fd);
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
    ring->header->version = RING_VERSION;
    ring->header->subs = subs;
    ring->header->sub_bytes = sub_bytes;
    ring->header->magic = RING_MAGIC;
    return ring;
}

void ring_free(struct ring *ring)
{
    if (!ring)
        return;
    if (ring->header)
        munmap(ring->header, ring->map_bytes);
    if (descriptor_is(ring->fd, ring->file))
        close(ring->fd);
    if (descriptor_is(ring->event_fd, ring->event_file))
        close(ring->event_fd);
    free(ring);
}

bool ring_has_descriptors(const struct ring *ring)
{
    return descriptor_is(ring->fd, ring->file) && descriptor_is(ring->event_fd, ring->event_file);
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

int64_t ring_table_find(const struct ring *ring, struct str bytes)
{
    const uint32_t end = atomic_load(&ring->header->table_len);
    uint32_t len;

    for (uint32_t at = 0; at < end; at += (uint32_t)sizeof len + len) {
        memcpy(&len, ring->table + at, sizeof len);
        if (len == bytes.len && memcmp(ring->table + at + sizeof len, bytes.at, len) == 0)
            return at;
    }
    return -ENOENT;
}

// In that sub-ring; false: there is no room.
static inline bool sub_reserve(struct ring *ring, unsigned sub, const struct ring_mark *mark,
                               uint32_t len, struct ring_slot *out_slot)
{
    struct sub_index *index = &ring->header->index[sub];
    uint8_t *base = ring->data + sub * ring->sub_bytes;
    const uint64_t need = ((uint64_t)len + HEAD_BYTES + STEP - 1) & ~(uint64_t)(STEP - 1);
    uint64_t head = atomic_load_explicit(&index->head, memory_order_relaxed);
    struct record_head *record;
    uint64_t skip;

    do {
        const uint64_t left = ring->sub_bytes - (head & (ring->sub_bytes - 1));

        skip = left < need ? left : 0;
        if (head + skip + need - atomic_load_explicit(&index->tail, memory_order_acquire) >
            ring->sub_bytes)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&index->head, &head, head + skip + need,
                                                    memory_order_acq_rel, memory_order_relaxed));
    if (skip) {
        record = (struct record_head *)(base + (head & (ring->sub_bytes - 1)));
        record->len = RING_SKIP;
        atomic_store_explicit(&record->commit, commit_of(head), memory_order_release);
        head += skip;
    }
    record = (struct record_head *)(base + (head & (ring->sub_bytes - 1)));
    record->len = len;
    record->entry = mark->entry;
    record->signal = mark->signal;
    record->count = mark->count;
    *out_slot = (struct ring_slot){
        .at = (uint8_t *)record + HEAD_BYTES,
        .len = len,
        .head = index,
        .commit = commit_of(head),
    };
    return true;
}

bool ring_reserve(struct ring *ring, const struct ring_mark *mark, uint32_t len,
                  struct ring_slot *out_slot)
{
    const int cpu = sched_getcpu();
    const unsigned first = (unsigned)(cpu < 0 ? 0 : cpu) & (ring->subs - 1);

    if (__builtin_expect(len <= RING_RECORD_MAX, 1)) {
        if (__builtin_expect(sub_reserve(ring, first, mark, len, out_slot), 1))
            return true;
        // A thread that stays on one processor is not limited to that one's part.
        for (unsigned i = 1; i < SUBS_TRIED && i < ring->subs; i++) {
            if (sub_reserve(ring, (first + i) & (ring->subs - 1), mark, len, out_slot))
                return true;
        }
    }
    atomic_fetch_add_explicit(&ring->header->index[first].dropped[mark->signal], mark->count,
                              memory_order_relaxed);
    return false;
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

        if (descriptor_is(ring->event_fd, ring->event_file) &&
            write(ring->event_fd, &one, sizeof one) < 0)
            errno = saved;
    }
}

uint64_t ring_dropped(const struct ring *ring, unsigned signal)
{
    uint64_t dropped = 0;

    for (unsigned i = 0; i < ring->subs; i++)
        dropped +=
            atomic_load_explicit(&ring->header->index[i].dropped[signal], memory_order_relaxed);
    return dropped;
}

uint64_t ring_waiting_bytes(const struct ring *ring)
{
    uint64_t waiting = 0;

    for (unsigned i = 0; i < ring->subs; i++) {
        const struct sub_index *index = &ring->header->index[i];

        waiting += atomic_load_explicit(&index->head, memory_order_relaxed) -
                   atomic_load_explicit(&index->tail, memory_order_relaxed);
    }
    return waiting;
}

bool ring_is_pressed(const struct ring *ring)
{
    for (unsigned i = 0; i < ring->subs; i++) {
        const struct sub_index *index = &ring->header->index[i];

        if (atomic_load_explicit(&index->head, memory_order_relaxed) -
                atomic_load_explicit(&index->tail, memory_order_relaxed) >=
            ring->sub_bytes / 4)
            return true;
    }
    return false;
}
