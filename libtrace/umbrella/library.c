// SPDX-License-Identifier: Apache-2.0
// The shared library's own words: which version is loaded.

#include <throughline/throughline.h>

const char *tl_version(void)
{
    return "0.1.0";
}
