// SPDX-License-Identifier: Apache-2.0
// Environment variables in the scalars of a configuration file (OpenTelemetry specification 1.60,
// "Configuration data model"): ${NAME}, ${env:NAME}, ${NAME:-default}, and $$ for a dollar sign.
// What is put in is never read again. Pure; any thread.

#pragma once

#include "libtrace/base/bytes.h"
#include "libtrace/base/why.h"

// The value of a variable, or NULL. Borrowed for the call.
typedef const char *substitute_get(void *self, const char *name);

// From getenv(3).
const char *substitute_getenv(void *self, const char *name);

struct substitution {
    substitute_get *get;
    void *self;
    // "${" without an end and "${}" are refused too; the specification takes them as text.
    bool is_strict;
};

// Appends the text with its references replaced. -EINVAL for a reference that is none, -E2BIG at
// the limit of `out`.
int substitute(struct str text, const struct substitution *by, struct bytes *out, struct why *why);
