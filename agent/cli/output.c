// SPDX-License-Identifier: Apache-2.0
// https://no-color.org: any value that is not empty switches colour off.

#include "agent/cli/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool output_option(const char *value, bool *out_is_json)
{
    *out_is_json = strcmp(value, "json") == 0;
    if (*out_is_json || strcmp(value, "text") == 0)
        return true;
    fprintf(stderr, "throughline: -o: '%s' is not text or json\n", value);
    return false;
}

bool color_option(const char *value, bool *out_has_color)
{
    const char *no_color = getenv("NO_COLOR");

    *out_has_color = strcmp(value, "always") == 0;
    if (*out_has_color || strcmp(value, "never") == 0)
        return true;
    *out_has_color = isatty(STDOUT_FILENO) && !(no_color && *no_color);
    if (strcmp(value, "auto") == 0)
        return true;
    fprintf(stderr, "throughline: --color: '%s' is not auto, always or never\n", value);
    return false;
}
