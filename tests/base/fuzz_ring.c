// SPDX-License-Identifier: Apache-2.0
// A writer that turns hostile: it reserves and commits as it should, then writes anything anywhere
// into the shared file while the reader reads. Each input is a list of steps.

#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libtrace/base/reader.h"
#include "libtrace/base/ring.h"

enum { SUBS = 2, SUB_BYTES = 4096, DATA_AT = 3 * 4096, STEPS_MAX = 400 };

enum step {
    STEP_PUT,
    STEP_RESERVE,
    STEP_TABLE,
    STEP_POKE,
    STEP_POKE_INDEX,
    STEP_POKE_HEADER,
    STEP_READ,
    STEP_READ_GONE,
    STEP_RELEASE,
    STEP_REWIND,
    STEP_ENTRY,
    STEPS,
};

struct scene {
    struct ring *ring;
    struct ring_reader *reader;
    uint8_t *file;
    size_t file_bytes;
    bool is_hostile; // from then on the writer's own functions cannot be called
    size_t records;
};

static void see(void *self, const struct ring_record *record)
{
    struct scene *scene = self;
    uint8_t sum = 0;

    if (record->bytes.len > RING_RECORD_MAX)
        abort();
    for (size_t i = 0; i < record->bytes.len; i++)
        sum ^= (uint8_t)record->bytes.at[i];
    scene->records += 1u + sum / 256u;
}

static void write_step(struct scene *scene, enum step step, struct reader *input)
{
    const uint16_t len = reader_be16(input) % 3000;
    struct ring_slot slot;

    if (scene->is_hostile)
        return;
    if (step == STEP_TABLE) {
        ring_table_add(scene->ring, (struct str){"table table table table", len % 24});
    } else if (ring_reserve(scene->ring, &(struct ring_mark){len % 50, len % RING_SIGNALS, 1}, len,
                            &slot)) {
        memset(slot.at, 'x', len);
        if (step == STEP_PUT)
            ring_commit(scene->ring, &slot);
    }
}

static void poke_step(struct scene *scene, enum step step, struct reader *input)
{
    // The header's index begins at 128: head, four counts of drops and, 64 bytes on, tail.
    const uint16_t where = reader_be16(input);
    const uint64_t value = reader_be64(input);
    size_t at = where * 7u % (scene->file_bytes - 8);

    scene->is_hostile = true;
    if (step == STEP_POKE_INDEX)
        at = 128 + (size_t)(where % (2 * SUBS)) * 64;
    else if (step == STEP_POKE_HEADER)
        at = where % 64;
    memcpy(scene->file + at, &value, step == STEP_POKE ? where % 9u : 8);
}

static void read_step(struct scene *scene, enum step step, struct reader *input)
{
    struct bytes entry = {.limit = 1 << 20};

    switch (step) {
    case STEP_RELEASE:
        ring_reader_release(scene->reader);
        return;
    case STEP_REWIND:
        ring_reader_rewind(scene->reader);
        return;
    case STEP_ENTRY:
        ring_reader_entry(scene->reader, (uint32_t)reader_be(input, 4), &entry);
        if (entry.len > RING_TABLE_BYTES)
            abort();
        bytes_done(&entry);
        return;
    default:
        ring_reader_read(scene->reader, reader_be16(input), step == STEP_READ_GONE, see, scene);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader input = reader_of((struct str){(const char *)data, size});
    struct scene scene = {.ring = ring_new(SUBS, SUB_BYTES, -1)};

    scene.file_bytes = DATA_AT + RING_TABLE_BYTES + SUBS * SUB_BYTES;
    scene.file =
        mmap(NULL, scene.file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring_fd(scene.ring), 0);
    if (scene.file == MAP_FAILED ||
        ring_reader_new(dup(ring_fd(scene.ring)), eventfd(0, EFD_CLOEXEC), &scene.reader, NULL))
        abort();
    for (int i = 0; i < STEPS_MAX && input.at < input.end; i++) {
        const enum step step = (enum step)(reader_u8(&input) % STEPS);

        if (step <= STEP_TABLE)
            write_step(&scene, step, &input);
        else if (step <= STEP_POKE_HEADER)
            poke_step(&scene, step, &input);
        else
            read_step(&scene, step, &input);
    }
    // Whatever was done, a program that is gone has been read to its end after one lap of each
    // part.
    for (int turns = 0; ring_reader_read(scene.reader, 1 << 20, true, see, &scene); turns++) {
        ring_reader_release(scene.reader);
        if (turns > 2 * SUBS)
            abort();
    }
    munmap(scene.file, scene.file_bytes);
    ring_reader_free(scene.reader);
    ring_free(scene.ring);
    return 0;
}
