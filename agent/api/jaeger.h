// SPDX-License-Identifier: Apache-2.0
// Jaeger's query JSON, as its page and Grafana's data source read it. These read the store given
// and write no HTTP. 0, -ENOENT, -EINVAL or -EIO.

#pragma once

#include "agent/store/store.h"
#include "libtrace/base/bytes.h"

int jaeger_services(struct store *store, struct bytes *out);
// Names and kinds; `kind` as in "server", empty for all.
int jaeger_operations(struct store *store, struct str service, struct str kind, struct bytes *out);
int jaeger_operation_names(struct store *store, struct str service, struct bytes *out);
int jaeger_trace(struct store *store, const uint8_t trace_id[static 16], struct bytes *out);
// Ids that are not stored are left out.
int jaeger_traces_of(struct store *store, const uint8_t (*ids)[16], size_t count,
                     struct bytes *out);
// `tags`: {"key":"value"}, each of which one span of the trace must have. -EINVAL: it is not that.
int jaeger_traces(struct store *store, const struct store_query *query, struct str tags,
                  struct bytes *out);
int jaeger_dependencies(struct store *store, uint64_t since_ns, uint64_t until_ns,
                        struct bytes *out);
