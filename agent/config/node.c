// SPDX-License-Identifier: Apache-2.0
// libfyaml's nodes as settings: each component's own table says what may stand there.

#include "agent/config/node.h"

#include <errno.h>
#include <libfyaml.h>
#include <stdarg.h>

#include "libtrace/base/substitute.h"
#include "libtrace/yaml/yaml.h"

enum { PROBLEMS_MAX = 50 };

struct str node_scalar(struct fy_node *node)
{
    return yaml_scalar(node);
}

int node_problem(struct reading *reading, struct fy_node *node, const char *format, ...)
{
    const struct yaml_place place = yaml_place(node);
    char reason[512];
    va_list args;

    if (reading->problem_count++ >= PROBLEMS_MAX)
        return -EINVAL;
    va_start(args, format);
    // The analyzer loses sight of va_start across the early return.
    // NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized)
    if (vsnprintf(reason, sizeof reason, format, args) < 0)
        reason[0] = '\0';
    va_end(args);
    bytes_format(reading->problems, "%s:%u:%u: %s\n", reading->file, place.line, place.column,
                 reason);
    return -EINVAL;
}

bool node_is_empty(struct fy_node *node)
{
    return !node || (fy_node_is_scalar(node) &&
                     (node_scalar(node).len == 0 || str_equal(node_scalar(node), STR("null"))));
}

static int node_substitute(struct reading *reading, struct fy_node *node, struct str *out_text)
{
    struct bytes text = {.limit = 1 << 20};
    const struct substitution by = {.get = substitute_getenv, .is_strict = true};
    struct why why = {""};

    if (substitute(node_scalar(node), &by, &text, &why) != 0) {
        bytes_done(&text);
        return node_problem(reading, node, "%s", why.text);
    }
    *out_text = arena_copy(&reading->config->arena, bytes_str(&text));
    bytes_done(&text);
    return out_text->at ? 0
                        : node_problem(reading, node, "more text than a configuration may have");
}

// What becomes a line, or a part of one: text without the bytes that part lines and keys.
static int line_part(struct reading *reading, struct fy_node *node, bool may_be_empty,
                     struct str *out_text)
{
    if (node && !fy_node_is_scalar(node))
        return node_problem(reading, node, "text was expected, not a list or a map");
    if (node_substitute(reading, node, out_text) != 0)
        return -EINVAL;
    if (out_text->len == 0 && !may_be_empty)
        return node_problem(reading, node, "an empty item says nothing");
    if (str_find(*out_text, '\n') < out_text->len)
        return node_problem(reading, node, "one line was expected");
    return 0;
}

static int joined_map(struct reading *reading, struct fy_node *map, struct bytes *text)
{
    struct fy_node_pair *pair;
    void *walk = NULL;
    int failed = 0;

    while (!failed && (pair = fy_node_mapping_iterate(map, &walk)) != NULL) {
        struct fy_node *key_node = fy_node_pair_key(pair);
        const struct str key = node_scalar(key_node);
        struct str each = {"", 0};

        if (key.len == 0 || str_find(key, '\n') < key.len || str_find(key, '\t') < key.len)
            return node_problem(reading, key_node, "a name of one line without tabs was expected");
        failed = line_part(reading, fy_node_pair_value(pair), true, &each);
        bytes_format(text, "%s%.*s\t%.*s", text->len ? "\n" : "", STR_ARGS(key), STR_ARGS(each));
    }
    return failed;
}

// A list or map of scalars becomes one text, a line each.
static int joined(struct reading *reading, struct fy_node *node, struct str *out_text)
{
    struct bytes text = {.limit = 1 << 20};
    struct fy_node *item;
    void *walk = NULL;
    int failed = 0;

    if (fy_node_is_scalar(node))
        return line_part(reading, node, true, out_text);
    if (fy_node_is_mapping(node))
        failed = joined_map(reading, node, &text);
    while (!failed && fy_node_is_sequence(node) &&
           (item = fy_node_sequence_iterate(node, &walk)) != NULL) {
        struct str each = {"", 0};

        failed = line_part(reading, item, false, &each);
        bytes_format(&text, "%s%.*s", text.len ? "\n" : "", STR_ARGS(each));
    }
    *out_text = arena_copy(&reading->config->arena, bytes_str(&text));
    bytes_done(&text);
    return failed;
}

static int setting_take(struct reading *reading, struct fy_node_pair *pair,
                        const struct setting *table, void *owner, const char *where)
{
    struct fy_node *key = fy_node_pair_key(pair);
    struct fy_node *value = fy_node_pair_value(pair);
    const struct str name = node_scalar(key);
    const struct setting *row = setting_find(table, name);
    const bool is_compound =
        row && (row->type == SETTING_TYPE_LIST || row->type == SETTING_TYPE_MAP);
    struct str text = {"", 0};
    struct why why = {""};

    if (!row)
        return node_problem(reading, key, "%s: '%.*s' is not a setting", where, STR_ARGS(name));
    if (value && fy_node_is_alias(value))
        return node_problem(reading, key, "%s: %.*s: a value was expected, not an alias ('*%.*s')",
                            where, STR_ARGS(name), STR_ARGS(node_scalar(value)));
    if (!is_compound && value && !fy_node_is_scalar(value))
        return node_problem(reading, key, "%s: %.*s: one value was expected", where,
                            STR_ARGS(name));
    if (value && joined(reading, value, &text) != 0)
        return -EINVAL;
    if (setting_read(row, text, owner, &reading->config->arena, &why) != 0)
        return node_problem(reading, value && fy_node_is_scalar(value) ? value : key,
                            "%s: %.*s: %s", where, STR_ARGS(name), why.text);
    return 0;
}

int node_settings(struct reading *reading, struct fy_node *map, const struct setting *table,
                  void *owner, const char *where)
{
    struct fy_node_pair *pair;
    struct why why = {""};
    void *walk = NULL;
    int failed = 0;

    if (settings_defaults(table, owner, &why) != 0)
        return node_problem(reading, map, "%s: %s", where, why.text);
    if (node_is_empty(map))
        return 0;
    if (!fy_node_is_mapping(map))
        return node_problem(reading, map, "%s: '%.*s' is not a map of settings", where,
                            STR_ARGS(node_scalar(map)));
    while ((pair = fy_node_mapping_iterate(map, &walk)) != NULL)
        failed |= setting_take(reading, pair, table, owner, where);
    return failed ? -EINVAL : 0;
}

int node_keys(struct reading *reading, struct fy_node *map, const char *const *known,
              const char *expected)
{
    struct fy_node_pair *pair;
    void *walk = NULL;
    int failed = 0;

    while ((pair = fy_node_mapping_iterate(map, &walk)) != NULL) {
        const struct str name = node_scalar(fy_node_pair_key(pair));
        size_t i = 0;

        while (known[i] && !str_equal(str_of(known[i]), name))
            i++;
        if (!known[i])
            failed = node_problem(reading, fy_node_pair_key(pair), "'%.*s' is not %s",
                                  STR_ARGS(name), expected);
    }
    return failed;
}
