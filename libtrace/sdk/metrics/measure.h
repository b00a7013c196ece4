// SPDX-License-Identifier: Apache-2.0
// What measurements, bound ones and observations share: which values can be, and whose span counts.

#pragma once

#include "libtrace/sdk/metrics/instrument.h"
#include "libtrace/sdk/thread.h"

// Whose span an exemplar gets: the given context's, else the thread's.
struct measure_from {
    const struct tl_context *context;
    bool has_context;
};

// False, and nothing to pay for: no span is current in this thread.
static inline bool thread_has_span(void)
{
    const struct thread *thread = thread_block;

    return thread && (thread->span || thread->context);
}

// The value as the instrument keeps it; false: it cannot be, or the instrument is asynchronous.
static inline bool value_of_integer(const struct tl_instrument *instrument, int64_t value,
                                    union number *out_number)
{
    if ((value < 0 && instrument->refuses_negative) || instrument->is_observed)
        return false;
    if (instrument->is_double)
        out_number->real = (double)value;
    else
        out_number->integer = value;
    return true;
}

// The nearest that an int64_t can hold.
static inline int64_t integer_of(double value)
{
    if (value >= 0x1p63)
        return INT64_MAX;
    return value <= -0x1p63 ? INT64_MIN : (int64_t)value;
}

static inline bool value_of_double(const struct tl_instrument *instrument, double value,
                                   union number *out_number)
{
    // Not a finite number: comparisons with NaN are false.
    if (!(value >= -__DBL_MAX__ && value <= __DBL_MAX__) ||
        (value < 0 && instrument->refuses_negative) || instrument->is_observed)
        return false;
    if (instrument->is_double)
        out_number->real = value;
    else
        out_number->integer = integer_of(value);
    return true;
}
