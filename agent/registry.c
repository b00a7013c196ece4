// SPDX-License-Identifier: Apache-2.0
// The lists, made of the rows in the CMakeLists.txt of each folder (cmake/rows.cmake).

#include "agent/registry.h"

#include "libtrace/base/stats.h"

#define ROW(name) extern const struct receiver name##_receiver;
#include "generated/receiver.def"
#undef ROW

#define ROW(name) extern const struct exporter name##_exporter;
#include "generated/exporter.def"
#undef ROW

#define ROW(name) extern const struct stats name##_stats;
#include "generated/stats.def"
#undef ROW

struct receiver_row {
    const char *name;
    const struct receiver *receiver;
};

struct exporter_row {
    const char *name;
    const struct exporter *exporter;
};

static const struct receiver_row receivers[] = {
#define ROW(name) {#name, &name##_receiver},
#include "generated/receiver.def"
#undef ROW
};

static const struct exporter_row exporters[] = {
#define ROW(name) {#name, &name##_exporter},
#include "generated/exporter.def"
#undef ROW
    // The collector's name for the same thing.
    {"otlphttp", &otlp_http_exporter},
};

const struct stats *const all_stats[] = {
#define ROW(name) &name##_stats,
#include "generated/stats.def"
#undef ROW
};

const size_t all_stats_count = sizeof all_stats / sizeof all_stats[0];

const struct setting batch_setting_table[] = {
    {"send_batch_size", SETTING_TYPE_NUMBER, offsetof(struct batch_settings, max_records), "8192",
     NULL, "Records after which a batch is sent at once."},
    {"send_batch_bytes", SETTING_TYPE_SIZE, offsetof(struct batch_settings, max_bytes), "4MiB",
     NULL, "Bytes after which a batch is sent at once."},
    {"timeout", SETTING_TYPE_DURATION, offsetof(struct batch_settings, max_age_ms), "200ms", NULL,
     "How long the oldest record waits for company."},
    SETTING_END,
};

const struct receiver *receiver_find(struct str name)
{
    for (size_t i = 0; i < sizeof receivers / sizeof receivers[0]; i++) {
        if (str_equal(str_of(receivers[i].name), name))
            return receivers[i].receiver;
    }
    return NULL;
}

const struct exporter *exporter_find(struct str name)
{
    for (size_t i = 0; i < sizeof exporters / sizeof exporters[0]; i++) {
        if (str_equal(str_of(exporters[i].name), name))
            return exporters[i].exporter;
    }
    return NULL;
}
