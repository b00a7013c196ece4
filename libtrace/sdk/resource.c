// SPDX-License-Identifier: Apache-2.0
// Resources: encoded once, shared by reference. The default one is what the environment says.

#include "libtrace/sdk/resource.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "libtrace/sdk/encode.h"

struct tl_resource {
    _Atomic unsigned references;
    struct bytes encoded;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct tl_resource *standard;

struct tl_resource *tl_resource_new(const struct tl_attribute *attributes, size_t count,
                                    const char *schema_url)
{
    struct tl_resource *resource = calloc(1, sizeof *resource);

    (void)schema_url;
    if (!resource)
        return NULL;
    resource->references = 1;
    resource->encoded.limit = 32 * 1024;
    attributes_write(&resource->encoded, 1, attributes, count, UINT32_MAX, ENCODE_UNLIMITED);
    return resource;
}

static void standard_make(void)
{
    const char *name = getenv("OTEL_SERVICE_NAME");
    const struct tl_attribute attributes[] = {
        TL_STR("service.name", name && *name ? name : "unknown_service"),
        TL_STR("telemetry.sdk.name", "opentelemetry"),
        TL_STR("telemetry.sdk.language", "c"),
        TL_STR("telemetry.sdk.version", "0.1.0"),
    };

    standard = tl_resource_new(attributes, TL_COUNT(attributes), NULL);
}

struct tl_resource *tl_resource_default(void)
{
    pthread_once(&once, standard_make);
    return tl_resource_ref(standard);
}

struct tl_resource *tl_resource_ref(struct tl_resource *resource)
{
    if (resource)
        atomic_fetch_add(&resource->references, 1);
    return resource;
}

void tl_resource_unref(struct tl_resource *resource)
{
    if (!resource || atomic_fetch_sub(&resource->references, 1) != 1)
        return;
    bytes_done(&resource->encoded);
    free(resource);
}

struct str resource_encoded(const struct tl_resource *resource)
{
    if (!resource) {
        pthread_once(&once, standard_make);
        resource = standard;
    }
    return resource ? bytes_str(&resource->encoded) : STR("");
}

struct str resource_schema_url(const struct tl_resource *resource)
{
    (void)resource;
    return STR("");
}
