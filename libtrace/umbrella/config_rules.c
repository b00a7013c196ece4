// SPDX-License-Identifier: Apache-2.0
// Rules of the rule-based composable sampler. The words of all its rules are in one arena, which
// goes with the sampler.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "libtrace/base/decimal.h"
#include "libtrace/sdk/trace/composable.h"
#include "libtrace/umbrella/config_create.h"

// Lists of texts in the rule's arena end with NULL.
struct words {
    const char *key;
    const char **values;   // equal
    const char **included; // patterns
    const char **excluded;
};

struct rule {
    struct words values;
    struct words patterns;
    unsigned kinds;   // a bit for each enum tl_kind; 0: any
    unsigned parents; // a bit for each of none, remote, local; 0: any
};

struct rule_based {
    struct arena arena;
    struct tl_composable *inner;
};

static bool is_one_of(const char *const *words, struct str text, bool are_patterns)
{
    for (; *words; words++) {
        if (are_patterns ? create_matches(*words, text) : str_equal(str_of(*words), text))
            return true;
    }
    return false;
}

static bool text_fits(const struct words *words, struct str text)
{
    if (words->values)
        return is_one_of(words->values, text, false);
    if (words->included && !is_one_of(words->included, text, true))
        return false;
    return !words->excluded || !is_one_of(words->excluded, text, true);
}

static bool integer_fits(const struct words *words, int64_t value)
{
    char text[24];
    const int len = snprintf(text, sizeof text, "%lld", (long long)value);

    return len > 0 && text_fits(words, (struct str){text, (size_t)len});
}

static bool double_fits(const struct words *words, double value)
{
    char text[DECIMAL_TEXT_MAX];

    decimal_write(text, value);
    return text_fits(words, str_of(text));
}

// Any item of a list counts.
static bool value_fits(const struct words *words, const struct tl_value *value)
{
    switch (value->type) {
    case TL_TYPE_STRING:
        return text_fits(words, (struct str){value->as.string, value->count});
    case TL_TYPE_BOOL:
        return text_fits(words, value->as.boolean ? STR("true") : STR("false"));
    case TL_TYPE_INT:
        return integer_fits(words, value->as.integer);
    case TL_TYPE_DOUBLE:
        return double_fits(words, value->as.number);
    default:
        break;
    }
    for (size_t i = 0; i < value->count; i++) {
        if (value->type == TL_TYPE_STRINGS
                ? text_fits(words, str_of(value->as.strings[i] ? value->as.strings[i] : ""))
            : value->type == TL_TYPE_BOOLS
                ? text_fits(words, value->as.booleans[i] ? STR("true") : STR("false"))
            : value->type == TL_TYPE_INTS    ? integer_fits(words, value->as.integers[i])
            : value->type == TL_TYPE_DOUBLES ? double_fits(words, value->as.numbers[i])
                                             : false)
            return true;
    }
    return false;
}

static bool words_fit(const struct words *words, const struct tl_sampling *sampling)
{
    const struct str key = str_of(words->key);

    if (!words->key)
        return true;
    for (size_t i = 0; i < sampling->attribute_count; i++) {
        const struct tl_attribute *attribute = &sampling->attributes[i];

        if (str_equal((struct str){attribute->key, attribute->key_len}, key))
            return value_fits(words, &attribute->value);
    }
    return false;
}

static bool rule_matches(void *self, const struct tl_sampling *sampling)
{
    const struct rule *rule = self;
    const bool has_parent = tl_span_context_is_valid(sampling->parent);
    const unsigned standing = !has_parent ? 0 : sampling->parent->is_remote ? 1 : 2;

    if (rule->kinds && !(rule->kinds >> sampling->kind & 1))
        return false;
    if (rule->parents && !(rule->parents >> standing & 1))
        return false;
    return words_fit(&rule->values, sampling) && words_fit(&rule->patterns, sampling);
}

// NULL for no list; *is_short where memory is.
static const char **words_copy(struct arena *arena, const struct tl_config_node *list,
                               bool *is_short)
{
    const char **words;
    size_t count = 0;

    if (!list)
        return NULL;
    words = arena_take(arena, (list->count + 1) * sizeof *words);
    for (const struct tl_config_node *at = list->first; words && at; at = at->next) {
        words[count] = arena_format(arena, "%s", at->text).at;
        *is_short |= words[count++] == NULL;
    }
    *is_short |= words == NULL;
    return words;
}

static unsigned bits_of(const struct tl_config_node *list, const char *const *names)
{
    unsigned bits = 0;

    for (const struct tl_config_node *at = list ? list->first : NULL; at; at = at->next) {
        for (unsigned i = 0; names[i]; i++)
            bits |= (unsigned)(at->text && strcmp(at->text, names[i]) == 0) << i;
    }
    return bits;
}

static struct rule *rule_make(struct arena *arena, const struct tl_config_node *node)
{
    static const char *const kinds[] = {"",         "internal", "server", "client",
                                        "producer", "consumer", NULL};
    static const char *const parents[] = {"none", "remote", "local", NULL};
    const struct tl_config_node *values = tl_config_get(node, "attribute_values");
    const struct tl_config_node *patterns = tl_config_get(node, "attribute_patterns");
    struct rule *rule = arena_take(arena, sizeof *rule);
    bool is_short = false;

    if (!rule)
        return NULL;
    rule->kinds = bits_of(tl_config_get(node, "span_kinds"), kinds);
    rule->parents = bits_of(tl_config_get(node, "parent"), parents);
    if (values) {
        rule->values.key = arena_format(arena, "%s", create_text(values, "key", "")).at;
        rule->values.values = words_copy(arena, tl_config_get(values, "values"), &is_short);
    }
    if (patterns) {
        rule->patterns.key = arena_format(arena, "%s", create_text(patterns, "key", "")).at;
        rule->patterns.included = words_copy(arena, tl_config_get(patterns, "included"), &is_short);
        rule->patterns.excluded = words_copy(arena, tl_config_get(patterns, "excluded"), &is_short);
    }
    return is_short ? NULL : rule;
}

static int list_make(struct creation *creation, struct arena *arena,
                     const struct tl_config_node *list, struct tl_composable **out_composable)
{
    const size_t count = tl_config_count(list);
    struct tl_composable_rule *made = arena_take(&creation->arena, (count + 1) * sizeof *made);
    int failed = made ? 0 : create_refuse(creation, list, "no memory");
    size_t index = 0;

    for (const struct tl_config_node *at = list ? list->first : NULL; at && !failed;
         at = at->next) {
        made[index].matches = rule_matches;
        made[index].self = rule_make(arena, at);
        failed = made[index].self
                     ? create_composable(creation, tl_config_get(at, "sampler"), &made[index].then)
                     : create_refuse(creation, at, "no memory");
        index += !failed;
    }
    if (!failed) {
        *out_composable = tl_composable_rules(made, index);
        return 0;
    }
    for (size_t i = 0; made && i < index; i++)
        tl_composable_unref(made[i].then);
    return failed;
}

static void rule_based_intend(void *self, const struct composable_question *question,
                              struct intent *out)
{
    composable_intend(((struct rule_based *)self)->inner, question, out);
}

static void rule_based_free(void *self)
{
    struct rule_based *own = self;

    tl_composable_unref(own->inner);
    arena_done(&own->arena);
    free(own);
}

int create_rules(struct creation *creation, const struct tl_config_node *list,
                 struct tl_composable **out_composable)
{
    struct rule_based *own = calloc(1, sizeof *own);
    const struct composable_functions functions = {rule_based_intend, rule_based_free, own};
    int failed;

    if (!own)
        return create_refuse(creation, list, "no memory");
    arena_init(&own->arena, CREATE_BYTES_MAX);
    failed = list_make(creation, &own->arena, list, &own->inner);
    if (failed) {
        rule_based_free(own);
        return failed;
    }
    *out_composable = composable_new(&functions, composable_description(own->inner));
    return 0;
}
