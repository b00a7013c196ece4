// SPDX-License-Identifier: Apache-2.0
// The one symbol of a module that is loaded (libtrace/sdk/export/module.h). Compiled once for each,
// with the name of its own function: archives of several modules go into one program.

#include <throughline/exporter.h>

__attribute__((visibility("default"))) const struct tl_module_v1 *throughline_module_v1(void);

const struct tl_module_v1 *throughline_module_v1(void)
{
    return MODULE();
}
