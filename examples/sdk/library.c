// SPDX-License-Identifier: Apache-2.0
// A library that instruments itself and links no SDK. library_user.c is a program that uses it.

#include <throughline/weak.h>

#include "examples/sdk/library.h"

int library_add(int left, int right)
{
    const struct tl_scope scope = {.name = "library", .version = "1.0"};
    struct tl_span *span = tl_span_start_with(tl_tracer_get(NULL, &scope),
                                              &(struct tl_span_options){.name = "library_add"});

    TL_SET(span, TL_INT("left", left), TL_INT("right", right));
    tl_span_end(span);
    return left + right;
}
