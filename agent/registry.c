// SPDX-License-Identifier: Apache-2.0
// The lists. A new component is one row here and one file of its own.

#include "agent/registry.h"

#include "agent/api/stats.h"
#include "agent/receivers/otlp_http.h"
#include "agent/stats.h"
#include "agent/store/stats.h"
#include "agent/store/store_exporter.h"
#include "exporters/otlp_http.h"
#include "exporters/stats.h"
#include "libtrace/flow/stats.h"

struct receiver_row {
    const char *name;
    const struct receiver *receiver;
};

struct exporter_row {
    const char *name;
    const struct exporter *exporter;
};

static const struct receiver_row receivers[] = {
    {"otlp_http", &otlp_http_receiver},
};

static const struct exporter_row exporters[] = {
    {"otlp_http", &otlp_http_exporter},
    {"otlphttp", &otlp_http_exporter},
    {"store", &store_exporter},
};

const struct stats *const all_stats[] = {
    &agent_stats, &api_stats, &flow_stats, &exporters_stats, &store_stats,
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
