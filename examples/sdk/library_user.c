// SPDX-License-Identifier: Apache-2.0
// Uses a library that instruments itself. Compiled with WITH_SDK and linked with libthroughline its
// spans are recorded; without, they cost a comparison.

#include <stdio.h>

#include "examples/sdk/library.h"

#ifdef WITH_SDK
#include <throughline/throughline.h>
#endif

int main(void)
{
#ifdef WITH_SDK
    tl_init();
#endif
    printf("%d\n", library_add(2, 3));
    return 0;
}
