// SPDX-License-Identifier: Apache-2.0
// Wires are counted apart from batches, so that a merge shares the bytes of its parts. A batch is
// immutable once handed on; only the counts change, atomically.

#include "libtrace/model/batch.h"

#include "libtrace/model/receipt.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

struct wire {
    _Atomic unsigned references;
    uint8_t *bytes;
    size_t len;
};

struct batch {
    _Atomic unsigned references;
    enum signal signal;
    size_t records;
    size_t bytes;
    uint64_t received_ns;
    struct receipt **receipts;
    size_t receipt_count;
    size_t piece_count;
    struct wire *pieces[];
};

static struct batch *with_pieces(size_t count)
{
    struct batch *batch = calloc(1, sizeof *batch + count * sizeof batch->pieces[0]);

    if (!batch)
        return NULL;
    atomic_init(&batch->references, 1);
    batch->piece_count = count;
    return batch;
}

struct batch *batch_new(enum signal signal, uint8_t *wire, size_t wire_bytes, size_t records,
                        uint64_t received_ns)
{
    struct batch *batch = with_pieces(1);
    struct wire *piece = malloc(sizeof *piece);

    if (!batch || !piece) {
        free(batch);
        free(piece);
        free(wire);
        return NULL;
    }
    atomic_init(&piece->references, 1);
    piece->bytes = wire;
    piece->len = wire_bytes;
    batch->pieces[0] = piece;
    batch->signal = signal;
    batch->records = records;
    batch->bytes = wire_bytes;
    batch->received_ns = received_ns;
    return batch;
}

struct batch *batch_ref(struct batch *batch)
{
    atomic_fetch_add_explicit(&batch->references, 1, memory_order_relaxed);
    return batch;
}

static void wire_unref(struct wire *wire)
{
    if (atomic_fetch_sub_explicit(&wire->references, 1, memory_order_acq_rel) != 1)
        return;
    free(wire->bytes);
    free(wire);
}

void batch_unref(struct batch *batch)
{
    if (!batch || atomic_fetch_sub_explicit(&batch->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < batch->piece_count; i++)
        wire_unref(batch->pieces[i]);
    for (size_t i = 0; i < batch->receipt_count; i++)
        receipt_unref(batch->receipts[i]);
    free(batch->receipts);
    free(batch);
}

int batch_receipt_add(struct batch *batch, struct receipt *receipt)
{
    struct receipt **grown =
        realloc(batch->receipts, (batch->receipt_count + 1) * sizeof batch->receipts[0]);

    if (!grown) {
        receipt_unref(receipt);
        return -ENOMEM;
    }
    batch->receipts = grown;
    batch->receipts[batch->receipt_count++] = receipt;
    return 0;
}

void batch_mark_dropped(const struct batch *batch)
{
    for (size_t i = 0; i < batch->receipt_count; i++)
        receipt_mark_dropped(batch->receipts[i]);
}

static void drop_parts(struct batch *const *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        batch_mark_dropped(parts[i]);
        batch_unref(parts[i]);
    }
}

struct batch *batch_merge(struct batch *const *parts, size_t count)
{
    struct batch *merged;
    size_t pieces = 0;
    size_t receipts = 0;

    if (count == 1)
        return parts[0];
    for (size_t i = 0; i < count; i++) {
        pieces += parts[i]->piece_count;
        receipts += parts[i]->receipt_count;
    }
    merged = with_pieces(pieces);
    if (merged && receipts)
        merged->receipts = calloc(receipts, sizeof merged->receipts[0]);
    if (!merged || (receipts && !merged->receipts)) {
        free(merged);
        drop_parts(parts, count);
        return NULL;
    }
    merged->signal = parts[0]->signal;
    merged->received_ns = parts[0]->received_ns;
    pieces = 0;
    for (size_t i = 0; i < count; i++) {
        struct batch *part = parts[i];

        merged->records += part->records;
        merged->bytes += part->bytes;
        if (part->received_ns < merged->received_ns)
            merged->received_ns = part->received_ns;
        for (size_t j = 0; j < part->piece_count; j++) {
            atomic_fetch_add_explicit(&part->pieces[j]->references, 1, memory_order_relaxed);
            merged->pieces[pieces++] = part->pieces[j];
        }
        for (size_t j = 0; j < part->receipt_count; j++)
            merged->receipts[merged->receipt_count++] = receipt_ref(part->receipts[j]);
        batch_unref(part);
    }
    return merged;
}

enum signal batch_signal(const struct batch *batch)
{
    return batch->signal;
}

size_t batch_records(const struct batch *batch)
{
    return batch->records;
}

size_t batch_bytes(const struct batch *batch)
{
    return batch->bytes;
}

uint64_t batch_received_ns(const struct batch *batch)
{
    return batch->received_ns;
}

size_t batch_pieces(const struct batch *batch)
{
    return batch->piece_count;
}

struct str batch_piece(const struct batch *batch, size_t index)
{
    return (struct str){(const char *)batch->pieces[index]->bytes, batch->pieces[index]->len};
}

const char *signal_text(enum signal signal)
{
    static const char *const texts[SIGNAL_COUNT] = {"traces", "metrics", "logs"};

    return texts[signal];
}
