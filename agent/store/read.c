// SPDX-License-Identifier: Apache-2.0
// Questions to the store. Nothing here writes.

#include "agent/store/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

#include "libtrace/base/bytes.h"
#include "libtrace/base/hex.h"
#include "libtrace/otlp/index.h"
#include "libtrace/otlp/span.h"

enum { BLOCK_BYTES_MAX = 256 << 20 };

struct trace_walk {
    const uint8_t *trace_id;
    store_span_visit *visit;
    void *self;
    struct arena arena;
    uint64_t found;
    bool is_stopped;
};

static bool visit_if_ours(void *self, const struct otlp_record *record)
{
    struct trace_walk *walk = self;
    struct stored_span stored = {0};

    // Field 1 comes first from every encoder: most spans of a block are passed over undecoded.
    if (record->record.len > 18 && record->record.at[0] == 0x0a && record->record.at[1] == 16 &&
        memcmp(record->record.at + 2, walk->trace_id, 16) != 0)
        return true;
    arena_reset(&walk->arena);
    if (span_read(record->record, &walk->arena, &stored.span, NULL) != 0 ||
        memcmp(stored.span.trace_id, walk->trace_id, 16) != 0)
        return true;
    resource_read(record->resource, &walk->arena, &stored.resource, NULL);
    scope_read(record->scope, &walk->arena, &stored.scope, NULL);
    walk->found++;
    walk->is_stopped = !walk->visit(walk->self, &stored);
    return !walk->is_stopped;
}

static int walk_block(struct trace_walk *walk, struct str data)
{
    const unsigned long long known = ZSTD_getFrameContentSize(data.at, data.len);
    struct bytes wire = {.limit = BLOCK_BYTES_MAX};
    ZSTD_DCtx *context = ZSTD_createDCtx();
    ZSTD_inBuffer in = {data.at, data.len, 0};
    int failed = context ? 0 : -ENOMEM;

    if (known != ZSTD_CONTENTSIZE_UNKNOWN && known != ZSTD_CONTENTSIZE_ERROR &&
        known < BLOCK_BYTES_MAX)
        bytes_reserve(&wire, (size_t)known + 1);
    while (!failed) {
        uint8_t *to = bytes_reserve(&wire, 256 * 1024);
        ZSTD_outBuffer out = {to, 256 * 1024, 0};
        size_t left;

        if (!to) {
            failed = -EIO;
            break;
        }
        left = ZSTD_decompressStream(context, &out, &in);
        wire.len += out.pos;
        if (left == 0)
            break;
        if (ZSTD_isError(left) || (in.pos == in.size && out.pos == 0))
            failed = -EIO;
    }
    ZSTD_freeDCtx(context);
    if (!failed)
        otlp_each(SIGNAL_TRACES, bytes_str(&wire), visit_if_ours, walk);
    bytes_done(&wire);
    return failed;
}

int store_trace(struct store *store, const uint8_t trace_id[static 16], store_span_visit *visit,
                void *self, struct why *why)
{
    struct trace_walk walk = {.trace_id = trace_id, .visit = visit, .self = self};
    sqlite3_stmt *blocks =
        store_prepare(store, "SELECT data FROM blocks WHERE id IN"
                             " (SELECT DISTINCT block FROM spans WHERE trace_id = ?) ORDER BY id");
    int failed = 0;

    if (!blocks)
        return store_failed(store, why);
    arena_init(&walk.arena, 64 << 20);
    sqlite3_bind_blob(blocks, 1, trace_id, 16, SQLITE_STATIC);
    while (!failed && !walk.is_stopped && sqlite3_step(blocks) == SQLITE_ROW)
        failed = walk_block(&walk, column_str(blocks, 0));
    sqlite3_finalize(blocks);
    arena_done(&walk.arena);
    if (failed)
        return why_fail(why, failed, "store: a block cannot be read");
    return walk.found ? 0 : why_fail(why, -ENOENT, "trace not found");
}

// The smallest id that begins with the digits given.
static bool prefix_bounds(struct str prefix, uint8_t out_low[static 16],
                          uint8_t out_high[static 16])
{
    char low[32];
    char high[32];

    if (prefix.len > 32)
        return false;
    memset(low, '0', sizeof low);
    memset(high, 'f', sizeof high);
    if (prefix.len) {
        memcpy(low, prefix.at, prefix.len);
        memcpy(high, prefix.at, prefix.len);
    }
    return hex_read((struct str){low, 32}, out_low, 16) &&
           hex_read((struct str){high, 32}, out_high, 16);
}

int store_trace_find(struct store *store, struct str prefix, uint8_t out_trace_id[static 16])
{
    uint8_t low[16];
    uint8_t high[16];
    sqlite3_stmt *row;
    int failed = -ENOENT;

    if (!prefix_bounds(prefix, low, high))
        return -ENOENT;
    row = store_prepare(store, prefix.len ? "SELECT trace_id FROM traces WHERE trace_id BETWEEN ?"
                                            " AND ? LIMIT 2"
                                          : "SELECT trace_id FROM traces WHERE trace_id BETWEEN ?"
                                            " AND ? ORDER BY start_ns DESC LIMIT 1");
    if (!row)
        return -EIO;
    sqlite3_bind_blob(row, 1, low, 16, SQLITE_STATIC);
    sqlite3_bind_blob(row, 2, high, 16, SQLITE_STATIC);
    while (sqlite3_step(row) == SQLITE_ROW) {
        if (!failed) {
            failed = -EEXIST;
            break;
        }
        memcpy(out_trace_id, sqlite3_column_blob(row, 0), 16);
        failed = 0;
    }
    sqlite3_finalize(row);
    return failed;
}

static sqlite3_stmt *prepare_search(struct store *store, const struct store_query *query)
{
    // The root is the span without parent, else the earliest: one ordering says both.
    static const char sql[] =
        "SELECT trace_id, start_ns, end_ns, spans, errors,"
        " (SELECT group_concat(text, char(10)) FROM (SELECT DISTINCT w.text FROM spans s"
        "   JOIN words w ON w.id = s.service WHERE s.trace_id = t.trace_id LIMIT 64)),"
        " (SELECT s.rowid FROM spans s WHERE s.trace_id = t.trace_id"
        "   ORDER BY length(s.parent_id) > 0, s.start_ns LIMIT 1),"
        // Of a chain of failures the innermost began last.
        " CASE WHEN errors > 0 THEN (SELECT s.rowid FROM spans s WHERE s.trace_id = t.trace_id"
        "   AND s.is_error ORDER BY s.start_ns DESC LIMIT 1) END"
        " FROM traces t WHERE start_ns >= ?1 AND (?2 = 0 OR start_ns < ?2)"
        " AND end_ns - start_ns >= ?3 AND (?4 = 0 OR end_ns - start_ns <= ?4)"
        " AND (?5 = 0 OR errors > 0)"
        " AND (?6 = 0 OR EXISTS (SELECT 1 FROM spans s WHERE s.trace_id = t.trace_id AND"
        "   (?7 IS NULL OR s.service = (SELECT id FROM words WHERE text = ?7)) AND"
        "   (?8 IS NULL OR s.name = (SELECT id FROM words WHERE text = ?8))))"
        " ORDER BY start_ns DESC LIMIT ?9";
    sqlite3_stmt *rows = store_prepare(store, sql);

    if (!rows)
        return NULL;
    sqlite3_bind_int64(rows, 1, (int64_t)query->start_ns);
    sqlite3_bind_int64(rows, 2, (int64_t)query->end_ns);
    sqlite3_bind_int64(rows, 3, (int64_t)query->min_duration_ns);
    sqlite3_bind_int64(rows, 4, (int64_t)query->max_duration_ns);
    sqlite3_bind_int(rows, 5, query->only_errors);
    sqlite3_bind_int(rows, 6, query->service.len || query->operation.len);
    if (query->service.len)
        sqlite3_bind_blob64(rows, 7, query->service.at, query->service.len, SQLITE_STATIC);
    if (query->operation.len)
        sqlite3_bind_blob64(rows, 8, query->operation.at, query->operation.len, SQLITE_STATIC);
    sqlite3_bind_int64(rows, 9, query->limit ? query->limit : 50);
    return rows;
}

// The names of a span by its rowid; they live until the statement is used again.
static bool span_names(sqlite3_stmt *names, int64_t rowid, struct str *out_service,
                       struct str *out_name, bool *out_is_root)
{
    sqlite3_reset(names);
    sqlite3_bind_int64(names, 1, rowid);
    if (sqlite3_step(names) != SQLITE_ROW)
        return false;
    *out_service = column_str(names, 0);
    *out_name = column_str(names, 1);
    *out_is_root = sqlite3_column_int(names, 2) != 0;
    return true;
}

static sqlite3_stmt *prepare_names(struct store *store)
{
    return store_prepare(store, "SELECT (SELECT text FROM words WHERE id = service),"
                                " (SELECT text FROM words WHERE id = name), length(parent_id) = 0"
                                " FROM spans WHERE rowid = ?");
}

int store_search(struct store *store, const struct store_query *query, store_summary_visit *visit,
                 void *self, struct why *why)
{
    sqlite3_stmt *rows = prepare_search(store, query);
    sqlite3_stmt *root = prepare_names(store);
    sqlite3_stmt *culprit = prepare_names(store);
    bool goes_on = rows && root && culprit;
    const int failed = goes_on ? 0 : store_failed(store, why);
    bool is_root;

    while (goes_on && sqlite3_step(rows) == SQLITE_ROW) {
        struct trace_summary summary = {
            .start_ns = (uint64_t)sqlite3_column_int64(rows, 1),
            .end_ns = (uint64_t)sqlite3_column_int64(rows, 2),
            .spans = (uint64_t)sqlite3_column_int64(rows, 3),
            .errors = (uint64_t)sqlite3_column_int64(rows, 4),
            .services = column_str(rows, 5),
        };

        memcpy(summary.trace_id, sqlite3_column_blob(rows, 0), 16);
        span_names(root, sqlite3_column_int64(rows, 6), &summary.root_service, &summary.root_name,
                   &summary.has_root);
        if (summary.errors)
            span_names(culprit, sqlite3_column_int64(rows, 7), &summary.culprit_service,
                       &summary.culprit_name, &is_root);
        goes_on = visit(self, &summary);
    }
    sqlite3_finalize(rows);
    sqlite3_finalize(root);
    sqlite3_finalize(culprit);
    return failed;
}

static int visit_names(struct store *store, sqlite3_stmt *rows, store_name_visit *visit, void *self)
{
    if (!rows)
        return store_failed(store, NULL);
    while (sqlite3_step(rows) == SQLITE_ROW &&
           visit(self, column_str(rows, 0), (enum span_kind)sqlite3_column_int(rows, 1))) {
    }
    sqlite3_finalize(rows);
    return 0;
}

int store_services(struct store *store, store_name_visit *visit, void *self)
{
    return visit_names(store,
                       // One look into the index for each service, however many spans it has.
                       store_prepare(store,
                                     "WITH RECURSIVE s(id) AS (SELECT min(service) FROM spans"
                                     " UNION ALL SELECT (SELECT min(service) FROM spans WHERE"
                                     "  service > s.id) FROM s WHERE s.id IS NOT NULL)"
                                     " SELECT text, 0 FROM words WHERE id IN s ORDER BY text"),
                       visit, self);
}

int store_operations(struct store *store, struct str service, store_name_visit *visit, void *self)
{
    sqlite3_stmt *rows = store_prepare(
        store, "SELECT w.text, s.kind FROM (SELECT DISTINCT name, kind FROM spans WHERE service ="
               " (SELECT id FROM words WHERE text = ?)) s JOIN words w ON w.id = s.name"
               " ORDER BY w.text LIMIT 5000");

    if (rows)
        sqlite3_bind_blob64(rows, 1, service.at ? service.at : "", service.len, SQLITE_STATIC);
    return visit_names(store, rows, visit, self);
}
