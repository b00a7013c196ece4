// SPDX-License-Identifier: Apache-2.0
// The built-in composable samplers.

#include "libtrace/sdk/trace/composable.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "libtrace/base/bytes.h"
#include "libtrace/base/decimal.h"
#include "libtrace/sdk/stats.h"
#include "libtrace/sdk/trace/sampler.h"

enum { DESCRIPTION_MAX = 64 << 10 };

struct fixed {
    uint64_t threshold;
};

static void fixed_intend(void *self, const struct composable_question *question, struct intent *out)
{
    const struct fixed *fixed = self;

    (void)question;
    out->has_threshold = fixed->threshold < TRACE_STATE_NEVER;
    out->is_reliable = out->has_threshold;
    out->threshold = fixed->threshold;
}

static struct tl_composable *fixed_new(uint64_t threshold, const char *description)
{
    const int saved = errno;
    struct fixed *fixed = malloc(sizeof *fixed);
    const struct composable_functions functions = {fixed_intend, free, fixed};

    errno = saved;
    if (!fixed)
        return NULL;
    fixed->threshold = threshold;
    return composable_new(&functions, description);
}

struct tl_composable *tl_composable_always_on(void)
{
    return fixed_new(0, "AlwaysOn");
}

struct tl_composable *tl_composable_always_off(void)
{
    return fixed_new(TRACE_STATE_NEVER, "AlwaysOff");
}

struct tl_composable *tl_composable_probability(double ratio)
{
    char number[DECIMAL_TEXT_MAX];
    char text[64];
    int len;

    if (!(ratio >= 0 && ratio <= 1)) {
        stats_add(&sdk_stats, SDK_invalid_values, 1);
        ratio = ratio < 0 ? 0 : 1;
    }
    if (ratio < 0x1p-56)
        return tl_composable_always_off();
    decimal_write(number, ratio);
    len = snprintf(text, sizeof text, "Probability{%s}", number);
    return fixed_new(threshold_of_ratio(ratio), len > 0 ? text : "Probability");
}

// The parent's threshold where it fits its flag: one that says otherwise is of no use
// (specification, "General requirements" of probability sampling).
static void parent_intend(void *self, const struct composable_question *question,
                          struct intent *out)
{
    const struct tl_span_context *parent = question->parent;
    uint64_t randomness;
    bool is_sampled;

    if (!parent) {
        composable_intend(self, question, out);
        return;
    }
    is_sampled = parent->flags & TL_FLAG_SAMPLED;
    randomness = question->ot.has_randomness ? question->ot.randomness
                                             : sampler_randomness(parent->trace_id);
    if (question->ot.has_threshold && is_sampled == (randomness >= question->ot.threshold)) {
        out->has_threshold = true;
        out->is_reliable = true;
        out->threshold = question->ot.threshold;
        return;
    }
    out->has_threshold = is_sampled;
}

static void inner_free(void *self)
{
    tl_composable_unref(self);
}

// "NAME{INNER}", or the name alone when that is too long.
static struct tl_composable *wrapped_new(const struct composable_functions *functions,
                                         const char *name, const struct tl_composable *inner)
{
    struct bytes text = {.limit = DESCRIPTION_MAX};
    struct tl_composable *composable;

    bytes_format(&text, "%s{%s}", name, composable_description(inner));
    bytes_add_byte(&text, '\0');
    composable = composable_new(functions, text.is_failed ? name : (const char *)text.at);
    bytes_done(&text);
    return composable;
}

struct tl_composable *tl_composable_parent_threshold(struct tl_composable *root)
{
    const struct composable_functions functions = {parent_intend, inner_free, root};

    return wrapped_new(&functions, "ParentThreshold", root);
}

struct rules {
    size_t count;
    struct tl_composable_rule list[];
};

static void rules_intend(void *self, const struct composable_question *question, struct intent *out)
{
    const struct rules *rules = self;

    for (size_t i = 0; i < rules->count; i++) {
        const struct tl_composable_rule *rule = &rules->list[i];

        if (rule->matches && !rule->matches(rule->self, question->sampling))
            continue;
        composable_intend(rule->then, question, out);
        return;
    }
}

static void rules_free(void *self)
{
    struct rules *rules = self;

    for (size_t i = 0; i < rules->count; i++)
        tl_composable_unref(rules->list[i].then);
    free(rules);
}

struct tl_composable *tl_composable_rules(const struct tl_composable_rule *rules, size_t count)
{
    const int saved = errno;
    const size_t taken = rules ? count : 0;
    struct rules *own = malloc(sizeof *own + taken * sizeof own->list[0]);
    const struct composable_functions functions = {rules_intend, rules_free, own};
    struct bytes text = {.limit = DESCRIPTION_MAX};
    struct tl_composable *composable;

    errno = saved;
    if (!own) {
        for (size_t i = 0; i < taken; i++)
            tl_composable_unref(rules[i].then);
        return NULL;
    }
    own->count = taken;
    bytes_format(&text, "RuleBased{");
    for (size_t i = 0; i < taken; i++) {
        own->list[i] = rules[i];
        bytes_format(&text, "%s%s", i ? "," : "", composable_description(rules[i].then));
    }
    bytes_format(&text, "}");
    bytes_add_byte(&text, '\0');
    composable = composable_new(&functions, text.is_failed ? "RuleBased" : (const char *)text.at);
    bytes_done(&text);
    return composable;
}

struct annotating {
    struct tl_composable *inner;
    struct tl_resource *attributes; // an immutable list of copies is what a resource is
    size_t count;
    struct tl_attribute list[];
};

static void annotating_intend(void *self, const struct composable_question *question,
                              struct intent *out)
{
    const struct annotating *annotating = self;

    composable_intend(annotating->inner, question, out);
    if (annotating->count == 0)
        return;
    if (out->list_count == INTENT_LISTS_MAX) {
        stats_add(&sdk_stats, SDK_invalid_values, annotating->count);
        return;
    }
    out->lists[out->list_count].attributes = annotating->list;
    out->lists[out->list_count++].count = annotating->count;
}

static void annotating_free(void *self)
{
    struct annotating *annotating = self;

    tl_composable_unref(annotating->inner);
    tl_resource_unref(annotating->attributes);
    free(annotating);
}

struct tl_composable *tl_composable_annotating(struct tl_composable *inner,
                                               const struct tl_attribute *attributes, size_t count)
{
    const int saved = errno;
    const size_t given = attributes ? count : 0;
    struct annotating *own = malloc(sizeof *own + given * sizeof own->list[0]);
    const struct composable_functions functions = {annotating_intend, annotating_free, own};

    if (own)
        own->attributes = tl_resource_new(attributes, given, NULL);
    errno = saved;
    if (!own || !own->attributes) {
        free(own);
        tl_composable_unref(inner);
        return NULL;
    }
    own->inner = inner;
    own->count = 0;
    while (own->count < given &&
           tl_resource_at(own->attributes, own->count, &own->list[own->count]))
        own->count++;
    return wrapped_new(&functions, "Annotating", inner);
}
