// SPDX-License-Identifier: Apache-2.0
// Any text as OTEL_RESOURCE_ATTRIBUTES and as OTEL_ENTITIES; what comes of it is merged both ways
// and must be a Resource message.

#include <stdlib.h>

#include "libtrace/otlp/span.h"
#include "libtrace/sdk/resource/detect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void is_message(const struct tl_resource *resource)
{
    struct resource read;
    struct arena arena;

    arena_init(&arena, 0);
    if (resource && resource_read(resource_encoded(resource), &arena, &read, NULL) != 0)
        abort();
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = {(const char *)data, size};
    struct tl_resource *attributes = NULL;
    struct tl_resource *entities = entities_read(text);
    struct tl_resource *one;
    struct tl_resource *other;

    resource_attributes_read(text, &attributes);
    one = tl_resource_merge(attributes, entities);
    other = tl_resource_merge(entities, attributes);
    is_message(attributes);
    is_message(entities);
    is_message(one);
    is_message(other);
    tl_resource_unref(attributes);
    tl_resource_unref(entities);
    tl_resource_unref(one);
    tl_resource_unref(other);
    return 0;
}
