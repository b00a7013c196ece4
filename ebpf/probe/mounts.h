// SPDX-License-Identifier: Apache-2.0
// Where a kind of file system is mounted.

#pragma once

#include "libtrace/base/why.h"

enum { MOUNT_PATH_MAX = 256 };

// The first mount point of that type in /proc/self/mountinfo. -ENOENT: it is nowhere.
int mount_find(const char *type, char out_path[static MOUNT_PATH_MAX], struct why *why);
