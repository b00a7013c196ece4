// SPDX-License-Identifier: Apache-2.0
// Stand-ins for parts of the SDK that are being written beside this one.

#include <stdlib.h>

#include "libtrace/sdk/thread.h"

#include <throughline/sdk.h>

struct tl_resource {
    size_t count;
    struct tl_attribute list[];
};

struct tl_resource *tl_resource_new(const struct tl_attribute *attributes, size_t count,
                                    const char *schema_url)
{
    struct tl_resource *resource = malloc(sizeof *resource + count * sizeof resource->list[0]);

    (void)schema_url;
    resource->count = count;
    memcpy(resource->list, attributes, count * sizeof resource->list[0]);
    return resource;
}

void tl_resource_unref(struct tl_resource *resource)
{
    free(resource);
}

bool tl_resource_at(const struct tl_resource *resource, size_t index,
                    struct tl_attribute *out_attribute)
{
    if (index >= resource->count)
        return false;
    *out_attribute = resource->list[index];
    return true;
}

uint64_t thread_random(void)
{
    return 0x1234567890abcdef;
}
