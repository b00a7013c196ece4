// SPDX-License-Identifier: Apache-2.0
// The answers of the API as JSON text. They read the store given and write no HTTP.

#pragma once

#include "agent/store/store.h"
#include "libtrace/base/bytes.h"

// 0, -ENOENT or -EIO.
int answer_trace(struct store *store, const uint8_t trace_id[static 16], struct bytes *out);
int answer_traces(struct store *store, const struct store_query *query, struct bytes *out);
int answer_services(struct store *store, uint64_t since_ns, uint64_t now_ns, struct bytes *out);
int answer_map(struct store *store, uint64_t since_ns, struct bytes *out);

// Jaeger's JSON API, as its page and Grafana's data source read it.
int jaeger_services(struct store *store, struct bytes *out);
int jaeger_operations(struct store *store, struct str service, bool with_kind, struct bytes *out);
int jaeger_trace(struct store *store, const uint8_t trace_id[static 16], struct bytes *out);
int jaeger_traces(struct store *store, const struct store_query *query, struct bytes *out);
int jaeger_dependencies(struct store *store, uint64_t since_ns, struct bytes *out);

// A value as JSON.
void value_json(struct bytes *out, const struct value *value);
