// SPDX-License-Identifier: Apache-2.0
// Control groups, version 2: where they are mounted, one of our own, a process in it.

#pragma once

#include "libtrace/base/str.h"
#include "libtrace/base/why.h"

enum { CGROUP_PATH_MAX = 512 }; // more than MOUNT_PATH_MAX

// Where version 2 is mounted, from /proc/self/mountinfo; a hybrid mount without controllers is
// enough. -EOPNOTSUPP when it is nowhere.
int cgroup_mount(char out_path[static CGROUP_PATH_MAX], struct why *why);

// The folder of `name` below the mount ("/": the mount itself), made when it is missing.
// -EINVAL: not a plain relative name. -EPERM, -errno: it could not be made.
int cgroup_make(struct str name, char out_path[static CGROUP_PATH_MAX], struct why *why);

// Whether there still is a cgroup of that number (its inode). When it cannot be told: true.
bool cgroup_is_there(uint64_t number);

// Moves the calling process into the folder. -errno.
int cgroup_enter(const char *path, struct why *why);

// Removes the folders run-NUMBER below it that no process is in any more.
void cgroup_sweep(const char *path);

// Keeps the folder from being removed while it is traced: who made it anew would not be.
void cgroup_hold(const char *path);

// Sweeps, lets go, then removes the folder when its name says that it is ours and nothing is in it.
void cgroup_leave(const char *path);
