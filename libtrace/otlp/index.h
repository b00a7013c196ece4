// SPDX-License-Identifier: Apache-2.0
// Where the records are inside an OTLP message, without decoding them.

#pragma once

#include "libtrace/base/why.h"
#include "libtrace/model/batch.h"

// One record and what it belongs to: bodies of the protobuf messages, without tag and length.
struct otlp_record {
    struct str resource;     // Resource
    struct str scope;        // InstrumentationScope
    struct str resource_url; // schema_url of the group
    struct str scope_url;
    struct str record; // Span, Metric or LogRecord
};

// Checks the whole message as far down as its fields are known (lengths, wire types, nesting at
// most 64) and counts spans, data points or log records. -EBADMSG with a reason when malformed.
int otlp_check(enum signal signal, struct str wire, size_t *out_records, struct why *why);

// False stops the walk.
typedef bool otlp_visit(void *self, const struct otlp_record *record);

// Visits each Span, Metric or LogRecord in order. The wire must have passed otlp_check.
void otlp_each(enum signal signal, struct str wire, otlp_visit *visit, void *self);
