// SPDX-License-Identifier: Apache-2.0
// Spans, resources and scopes between OTLP protobuf bytes and the model.

#pragma once

#include "libtrace/base/arena.h"
#include "libtrace/base/bytes.h"
#include "libtrace/base/why.h"
#include "libtrace/model/span.h"

// Reads the body of one message. Text points into `wire`; lists come from the arena.
// -EBADMSG or -ENOMEM: the out_ is untouched.
int span_read(struct str wire, struct arena *arena, struct span *out_span, struct why *why);
int resource_read(struct str wire, struct arena *arena, struct resource *out_resource,
                  struct why *why);
int scope_read(struct str wire, struct arena *arena, struct scope *out_scope, struct why *why);

// Append the body of one message. Out of memory: out->is_failed.
void span_write(struct bytes *out, const struct span *span);
void resource_write(struct bytes *out, const struct resource *resource);
void scope_write(struct bytes *out, const struct scope *scope);

// Appends one ResourceSpans/ResourceMetrics/ResourceLogs field (so: a piece of a request) from the
// bodies of a resource, a scope and records that are already encoded.
// `records` are bodies; `count` of them.
void otlp_group_write(struct bytes *out, struct str resource, struct str resource_url,
                      struct str scope, struct str scope_url, const struct str *records,
                      size_t count);
