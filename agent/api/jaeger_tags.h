// SPDX-License-Identifier: Apache-2.0
// The tags a search in Jaeger's API asks for, and whether a trace has a span with all of them.
// Values compare as the text Jaeger shows.

#pragma once

#include "agent/store/store.h"

struct jaeger_tags;

// -EINVAL when `text` is not a JSON object of strings; -ENOMEM.
int jaeger_tags_new(struct str text, struct jaeger_tags **out_tags);
void jaeger_tags_free(struct jaeger_tags *tags);

// True when a failed span is asked for: the store's index answers that.
bool jaeger_tags_want_error(const struct jaeger_tags *tags);

// True when there is nothing to ask but errors.
bool jaeger_tags_are_plain(const struct jaeger_tags *tags);

bool jaeger_tags_match(const struct jaeger_tags *tags, struct store *store,
                       const uint8_t trace_id[static 16]);
