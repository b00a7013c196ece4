// SPDX-License-Identifier: Apache-2.0
// Scopes are compared by their bytes: a copy is encoded once and never looked into again.

#include "libtrace/sdk/scope.h"

#include <errno.h>

#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/encode.h"
#include "libtrace/sdk/resource/resource.h"

enum { SCOPE_BYTES_MAX = 32 * 1024 };

static void text_write(struct bytes *out, unsigned number, const char *text)
{
    const size_t len = text ? strlen(text) : 0;
    uint8_t *to = len ? bytes_reserve(out, 3 * len + 12) : NULL;

    if (to)
        out->len = (size_t)(text_put(to, number, text, len) - out->at);
}

// opentelemetry-proto: InstrumentationScope has name 1, version 2, attributes 3; ScopeSpans has
// scope 1, schema_url 3.
static void scope_write_group(struct bytes *out, const struct tl_scope *scope)
{
    size_t mark;

    if (!scope)
        return;
    mark = message_begin(out, 1);
    text_write(out, 1, scope->name);
    text_write(out, 2, scope->version);
    attributes_write(out, 3, scope->attributes, scope->attribute_count, UINT32_MAX,
                     ENCODE_UNLIMITED);
    message_end(out, mark);
    text_write(out, 3, scope->schema_url);
}

static const char *text_copy_of(struct arena *arena, const char *text)
{
    const struct str copy = arena_format(arena, "%s", text ? text : "");

    return copy.at;
}

// Values are kept as they are encoded; the readable copy has keys and scalar values.
static int attributes_copy(struct scope *scope, const struct tl_scope *given)
{
    struct tl_attribute *list;
    size_t count = 0;

    if (!given->attributes || !given->attribute_count)
        return 0;
    list = arena_take(&scope->arena, given->attribute_count * sizeof list[0]);
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < given->attribute_count; i++) {
        struct tl_attribute one = given->attributes[i];

        // As it is left out of what is encoded.
        if (!attribute_is_valid(&one))
            continue;
        one.key = arena_copy(&scope->arena, (struct str){one.key, one.key_len}).at;
        if (one.value.type == TL_TYPE_STRING || one.value.type == TL_TYPE_BYTES)
            one.value.as.string =
                arena_copy(&scope->arena, (struct str){one.value.as.string, one.value.count}).at;
        else if (one.value.type > TL_TYPE_BYTES)
            one.value = (struct tl_value){TL_TYPE_EMPTY, 0, {NULL}};
        list[count++] = one;
    }
    scope->as.attributes = list;
    scope->as.attribute_count = count;
    return 0;
}

int scope_init(struct scope *scope, const struct tl_scope *given)
{
    struct bytes bytes = {.limit = SCOPE_BYTES_MAX};
    static const struct tl_scope none;

    memset(scope, 0, sizeof *scope);
    arena_init(&scope->arena, 4 * SCOPE_BYTES_MAX);
    scope_write_group(&bytes, given ? given : &none);
    scope->encoded = arena_copy(&scope->arena, bytes_str(&bytes));
    bytes_done(&bytes);
    given = given ? given : &none;
    scope->as.name = text_copy_of(&scope->arena, given->name);
    scope->as.version = text_copy_of(&scope->arena, given->version);
    scope->as.schema_url = text_copy_of(&scope->arena, given->schema_url);
    if (bytes.is_failed || !scope->encoded.at || !scope->as.name || !scope->as.version ||
        !scope->as.schema_url || attributes_copy(scope, given) != 0) {
        scope_done(scope);
        return -ENOMEM;
    }
    return 0;
}

void scope_done(struct scope *scope)
{
    arena_done(&scope->arena);
}

bool scope_is(const struct scope *scope, const struct tl_scope *given)
{
    struct bytes bytes = {.limit = SCOPE_BYTES_MAX};
    static const struct tl_scope none;
    bool is_same;

    scope_write_group(&bytes, given ? given : &none);
    is_same = !bytes.is_failed && str_equal(bytes_str(&bytes), scope->encoded);
    bytes_done(&bytes);
    return is_same;
}

void resource_group_write(struct bytes *out, const struct tl_resource *resource)
{
    const struct str url = resource_schema_url(resource);

    body_write(out, 1, resource_encoded(resource));
    if (url.len)
        body_write(out, 3, url);
}
