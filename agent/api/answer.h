// SPDX-License-Identifier: Apache-2.0
// The answers of the API as JSON text. They read the store given and write no HTTP.

#pragma once

#include "agent/store/store.h"
#include "libtrace/base/bytes.h"

// 0, -ENOENT or -EIO.
int answer_trace(struct store *store, const uint8_t trace_id[static 16], struct bytes *out);
int answer_traces(struct store *store, const struct store_query *query, struct bytes *out);

// A value as JSON: integers a browser cannot hold as text, bytes in hexadecimal.
void value_json(struct bytes *out, const struct value *value);
