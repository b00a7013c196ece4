// SPDX-License-Identifier: Apache-2.0
// A ring of records in shared memory between the threads of one process, which write, and one
// reader elsewhere. What was committed before the writer is killed is still read. Knows bytes only.
//
// Layout of the memfd, all in one file sealed against resizing: a header page with the indexes of
// the sub-rings, an append-only table, then the sub-rings. A record's commit word depends on its
// position in the stream, so that nothing left from an earlier lap can look committed.

#pragma once

#include "libtrace/base/bytes.h"
#include "libtrace/base/why.h"

struct ring;

enum { RING_TABLE_BYTES = 64 * 1024, RING_RECORD_MAX = 256 * 1024, RING_SUBS_MAX = 64 };

// A ring of this process. `sub_bytes` is a power of two. NULL without memory.
struct ring *ring_new(unsigned subs, size_t sub_bytes);

// Unmaps and closes; a reader elsewhere keeps its own.
void ring_free(struct ring *ring);

int ring_fd(const struct ring *ring);
int ring_event_fd(const struct ring *ring); // the reader sleeps on it

// Appends to the table and returns the entry's offset, or -ENOSPC. Under the caller's lock.
int64_t ring_table_add(struct ring *ring, struct str bytes);

// Room for a record of `len` bytes, or NULL: full (counted in the ring). Any thread; follow with
// ring_commit by the same thread.
struct ring_slot {
    uint8_t *at;
    uint32_t len;
    // Private.
    void *head;
    uint32_t commit;
};

bool ring_reserve(struct ring *ring, uint32_t len, uint32_t entry, struct ring_slot *out_slot);
void ring_commit(struct ring *ring, const struct ring_slot *slot);

// Records that found no room.
uint64_t ring_dropped(const struct ring *ring);

struct ring_reader;

// Takes over both descriptors, also on failure. Checks seals, size, header and that the second is
// an eventfd before anything is believed; the writer may be hostile. -EBADMSG with a reason.
int ring_reader_new(int fd, int event_fd, struct ring_reader **out_reader, struct why *why);
void ring_reader_free(struct ring_reader *reader);
int ring_reader_event_fd(const struct ring_reader *reader);

struct ring_record {
    uint32_t entry; // offset in the table
    struct str bytes;
};

// Reads what is committed, at most `max_bytes`; `visit` borrows the bytes. `is_writer_gone`: skip
// slots that were reserved and never committed, and read no further than the writer had got when
// that was said first. Nothing is given back before ring_reader_release.
typedef void ring_visit(void *self, const struct ring_record *record);
size_t ring_reader_read(struct ring_reader *reader, size_t max_bytes, bool is_writer_gone,
                        ring_visit *visit, void *self);

// Gives the room of all that was read back to the writers.
void ring_reader_release(struct ring_reader *reader);

// Goes back to what was last released: it will be read again.
void ring_reader_rewind(struct ring_reader *reader);

// Before sleeping: the next writer past a quarter full wakes the reader.
void ring_reader_sleep(struct ring_reader *reader);

// A copy of a table entry; false when there is none at that offset.
bool ring_reader_entry(struct ring_reader *reader, uint32_t offset, struct bytes *out);

// Slots skipped because their writer died between reserving and committing.
uint64_t ring_reader_fixed(const struct ring_reader *reader);
uint64_t ring_reader_dropped(const struct ring_reader *reader);
