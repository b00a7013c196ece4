// SPDX-License-Identifier: Apache-2.0
// Modules: parts of the library that are loaded when they are first asked for, so that a service
// carries no HTTP, gRPC or YAML library that it does not use. Never on a hot path: the first search
// for a module reads files. Any thread.
//
// A module is a shared object libthroughline-NAME.so.1 that exports one function,
//     const struct tl_module_v1 *throughline_module_v1(void);
// It carries its own copy of the lower rooms, and only the public structs cross. Once loaded it
// stays for the life of the process.

#pragma once

#include <throughline/exporter.h>

#include "libtrace/base/why.h"

// The module of that name: one that was handed over by tl_module_add; else the shared object in the
// folder of our own library, else where the dynamic linker looks. NULL with a reason that names the
// file. What was found stays; what was not is looked for again the next time.
const struct tl_module_v1 *module_find(const char *name, struct why *why);
