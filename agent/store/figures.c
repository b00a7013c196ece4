// SPDX-License-Identifier: Apache-2.0
// Figures of services: who is entered how often, and who calls whom. Nothing here writes.

#include <errno.h>

#include "agent/store/connection.h"
#include "libtrace/base/bytes.h"

static int visit_entries(struct store *store, sqlite3_stmt *rows, uint64_t since_ns,
                         store_entry_visit *visit, void *self)
{
    bool goes_on = rows != NULL;

    if (!rows)
        return store_failed(store, NULL);
    sqlite3_bind_int64(rows, 1, (int64_t)since_ns);
    while (goes_on && sqlite3_step(rows) == SQLITE_ROW) {
        const struct entry_span entry = {
            .service = column_str(rows, 0),
            .name = column_str(rows, 1),
            .kind = (enum span_kind)sqlite3_column_int(rows, 2),
            .start_ns = (uint64_t)sqlite3_column_int64(rows, 3),
            .duration_ns = (uint64_t)sqlite3_column_int64(rows, 4),
            .is_error = sqlite3_column_int(rows, 5) != 0,
        };

        goes_on = visit(self, &entry);
    }
    sqlite3_finalize(rows);
    return 0;
}

int store_entries(struct store *store, uint64_t since_ns, store_entry_visit *visit, void *self)
{
    // A service without an entry span is counted by the spans that have no parent in it. Numbers
    // are sorted, texts are looked up afterwards.
    return visit_entries(
        store,
        store_prepare(
            store,
            "WITH entered AS (SELECT DISTINCT service FROM spans WHERE start_ns >= ?1 AND"
            "  kind IN (2, 5)),"
            " entry AS (SELECT service, name, kind, start_ns, duration_ns, is_error FROM spans"
            "  WHERE start_ns >= ?1 AND (kind IN (2, 5) OR (length(parent_id) = 0"
            "  AND service NOT IN entered)) ORDER BY service, duration_ns)"
            " SELECT (SELECT text FROM words WHERE id = service), '', kind, start_ns, duration_ns,"
            " is_error FROM entry"),
        since_ns, visit, self);
}

int store_service_entries(struct store *store, struct str service, uint64_t since_ns,
                          store_entry_visit *visit, void *self)
{
    sqlite3_stmt *rows = store_prepare(
        store,
        "WITH ours AS (SELECT name, kind, start_ns, duration_ns, is_error, parent_id FROM spans"
        "  WHERE service = (SELECT id FROM words WHERE text = ?2) AND start_ns >= ?1),"
        " entry AS (SELECT * FROM ours WHERE kind IN (2, 5) OR (length(parent_id) = 0 AND NOT"
        "  EXISTS (SELECT 1 FROM ours WHERE kind IN (2, 5))) ORDER BY name, kind, duration_ns)"
        " SELECT ?2, (SELECT text FROM words WHERE id = name), kind, start_ns, duration_ns,"
        " is_error FROM entry");

    if (rows)
        sqlite3_bind_blob64(rows, 2, service.at ? service.at : "", service.len, SQLITE_STATIC);
    return visit_entries(store, rows, since_ns, visit, self);
}

// The calls of one edge, by duration, while they come.
struct edge_walk {
    struct store *store;
    store_edge_visit *visit;
    void *self;
    sqlite3_stmt *word;
    struct bytes names;
    struct bytes durations; // uint64_t each
    int64_t from;
    int64_t to;
    int kind;
    uint64_t errors;
    bool goes_on;
};

static size_t name_add(struct edge_walk *walk, int64_t word)
{
    const size_t before = walk->names.len;

    sqlite3_reset(walk->word);
    sqlite3_bind_int64(walk->word, 1, word);
    if (word && sqlite3_step(walk->word) == SQLITE_ROW)
        bytes_add_str(&walk->names, column_str(walk->word, 0));
    return walk->names.len - before;
}

static uint64_t quantile_ns(const struct bytes *durations, double q)
{
    const size_t count = durations->len / sizeof(uint64_t);
    uint64_t ns;

    memcpy(&ns, durations->at + (size_t)(q * (double)(count - 1) + 0.5) * sizeof ns, sizeof ns);
    return ns;
}

static void edge_end(struct edge_walk *walk)
{
    struct store_edge edge = {.kind = (enum edge_kind)walk->kind, .errors = walk->errors};

    if (walk->durations.len && !walk->durations.is_failed) {
        walk->names.len = 0;
        edge.from.len = name_add(walk, walk->from);
        edge.to.len = name_add(walk, walk->to);
        edge.from.at = (const char *)walk->names.at;
        edge.to.at = edge.from.at + edge.from.len;
        edge.count = walk->durations.len / sizeof(uint64_t);
        edge.p50_ns = quantile_ns(&walk->durations, 0.5);
        edge.p99_ns = quantile_ns(&walk->durations, 0.99);
        edge.max_ns = quantile_ns(&walk->durations, 1);
        walk->goes_on = !walk->names.is_failed && walk->visit(walk->self, &edge);
    }
    walk->durations.len = 0;
    walk->errors = 0;
}

static void edge_add(struct edge_walk *walk, sqlite3_stmt *rows)
{
    const int64_t from = sqlite3_column_int64(rows, 0);
    const int64_t to = sqlite3_column_int64(rows, 1);
    const int kind = sqlite3_column_int(rows, 2);
    const uint64_t duration_ns = (uint64_t)sqlite3_column_int64(rows, 3);

    if (from != walk->from || to != walk->to || kind != walk->kind)
        edge_end(walk);
    walk->from = from;
    walk->to = to;
    walk->kind = kind;
    walk->errors += sqlite3_column_int(rows, 4) != 0;
    bytes_add(&walk->durations, &duration_ns, sizeof duration_ns);
}

// Numbers are enum edge_kind and enum span_kind. First each span beside its parent: another
// service's, or a client of the same, or none that was seen. Then what ended at a database, a
// broker or an address nobody traced; then what came from a broker, which stands between the two
// services.
static const char edges_sql[] =
    "SELECT coalesce(p.service, 0) AS source, c.service AS target,"
    "  CASE WHEN p.service IS NULL THEN 5 ELSE 0 END AS kind,"
    "  CASE WHEN p.kind = 3 THEN p.duration_ns ELSE c.duration_ns END AS took,"
    "  c.is_error OR (p.kind = 3 AND p.is_error) AS failed"
    " FROM spans c LEFT JOIN spans p ON p.trace_id = c.trace_id AND p.span_id = c.parent_id"
    " WHERE c.start_ns >= ?1 AND c.start_ns < ?2 AND NOT (c.kind = 5 AND c.peer > 0) AND"
    "  CASE WHEN p.service IS NULL THEN c.kind = 2"
    "   ELSE p.service <> c.service OR (p.kind IN (3, 4) AND c.kind IN (2, 5)) END"
    " UNION ALL SELECT s.service, s.peer, s.peer_kind, s.duration_ns, s.is_error FROM spans s"
    " WHERE s.start_ns >= ?1 AND s.start_ns < ?2 AND s.peer > 0 AND s.kind <> 5 AND"
    "  (s.peer_kind <> 3 OR NOT EXISTS (SELECT 1 FROM spans c WHERE c.trace_id = s.trace_id"
    "   AND c.parent_id = s.span_id))"
    " UNION ALL SELECT s.peer, s.service, 4, s.duration_ns, s.is_error FROM spans s"
    " WHERE s.start_ns >= ?1 AND s.start_ns < ?2 AND s.peer > 0 AND s.kind = 5"
    " ORDER BY source, target, kind, took";

int store_edges(struct store *store, uint64_t since_ns, uint64_t until_ns, store_edge_visit *visit,
                void *self)
{
    struct edge_walk walk = {
        .store = store,
        .visit = visit,
        .self = self,
        .word = store_prepare(store, "SELECT text FROM words WHERE id = ?"),
        .goes_on = true,
    };
    sqlite3_stmt *rows = store_prepare(store, edges_sql);
    const int failed = rows && walk.word ? 0 : store_failed(store, NULL);

    if (!failed) {
        sqlite3_bind_int64(rows, 1, (int64_t)since_ns);
        sqlite3_bind_int64(rows, 2,
                           until_ns && until_ns < INT64_MAX ? (int64_t)until_ns : INT64_MAX);
    }
    while (!failed && walk.goes_on && sqlite3_step(rows) == SQLITE_ROW)
        edge_add(&walk, rows);
    if (walk.goes_on)
        edge_end(&walk);
    sqlite3_finalize(rows);
    sqlite3_finalize(walk.word);
    bytes_done(&walk.names);
    bytes_done(&walk.durations);
    return failed;
}
