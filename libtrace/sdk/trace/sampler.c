// SPDX-License-Identifier: Apache-2.0
// Samplers: the counted object, always on, always off, parent-based, always-record, and those that
// a program writes. The two constant ones are static and never freed.

#include "libtrace/sdk/trace/sampler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "libtrace/base/bytes.h"
#include "libtrace/sdk/stats.h"

enum { DESCRIPTION_MAX = 64 << 10 };

static char on_description[] = "AlwaysOnSampler";
static char off_description[] = "AlwaysOffSampler";

static struct tl_sampler always_on = {.kind = SAMPLER_ALWAYS_ON, .description = on_description};
static struct tl_sampler always_off = {.kind = SAMPLER_ALWAYS_OFF, .description = off_description};

struct tl_sampler *tl_sampler_always_on(void)
{
    return &always_on;
}

struct tl_sampler *tl_sampler_always_off(void)
{
    return &always_off;
}

static bool is_static(const struct tl_sampler *sampler)
{
    return sampler->kind == SAMPLER_ALWAYS_ON || sampler->kind == SAMPLER_ALWAYS_OFF;
}

struct tl_sampler *tl_sampler_ref(struct tl_sampler *sampler)
{
    if (sampler && !is_static(sampler))
        atomic_fetch_add_explicit(&sampler->references, 1, memory_order_relaxed);
    return sampler;
}

void tl_sampler_unref(struct tl_sampler *sampler)
{
    if (!sampler || is_static(sampler))
        return;
    if (atomic_fetch_sub_explicit(&sampler->references, 1, memory_order_acq_rel) != 1)
        return;
    if (sampler->kind == SAMPLER_OTHER && sampler->custom.free)
        sampler->custom.free(sampler->custom.self);
    for (size_t i = 0; i < LEAVES; i++)
        tl_sampler_unref(sampler->leaves[i]);
    free(sampler->description);
    free(sampler);
}

const char *tl_sampler_description(const struct tl_sampler *sampler)
{
    return sampler ? sampler->description : "";
}

struct tl_sampler *sampler_new(const struct tl_sampler_functions *functions)
{
    const int saved = errno;
    struct tl_sampler *const sampler = calloc(1, sizeof *sampler);
    char *const description = strdup(functions->description ? functions->description : "Custom");

    errno = saved;
    if (!sampler || !description) {
        free(sampler);
        free(description);
        if (functions->free)
            functions->free(functions->self);
        return NULL;
    }
    sampler->kind = SAMPLER_OTHER;
    sampler->references = 1;
    sampler->custom = *functions;
    sampler->custom.description = NULL;
    sampler->description = description;
    return sampler;
}

struct tl_sampler *tl_sampler_custom(const struct tl_sampler_functions *functions)
{
    if (!functions || !functions->sample) {
        stats_add(&sdk_stats, SDK_misuses, 1);
        return NULL;
    }
    return sampler_new(functions);
}

static char *parent_based_description(struct tl_sampler *const leaves[static LEAVES])
{
    struct bytes text = {.limit = DESCRIPTION_MAX};

    bytes_format(&text,
                 "ParentBased{root=%s,remoteParentSampled=%s,remoteParentNotSampled=%s,"
                 "localParentSampled=%s,localParentNotSampled=%s}",
                 leaves[0]->description, leaves[1]->description, leaves[2]->description,
                 leaves[3]->description, leaves[4]->description);
    bytes_add_byte(&text, '\0');
    if (text.is_failed) {
        bytes_done(&text);
        return NULL;
    }
    return (char *)text.at;
}

struct tl_sampler *tl_sampler_parent_based(struct tl_sampler *root,
                                           struct tl_sampler *remote_sampled,
                                           struct tl_sampler *remote_not_sampled,
                                           struct tl_sampler *local_sampled,
                                           struct tl_sampler *local_not_sampled)
{
    const int saved = errno;
    struct tl_sampler *leaves[LEAVES] = {
        root ? root : &always_on,
        remote_sampled ? remote_sampled : &always_on,
        remote_not_sampled ? remote_not_sampled : &always_off,
        local_sampled ? local_sampled : &always_on,
        local_not_sampled ? local_not_sampled : &always_off,
    };
    struct tl_sampler *sampler = calloc(1, sizeof *sampler);
    char *const description = parent_based_description(leaves);

    errno = saved;
    if (!sampler || !description) {
        for (size_t i = 0; i < LEAVES; i++)
            tl_sampler_unref(leaves[i]);
        free(sampler);
        free(description);
        return NULL;
    }
    sampler->kind = SAMPLER_PARENT_BASED;
    sampler->references = 1;
    sampler->description = description;
    memcpy(sampler->leaves, leaves, sizeof leaves);
    return sampler;
}

static void record_sample(void *self, const struct tl_sampling *sampling,
                          struct tl_sampling_result *out_result)
{
    tl_sampler_ask(self, sampling, out_result);
    if (out_result->decision == TL_DROP)
        out_result->decision = TL_RECORD_ONLY;
}

static void record_free(void *self)
{
    tl_sampler_unref(self);
}

struct tl_sampler *tl_sampler_always_record(struct tl_sampler *root)
{
    struct bytes text = {.limit = DESCRIPTION_MAX};
    struct tl_sampler_functions functions = {.sample = record_sample, .free = record_free};
    struct tl_sampler *sampler;

    functions.self = root ? root : &always_on;
    bytes_format(&text, "AlwaysRecord{root=%s}", tl_sampler_description(functions.self));
    bytes_add_byte(&text, '\0');
    functions.description = text.is_failed ? "AlwaysRecord" : (const char *)text.at;
    sampler = sampler_new(&functions);
    bytes_done(&text);
    return sampler;
}

// The ratio sampler where the parent brought a tracestate.
static void ratio_ask(const struct tl_sampler *sampler, const struct tl_sampling *sampling,
                      struct tl_sampling_result *out_result)
{
    const struct str state = {out_result->trace_state, out_result->trace_state_len};
    const struct trace_state_ot ot = trace_state_ot_read(state);
    const uint64_t randomness =
        ot.has_randomness ? ot.randomness : sampler_randomness(sampling->trace_id);
    const bool is_sampled = randomness >= sampler->threshold;
    const struct str written = trace_state_threshold_set(
        state, is_sampled ? &sampler->threshold : NULL, out_result->trace_state_room);

    out_result->decision = is_sampled ? TL_RECORD_AND_SAMPLE : TL_DROP;
    out_result->trace_state = written.at;
    out_result->trace_state_len = written.len;
}

void tl_sampler_ask(struct tl_sampler *sampler, const struct tl_sampling *sampling,
                    struct tl_sampling_result *out_result)
{
    const struct tl_span_context *parent;

    if (!sampling || !out_result)
        return;
    parent = tl_span_context_is_valid(sampling->parent) ? sampling->parent : NULL;
    out_result->decision = TL_DROP;
    out_result->attributes = NULL;
    out_result->attribute_count = 0;
    out_result->trace_state = parent && parent->trace_state_len ? parent->trace_state : "";
    out_result->trace_state_len = parent ? parent->trace_state_len : 0;
    if (sampler && sampler->kind == SAMPLER_PARENT_BASED) {
        tl_sampler_ask(sampler->leaves[sampler_leaf_of(parent)], sampling, out_result);
        return;
    }
    if (!sampler) {
        const bool is_sampled = !parent || parent->flags & TL_FLAG_SAMPLED;

        out_result->decision = is_sampled ? TL_RECORD_AND_SAMPLE : TL_DROP;
    } else if (sampler->kind == SAMPLER_ALWAYS_ON) {
        out_result->decision = TL_RECORD_AND_SAMPLE;
    } else if (sampler->kind == SAMPLER_RATIO) {
        ratio_ask(sampler, sampling, out_result);
    } else if (sampler->kind == SAMPLER_OTHER) {
        sampler->custom.sample(sampler->custom.self, sampling, out_result);
    }
}
