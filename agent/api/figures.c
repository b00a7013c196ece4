// SPDX-License-Identifier: Apache-2.0
// Entries come grouped and by duration, so that a quantile is a place in the list.

#include "agent/api/figures.h"

#include "libtrace/base/clock.h"
#include "libtrace/otlp/json_text.h"

enum { SERIES_BUCKETS = 60, NAME_BYTES_MAX = 1024, GROUPS_MAX = 1000 };

static void key_text(struct bytes *out, const char *key, struct str text)
{
    bytes_format(out, "\"%s\":", key);
    json_text_write(out, text);
}

static void comma(struct bytes *out)
{
    if (out->len && out->at[out->len - 1] != '[')
        bytes_add_byte(out, ',');
}

// One group while its entries come: a service, or an operation of one.
struct group {
    struct bytes *out;
    bool is_operation;
    struct bytes durations; // uint64_t each
    char name[NAME_BYTES_MAX];
    size_t name_len;
    enum span_kind kind;
    uint64_t count;
    uint64_t errors;
    uint64_t since_ns;
    uint64_t now_ns;
    uint64_t bucket_counts[SERIES_BUCKETS];
    uint64_t bucket_errors[SERIES_BUCKETS];
    unsigned groups;
    bool is_cut; // there are more than GROUPS_MAX
};

static double quantile_ms(const struct group *group, double q)
{
    const size_t index = (size_t)(q * (double)(group->count - 1) + 0.5);
    uint64_t ns;

    memcpy(&ns, group->durations.at + index * sizeof ns, sizeof ns);
    return (double)ns / 1e6;
}

static void series_write(struct bytes *out, const char *key, const uint64_t *buckets)
{
    bytes_format(out, ",\"%s\":[", key);
    for (unsigned i = 0; i < SERIES_BUCKETS; i++)
        bytes_format(out, "%s%llu", i ? "," : "", (unsigned long long)buckets[i]);
    bytes_add_byte(out, ']');
}

static void group_end(struct group *group)
{
    struct bytes *out = group->out;
    const uint64_t span_ns = group->now_ns - group->since_ns;

    if (group->count == 0 || group->durations.is_failed)
        return;
    comma(out);
    bytes_add_byte(out, '{');
    key_text(out, "name", (struct str){group->name, group->name_len});
    if (group->is_operation)
        bytes_format(out, ",\"kind\":\"%s\"", span_kind_text(group->kind));
    bytes_format(out,
                 ",\"spans\":%llu,\"errors\":%llu,\"rate\":%.4f,\"error_rate\":%.4f,"
                 "\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f",
                 (unsigned long long)group->count, (unsigned long long)group->errors,
                 (double)group->count / ((double)span_ns / 1e9),
                 (double)group->errors / (double)group->count, quantile_ms(group, 0.5),
                 quantile_ms(group, 0.99), quantile_ms(group, 1));
    series_write(out, "counts", group->bucket_counts);
    series_write(out, "failures", group->bucket_errors);
    bytes_add_byte(out, '}');
}

static void group_begin(struct group *group, struct str name, enum span_kind kind)
{
    group->name_len = name.len < sizeof group->name ? name.len : sizeof group->name;
    memcpy(group->name, name.at, group->name_len);
    group->kind = kind;
    group->durations.len = 0;
    group->count = group->errors = 0;
    memset(group->bucket_counts, 0, sizeof group->bucket_counts);
    memset(group->bucket_errors, 0, sizeof group->bucket_errors);
}

static bool add_entry(void *self, const struct entry_span *entry)
{
    struct group *group = self;
    struct str name = group->is_operation ? entry->name : entry->service;
    uint64_t bucket = 0;

    if (name.len > sizeof group->name)
        name.len = sizeof group->name;
    if (group->count == 0 || !str_equal((struct str){group->name, group->name_len}, name) ||
        (group->is_operation && group->kind != entry->kind)) {
        group_end(group);
        group_begin(group, name, entry->kind);
        group->is_cut = ++group->groups > GROUPS_MAX;
        if (group->is_cut)
            return false;
    }
    if (entry->start_ns > group->since_ns)
        bucket = (entry->start_ns - group->since_ns) /
                 ((group->now_ns - group->since_ns) / SERIES_BUCKETS + 1);
    if (bucket >= SERIES_BUCKETS)
        bucket = SERIES_BUCKETS - 1;
    bytes_add(&group->durations, &entry->duration_ns, sizeof entry->duration_ns);
    group->count++;
    group->errors += entry->is_error;
    group->bucket_counts[bucket]++;
    group->bucket_errors[bucket] += entry->is_error;
    return !group->out->is_failed;
}

static void answer_begin(struct group *group, const char *key)
{
    if (group->now_ns <= group->since_ns)
        group->now_ns = group->since_ns + 1;
    bytes_format(group->out, "{\"start_ns\":\"%llu\",\"end_ns\":\"%llu\",\"%s\":[",
                 (unsigned long long)group->since_ns, (unsigned long long)group->now_ns, key);
}

static int answer_end(struct group *group, int failed)
{
    group_end(group);
    bytes_done(&group->durations);
    bytes_format(group->out, "],\"is_cut\":%s}", group->is_cut ? "true" : "false");
    return failed;
}

int figures_services(struct store *store, uint64_t since_ns, uint64_t now_ns, struct bytes *out)
{
    struct group group = {.out = out, .since_ns = since_ns, .now_ns = now_ns};

    answer_begin(&group, "services");
    return answer_end(&group, store_entries(store, since_ns, add_entry, &group));
}

int figures_operations(struct store *store, struct str service, uint64_t since_ns, uint64_t now_ns,
                       struct bytes *out)
{
    struct group group = {.out = out, .since_ns = since_ns, .now_ns = now_ns, .is_operation = true};

    answer_begin(&group, "operations");
    return answer_end(&group, store_service_entries(store, service, since_ns, add_entry, &group));
}

static bool add_edge(void *self, const struct store_edge *edge)
{
    static const char *const kinds[] = {
        [EDGE_SERVICE] = "service",   [EDGE_DATABASE] = "database", [EDGE_QUEUE] = "queue",
        [EDGE_EXTERNAL] = "external", [EDGE_CONSUME] = "consume",   [EDGE_ENTRY] = "entry"};
    struct bytes *out = self;

    comma(out);
    bytes_add_byte(out, '{');
    key_text(out, "from", edge->from);
    bytes_add_byte(out, ',');
    key_text(out, "to", edge->to);
    bytes_format(out,
                 ",\"kind\":\"%s\",\"count\":%llu,\"errors\":%llu,\"p50_ms\":%.3f,"
                 "\"p99_ms\":%.3f,\"max_ms\":%.3f}",
                 kinds[edge->kind], (unsigned long long)edge->count,
                 (unsigned long long)edge->errors, (double)edge->p50_ns / 1e6,
                 (double)edge->p99_ns / 1e6, (double)edge->max_ns / 1e6);
    return !out->is_failed;
}

int figures_map(struct store *store, uint64_t since_ns, struct bytes *out)
{
    int failed;

    bytes_add_str(out, STR("{\"edges\":["));
    failed = store_edges(store, since_ns, 0, add_edge, out);
    bytes_add_str(out, STR("]}"));
    return failed;
}
