// SPDX-License-Identifier: Apache-2.0
// protobuf-c's generated code as the judge of our codec: requests of every field by chance, and
// what the two say about the same bytes. One thread.

#pragma once

#include <protobuf-c/protobuf-c.h>

#include "libtrace/base/bytes.h"
#include "libtrace/model/batch.h"

// Export...ServiceRequest and Export...ServiceResponse of that signal.
const ProtobufCMessageDescriptor *oracle_request(enum signal signal);
const ProtobufCMessageDescriptor *oracle_response(enum signal signal);

// NULL when refused; free with protobuf_c_message_free_unpacked(message, NULL).
ProtobufCMessage *oracle_read(const ProtobufCMessageDescriptor *type, struct str wire);
void oracle_write(const ProtobufCMessage *message, struct bytes *out);

// Spans, data points or log records in it.
size_t oracle_records(const ProtobufCMessage *message);

// A field as it lies in a message of protobuf-c: one value, or an array of `*out_count`; NULL when
// it is not set.
void *oracle_values(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                    size_t *out_count);
size_t oracle_value_bytes(ProtobufCType type);

// Takes away what JSON cannot carry (unknown fields, text that is not UTF-8, the bits of a NaN), or
// what the model does not hold (further: string table rows, ids of another length, entity
// references, an empty status).
enum oracle_plain { ORACLE_JSON, ORACLE_MODEL };
void oracle_make_plain(ProtobufCMessage *message, enum oracle_plain plain);

// A request of up to `depth` levels of messages; the same seed gives the same request.
ProtobufCMessage *oracle_random(const ProtobufCMessageDescriptor *type, uint64_t *seed,
                                unsigned depth);

// True when our codec and protobuf-c agree about the bytes in every way that there is: taken or
// refused, records, JSON and back, spans read and written. Else `out_difference` says in what.
bool oracle_agrees(enum signal signal, struct str wire, const char **out_difference);
