// SPDX-License-Identifier: Apache-2.0
// OTEL_ENTITIES (specification, "Entity Propagation"): type{id=..}[description=..]@schema, joined
// by semicolons. What is malformed is left out, told and counted; the rest counts.

#include "libtrace/sdk/resource/detect.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"

enum { TEXT_BYTES_MAX = 64 * 1024, ENTITIES_MAX = RESOURCE_ENTITIES_MAX, PAIRS_MAX = 16 };

struct pairs {
    struct str keys[PAIRS_MAX];
    struct str values[PAIRS_MAX];
    size_t count;
};

struct parsed {
    struct str type;
    struct str schema_url;
    struct pairs ids;
    struct pairs descriptions;
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// [a-zA-Z][a-zA-Z0-9._-]*
static bool is_name(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.at[i];

        if (!is_letter(c) && (i == 0 || !((c >= '0' && c <= '9') || (c && strchr("._-", c)))))
            return false;
    }
    return text.len != 0;
}

static bool has_reserved(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] && strchr("{}[]@=", text.at[i]))
            return true;
    }
    return false;
}

static bool pairs_read(struct arena *arena, struct str text, struct pairs *out_pairs)
{
    while (text.len) {
        const size_t end = str_find(text, ',');
        const struct str pair = {text.at, end};
        const size_t equals = str_find(pair, '=');
        const struct str key = str_trim((struct str){pair.at, equals});
        const struct str value = str_trim(str_from(pair, equals + 1));

        if (equals == pair.len || !is_name(key) || has_reserved(value) ||
            out_pairs->count == PAIRS_MAX ||
            !text_decode(arena, value, &out_pairs->values[out_pairs->count]))
            return false;
        out_pairs->keys[out_pairs->count++] = key;
        text = str_from(text, end + 1);
    }
    return out_pairs->count != 0;
}

// RFC 3986 3: a scheme, a colon, and something behind it.
static bool is_url(struct str text)
{
    const size_t colon = str_find(text, ':');

    if (colon == 0 || colon + 3 >= text.len || text.at[colon + 1] != '/' ||
        text.at[colon + 2] != '/' || !is_letter(text.at[0]))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] <= ' ' || text.at[i] > '~')
            return false;
    }
    return true;
}

static void tell(const char *what, struct str definition)
{
    enum { SAID_MAX = 64 };

    stats_add(&sdk_stats, SDK_invalid_settings, 1);
    say(TL_WARN, "OTEL_ENTITIES: %s in '%.*s'", what,
        (int)(definition.len < SAID_MAX ? definition.len : SAID_MAX), definition.at);
}

// False: the definition is not one.
static bool entity_read(struct arena *arena, struct str text, struct parsed *out_entity)
{
    const struct str whole = text;
    const size_t open = str_find(text, '{');
    const size_t close = str_find(text, '}');

    *out_entity = (struct parsed){.type = str_trim((struct str){text.at, open})};
    if (close == text.len || close < open || !is_name(out_entity->type) ||
        !pairs_read(arena, (struct str){text.at + open + 1, close - open - 1}, &out_entity->ids))
        return false;
    text = str_trim(str_from(text, close + 1));
    if (text.len && text.at[0] == '[') {
        const size_t end = str_find(text, ']');

        if (end == text.len || (end > 1 && !pairs_read(arena, (struct str){text.at + 1, end - 1},
                                                       &out_entity->descriptions)))
            return false;
        text = str_trim(str_from(text, end + 1));
    }
    if (text.len == 0)
        return true;
    if (text.at[0] != '@')
        return false;
    if (is_url(str_from(text, 1)))
        out_entity->schema_url = str_from(text, 1);
    else
        tell("no schema URL", whole);
    return true;
}

// ---- Conflicts: the later one counts

static size_t key_find(const struct pairs *pairs, struct str key)
{
    size_t i = 0;

    while (i < pairs->count && !str_equal(pairs->keys[i], key))
        i++;
    return i;
}

static bool has_key(const struct parsed *entity, struct str key)
{
    return key_find(&entity->ids, key) < entity->ids.count ||
           key_find(&entity->descriptions, key) < entity->descriptions.count;
}

static void key_remove(struct pairs *pairs, struct str key)
{
    const size_t at = key_find(pairs, key);

    if (at == pairs->count)
        return;
    pairs->count--;
    for (size_t i = at; i < pairs->count; i++) {
        pairs->keys[i] = pairs->keys[i + 1];
        pairs->values[i] = pairs->values[i + 1];
    }
}

// Whether an earlier entity stays beside a later one; what both describe is the later one's.
static bool stays_beside(struct parsed *earlier, const struct parsed *later)
{
    if (str_equal(earlier->type, later->type))
        return false;
    for (size_t i = 0; i < earlier->ids.count; i++) {
        if (has_key(later, earlier->ids.keys[i]))
            return false;
    }
    for (size_t i = 0; i < later->ids.count; i++)
        key_remove(&earlier->descriptions, later->ids.keys[i]);
    for (size_t i = 0; i < later->descriptions.count; i++)
        key_remove(&earlier->descriptions, later->descriptions.keys[i]);
    return true;
}

// Adds it behind those that can stay; returns how many there are.
static size_t entity_add(struct parsed *list, size_t count, const struct parsed *entity)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (stays_beside(&list[i], entity))
            list[kept++] = list[i];
        else
            tell("an entity that a later one replaces", list[i].type);
    }
    list[kept++] = *entity;
    return kept;
}

// ---- The resource

static size_t attributes_add(struct tl_attribute *list, size_t count, const struct pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++) {
        list[count] = TL_STR_N("", pairs->values[i].at, pairs->values[i].len);
        list[count].key = pairs->keys[i].at;
        list[count++].key_len = pairs->keys[i].len;
    }
    return count;
}

static struct tl_resource *resource_of(struct arena *arena, const struct parsed *list, size_t count)
{
    struct entity *entities = arena_take(arena, (count + 1) * sizeof *entities);
    struct tl_attribute *attributes =
        arena_take(arena, (count * 2 * PAIRS_MAX + 1) * sizeof *attributes);
    size_t attribute_count = 0;

    if (!entities || !attributes)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        attribute_count = attributes_add(attributes, attribute_count, &list[i].ids);
        attribute_count = attributes_add(attributes, attribute_count, &list[i].descriptions);
        entities[i] = (struct entity){
            list[i].type,      list[i].schema_url,        list[i].ids.keys,
            list[i].ids.count, list[i].descriptions.keys, list[i].descriptions.count};
    }
    return resource_make(attributes, attribute_count, STR(""), entities, count);
}

struct tl_resource *entities_read(struct str text)
{
    struct tl_resource *resource = NULL;
    struct parsed *list;
    struct parsed entity;
    struct arena arena;
    size_t count = 0;

    arena_init(&arena, 4 * 1024 * 1024);
    // One more: an entity stands behind the others before those it replaces are gone.
    list = arena_take(&arena, (ENTITIES_MAX + 1) * sizeof *list);
    if (text.len > TEXT_BYTES_MAX) {
        tell("more than 64 KiB", text);
        text.len = 0;
    }
    while (list && text.len) {
        const size_t end = str_find(text, ';');
        const struct str definition = str_trim((struct str){text.at, end});

        text = str_from(text, end + 1);
        if (definition.len == 0)
            continue;
        if (count < ENTITIES_MAX && entity_read(&arena, definition, &entity))
            count = entity_add(list, count, &entity);
        else
            tell("no entity", definition);
    }
    if (list)
        resource = resource_of(&arena, list, count);
    arena_done(&arena);
    return resource;
}
