// SPDX-License-Identifier: Apache-2.0
// Resources: made once, then only read, by any thread. A resource owns an arena with all of its
// text, and its OTLP bytes.

#include "libtrace/sdk/resource/resource.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/encode.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"

enum { ARENA_BYTES_MAX = 8 * 1024 * 1024 };

struct tl_resource {
    _Atomic uint32_t references;
    size_t count;
    struct tl_attribute *attributes;
    size_t entity_count;
    struct entity *entities;
    struct str schema_url; // with a NUL behind it
    struct arena arena;
    struct bytes encoded;
};

static struct str key_of(const struct tl_attribute *attribute)
{
    return (struct str){attribute->key, attribute->key_len};
}

// ---- Making

// Keeps one attribute, in the place of an earlier one with its key. False without memory.
static bool attribute_keep(struct tl_resource *resource, const struct tl_attribute *from)
{
    struct tl_attribute *to = NULL;
    struct str key;

    if (!from->key || !attribute_is_valid(from)) {
        stats_add(&sdk_stats, SDK_invalid_values, 1);
        return true;
    }
    for (size_t i = 0; i < resource->count; i++) {
        if (str_equal(key_of(&resource->attributes[i]), key_of(from)))
            to = &resource->attributes[i];
    }
    if (!to) {
        to = &resource->attributes[resource->count];
        key = text_keep(&resource->arena, from->key, from->key_len);
        if (!key.at)
            return false;
        to->key = key.at;
        to->key_len = key.len;
        resource->count++;
    }
    return value_copy(&resource->arena, &from->value, 0, &to->value);
}

static bool keys_keep(struct arena *arena, const struct str *keys, size_t count,
                      const struct str **out_keys)
{
    struct str *list = arena_take(arena, (count + 1) * sizeof *list);

    for (size_t i = 0; list && i < count; i++) {
        list[i] = text_keep(arena, keys[i].at, keys[i].len);
        if (!list[i].at)
            return false;
    }
    *out_keys = list;
    return list != NULL;
}

static bool entity_keep(struct tl_resource *resource, const struct entity *from)
{
    struct entity *to = &resource->entities[resource->entity_count];

    *to = *from;
    to->type = text_keep(&resource->arena, from->type.at, from->type.len);
    to->schema_url = text_keep(&resource->arena, from->schema_url.at, from->schema_url.len);
    if (!to->type.at || !to->schema_url.at ||
        !keys_keep(&resource->arena, from->id_keys, from->id_count, &to->id_keys) ||
        !keys_keep(&resource->arena, from->description_keys, from->description_count,
                   &to->description_keys))
        return false;
    resource->entity_count++;
    return true;
}

// opentelemetry-proto resource.proto: attributes 1, entity_refs 3.
static void resource_encode(struct tl_resource *resource)
{
    struct bytes *out = &resource->encoded;

    attributes_write(out, 1, resource->attributes, resource->count, UINT32_MAX, ENCODE_UNLIMITED);
    for (size_t i = 0; i < resource->entity_count; i++) {
        const struct entity *entity = &resource->entities[i];
        const size_t mark = message_begin(out, 3);

        if (entity->schema_url.len)
            body_write(out, 1, entity->schema_url);
        body_write(out, 2, entity->type);
        for (size_t k = 0; k < entity->id_count; k++)
            body_write(out, 3, entity->id_keys[k]);
        for (size_t k = 0; k < entity->description_count; k++)
            body_write(out, 4, entity->description_keys[k]);
        message_end(out, mark);
    }
}

static bool resource_fill(struct tl_resource *resource, const struct tl_attribute *attributes,
                          size_t count, const struct entity *entities, size_t entity_count)
{
    resource->attributes =
        arena_take(&resource->arena, (count + 1) * sizeof resource->attributes[0]);
    resource->entities =
        arena_take(&resource->arena, (entity_count + 1) * sizeof resource->entities[0]);
    if (!resource->attributes || !resource->entities)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!attribute_keep(resource, &attributes[i]))
            return false;
    }
    for (size_t i = 0; i < entity_count; i++) {
        if (!entity_keep(resource, &entities[i]))
            return false;
    }
    resource_encode(resource);
    return !resource->encoded.is_failed;
}

struct tl_resource *resource_make(const struct tl_attribute *attributes, size_t count,
                                  struct str schema_url, const struct entity *entities,
                                  size_t entity_count)
{
    const int saved = errno;
    struct tl_resource *resource = calloc(1, sizeof *resource);

    if (resource) {
        atomic_init(&resource->references, 1);
        arena_init(&resource->arena, ARENA_BYTES_MAX);
        resource->encoded.limit = ARENA_BYTES_MAX;
        resource->schema_url = text_keep(&resource->arena, schema_url.at, schema_url.len);
        if (!resource->schema_url.at ||
            !resource_fill(resource, attributes, count, entities, entity_count)) {
            tl_resource_unref(resource);
            resource = NULL;
        }
    }
    errno = saved;
    return resource;
}

struct tl_resource *tl_resource_new(const struct tl_attribute *attributes, size_t count,
                                    const char *schema_url)
{
    return resource_make(attributes, attributes ? count : 0, str_of(schema_url ? schema_url : ""),
                         NULL, 0);
}

struct tl_resource *tl_resource_ref(struct tl_resource *resource)
{
    if (resource)
        atomic_fetch_add_explicit(&resource->references, 1, memory_order_relaxed);
    return resource;
}

void tl_resource_unref(struct tl_resource *resource)
{
    if (!resource || atomic_fetch_sub_explicit(&resource->references, 1, memory_order_acq_rel) != 1)
        return;
    bytes_done(&resource->encoded);
    arena_done(&resource->arena);
    free(resource);
}

// ---- Reading

bool tl_resource_at(const struct tl_resource *resource, size_t index,
                    struct tl_attribute *out_attribute)
{
    if (!resource || !out_attribute || index >= resource->count)
        return false;
    *out_attribute = resource->attributes[index];
    return true;
}

const char *tl_resource_schema_url(const struct tl_resource *resource)
{
    return resource ? resource->schema_url.at : "";
}

size_t resource_entities(const struct tl_resource *resource, const struct entity **out_list)
{
    *out_list = resource ? resource->entities : NULL;
    return resource ? resource->entity_count : 0;
}

struct str resource_encoded(const struct tl_resource *resource)
{
    struct tl_resource *fallback = NULL;
    struct str bytes;

    // The default resource holds one reference of its own: its bytes stay.
    if (!resource)
        resource = fallback = tl_resource_default();
    bytes = resource ? bytes_str(&resource->encoded) : STR("");
    tl_resource_unref(fallback);
    return bytes;
}

struct str resource_schema_url(const struct tl_resource *resource)
{
    struct tl_resource *fallback = NULL;
    struct str url;

    if (!resource)
        resource = fallback = tl_resource_default();
    url = resource ? resource->schema_url : STR("");
    tl_resource_unref(fallback);
    return url;
}

// ---- Merging

static const struct tl_attribute *attribute_find(const struct tl_resource *resource, struct str key)
{
    for (size_t i = 0; resource && i < resource->count; i++) {
        if (str_equal(key_of(&resource->attributes[i]), key))
            return &resource->attributes[i];
    }
    return NULL;
}

static bool has_key(const struct str *keys, size_t count, struct str key)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(keys[i], key))
            return true;
    }
    return false;
}

static bool entity_has_key(const struct entity *entity, struct str key)
{
    return has_key(entity->id_keys, entity->id_count, key) ||
           has_key(entity->description_keys, entity->description_count, key);
}

static bool is_loose(const struct tl_resource *resource, struct str key)
{
    for (size_t i = 0; i < resource->entity_count; i++) {
        if (entity_has_key(&resource->entities[i], key))
            return false;
    }
    return true;
}

static bool texts_equal(const struct tl_attribute *a, const struct tl_attribute *b)
{
    return a && b && a->value.type == TL_TYPE_STRING && b->value.type == TL_TYPE_STRING &&
           str_equal((struct str){a->value.as.string, a->value.count},
                     (struct str){b->value.as.string, b->value.count});
}

// Whether a loose attribute of `updating` gives one of the entity's another value.
static bool is_overridden(const struct tl_resource *old, const struct entity *entity,
                          const struct tl_resource *updating)
{
    for (size_t i = 0; i < updating->count; i++) {
        const struct tl_attribute *attribute = &updating->attributes[i];
        const struct str key = key_of(attribute);

        if (entity_has_key(entity, key) && is_loose(updating, key) &&
            !texts_equal(attribute, attribute_find(old, key)))
            return true;
    }
    return false;
}

static bool is_same_entity(const struct tl_resource *old, const struct entity *a,
                           const struct tl_resource *updating, const struct entity *b)
{
    if (a->id_count != b->id_count)
        return false;
    for (size_t i = 0; i < a->id_count; i++) {
        if (!has_key(b->id_keys, b->id_count, a->id_keys[i]) ||
            !texts_equal(attribute_find(old, a->id_keys[i]),
                         attribute_find(updating, a->id_keys[i])))
            return false;
    }
    return true;
}

static bool keys_overlap(const struct entity *a, const struct entity *b)
{
    for (size_t i = 0; i < b->id_count; i++) {
        if (entity_has_key(a, b->id_keys[i]))
            return true;
    }
    for (size_t i = 0; i < b->description_count; i++) {
        if (entity_has_key(a, b->description_keys[i]))
            return true;
    }
    return false;
}

struct merging {
    const struct tl_resource *old;
    const struct tl_resource *updating;
    struct entity entities[2 * RESOURCE_ENTITIES_MAX];
    size_t entity_count;
    bool is_left_out[RESOURCE_ENTITIES_MAX]; // entities of `updating`
};

// Specification, "Resource data model": what is there keeps its identity; an entity of the same
// type is merged when it is the same one, else left out with its attributes.
static void entity_merge(struct merging *merging, size_t index)
{
    const struct entity *entity = &merging->updating->entities[index];

    for (size_t i = 0; i < merging->entity_count; i++) {
        struct entity *there = &merging->entities[i];

        if (str_equal(there->type, entity->type) &&
            is_same_entity(merging->old, there, merging->updating, entity)) {
            *there = *entity;
            return;
        }
        if (str_equal(there->type, entity->type) || keys_overlap(there, entity)) {
            merging->is_left_out[index] = true;
            return;
        }
    }
    merging->entities[merging->entity_count++] = *entity;
}

static void entities_merge(struct merging *merging)
{
    for (size_t i = 0; i < merging->old->entity_count; i++) {
        if (!is_overridden(merging->old, &merging->old->entities[i], merging->updating))
            merging->entities[merging->entity_count++] = merging->old->entities[i];
    }
    for (size_t i = 0; i < merging->updating->entity_count; i++)
        entity_merge(merging, i);
}

static bool is_left_out(const struct merging *merging, struct str key)
{
    for (size_t i = 0; i < merging->updating->entity_count; i++) {
        if (merging->is_left_out[i] && entity_has_key(&merging->updating->entities[i], key))
            return true;
    }
    return false;
}

static struct str schema_merge(const struct merging *merging)
{
    const struct str old = merging->old->schema_url;
    const struct str updating = merging->updating->schema_url;

    if (merging->entity_count) {
        for (size_t i = 1; i < merging->entity_count; i++) {
            if (!str_equal(merging->entities[i].schema_url, merging->entities[0].schema_url))
                return STR("");
        }
        return merging->entities[0].schema_url;
    }
    if (old.len == 0 || updating.len == 0 || str_equal(old, updating))
        return old.len ? old : updating;
    stats_add(&sdk_stats, SDK_schema_conflicts, 1);
    say(TL_WARN, "resource: schema URLs '%.128s' and '%.128s' cannot be merged", old.at,
        updating.at);
    return STR("");
}

struct tl_resource *tl_resource_merge(const struct tl_resource *old,
                                      const struct tl_resource *updating)
{
    static const struct tl_resource empty = {.schema_url = {"", 0}};
    struct merging merging = {.old = old ? old : &empty, .updating = updating ? updating : &empty};
    const size_t room = merging.old->count + merging.updating->count;
    const int saved = errno;
    struct tl_attribute *list = malloc((room + 1) * sizeof *list);
    struct tl_resource *merged = NULL;
    size_t count = 0;

    errno = saved;
    if (!list)
        return NULL;
    entities_merge(&merging);
    // The later of two with the same key counts.
    for (size_t i = 0; i < merging.old->count; i++)
        list[count++] = merging.old->attributes[i];
    for (size_t i = 0; i < merging.updating->count; i++) {
        if (!is_left_out(&merging, key_of(&merging.updating->attributes[i])))
            list[count++] = merging.updating->attributes[i];
    }
    merged = resource_make(list, count, schema_merge(&merging), merging.entities,
                           merging.entity_count < RESOURCE_ENTITIES_MAX ? merging.entity_count
                                                                        : RESOURCE_ENTITIES_MAX);
    free(list);
    return merged;
}
