// SPDX-License-Identifier: Apache-2.0
// A resource as the SDK keeps it: its attributes, the entities they belong to, and the OTLP bytes
// made of them once.

#pragma once

#include <throughline/sdk.h>

#include "libtrace/base/arena.h"

// The semantic conventions that the attributes of our detectors follow.
#define RESOURCE_SCHEMA_URL "https://opentelemetry.io/schemas/1.44.0"

// Body of an OTLP Resource message; lives as long as the resource. NULL: the default resource's.
struct str resource_encoded(const struct tl_resource *resource);
struct str resource_schema_url(const struct tl_resource *resource);

// See thread.h.
void resource_forks_watch(void);

// What the environment says (umbrella): tl_resource_default gives it out. Takes the reference.
void resource_default_set(struct tl_resource *resource);

// An entity names attributes of its resource (opentelemetry-proto common.proto, EntityRef).
struct entity {
    struct str type;
    struct str schema_url;
    const struct str *id_keys;
    size_t id_count;
    const struct str *description_keys;
    size_t description_count;
};

enum { RESOURCE_ENTITIES_MAX = 64 };

// Copies everything. The last of several attributes with one key counts. NULL without memory.
struct tl_resource *resource_make(const struct tl_attribute *attributes, size_t count,
                                  struct str schema_url, const struct entity *entities,
                                  size_t entity_count);

size_t resource_entities(const struct tl_resource *resource, const struct entity **out_list);

// A copy whose text lives in the arena, made UTF-8. False: not enough memory, or nested too deep.
bool value_copy(struct arena *arena, const struct tl_value *from, unsigned depth,
                struct tl_value *out_value);
struct str text_keep(struct arena *arena, const char *text, size_t len);
