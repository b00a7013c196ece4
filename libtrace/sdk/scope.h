// SPDX-License-Identifier: Apache-2.0
// An instrumentation scope as a tracer, a meter or a logger keeps it.

#pragma once

#include <throughline/sdk.h>

#include "libtrace/base/arena.h"
#include "libtrace/base/bytes.h"

struct scope {
    struct tl_scope as; // copied; texts are never NULL
    struct str encoded; // body of ScopeSpans (or the like) with the scope and its schema URL alone
    struct arena arena;
};

// Copies what was given; NULL is the empty scope. -ENOMEM: nothing is held.
int scope_init(struct scope *scope, const struct tl_scope *given);
void scope_done(struct scope *scope);

// The same name, version, schema URL and attributes, in the same order.
bool scope_is(const struct scope *scope, const struct tl_scope *given);

// Body of ResourceSpans (or the like) with the resource and its schema URL alone. Append.
void resource_group_write(struct bytes *out, const struct tl_resource *resource);
