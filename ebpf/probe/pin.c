// SPDX-License-Identifier: Apache-2.0
// Looks at /proc/self/mountinfo; keeps nothing open.

#include "ebpf/probe/pin.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ebpf/probe/mounts.h"
#include "libtrace/base/str.h"

static const char own_parent[] = "/run/throughline";
static const char own_mount[] = "/run/throughline/bpf";

static int own_make(struct why *why)
{
    if ((mkdir(own_parent, 0755) != 0 && errno != EEXIST) ||
        (mkdir(own_mount, 0700) != 0 && errno != EEXIST) ||
        mount("bpf", own_mount, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0)
        return why_fail(why, -EOPNOTSUPP,
                        "no BPF file system is mounted and none can be at '%s' (%s); mount -t bpf "
                        "bpf /sys/fs/bpf",
                        own_mount, strerrordesc_np(errno));
    return 0;
}

int pin_path(const char *name, char out_path[static PIN_PATH_MAX], struct why *why)
{
    char mount[MOUNT_PATH_MAX];
    int failed = 0;

    if (mount_find("bpf", mount, why) != 0) {
        failed = own_make(why);
        memcpy(mount, own_mount, sizeof own_mount);
    }
    if (!failed && snprintf(out_path, PIN_PATH_MAX, "%s/%s", mount, name) >= PIN_PATH_MAX)
        failed = why_fail(why, -EOPNOTSUPP, "the path of the BPF file system is too long");
    return failed;
}

// The file system has files of its own; ours are those with our name.
static bool holds_ours(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    bool is_found = false;

    while (folder && !is_found && (entry = readdir(folder)) != NULL)
        is_found = strncmp(entry->d_name, "throughline", 11) == 0;
    if (folder)
        closedir(folder);
    return is_found;
}

void pin_sweep(const char *prefix, bool (*is_needed)(uint64_t number))
{
    const size_t len = strlen(prefix);
    char mount[MOUNT_PATH_MAX];
    const struct dirent *entry;
    DIR *folder;

    if (mount_find("bpf", mount, NULL) != 0)
        return;
    folder = opendir(mount);
    if (!folder)
        return;
    while ((entry = readdir(folder)) != NULL) {
        uint64_t number;

        if (strncmp(entry->d_name, prefix, len) == 0 &&
            str_to_u64(str_of(entry->d_name + len), &number) && !is_needed(number))
            unlinkat(dirfd(folder), entry->d_name, 0);
    }
    closedir(folder);
}

void pin_remove(const char *path)
{
    unlink(path);
    if (strncmp(path, own_mount, sizeof own_mount - 1) == 0 && !holds_ours(own_mount) &&
        umount2(own_mount, UMOUNT_NOFOLLOW) == 0)
        rmdir(own_mount);
}
