// SPDX-License-Identifier: Apache-2.0
// Buckets are a window of consecutive indexes that grows at both ends; when it is too wide, the
// scale goes down and neighbours are merged in place. No mathematics library: it would be one more
// dependency of every service.

#include "libtrace/sdk/metrics/exponential.h"

#include <string.h>

// The logarithm to base 2 of a mantissa in [1, 2).
static double mantissa_log2(double mantissa)
{
    static const double TWO_BY_LN2 = 2.8853900817779268147;
    const double shift = mantissa > 1.4142135623730951 ? 1.0 : 0.0;
    const double reduced = shift > 0 ? mantissa * 0.5 : mantissa;
    // log(x) = 2 atanh(z); |z| is at most 0.1716, so the first term left out is below 2^-53.
    const double z = (reduced - 1.0) / (reduced + 1.0);
    const double s = z * z;
    const double q = s * s;
    const double low = (1.0 + s / 3.0) + q * (1.0 / 5.0 + s / 7.0);
    const double middle = (1.0 / 9.0 + s / 11.0) + q * (1.0 / 13.0 + s / 15.0);
    const double high = (1.0 / 17.0 + s / 19.0) + q / 21.0;

    return shift + TWO_BY_LN2 * z * (low + q * q * (middle + q * q * high));
}

int32_t exponential_index(double value, int32_t scale)
{
    uint64_t bits;
    int32_t exponent;
    double mantissa;
    int64_t part;

    memcpy(&bits, &value, 8);
    exponent = (int32_t)(bits >> 52 & 0x7ff) - 1023;
    bits &= UINT64_C(0xfffffffffffff);
    if (exponent == -1023) {
        // Subnormal: the highest bit becomes the hidden one.
        const int lead = __builtin_clzll(bits) - 11;

        bits = bits << lead & UINT64_C(0xfffffffffffff);
        exponent = -1022 - lead;
    }
    // A power of two is the upper end of its bucket at every scale.
    if (bits == 0)
        return scale >= 0 ? (int32_t)((uint32_t)exponent << scale) - 1 : (exponent - 1) >> -scale;
    if (scale <= 0)
        return exponent >> -scale;
    bits |= UINT64_C(1023) << 52;
    memcpy(&mantissa, &bits, 8);
    part = (int64_t)(mantissa_log2(mantissa) * (double)(UINT64_C(1) << scale));
    if (part >= INT64_C(1) << scale)
        part = (INT64_C(1) << scale) - 1;
    return (int32_t)((uint32_t)exponent << scale) + (int32_t)part;
}

size_t exponential_bytes(uint32_t size)
{
    return sizeof(struct exponential) + (size_t)size * 2 * sizeof(uint64_t);
}

void exponential_init(struct exponential *to, uint32_t size, int32_t scale_max)
{
    to->size = size;
    to->scale_max = scale_max;
    to->positive.counts = to->counts;
    to->negative.counts = to->counts + size;
    exponential_reset(to);
}

void exponential_reset(struct exponential *to)
{
    memset(to->counts, 0, (size_t)to->size * 2 * sizeof(uint64_t));
    to->sum = 0;
    to->min = __builtin_inf();
    to->max = -__builtin_inf();
    to->count = to->zero_count = 0;
    to->scale = to->scale_max;
    to->positive.len = to->negative.len = 0;
    to->positive.start = to->negative.start = 0;
}

static void side_merge(struct exponential_side *side, int32_t by)
{
    const int32_t start = side->start >> by;
    uint32_t len = 0;

    for (uint32_t i = 0; i < side->len; i++) {
        const uint32_t to = (uint32_t)(((side->start + (int32_t)i) >> by) - start);
        const uint64_t count = side->counts[i];

        // What was read is cleared first: `to` is never behind what is still to be read.
        side->counts[i] = 0;
        side->counts[to] += count;
        len = to + 1;
    }
    side->start = start;
    side->len = len;
}

// By how much the scale must go down so that `index` fits the window.
static int32_t too_wide_by(const struct exponential_side *side, int32_t index, uint32_t size)
{
    int64_t low = index;
    int64_t high = index;
    int32_t by = 0;

    if (side->len) {
        const int64_t end = (int64_t)side->start + side->len - 1;

        low = side->start < low ? side->start : low;
        high = end > high ? end : high;
    }
    while ((high >> by) - (low >> by) >= (int64_t)size)
        by++;
    return by;
}

static void side_count(struct exponential_side *side, int32_t index)
{
    if (side->len == 0) {
        side->start = index;
        side->len = 1;
    }
    if (index < side->start) {
        const uint32_t more = (uint32_t)(side->start - index);

        memmove(side->counts + more, side->counts, side->len * sizeof(uint64_t));
        memset(side->counts, 0, more * sizeof(uint64_t));
        side->start = index;
        side->len += more;
    }
    if ((uint32_t)(index - side->start) >= side->len)
        side->len = (uint32_t)(index - side->start) + 1;
    side->counts[index - side->start]++;
}

void exponential_record(struct exponential *to, double value)
{
    struct exponential_side *side = value < 0 ? &to->negative : &to->positive;
    const double size = value < 0 ? -value : value;
    int32_t index;
    int32_t by;

    to->sum += value;
    to->count++;
    to->min = value < to->min ? value : to->min;
    to->max = value > to->max ? value : to->max;
    if (value == 0) {
        to->zero_count++;
        return;
    }
    index = exponential_index(size, to->scale);
    by = too_wide_by(side, index, to->size);
    if (by) {
        side_merge(&to->positive, by);
        side_merge(&to->negative, by);
        to->scale -= by;
        index >>= by;
    }
    side_count(side, index);
}
