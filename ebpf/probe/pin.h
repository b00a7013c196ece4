// SPDX-License-Identifier: Apache-2.0
// A place in a BPF file system for what must outlive the agent: a map of sockets through which
// bytes are being read. Were it freed with the agent, what waits in it would be lost to the
// program.

#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libtrace/base/why.h"

enum { PIN_PATH_MAX = 256 };

// The path for `name`, in the BPF file system that is mounted, or in one that is mounted now.
// -EOPNOTSUPP: there is none and none can be mounted.
int pin_path(const char *name, char out_path[static PIN_PATH_MAX], struct why *why);

// Takes away pins named PREFIX and a number, of whose number `is_needed` says no: nobody comes back
// for them.
void pin_sweep(const char *prefix, bool (*is_needed)(uint64_t number));

// Takes the path away, and the file system when it is our own and nothing else is in it.
void pin_remove(const char *path);
