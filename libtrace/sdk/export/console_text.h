// SPDX-License-Identifier: Apache-2.0
// Parts of OTLP messages as people read them; appended. Pure; the bytes have passed otlp_check.

#pragma once

#include "libtrace/base/bytes.h"

// "2026-08-23T12:00:00.123456789Z"; "-" for 0.
void console_time_write(struct bytes *out, uint64_t unix_ns);
// 1.5ms, 12s, 340ns.
void console_duration_write(struct bytes *out, uint64_t ns);
// ` LABEL=HEX`; nothing when it is empty or all zero.
void console_id_write(struct bytes *out, const char *label, struct str id);
// As the bits of a double; as short as reads back the same.
void console_double_write(struct bytes *out, uint64_t bits);
// An AnyValue.
void console_value_write(struct bytes *out, struct str wire);
// ` key=value` for each KeyValue that is field `number` of the message.
void console_attributes_write(struct bytes *out, struct str message, uint64_t number);
// ` scope="name/version"`; nothing without a name. An InstrumentationScope.
void console_scope_write(struct bytes *out, struct str scope);
