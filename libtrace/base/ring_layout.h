// SPDX-License-Identifier: Apache-2.0
// How a ring lies in its memfd; for its writers and its reader alone.

#pragma once

#include <stdatomic.h>

#include "libtrace/base/descriptor.h"
#include "libtrace/base/ring.h"

enum { HEADER_BYTES = 3 * 4096, HEAD_BYTES = 16, STEP = 16, RING_VERSION = 2 };

#define RING_MAGIC UINT64_C(0x31474e4952544c54) // "TLTRING1"
#define RING_SKIP UINT32_MAX

struct sub_index {
    _Alignas(128) _Atomic uint64_t head; // bytes ever reserved
    _Atomic uint64_t dropped[RING_SIGNALS];
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
    uint16_t signal;
    uint16_t count; // records inside
};

struct ring {
    int fd;
    int event_fd;
    struct descriptor_file file; // what they stood for when they were opened
    struct descriptor_file event_file;
    size_t map_bytes;
    struct header *header;
    uint8_t *table;
    uint8_t *data;
    uint64_t sub_bytes; // copies: the reader's side could write the header
    unsigned subs;
};

// A record's word depends on where it stands in the stream: nothing of an earlier lap looks right.
static inline uint32_t commit_of(uint64_t position)
{
    return (uint32_t)((position / STEP) * UINT64_C(0x9E3779B97F4A7C15) >> 32) | 1;
}

static inline size_t file_bytes(unsigned subs, uint64_t sub_bytes)
{
    return HEADER_BYTES + RING_TABLE_BYTES + subs * sub_bytes;
}
