// SPDX-License-Identifier: Apache-2.0
// OTLP/JSON (hex ids, integer enums, lowerCamelCase keys, 64-bit integers as strings) <-> protobuf.

#pragma once

#include "libtrace/base/bytes.h"
#include "libtrace/base/why.h"
#include "libtrace/model/batch.h"

// A request in JSON becomes the same request in protobuf. -EBADMSG with a reason, -E2BIG when
// out_wire reaches its limit; what is in out_wire then is of no use.
int otlp_json_to_wire(enum signal signal, struct str json, struct bytes *out_wire, struct why *why);

// One compact line, without a line end.
int otlp_wire_to_json(enum signal signal, struct str wire, struct bytes *out_json, struct why *why);
