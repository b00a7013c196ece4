// SPDX-License-Identifier: Apache-2.0
// The index rows of a batch: one for each span, one for each trace, and the words they share.
// Runs inside the writer's transaction.

#include <errno.h>

#include "agent/store/connection.h"
#include "agent/store/stats.h"
#include "libtrace/otlp/index.h"
#include "libtrace/otlp/span.h"

static int64_t word_of(struct store *store, struct str text)
{
    int64_t id = 0;

    sqlite3_reset(store->find_word);
    sqlite3_bind_blob64(store->find_word, 1, text.at ? text.at : "", text.len, SQLITE_STATIC);
    if (sqlite3_step(store->find_word) == SQLITE_ROW)
        id = sqlite3_column_int64(store->find_word, 0);
    sqlite3_reset(store->find_word);
    if (id)
        return id;
    sqlite3_reset(store->insert_word);
    sqlite3_bind_blob64(store->insert_word, 1, text.at ? text.at : "", text.len, SQLITE_STATIC);
    if (sqlite3_step(store->insert_word) != SQLITE_DONE)
        return 0;
    sqlite3_reset(store->insert_word);
    return sqlite3_last_insert_rowid(store->db);
}

struct indexing {
    struct store *store;
    int64_t block;
    struct arena arena;
    // The words of the last resource: spans come in groups.
    struct str resource;
    int64_t service;
    int failed;
};

enum peer_kind { PEER_NONE, PEER_DATABASE, PEER_QUEUE, PEER_EXTERNAL };

static struct str database_name(struct str system, const struct span *span, struct arena *arena)
{
    struct str name = attribute_string(span->attributes, STR("db.namespace"));
    char *text;

    if (!name.len)
        name = attribute_string(span->attributes, STR("db.name"));
    if (!name.len || (name.at[0] >= '0' && name.at[0] <= '9'))
        return system;
    text = arena_take(arena, system.len + 1 + name.len);
    if (!text)
        return system;
    memcpy(text, system.at, system.len);
    text[system.len] = '/';
    memcpy(text + system.len + 1, name.at, name.len);
    return (struct str){text, system.len + 1 + name.len};
}

// What a span calls or, a consumer, comes from, for the map: a database or broker by its system,
// else an address. A database has its name added (`system/name`, made in the arena); a number,
// which is how Redis names them, says nothing.
static struct str peer_of(const struct span *span, struct arena *arena, enum peer_kind *out_kind)
{
    const bool is_call = span->kind == SPAN_KIND_CLIENT || span->kind == SPAN_KIND_PRODUCER;
    struct str peer = {"", 0};

    *out_kind = PEER_NONE;
    if (!is_call && span->kind != SPAN_KIND_CONSUMER)
        return peer;
    *out_kind = PEER_QUEUE;
    peer = attribute_string(span->attributes, STR("messaging.system"));
    if (peer.len)
        return peer;
    *out_kind = PEER_DATABASE;
    peer = attribute_string(span->attributes, STR("db.system.name"));
    if (!peer.len)
        peer = attribute_string(span->attributes, STR("db.system"));
    if (peer.len && is_call)
        return database_name(peer, span, arena);
    *out_kind = PEER_EXTERNAL;
    peer = attribute_string(span->attributes, STR("server.address"));
    if (peer.len && is_call)
        return peer;
    *out_kind = PEER_NONE;
    return (struct str){"", 0};
}

static int service_of(struct indexing *index, struct str resource_bytes)
{
    struct resource resource = {0};
    struct str name;

    if (index->service && resource_bytes.at == index->resource.at)
        return 0;
    resource_read(resource_bytes, &index->arena, &resource, NULL);
    name = attribute_string(resource.attributes, STR("service.name"));
    index->resource = resource_bytes;
    index->service = word_of(index->store, name.len ? name : STR("unknown_service"));
    return index->service ? 0 : -EIO;
}

static int insert_span(struct indexing *index, const struct span *span)
{
    sqlite3_stmt *row = index->store->insert_span;
    sqlite3_stmt *trace = index->store->upsert_trace;
    const bool is_error = span->status == SPAN_STATUS_ERROR;
    const uint64_t end_ns = span->end_ns > span->start_ns ? span->end_ns : span->start_ns;
    enum peer_kind peer_kind;
    const struct str peer = peer_of(span, &index->arena, &peer_kind);
    const int64_t name = word_of(index->store, span->name);
    const int64_t peer_word = peer.len ? word_of(index->store, peer) : 0;

    sqlite3_reset(row);
    sqlite3_bind_int64(row, 1, index->block);
    sqlite3_bind_blob(row, 2, span->trace_id, 16, SQLITE_STATIC);
    sqlite3_bind_blob(row, 3, span->span_id, 8, SQLITE_STATIC);
    sqlite3_bind_blob(row, 4, span->parent_id, id_is_valid(span->parent_id, 8) ? 8 : 0,
                      SQLITE_STATIC);
    sqlite3_bind_int64(row, 5, index->service);
    sqlite3_bind_int64(row, 6, name);
    sqlite3_bind_int64(row, 7, peer_word);
    sqlite3_bind_int(row, 8, peer_kind);
    sqlite3_bind_int(row, 9, (int)span->kind);
    sqlite3_bind_int(row, 10, is_error);
    sqlite3_bind_int64(row, 11, (int64_t)span->start_ns);
    sqlite3_bind_int64(row, 12, (int64_t)(end_ns - span->start_ns));
    if (sqlite3_step(row) != SQLITE_DONE)
        return -EIO;
    sqlite3_reset(trace);
    sqlite3_bind_blob(trace, 1, span->trace_id, 16, SQLITE_STATIC);
    sqlite3_bind_int64(trace, 2, (int64_t)span->start_ns);
    sqlite3_bind_int64(trace, 3, (int64_t)end_ns);
    sqlite3_bind_int(trace, 4, is_error);
    return sqlite3_step(trace) == SQLITE_DONE ? 0 : -EIO;
}

static bool index_span(void *self, const struct otlp_record *record)
{
    struct indexing *index = self;
    struct span span;

    arena_reset(&index->arena);
    if (span_read(record->record, &index->arena, &span, NULL) != 0) {
        stats_add(&store_stats, STORE_spans_unreadable, 1);
        return true;
    }
    index->failed = service_of(index, record->resource);
    if (!index->failed)
        index->failed = insert_span(index, &span);
    return index->failed == 0;
}

int store_index(struct store *store, const struct batch *batch, int64_t block)
{
    struct indexing index = {.store = store, .block = block};

    arena_init(&index.arena, 64 << 20);
    for (size_t i = 0; !index.failed && i < batch_pieces(batch); i++)
        otlp_each(SIGNAL_TRACES, batch_piece(batch, i), index_span, &index);
    arena_done(&index.arena);
    return index.failed;
}
