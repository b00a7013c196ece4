// SPDX-License-Identifier: Apache-2.0
// The library's own words: which version is loaded, and who reads OTEL_* at the first use.

#include <throughline/throughline.h>

#include "libtrace/sdk/global.h"
#include "libtrace/sdk/resource/version.h"
#include "libtrace/umbrella/environment.h"

const char *tl_version(void)
{
    return SDK_VERSION;
}

// Nothing is read before the first use: a program may still set variables in main.
__attribute__((constructor)) static void begin(void)
{
    global_maker_set(variables_make);
}
