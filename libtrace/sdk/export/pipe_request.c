// SPDX-License-Identifier: Apache-2.0
// From records in the ring to one Export...ServiceRequest a signal. Records of one entry become one
// group; their order within it is the ring's.

#include <stdlib.h>

#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/export/pipe_own.h"

struct taken {
    size_t count;
    struct ring_record records[BATCH_RECORDS_MAX];
    bool is_done[BATCH_RECORDS_MAX];
};

static void take_one(void *self, const struct ring_record *record)
{
    struct taken *taken = self;

    // The reader's limit keeps the count below.
    if (taken->count < BATCH_RECORDS_MAX)
        taken->records[taken->count++] = *record;
}

static const struct pipe_entry *entry_of(const struct pipe *pipe, uint32_t at)
{
    for (size_t i = 0; i < pipe->entry_count; i++) {
        if (pipe->entries[i].at == at)
            return &pipe->entries[i];
    }
    return NULL;
}

static size_t field_size(size_t len)
{
    return 1 + varint_size(len) + len;
}

// One ResourceSpans (or the like) with one ScopeSpans of all records like the first.
static void group_write(struct bytes *out, const struct pipe_entry *entry, struct taken *taken,
                        size_t first)
{
    const struct ring_mark mark = taken->records[first].mark;
    size_t scope_len = entry->scope.len;
    uint8_t *to;

    for (size_t i = first; i < taken->count; i++) {
        const struct ring_record *record = &taken->records[i];

        if (record->mark.entry == mark.entry && record->mark.signal == mark.signal)
            scope_len += field_size(record->bytes.len);
    }
    to = bytes_reserve(out, scope_len + entry->resource.len + 64);
    if (!to)
        return;
    *to++ = 1 << 3 | WIRE_BYTES;
    to += varint_put(to, entry->resource.len + field_size(scope_len));
    if (entry->resource.len)
        memcpy(to, entry->resource.at, entry->resource.len);
    to += entry->resource.len;
    *to++ = 2 << 3 | WIRE_BYTES;
    to += varint_put(to, scope_len);
    if (entry->scope.len)
        memcpy(to, entry->scope.at, entry->scope.len);
    to += entry->scope.len;
    for (size_t i = first; i < taken->count; i++) {
        const struct ring_record *record = &taken->records[i];

        if (record->mark.entry != mark.entry || record->mark.signal != mark.signal)
            continue;
        *to++ = 2 << 3 | WIRE_BYTES;
        to += varint_put(to, record->bytes.len);
        memcpy(to, record->bytes.at, record->bytes.len);
        to += record->bytes.len;
        taken->is_done[i] = true;
    }
    out->len = (size_t)(to - out->at);
}

static struct flight *flight_free(struct pipe *pipe)
{
    for (size_t i = 0; i < FLIGHTS; i++) {
        if (pipe->flights[i].state == FLIGHT_FREE)
            return &pipe->flights[i];
    }
    return NULL;
}

// All groups of one signal as one request.
static void request_make(struct pipe *pipe, struct taken *taken, enum tl_signal signal,
                         uint64_t now_ns)
{
    struct flight *flight = flight_free(pipe);
    size_t records = 0;

    flight->body.len = 0;
    flight->body.is_failed = false;
    for (size_t i = 0; i < taken->count; i++) {
        const struct pipe_entry *entry;

        if (taken->records[i].mark.signal != signal)
            continue;
        records += taken->records[i].mark.count;
        if (taken->is_done[i])
            continue;
        entry = entry_of(pipe, taken->records[i].mark.entry);
        if (entry)
            group_write(&flight->body, entry, taken, i);
    }
    atomic_fetch_add(&pipe->processed, records);
    if (flight->body.is_failed) {
        signal_add(signal, LOSS_NO_MEMORY, records);
        atomic_fetch_add(&pipe->failed, records);
        return;
    }
    flight->state = FLIGHT_WAITING;
    flight->signal = signal;
    flight->attempt = 0;
    flight->due_ns = now_ns;
    flight->give_up_ns = now_ns + PIPE_RETRY_NS;
    flight->request = (struct tl_request){
        .signal = signal,
        .bytes = flight->body.at,
        .len = flight->body.len,
        .records = records,
    };
    atomic_fetch_add(&pipe->in_flight, records);
}

static bool has_signal(const struct taken *taken, unsigned signal)
{
    for (size_t i = 0; i < taken->count; i++) {
        if (taken->records[i].mark.signal == signal)
            return true;
    }
    return false;
}

size_t pipe_batch_make(struct pipe *pipe, bool is_partial, uint64_t now_ns)
{
    // One sender at a time has it; far too large for a stack.
    struct taken *taken = pipe->taken;

    if (!taken)
        taken = pipe->taken = malloc(sizeof *taken);
    if (!taken)
        return 0;
    taken->count = 0;
    ring_reader_limit(pipe->reader, pipe->batch.max_batch_records);
    ring_reader_read(pipe->reader, REQUEST_BYTES_MAX / 4, false, take_one, taken);
    if (taken->count == 0 || (!is_partial && taken->count < pipe->batch.max_batch_records)) {
        ring_reader_rewind(pipe->reader);
        return 0;
    }
    memset(taken->is_done, 0, taken->count * sizeof taken->is_done[0]);
    pthread_mutex_lock(&pipe->lock);
    for (unsigned signal = 0; signal < SIGNALS; signal++) {
        if (has_signal(taken, signal))
            request_make(pipe, taken, (enum tl_signal)signal, now_ns);
    }
    pthread_mutex_unlock(&pipe->lock);
    ring_reader_release(pipe->reader);
    if (pipe->queued_max)
        atomic_fetch_sub(&pipe->queued, taken->count);
    return taken->count;
}
