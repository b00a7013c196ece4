// SPDX-License-Identifier: Apache-2.0
// Tables of series. A slot is filled with the hash first and the series last, so that a reader who
// sees the series sees the hash.

#include "libtrace/sdk/metrics/series.h"

#include <stdlib.h>

struct table *table_new(size_t slots)
{
    struct table *table = calloc(1, sizeof *table + slots * sizeof table->slots[0]);

    if (table)
        table->mask = slots - 1;
    return table;
}

void table_put(struct table *table, struct series *series)
{
    size_t i = series->hash & table->mask;

    while (atomic_load_explicit(&table->slots[i].series, memory_order_relaxed))
        i = (i + 1) & table->mask;
    table->slots[i].hash = series->hash;
    atomic_store_explicit(&table->slots[i].series, series, memory_order_release);
}

void tables_free(struct table *table)
{
    while (table) {
        struct table *former = table->former;

        free(table);
        table = former;
    }
}
