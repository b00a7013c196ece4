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

enum {
    RING_TABLE_BYTES = 64 * 1024,
    RING_RECORD_MAX = 256 * 1024,
    RING_SUBS_MAX = 64,
    RING_SIGNALS = 4,
};

// A ring of this process. `sub_bytes` is a power of two. `event_fd`: what wakes the reader, of
// which a copy is made; -1: one of its own. NULL without memory.
struct ring *ring_new(unsigned subs, size_t sub_bytes, int event_fd);

// Unmaps and closes; a reader elsewhere keeps its own.
void ring_free(struct ring *ring);

int ring_fd(const struct ring *ring);
int ring_event_fd(const struct ring *ring); // the reader sleeps on it
// False when the program closed them, as every descriptor that it does not know.
bool ring_has_descriptors(const struct ring *ring);

// Appends to the table and returns the entry's offset, or -ENOSPC. Under the caller's lock.
int64_t ring_table_add(struct ring *ring, struct str bytes);
// The offset of an entry with those very bytes, or -ENOENT.
int64_t ring_table_find(const struct ring *ring, struct str bytes);

// Room for a record of `len` bytes, or NULL: full (counted in the ring). Any thread; follow with
// ring_commit by the same thread.
struct ring_slot {
    uint8_t *at;
    uint32_t len;
    // Private.
    void *head;
    uint32_t commit;
};

// What a record is: which entry of the table it belongs to, a number below RING_SIGNALS for its
// kind, and how many it counts for.
struct ring_mark {
    uint32_t entry;
    uint16_t signal;
    uint16_t count;
};

bool ring_reserve(struct ring *ring, const struct ring_mark *mark, uint32_t len,
                  struct ring_slot *out_slot);
void ring_commit(struct ring *ring, const struct ring_slot *slot);

// Records of that signal that found no room.
uint64_t ring_dropped(const struct ring *ring, unsigned signal);

// Bytes that wait to be read, over all sub-rings.
uint64_t ring_waiting_bytes(const struct ring *ring);

// True when a sub-ring is a quarter full or more: what wakes a sleeping reader.
bool ring_is_pressed(const struct ring *ring);

struct ring_reader;

// Takes over both descriptors, also on failure. Checks seals, size, header and that the second is
// an eventfd before anything is believed; the writer may be hostile. -EBADMSG with a reason.
int ring_reader_new(int fd, int event_fd, struct ring_reader **out_reader, struct why *why);
void ring_reader_free(struct ring_reader *reader);
int ring_reader_event_fd(const struct ring_reader *reader);

// The reader of a ring of this very process, which is trusted: records are visited where they lie
// and stay there until they are released. Closes nothing of the ring's. NULL without memory.
struct ring_reader *ring_reader_own(struct ring *ring);

struct ring_record {
    struct ring_mark mark; // as the writer gave it; signal is below RING_SIGNALS
    struct str bytes;
};

// Reads what is committed, at most `max_bytes`; `visit` borrows the bytes. `is_writer_gone`: skip
// slots that were reserved and never committed, and read no further than the writer had got when
// that was said first. Nothing is given back before ring_reader_release.
typedef void ring_visit(void *self, const struct ring_record *record);
size_t ring_reader_read(struct ring_reader *reader, size_t max_bytes, bool is_writer_gone,
                        ring_visit *visit, void *self);

// At most about that many records a call, exactly as many of the own ring; 0: no limit.
void ring_reader_limit(struct ring_reader *reader, size_t max_records);

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
uint64_t ring_reader_dropped(const struct ring_reader *reader, unsigned signal);
