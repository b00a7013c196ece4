// SPDX-License-Identifier: Apache-2.0
// The composite sampler: asks its composable for an intent, decides by 56 bits of randomness and
// writes the threshold into the tracestate.

#include "libtrace/sdk/trace/composable.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "libtrace/base/bytes.h"
#include "libtrace/sdk/stats.h"
#include "libtrace/sdk/thread.h"
#include "libtrace/sdk/trace/sampler.h"

enum { DESCRIPTION_MAX = 64 << 10 };

struct tl_composable {
    _Atomic uint32_t references;
    struct composable_functions functions;
    char *description;
};

struct tl_composable *composable_new(const struct composable_functions *functions,
                                     const char *description)
{
    const int saved = errno;
    struct tl_composable *composable = calloc(1, sizeof *composable);
    char *const text = strdup(description);

    errno = saved;
    if (!composable || !text) {
        free(composable);
        free(text);
        if (functions->free)
            functions->free(functions->self);
        return NULL;
    }
    composable->references = 1;
    composable->functions = *functions;
    composable->description = text;
    return composable;
}

struct tl_composable *composable_ref(struct tl_composable *composable)
{
    if (composable)
        atomic_fetch_add_explicit(&composable->references, 1, memory_order_relaxed);
    return composable;
}

void tl_composable_unref(struct tl_composable *composable)
{
    if (!composable ||
        atomic_fetch_sub_explicit(&composable->references, 1, memory_order_acq_rel) != 1)
        return;
    if (composable->functions.free)
        composable->functions.free(composable->functions.self);
    free(composable->description);
    free(composable);
}

const char *composable_description(const struct tl_composable *composable)
{
    return composable ? composable->description : "AlwaysOff";
}

void composable_intend(struct tl_composable *composable, const struct composable_question *question,
                       struct intent *out)
{
    *out = (struct intent){.has_threshold = false};
    if (composable)
        composable->functions.intend(composable->functions.self, question, out);
}

static void attributes_take(const struct intent *intent, struct tl_sampling_result *out_result)
{
    const size_t room = sizeof out_result->attribute_room / sizeof out_result->attribute_room[0];
    size_t count = 0;

    if (intent->list_count == 1) {
        out_result->attributes = intent->lists[0].attributes;
        out_result->attribute_count = intent->lists[0].count;
        return;
    }
    for (size_t i = 0; i < intent->list_count; i++) {
        for (size_t k = 0; k < intent->lists[i].count; k++) {
            if (count < room)
                out_result->attribute_room[count++] = intent->lists[i].attributes[k];
            else
                stats_add(&sdk_stats, SDK_invalid_values, 1);
        }
    }
    out_result->attributes = out_result->attribute_room;
    out_result->attribute_count = count;
}

static void composite_sample(void *self, const struct tl_sampling *sampling,
                             struct tl_sampling_result *out_result)
{
    const struct str state = {out_result->trace_state, out_result->trace_state_len};
    struct composable_question question = {.sampling = sampling};
    struct intent intent;
    uint64_t randomness;
    bool is_sampled;
    struct str written;

    if (tl_span_context_is_valid(sampling->parent))
        question.parent = sampling->parent;
    question.ot = trace_state_ot_read(state);
    composable_intend(self, &question, &intent);
    if (!intent.is_reliable)
        randomness = thread_random() & (TRACE_STATE_NEVER - 1);
    else if (question.ot.has_randomness)
        randomness = question.ot.randomness;
    else
        randomness = sampler_randomness(sampling->trace_id);
    is_sampled = intent.has_threshold && randomness >= intent.threshold;
    out_result->decision = is_sampled ? TL_RECORD_AND_SAMPLE : TL_DROP;
    if (is_sampled && intent.list_count)
        attributes_take(&intent, out_result);
    written = trace_state_threshold_set(state,
                                        is_sampled && intent.is_reliable ? &intent.threshold : NULL,
                                        out_result->trace_state_room);
    out_result->trace_state = written.at;
    out_result->trace_state_len = written.len;
}

static void composite_free(void *self)
{
    tl_composable_unref(self);
}

struct tl_sampler *tl_sampler_composite(struct tl_composable *composable)
{
    struct tl_sampler_functions functions = {composable, composite_sample, NULL, composite_free};
    struct bytes text = {.limit = DESCRIPTION_MAX};
    struct tl_sampler *sampler;

    bytes_format(&text, "Composite{%s}", composable_description(composable));
    bytes_add_byte(&text, '\0');
    functions.description = text.is_failed ? "Composite" : (const char *)text.at;
    sampler = sampler_new(&functions);
    bytes_done(&text);
    return sampler;
}
