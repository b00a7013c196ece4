// SPDX-License-Identifier: Apache-2.0
// What the store's own files share: the connection and how a statement is run. One thread.

#pragma once

#include <sqlite3.h>

#include "agent/store/store.h"

enum { STORE_VERSION = 1 };

struct store {
    sqlite3 *db;
    struct store_limits limits;
    uint64_t deadline_ns; // of the monotonic clock; 0: none
    bool is_late;
    sqlite3_stmt *insert_block;
    sqlite3_stmt *insert_word;
    sqlite3_stmt *find_word;
    sqlite3_stmt *insert_span;
    sqlite3_stmt *upsert_trace;
};

// -EIO with SQLite's words.
int store_failed(struct store *store, struct why *why);

// Runs SQL without results.
int store_run(struct store *store, const char *sql, struct why *why);

// A statement for one use, or NULL.
sqlite3_stmt *store_prepare(struct store *store, const char *sql);

// Adds the index rows of a batch of spans that was written as `block`. 0 or -EIO.
int store_index(struct store *store, const struct batch *batch, int64_t block);

static inline struct str column_str(sqlite3_stmt *statement, int column)
{
    const char *at = (const char *)sqlite3_column_blob(statement, column);

    return (struct str){at ? at : "", (size_t)sqlite3_column_bytes(statement, column)};
}
