// SPDX-License-Identifier: Apache-2.0
// Plain files: nothing here keeps a descriptor.

#include "ebpf/probe/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ebpf/probe/mounts.h"

int cgroup_mount(char out_path[static CGROUP_PATH_MAX], struct why *why)
{
    if (mount_find("cgroup2", out_path, NULL) != 0)
        return why_fail(why, -EOPNOTSUPP,
                        "no cgroup v2 is mounted; mount -t cgroup2 none /sys/fs/cgroup/unified");
    return 0;
}

static bool is_plain(struct str name)
{
    if (name.len == 0 || name.at[0] == '/' || name.at[name.len - 1] == '/' ||
        memchr(name.at, '\0', name.len))
        return false;
    while (name.len) {
        const size_t slash = str_find(name, '/');
        const struct str part = {name.at, slash};

        if (part.len == 0 || str_equal(part, STR(".")) || str_equal(part, STR("..")))
            return false;
        name = str_from(name, slash + 1);
    }
    return true;
}

// Makes each folder on the way below the mount.
static int folders_make(char *path, size_t mount_len, struct why *why)
{
    for (char *at = path + mount_len + 1;; at++) {
        const char kept = *at;

        if (kept != '/' && kept != '\0')
            continue;
        *at = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return why_fail(why, -errno, "the cgroup '%s' cannot be made: %s", path,
                            strerrordesc_np(errno));
        *at = kept;
        if (kept == '\0')
            return 0;
    }
}

int cgroup_make(struct str name, char out_path[static CGROUP_PATH_MAX], struct why *why)
{
    char path[CGROUP_PATH_MAX];
    int failed = cgroup_mount(path, why);
    const size_t mount_len = failed ? 0 : strlen(path);

    if (failed)
        return failed;
    if (str_equal(name, STR("/"))) {
        memcpy(out_path, path, mount_len + 1);
        return 0;
    }
    if (!is_plain(name) || mount_len + 1 + name.len >= sizeof path)
        return why_fail(why, -EINVAL, "'%.*s' is not the name of a cgroup, like throughline/shop",
                        STR_ARGS(name));
    path[mount_len] = '/';
    memcpy(path + mount_len + 1, name.at, name.len);
    path[mount_len + 1 + name.len] = '\0';
    failed = folders_make(path, mount_len, why);
    if (!failed)
        memcpy(out_path, path, mount_len + name.len + 2);
    return failed;
}

bool cgroup_is_there(uint64_t number)
{
    // linux/exportfs.h: FILEID_KERNFS, eight bytes of the number.
    enum { KERNFS_HANDLE_TYPE = 0xfe };
    union {
        struct file_handle handle;
        char room[sizeof(struct file_handle) + sizeof number];
    } name = {.handle = {.handle_bytes = sizeof number, .handle_type = KERNFS_HANDLE_TYPE}};
    char path[CGROUP_PATH_MAX];
    int mount;
    int found;
    bool is_gone;

    if (cgroup_mount(path, NULL) != 0)
        return true;
    mount = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (mount < 0)
        return true;
    memcpy(name.handle.f_handle, &number, sizeof number);
    found = open_by_handle_at(mount, &name.handle, O_PATH | O_CLOEXEC);
    is_gone = found < 0 && errno == ESTALE;
    if (found >= 0)
        close(found);
    close(mount);
    return !is_gone;
}

int cgroup_enter(const char *path, struct why *why)
{
    char file[CGROUP_PATH_MAX + 16];
    int fd;
    int failed = 0;

    if (snprintf(file, sizeof file, "%s/cgroup.procs", path) >= (int)sizeof file)
        return why_fail(why, -ENAMETOOLONG, "the path '%s' is too long", path);
    fd = open(file, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return why_fail(why, -errno, "'%s' cannot be opened: %s", file, strerrordesc_np(errno));
    if (write(fd, "0", 1) != 1)
        failed = why_fail(why, -errno, "'%s' cannot be entered: %s", path, strerrordesc_np(errno));
    close(fd);
    return failed;
}

static const char hold_name[] = "held-by-throughline";

// run-NUMBER: what agent/cli/run.c makes, and nobody else's run-user-1000.mount.
static bool is_run(const char *name)
{
    return strncmp(name, "run-", 4) == 0 && name[4] != '\0' &&
           strspn(name + 4, "0123456789") == strlen(name + 4);
}

void cgroup_sweep(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;

    if (!folder)
        return;
    while ((entry = readdir(folder)) != NULL) {
        if (is_run(entry->d_name))
            unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR); // fails while it is in use
    }
    closedir(folder);
}

enum { HOLD_PATH_MAX = CGROUP_PATH_MAX + sizeof hold_name };

static bool hold_path(const char *path, char out[static HOLD_PATH_MAX])
{
    return snprintf(out, HOLD_PATH_MAX, "%s/%s", path, hold_name) < HOLD_PATH_MAX;
}

void cgroup_hold(const char *path)
{
    char held[HOLD_PATH_MAX];

    if (hold_path(path, held))
        mkdir(held, 0755);
}

void cgroup_leave(const char *path)
{
    static const char ours[] = "throughline";
    char held[HOLD_PATH_MAX];
    const char *name = strrchr(path, '/');

    if (hold_path(path, held))
        rmdir(held);
    cgroup_sweep(path);
    if (name && strncmp(name + 1, ours, sizeof ours - 1) == 0)
        rmdir(path); // fails while it is in use
}
