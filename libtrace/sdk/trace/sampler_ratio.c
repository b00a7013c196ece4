// SPDX-License-Identifier: Apache-2.0
// The ratio sampler: consistent probability by 56 bits (specification 1.60, "TraceState:
// Probability Sampling"), so that every SDK and collector with that threshold keeps the same
// traces.

#include "libtrace/sdk/trace/sampler.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "libtrace/base/decimal.h"
#include "libtrace/sdk/stats.h"

enum { PRECISION_DIGITS = 5 };

uint64_t threshold_of_ratio(double ratio)
{
    const double all = 0x1p56;
    uint64_t exact;
    unsigned digits = PRECISION_DIGITS;
    uint64_t step;

    if (!(ratio >= 0x1p-56))
        return TRACE_STATE_NEVER;
    if (ratio >= 1)
        return 0;
    // The part that is kept is small and so has all its bits; 1 - ratio would lose them.
    exact = TRACE_STATE_NEVER - (uint64_t)(ratio * all + 0.5);
    for (int shift = 52; shift >= 0 && (exact >> shift & 15) == 15; shift -= 4)
        digits++;
    if (digits >= THRESHOLD_DIGITS)
        return exact;
    step = UINT64_C(1) << 4 * (THRESHOLD_DIGITS - digits);
    exact = (exact + step / 2) / step * step;
    return exact < TRACE_STATE_NEVER ? exact : TRACE_STATE_NEVER - 1;
}

// Nonsense is counted and becomes the nearest sense; what is no number, the default.
static double ratio_clean(double ratio)
{
    if (ratio >= 0 && ratio <= 1)
        return ratio;
    stats_add(&sdk_stats, SDK_invalid_values, 1);
    return ratio < 0 ? 0 : 1;
}

struct tl_sampler *tl_sampler_ratio(double ratio)
{
    const int saved = errno;
    struct tl_sampler *const sampler = calloc(1, sizeof *sampler);
    char text[DECIMAL_TEXT_MAX];
    char digits[THRESHOLD_DIGITS + 1];
    int len;

    ratio = ratio_clean(ratio);
    decimal_write(text, ratio);
    if (sampler)
        sampler->description = malloc(sizeof "TraceIdRatioBased{}" + sizeof text);
    errno = saved;
    if (!sampler || !sampler->description) {
        free(sampler);
        return NULL;
    }
    sampler->kind = SAMPLER_RATIO;
    sampler->references = 1;
    sampler->threshold = threshold_of_ratio(ratio);
    threshold_write(digits, sampler->threshold);
    len = snprintf(sampler->trace_state, sizeof sampler->trace_state, "ot=th:%s", digits);
    sampler->trace_state_len = len > 0 ? (uint16_t)len : 0;
    len = snprintf(sampler->description, sizeof "TraceIdRatioBased{}" + sizeof text,
                   "TraceIdRatioBased{%s}", text);
    if (len < 0)
        sampler->description[0] = '\0';
    return sampler;
}
