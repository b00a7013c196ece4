// SPDX-License-Identifier: Apache-2.0
// Opening, writing and making room. A batch becomes one block and its index rows in one
// transaction.

#include "agent/store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "agent/store/connection.h"
#include "agent/store/stats.h"
#include "libtrace/base/clock.h"

enum { PATH_BYTES = 4096, ZSTD_LEVEL = 3 };

static const char schema[] =
    "CREATE TABLE blocks(id INTEGER PRIMARY KEY AUTOINCREMENT, signal INTEGER, received_ns INTEGER,"
    " records INTEGER, wire_bytes INTEGER, data BLOB);"
    "CREATE TABLE words(id INTEGER PRIMARY KEY, text BLOB UNIQUE);"
    "CREATE TABLE spans(block INTEGER, trace_id BLOB, span_id BLOB, parent_id BLOB,"
    " service INTEGER, name INTEGER, peer INTEGER, peer_kind INTEGER, kind INTEGER,"
    " is_error INTEGER, start_ns INTEGER, duration_ns INTEGER);"
    "CREATE INDEX spans_by_trace ON spans(trace_id, span_id);"
    "CREATE INDEX spans_by_service ON spans(service, start_ns);"
    "CREATE INDEX spans_by_time ON spans(start_ns);"
    "CREATE INDEX spans_by_block ON spans(block);"
    "CREATE TABLE traces(trace_id BLOB PRIMARY KEY, start_ns INTEGER, end_ns INTEGER,"
    " spans INTEGER, errors INTEGER) WITHOUT ROWID;"
    "CREATE INDEX traces_by_time ON traces(start_ns);"
    "PRAGMA user_version = 1;";

int store_failed(struct store *store, struct why *why)
{
    return why_fail(why, -EIO, "store: %s", sqlite3_errmsg(store->db));
}

int store_run(struct store *store, const char *sql, struct why *why)
{
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0
                                                                       : store_failed(store, why);
}

sqlite3_stmt *store_prepare(struct store *store, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v3(store->db, sql, -1, 0, &statement, NULL) != SQLITE_OK)
        return NULL;
    return statement;
}

static int path_of(struct str folder, char out_path[static PATH_BYTES], struct why *why)
{
    const int len = snprintf(out_path, PATH_BYTES, "%.*s/store.sqlite", STR_ARGS(folder));

    if (len < 0 || len >= PATH_BYTES)
        return why_fail(why, -ENAMETOOLONG, "the data directory's name is too long");
    return 0;
}

static int make_folder(struct str folder, struct why *why)
{
    char path[PATH_BYTES];
    const int len = snprintf(path, sizeof path, "%.*s", STR_ARGS(folder));

    if (len < 0 || len >= PATH_BYTES)
        return why_fail(why, -ENAMETOOLONG, "the data directory's name is too long");
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return why_fail(why, -errno, "data directory '%s' cannot be made: %s", path,
                        strerrordesc_np(errno));
    if (access(path, W_OK | X_OK) != 0)
        return why_fail(why, -EACCES, "data directory '%s' is not writable: %s", path,
                        strerrordesc_np(errno));
    return 0;
}

static int number_of(struct store *store, const char *sql, int64_t *out_number)
{
    sqlite3_stmt *statement = store_prepare(store, sql);
    int failed = -EIO;

    if (statement && sqlite3_step(statement) == SQLITE_ROW) {
        *out_number = sqlite3_column_int64(statement, 0);
        failed = 0;
    }
    sqlite3_finalize(statement);
    return failed;
}

static bool is_sound(struct store *store)
{
    sqlite3_stmt *statement = store_prepare(store, "PRAGMA quick_check(1)");
    const bool is_ok = statement && sqlite3_step(statement) == SQLITE_ROW &&
                       str_equal(column_str(statement, 0), STR("ok"));

    sqlite3_finalize(statement);
    return is_ok;
}

static int prepare_writes(struct store *store, struct why *why)
{
    store->insert_block =
        store_prepare(store, "INSERT INTO blocks(signal, received_ns, records, wire_bytes, data)"
                             " VALUES(?,?,?,?,?)");
    store->insert_word = store_prepare(store, "INSERT INTO words(text) VALUES(?)");
    store->find_word = store_prepare(store, "SELECT id FROM words WHERE text = ?");
    store->insert_span = store_prepare(store, "INSERT INTO spans VALUES(?,?,?,?,?,?,?,?,?,?,?,?)");
    store->upsert_trace = store_prepare(
        store, "INSERT INTO traces VALUES(?1,?2,?3,1,?4) ON CONFLICT DO UPDATE SET"
               " start_ns = min(start_ns, ?2), end_ns = max(end_ns, ?3), spans = spans + 1,"
               " errors = errors + ?4");
    if (!store->insert_block || !store->insert_word || !store->find_word || !store->insert_span ||
        !store->upsert_trace)
        return store_failed(store, why);
    return 0;
}

// -EBADMSG: the file is damaged.
static int open_file(const char *path, struct store *store, struct why *why)
{
    int64_t version = 0;
    int failed;

    if (sqlite3_open_v2(path, &store->db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        return why_fail(why, -EACCES, "store '%s': %s", path, sqlite3_errmsg(store->db));
    sqlite3_busy_timeout(store->db, 5000);
    // auto_vacuum must be chosen before the first table.
    if (number_of(store, "PRAGMA user_version", &version) != 0)
        return why_fail(why, -EBADMSG, "store '%s': %s", path, sqlite3_errmsg(store->db));
    if (version > STORE_VERSION)
        return why_fail(why, -ENOTSUP,
                        "store '%s' is of version %lld, this program knows %d: use a newer "
                        "throughline or another --data-dir",
                        path, (long long)version, STORE_VERSION);
    if (version && !is_sound(store))
        return why_fail(why, -EBADMSG, "store '%s' is damaged", path);
    failed = store_run(store,
                       "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
                       " PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216;",
                       why);
    if (!failed && version == 0)
        failed = store_run(store, schema, why);
    return failed ? failed : prepare_writes(store, why);
}

static int move_aside(const char *path, struct why *why)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char from[PATH_BYTES + 8];
    char to[PATH_BYTES + 64];

    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        if (snprintf(from, sizeof from, "%s%s", path, suffixes[i]) < 0 ||
            snprintf(to, sizeof to, "%s.damaged-%llu%s", path,
                     (unsigned long long)(clock_unix_ns() / NS_PER_SECOND), suffixes[i]) < 0)
            return why_fail(why, -EIO, "store '%s' cannot be moved aside", path);
        if (rename(from, to) != 0 && errno != ENOENT)
            return why_fail(why, -errno, "store '%s' is damaged and cannot be moved aside", path);
    }
    stats_add(&store_stats, STORE_files_moved_aside, 1);
    return 0;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    sqlite3_finalize(store->insert_block);
    sqlite3_finalize(store->insert_word);
    sqlite3_finalize(store->find_word);
    sqlite3_finalize(store->insert_span);
    sqlite3_finalize(store->upsert_trace);
    sqlite3_close(store->db);
    free(store);
}

int store_open(struct str folder, const struct store_limits *limits, struct store **out_store,
               bool *out_moved_aside, struct why *why)
{
    char path[PATH_BYTES];
    struct store *store = NULL;
    int failed = make_folder(folder, why);

    *out_moved_aside = false;
    if (!failed)
        failed = path_of(folder, path, why);
    for (int attempt = 0; !failed && attempt < 2; attempt++) {
        store = calloc(1, sizeof *store);
        if (!store)
            return why_fail(why, -ENOMEM, "out of memory");
        store->limits = *limits;
        failed = open_file(path, store, why);
        if (!failed)
            break;
        store_close(store);
        store = NULL;
        if (failed != -EBADMSG || attempt)
            break;
        failed = move_aside(path, why);
        *out_moved_aside = !failed;
    }
    if (!failed)
        *out_store = store;
    return failed;
}

int store_open_readonly(struct str folder, struct store **out_store, struct why *why)
{
    char path[PATH_BYTES];
    struct store *store;
    int64_t version = 0;
    int failed = path_of(folder, path, why);

    if (failed)
        return failed;
    store = calloc(1, sizeof *store);
    if (!store)
        return why_fail(why, -ENOMEM, "out of memory");
    if (sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
            SQLITE_OK ||
        number_of(store, "PRAGMA user_version", &version) != 0 || version != STORE_VERSION) {
        store_close(store);
        return why_fail(why, -ENOENT, "no store in '%.*s'", STR_ARGS(folder));
    }
    sqlite3_busy_timeout(store->db, 5000);
    store_run(store, "PRAGMA query_only = ON", NULL);
    *out_store = store;
    return 0;
}

static int look_at_clock(void *self)
{
    struct store *store = self;

    if (store->deadline_ns && clock_mono_ns() >= store->deadline_ns)
        store->is_late = true;
    return store->is_late;
}

void store_deadline(struct store *store, uint64_t timeout_ms)
{
    enum { STEPS = 10000 }; // of SQLite's machine between two looks, well under a millisecond

    store->is_late = false;
    store->deadline_ns = timeout_ms ? clock_mono_ns() + timeout_ms * NS_PER_MS : 0;
    sqlite3_progress_handler(store->db, timeout_ms ? STEPS : 0, look_at_clock, store);
}

bool store_is_late(const struct store *store)
{
    return store->is_late;
}

uint64_t store_version(struct store *store)
{
    int64_t version = 0;

    number_of(store, "PRAGMA data_version", &version);
    return (uint64_t)version;
}

// Compresses all pieces in a row: together they are one request again.
static int compress_batch(const struct batch *batch, uint8_t **out_data, size_t *out_bytes)
{
    const size_t bound = ZSTD_compressBound(batch_bytes(batch)) + 64;
    ZSTD_CCtx *context = ZSTD_createCCtx();
    uint8_t *data = malloc(bound);
    ZSTD_outBuffer out = {data, bound, 0};
    size_t left = data && context ? 0 : 1;

    if (context)
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    for (size_t i = 0; !left && i < batch_pieces(batch); i++) {
        const struct str piece = batch_piece(batch, i);
        ZSTD_inBuffer in = {piece.at, piece.len, 0};

        while (!left && in.pos < in.size) {
            if (ZSTD_isError(ZSTD_compressStream2(context, &out, &in, ZSTD_e_continue)))
                left = 1;
        }
    }
    if (!left) {
        ZSTD_inBuffer none = {NULL, 0, 0};

        left = ZSTD_compressStream2(context, &out, &none, ZSTD_e_end);
    }
    ZSTD_freeCCtx(context);
    if (left) {
        free(data);
        return -ENOMEM;
    }
    *out_data = data;
    *out_bytes = out.pos;
    return 0;
}

static int insert_block(struct store *store, const struct batch *batch, const uint8_t *data,
                        size_t data_bytes)
{
    sqlite3_stmt *row = store->insert_block;

    sqlite3_reset(row);
    sqlite3_bind_int(row, 1, (int)batch_signal(batch));
    sqlite3_bind_int64(row, 2, (int64_t)batch_received_ns(batch));
    sqlite3_bind_int64(row, 3, (int64_t)batch_records(batch));
    sqlite3_bind_int64(row, 4, (int64_t)batch_bytes(batch));
    sqlite3_bind_blob64(row, 5, data, data_bytes, SQLITE_STATIC);
    return sqlite3_step(row) == SQLITE_DONE ? 0 : -EIO;
}

// Removes the oldest blocks while the file is over its limit, and those that are too old. A trace
// row goes when its last span has gone.
static int make_room(struct store *store, struct why *why)
{
    const uint64_t oldest_ns = clock_unix_ns() - store->limits.max_age_ms * NS_PER_MS;
    int64_t used = 0;
    int64_t oldest_block = 0;
    char sql[512];

    if (number_of(store,
                  "SELECT (SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM"
                  " pragma_page_size) - (SELECT freelist_count FROM pragma_freelist_count) *"
                  " (SELECT page_size FROM pragma_page_size)",
                  &used) != 0)
        return store_failed(store, why);
    if (snprintf(sql, sizeof sql,
                 "SELECT coalesce(max(id), 0) FROM (SELECT id FROM blocks WHERE received_ns < %lld"
                 " UNION ALL SELECT * FROM (SELECT id FROM blocks ORDER BY id LIMIT %d))",
                 (long long)oldest_ns,
                 store->limits.max_bytes && used > (int64_t)store->limits.max_bytes ? 16 : 0) < 0 ||
        number_of(store, sql, &oldest_block) != 0)
        return store_failed(store, why);
    if (oldest_block == 0)
        return 0;
    if (snprintf(sql, sizeof sql,
                 "CREATE TEMP TABLE IF NOT EXISTS gone(trace_id BLOB); DELETE FROM gone;"
                 "INSERT INTO gone SELECT DISTINCT trace_id FROM spans WHERE block <= %lld;"
                 "DELETE FROM spans WHERE block <= %lld; DELETE FROM blocks WHERE id <= %lld;"
                 "DELETE FROM traces WHERE trace_id IN (SELECT trace_id FROM gone) AND NOT EXISTS"
                 " (SELECT 1 FROM spans WHERE spans.trace_id = traces.trace_id);",
                 (long long)oldest_block, (long long)oldest_block, (long long)oldest_block) < 0)
        return -EIO;
    if (store_run(store, sql, why) != 0)
        return -EIO;
    stats_add(&store_stats, STORE_blocks_expired, 1);
    return store_run(store, "PRAGMA incremental_vacuum(256)", why);
}

int store_write(struct store *store, const struct batch *batch, struct why *why)
{
    uint8_t *data = NULL;
    size_t data_bytes = 0;
    int failed = compress_batch(batch, &data, &data_bytes);

    if (failed)
        return why_fail(why, failed, "store: out of memory");
    failed = store_run(store, "BEGIN IMMEDIATE", why);
    if (failed) {
        free(data);
        return failed;
    }
    failed = insert_block(store, batch, data, data_bytes);
    free(data);
    if (!failed && batch_signal(batch) == SIGNAL_TRACES)
        failed = store_index(store, batch, sqlite3_last_insert_rowid(store->db));
    if (!failed)
        failed = make_room(store, why);
    if (failed) {
        store_failed(store, why);
        store_run(store, "ROLLBACK", NULL);
        return -EIO;
    }
    failed = store_run(store, "COMMIT", why);
    if (failed)
        return failed;
    stats_add(&store_stats, STORE_blocks_written, 1);
    stats_add(&store_stats, STORE_records_written, batch_records(batch));
    stats_add(&store_stats, STORE_bytes_received, batch_bytes(batch));
    stats_add(&store_stats, STORE_bytes_written, data_bytes);
    return 0;
}
