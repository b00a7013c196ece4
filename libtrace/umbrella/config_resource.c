// SPDX-License-Identifier: Apache-2.0
// The resource of a configuration file: what the SDK says of itself, then what detectors find, then
// the list, then the attributes; later ones win. OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME
// count only where the file asks for them.

#include <errno.h>

#include "libtrace/sdk/resource/detect.h"
#include "libtrace/umbrella/config_create.h"

// Takes both references; NULL without memory.
static struct tl_resource *merged(struct tl_resource *old, struct tl_resource *updating)
{
    struct tl_resource *both = old && updating ? tl_resource_merge(old, updating) : NULL;

    tl_resource_unref(old);
    tl_resource_unref(updating);
    return both;
}

// Some attributes of a resource, by their keys. Takes the reference. The SDK's own attributes have
// no schema that the file's could conflict with.
static struct tl_resource *kept(struct creation *creation, struct tl_resource *resource,
                                bool (*keeps)(const struct tl_config_node *words, const char *key),
                                const struct tl_config_node *words)
{
    struct tl_resource *part = NULL;
    struct tl_attribute attribute;
    struct tl_attribute *list;
    size_t total = 0;
    size_t count = 0;

    while (tl_resource_at(resource, total, &attribute))
        total++;
    list = arena_take(&creation->arena, (total + 1) * sizeof *list);
    for (size_t i = 0; list && i < total; i++) {
        if (tl_resource_at(resource, i, &list[count]) && keeps(words, list[count].key))
            count++;
    }
    if (list)
        part = tl_resource_new(list, count, words ? tl_resource_schema_url(resource) : NULL);
    tl_resource_unref(resource);
    return part;
}

static bool is_of_sdk(const struct tl_config_node *words, const char *key)
{
    (void)words;
    return strncmp(key, "telemetry.", 10) == 0;
}

static bool is_any(const struct tl_config_node *list, const char *key)
{
    for (const struct tl_config_node *at = list ? list->first : NULL; at; at = at->next) {
        if (create_matches(at->text, str_of(key)))
            return true;
    }
    return false;
}

static bool is_included(const struct tl_config_node *words, const char *key)
{
    const struct tl_config_node *included = tl_config_get(words, "included");

    return (!included || is_any(included, key)) && !is_any(tl_config_get(words, "excluded"), key);
}

static struct tl_resource *base_make(struct creation *creation)
{
    char room[FALLBACK_NAME_BYTES];
    const struct str name = service_fallback_name(room);
    const struct tl_attribute service = TL_STR_N("service.name", name.at, name.len);
    struct tl_resource *own = kept(creation, tl_resource_default(), is_of_sdk, NULL);

    return merged(own, tl_resource_new(&service, 1, NULL));
}

static int detector_run(struct creation *creation, const struct tl_config_node *node,
                        struct tl_resource **out_resource)
{
    static const char *const names[] = {
        "container", "host", "process", "service", "k8s", "env", "process_command_args", NULL};

    for (size_t i = 0; names[i]; i++) {
        if (strcmp(node->key, names[i]) == 0) {
            *out_resource = tl_resource_detect(names[i]);
            return *out_resource ? 0 : create_refuse(creation, node, "no memory");
        }
    }
    return create_component(creation, TL_COMPONENT_DETECTOR, node, out_resource);
}

static int detect(struct creation *creation, const struct tl_config_node *detection,
                  struct tl_resource **resource)
{
    const struct tl_config_node *detectors = tl_config_get(detection, "detectors");
    const struct tl_config_node *words = tl_config_get(detection, "attributes");

    for (const struct tl_config_node *at = detectors ? detectors->first : NULL; at; at = at->next) {
        struct tl_resource *found = NULL;
        const int failed = detector_run(creation, at->first, &found);

        if (failed)
            return failed;
        if (words)
            found = kept(creation, found, is_included, words);
        *resource = merged(*resource, found);
        if (!*resource)
            return create_refuse(creation, at, "no memory");
    }
    return 0;
}

static bool list_make(struct creation *creation, const struct tl_config_node *list,
                      const char *type, struct tl_value *out)
{
    const size_t count = list->count;
    void *items = arena_take(&creation->arena, count * sizeof(double));
    size_t i = 0;

    if (!items)
        return false;
    out->count = count;
    out->as.string = items;
    out->type = type[0] == 'b'   ? TL_TYPE_BOOLS
                : type[0] == 'i' ? TL_TYPE_INTS
                : type[0] == 'd' ? TL_TYPE_DOUBLES
                                 : TL_TYPE_STRINGS;
    for (const struct tl_config_node *at = list->first; at; at = at->next, i++) {
        if (out->type == TL_TYPE_BOOLS)
            ((bool *)items)[i] = at->integer;
        else if (out->type == TL_TYPE_INTS)
            tl_config_int(at, &((int64_t *)items)[i]);
        else if (out->type == TL_TYPE_DOUBLES)
            tl_config_double(at, &((double *)items)[i]);
        else
            ((const char **)items)[i] = at->text;
    }
    return true;
}

// The type as written, or as the value looks; whole numbers are integers unless one has a point.
static const char *type_of(const struct tl_config_node *map, const struct tl_config_node *value)
{
    const char *written = create_text(map, "type", NULL);
    const struct tl_config_node *at = value->kind == TL_CONFIG_LIST ? value->first : value;
    const bool is_list = value->kind == TL_CONFIG_LIST;
    const char *type = "string";

    if (written)
        return written;
    if (at->kind == TL_CONFIG_BOOL)
        type = "bool";
    if (at->kind == TL_CONFIG_INT)
        type = "int";
    for (; at; at = is_list ? at->next : NULL) {
        if (at->kind == TL_CONFIG_DOUBLE)
            type = "double";
    }
    return type;
}

static bool attribute_make(struct creation *creation, const struct tl_config_node *map,
                           struct tl_attribute *out)
{
    const struct tl_config_node *value = tl_config_get(map, "value");
    const char *type = type_of(map, value);

    *out = tl_attribute_of(create_text(map, "name", ""), TL_TYPE_EMPTY, 0);
    if (value->kind == TL_CONFIG_NULL)
        return true;
    if (value->kind == TL_CONFIG_LIST)
        return list_make(creation, value, type, &out->value);
    out->value.type = type[0] == 'b'   ? TL_TYPE_BOOL
                      : type[0] == 'i' ? TL_TYPE_INT
                      : type[0] == 'd' ? TL_TYPE_DOUBLE
                                       : TL_TYPE_STRING;
    if (out->value.type == TL_TYPE_BOOL) {
        out->value.as.boolean = value->integer;
    } else if (out->value.type == TL_TYPE_INT) {
        tl_config_int(value, &out->value.as.integer);
    } else if (out->value.type == TL_TYPE_DOUBLE) {
        tl_config_double(value, &out->value.as.number);
    } else {
        out->value.as.string = value->text;
        out->value.count = value->text_len;
    }
    return true;
}

static int attributes_make(struct creation *creation, const struct tl_config_node *node,
                           struct tl_resource **out_resource)
{
    const struct tl_config_node *list = tl_config_get(node, "attributes");
    struct tl_attribute *made =
        arena_take(&creation->arena, (tl_config_count(list) + 1) * sizeof *made);
    size_t count = 0;

    for (const struct tl_config_node *at = list ? list->first : NULL; made && at; at = at->next) {
        if (!attribute_make(creation, at, &made[count]))
            return create_refuse(creation, at, "no memory");
        count += made[count].value.type != TL_TYPE_EMPTY;
    }
    if (made)
        *out_resource = tl_resource_new(made, count, create_text(node, "schema_url", NULL));
    return *out_resource ? 0 : create_refuse(creation, list, "no memory");
}

int create_resource(struct creation *creation, struct tl_resource **out_resource)
{
    const struct tl_config_node *node = tl_config_get(creation->root, "resource");
    const char *list = create_text(node, "attributes_list", NULL);
    struct tl_resource *resource = base_make(creation);
    struct tl_resource *part = NULL;
    int failed = resource ? 0 : create_refuse(creation, node, "no memory");

    if (!failed)
        failed = detect(creation, tl_config_get(node, "detection/development"), &resource);
    if (!failed && list) {
        if (resource_attributes_read(str_of(list), &part))
            resource = merged(resource, part);
        else
            failed = create_refuse(creation, tl_config_get(node, "attributes_list"),
                                   "attributes_list: not a list of KEY=VALUE");
    }
    part = NULL;
    if (!failed)
        failed = attributes_make(creation, node, &part);
    if (!failed) {
        resource = merged(resource, part);
        failed = resource ? 0 : create_refuse(creation, node, "no memory");
    }
    if (failed) {
        tl_resource_unref(resource);
        return failed;
    }
    *out_resource = resource;
    return 0;
}
