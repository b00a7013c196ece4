// SPDX-License-Identifier: Apache-2.0
// The small messages around a request: Export...ServiceResponse and google.rpc.Status.

#pragma once

#include "libtrace/base/bytes.h"
#include "libtrace/base/why.h"
#include "libtrace/model/batch.h"

enum otlp_encoding { OTLP_PROTOBUF, OTLP_JSON };

// google.rpc.Status{code, message}.
void otlp_status_write(enum otlp_encoding encoding, int code, struct str message,
                       struct bytes *out);

// Export...ServiceResponse; rejected 0 and an empty message: full success (no partial_success).
void otlp_response_write(enum signal signal, enum otlp_encoding encoding, uint64_t rejected,
                         struct str message, struct bytes *out);

// Reads a protobuf response. out_message points into `wire`.
int otlp_response_read(struct str wire, uint64_t *out_rejected, struct str *out_message,
                       struct why *why);

// The same in JSON; the message is appended.
int otlp_response_read_json(struct str json, uint64_t *out_rejected, struct bytes *out_message,
                            struct why *why);

// The message of a google.rpc.Status, appended.
int otlp_status_read(enum otlp_encoding encoding, struct str text, struct bytes *out_message,
                     struct why *why);
