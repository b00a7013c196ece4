// SPDX-License-Identifier: Apache-2.0
// Any bytes as a span, a resource and a scope, checked by nobody before: refused, or what is
// written of it reads and writes as the same again.

#include <stdlib.h>

#include "libtrace/otlp/span.h"

// One of the three: reads the wire and appends what it means.
typedef bool part_again(struct str wire, struct arena *arena, struct bytes *out);

static bool span_again(struct str wire, struct arena *arena, struct bytes *out)
{
    struct span span;

    if (span_read(wire, arena, &span, NULL) != 0)
        return false;
    span_write(out, &span);
    return true;
}

static bool resource_again(struct str wire, struct arena *arena, struct bytes *out)
{
    struct resource resource;

    if (resource_read(wire, arena, &resource, NULL) != 0)
        return false;
    resource_write(out, &resource);
    return true;
}

static bool scope_again(struct str wire, struct arena *arena, struct bytes *out)
{
    struct scope scope;

    if (scope_read(wire, arena, &scope, NULL) != 0)
        return false;
    scope_write(out, &scope);
    return true;
}

static void check(part_again *again, struct str wire)
{
    struct bytes first = {0};
    struct bytes second = {0};
    struct arena arena;

    arena_init(&arena, 16 << 20);
    if (again(wire, &arena, &first) && (!again(bytes_str(&first), &arena, &second) ||
                                        !str_equal(bytes_str(&first), bytes_str(&second))))
        abort();
    arena_done(&arena);
    bytes_done(&first);
    bytes_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str wire = {(const char *)data, size};

    check(span_again, wire);
    check(resource_again, wire);
    check(scope_again, wire);
    return 0;
}
