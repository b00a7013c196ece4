// SPDX-License-Identifier: Apache-2.0
// A model against the schema's table. The first mistake is the answer.

#include "libtrace/umbrella/config_schema.h"

#include <errno.h>
#include <stdio.h>

#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"

// Where the check is: from the root down, for the message.
struct step {
    const struct step *above;
    const char *key; // NULL: an item of a list
    size_t index;
};

struct check {
    const char *name;
    struct why *why;
};

static void path_write(const struct step *step, char *out, size_t room)
{
    size_t len;

    out[0] = '\0';
    if (!step)
        return;
    path_write(step->above, out, room);
    len = strlen(out);
    if (step->key ? snprintf(out + len, room - len, "%s%s", len ? "." : "", step->key) < 0
                  : snprintf(out + len, room - len, "[%zu]", step->index) < 0)
        out[len] = '\0';
}

__attribute__((format(printf, 4, 5))) static int refuse(const struct check *check,
                                                        const struct tl_config_node *node,
                                                        const struct step *step, const char *format,
                                                        ...)
{
    char reason[160];
    char path[256];
    va_list args;

    va_start(args, format);
    if (vsnprintf(reason, sizeof reason, format, args) < 0)
        reason[0] = '\0';
    va_end(args);
    path_write(step, path, sizeof path);
    return why_fail(check->why, -EINVAL, "%.96s:%u:%u: %s%s%s", check->name, node->line,
                    node->column, path, *path ? ": " : "", reason);
}

static int shape_check(const struct check *check, const struct tl_config_node *node,
                       const struct shape *shape, const struct step *step);

static const char *kind_word(const struct tl_config_node *node)
{
    static const char *const words[] = {"null",   "a boolean", "a whole number", "a number",
                                        "a text", "a list",    "a map"};

    return words[node->kind];
}

static int due_check(const struct check *check, const struct tl_config_node *node,
                     const struct shape *shape, const struct step *step)
{
    struct str words = shape->words;
    struct property due;

    while (property_next(&words, &due)) {
        char name[64];

        if (!due.is_required || due.name.len >= sizeof name)
            continue;
        memcpy(name, due.name.at, due.name.len);
        name[due.name.len] = '\0';
        if (!tl_config_get(node, name))
            return refuse(check, node, step, "'%s' is missing", name);
    }
    return 0;
}

static int map_check(const struct check *check, const struct tl_config_node *node,
                     const struct shape *shape, const struct step *step)
{
    if (node->kind != TL_CONFIG_MAP)
        return refuse(check, node, step, "a map was expected, not %s", kind_word(node));
    for (const struct tl_config_node *at = node->first; at; at = at->next) {
        const struct step below = {step, at->key, 0};
        struct property property;
        struct shape inner;
        int failed;

        if (!property_find(shape, at->key, &property)) {
            if (!shape->takes_unknown)
                return refuse(check, at, step, "'%.64s' is not a property", at->key);
            stats_add(&sdk_stats, SDK_invalid_settings, 1);
            say(TL_WARN, "%s:%u:%u: '%.64s' is not known and left out", check->name, at->line,
                at->column, at->key);
            continue;
        }
        inner = shape_of(property.shape);
        failed = shape_check(check, at, &inner, &below);
        if (failed)
            return failed;
    }
    return due_check(check, node, shape, step);
}

static int component_check(const struct check *check, const struct tl_config_node *node,
                           const struct shape *shape, const struct step *step)
{
    struct property property;

    if (node->kind != TL_CONFIG_MAP || node->count != 1)
        return refuse(check, node, step, "a map of one component was expected");
    if (property_find(shape, node->first->key, &property)) {
        const struct step below = {step, node->first->key, 0};
        const struct shape inner = shape_of(property.shape);

        return shape_check(check, node->first, &inner, &below);
    }
    // Whoever made it known reads its properties: a map, or nothing.
    if (node->first->kind != TL_CONFIG_MAP && node->first->kind != TL_CONFIG_NULL)
        return refuse(check, node->first, step, "%.64s: a map was expected, not %s",
                      node->first->key, kind_word(node->first));
    return 0;
}

static int list_check(const struct check *check, const struct tl_config_node *node,
                      const struct shape *shape, const struct step *step)
{
    const struct shape item = shape_of(shape->words);
    size_t index = 0;

    if (node->kind != TL_CONFIG_LIST)
        return refuse(check, node, step, "a list was expected, not %s", kind_word(node));
    if ((int64_t)node->count < shape->least)
        return refuse(check, node, step, "an empty list");
    for (const struct tl_config_node *at = node->first; at; at = at->next) {
        const struct step below = {step, NULL, index++};
        const int failed = shape_check(check, at, &item, &below);

        if (failed)
            return failed;
    }
    return 0;
}

static int number_check(const struct check *check, const struct tl_config_node *node,
                        const struct shape *shape, const struct step *step)
{
    int64_t integer;
    double number;

    if (shape->kind == SHAPE_INT) {
        if (!tl_config_int(node, &integer))
            return refuse(check, node, step, "a whole number was expected, not %s",
                          kind_word(node));
        if (integer < shape->least || integer > shape->most)
            return refuse(check, node, step, "%lld is not from %lld to %lld", (long long)integer,
                          (long long)shape->least, (long long)shape->most);
        return 0;
    }
    if (!tl_config_double(node, &number))
        return refuse(check, node, step, "a number was expected, not %s", kind_word(node));
    if (!(number >= (double)shape->least && number <= (double)shape->most))
        return refuse(check, node, step, "%.32s is not from %lld to %lld", node->text,
                      (long long)shape->least, (long long)shape->most);
    return 0;
}

static int choice_check(const struct check *check, const struct tl_config_node *node,
                        const struct shape *shape, const struct step *step)
{
    if (node->kind != TL_CONFIG_STRING)
        return refuse(check, node, step, "a word was expected, not %s", kind_word(node));
    if (shape_has_word(shape, node->text))
        return 0;
    return refuse(check, node, step, "'%.64s' is not one of its words", node->text);
}

static bool is_scalar(const struct tl_config_node *node)
{
    return node->kind != TL_CONFIG_MAP && node->kind != TL_CONFIG_LIST;
}

// True when the kind of a value, or of a list's item, is what the attribute's type asks for.
static bool type_fits(const struct tl_config_node *node, const char *type)
{
    int64_t integer;

    switch (type[0]) {
    case 'b':
        return node->kind == TL_CONFIG_BOOL;
    case 'i':
        return tl_config_int(node, &integer);
    case 'd':
        return node->kind == TL_CONFIG_INT || node->kind == TL_CONFIG_DOUBLE;
    default:
        return is_scalar(node) && node->kind != TL_CONFIG_NULL;
    }
}

static const char *type_of(const struct tl_config_node *value)
{
    const struct tl_config_node *first = value->kind == TL_CONFIG_LIST ? value->first : value;
    const enum tl_config_kind kind = first ? first->kind : TL_CONFIG_NULL;

    if (kind == TL_CONFIG_BOOL)
        return "bool";
    return kind == TL_CONFIG_INT || kind == TL_CONFIG_DOUBLE ? "double" : "string";
}

static int attribute_check(const struct check *check, const struct tl_config_node *node,
                           const struct step *step)
{
    const struct shape map = shape_of(STR("attribute_map"));
    const struct tl_config_node *value = tl_config_get(node, "value");
    const char *wanted = tl_config_text(tl_config_get(node, "type"));
    const bool has_type = wanted != NULL;
    const int failed = map_check(check, node, &map, step);

    if (failed)
        return failed;
    if (value->kind == TL_CONFIG_NULL && !wanted)
        return 0;
    if (value->kind == TL_CONFIG_MAP || (value->kind == TL_CONFIG_LIST && value->count == 0))
        return refuse(check, value, step, "value: %s is not a value of an attribute",
                      value->count ? "a map" : "what is empty");
    if (!wanted)
        wanted = type_of(value);
    else if ((strstr(wanted, "_array") != NULL) != (value->kind == TL_CONFIG_LIST))
        return refuse(check, value, step, "value: %s is not of type %s", kind_word(value), wanted);
    if (value->kind != TL_CONFIG_LIST)
        return type_fits(value, wanted) ? 0
                                        : refuse(check, value, step, "value: %s is not of type %s",
                                                 kind_word(value), wanted);
    for (const struct tl_config_node *at = value->first; at; at = at->next) {
        // Without a type, texts are those alone that look like it.
        if (!type_fits(at, wanted) || (!has_type && *wanted == 's' && at->kind != TL_CONFIG_STRING))
            return refuse(check, at, step, "value: items of more than one type");
    }
    return 0;
}

static int shape_check(const struct check *check, const struct tl_config_node *node,
                       const struct shape *shape, const struct step *step)
{
    if (shape->kind == SHAPE_ANY || (node->kind == TL_CONFIG_NULL && !shape->is_not_null))
        return 0;
    switch (shape->kind) {
    case SHAPE_BOOL:
        return node->kind == TL_CONFIG_BOOL
                   ? 0
                   : refuse(check, node, step, "true or false was expected, not %s",
                            kind_word(node));
    case SHAPE_INT:
    case SHAPE_NUMBER:
        return number_check(check, node, shape, step);
    case SHAPE_TEXT:
        // "${KEY}" in quotes is a text also when the variable holds a number.
        return node->kind == TL_CONFIG_STRING
                   ? 0
                   : refuse(check, node, step, "a text was expected, not %s%s", kind_word(node),
                            is_scalar(node) && node->kind != TL_CONFIG_NULL ? ": put it in quotes"
                                                                            : "");
    case SHAPE_SCALAR:
        return is_scalar(node) && node->kind != TL_CONFIG_NULL
                   ? 0
                   : refuse(check, node, step, "a text was expected, not %s", kind_word(node));
    case SHAPE_CHOICE:
        return choice_check(check, node, shape, step);
    case SHAPE_MAP:
        return map_check(check, node, shape, step);
    case SHAPE_LIST:
        return list_check(check, node, shape, step);
    case SHAPE_COMPONENT:
        return component_check(check, node, shape, step);
    default:
        return attribute_check(check, node, step);
    }
}

// Major version 1; a minor one beyond 1.1 may hold what is not known here.
static int format_check(const struct check *check, const struct tl_config_node *root)
{
    const struct tl_config_node *node = tl_config_get(root, "file_format");
    const struct str text = str_of(node->text);
    const struct step step = {NULL, "file_format", 0};
    uint64_t minor = 0;

    if (!str_starts(text, STR("1.")) || !str_to_u64(str_from(text, 2), &minor))
        return refuse(check, node, &step, "'%.32s' is not a version of 1.x", node->text);
    if (minor > 1)
        say(TL_WARN, "%s: file_format %.32s is newer than 1.1", check->name, node->text);
    return 0;
}

int config_check(const struct tl_config *config, struct why *why)
{
    const struct check check = {config_name(config), why};
    const struct tl_config_node *root = tl_config_root(config);
    const struct shape shape = shape_of(STR("root"));
    const int failed = shape_check(&check, root, &shape, NULL);

    return failed ? failed : format_check(&check, root);
}
