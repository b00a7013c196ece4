// SPDX-License-Identifier: Apache-2.0
// One time series: an attribute set and its cell. A sum or a last value is one atomic word; a
// histogram is behind a lock of its own that is held for a few loads and stores. Memory of a series
// is taken away only after guard_synchronize.

#pragma once

#include <sched.h>

#include "libtrace/sdk/metrics/attribute_set.h"
#include "libtrace/sdk/metrics/guard.h"

struct reservoir;

union number {
    int64_t integer;
    double real;
    uint64_t bits;
};

// What a cell is made of. The exponential one is in exponential.h.
enum cell { CELL_SUM, CELL_SUM_DOUBLE, CELL_LAST, CELL_EXPLICIT, CELL_EXPONENTIAL };

struct histogram {
    double sum;
    double min; // above max: nothing was recorded
    double max;
    uint64_t counts[]; // one more than boundaries
};

struct series {
    _Atomic uint64_t value; // bits of an int64_t or a double
    _Atomic uint32_t lock;  // of a histogram and of the exemplars
    _Atomic bool is_touched;
    uint32_t attribute_count;
    uint64_t hash;
    struct tl_attribute *attributes;
    struct str encoded; // the attributes as fields of a data point
    // Under the stream's lock from here on.
    uint32_t bound; // handles that hold it
    bool is_unlinked;
    uint64_t start_ns;
    union number previous; // asynchronous, delta: what was reported last
    _Atomic(struct reservoir *) reservoir;
    struct series *next;
    void *cell; // struct histogram or struct exponential
};

static inline void series_lock(struct series *series)
{
    unsigned turns = 0;

    while (atomic_exchange_explicit(&series->lock, 1, memory_order_acquire)) {
        // Its holder has a few instructions left, or was sent off the processor.
        if (++turns % 128 == 0)
            sched_yield();
    }
}

static inline void series_unlock(struct series *series)
{
    atomic_store_explicit(&series->lock, 0, memory_order_release);
}

// A table from hash to series, open addressing, at most half full. Readers look without a lock;
// slots are filled once and a table is replaced, never changed back.
struct slot {
    uint64_t hash;
    _Atomic(struct series *) series;
};

struct table {
    size_t mask;
    struct table *former; // replaced by this one; freed with the stream, or after a synchronize
    struct slot slots[];
};

static inline struct series *table_find(const struct table *table, uint64_t hash,
                                        const struct tl_attribute *attributes, size_t count)
{
    if (!table)
        return NULL;
    for (size_t i = hash & table->mask;; i = (i + 1) & table->mask) {
        struct series *series = atomic_load_explicit(&table->slots[i].series, memory_order_acquire);

        if (!series)
            return NULL;
        if (table->slots[i].hash == hash && series->attribute_count == count &&
            set_equal(attributes, series->attributes, count))
            return series;
    }
}

// `slots` is a power of two. NULL without memory.
struct table *table_new(size_t slots);
// There is room. Under the stream's lock.
void table_put(struct table *table, struct series *series);
// The table and all that it replaced.
void tables_free(struct table *table);
