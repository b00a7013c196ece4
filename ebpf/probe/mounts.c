// SPDX-License-Identifier: Apache-2.0
// Reads /proc/self/mountinfo once a call.

#include "ebpf/probe/mounts.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// proc(5): "36 35 98:0 /root /mount/point options [optional...] - type source options".
static bool mount_point(const char *line, const char *type, char out_path[static MOUNT_PATH_MAX])
{
    const char *separator = strstr(line, " - ");
    const char *at = line;
    size_t len;

    if (!separator)
        return false;
    len = strcspn(separator + 3, " ");
    if (len != strlen(type) || memcmp(separator + 3, type, len) != 0)
        return false;
    for (int field = 0; field < 4; field++) {
        at = strchr(at, ' ');
        if (!at)
            return false;
        at++;
    }
    len = strcspn(at, " ");
    if (len == 0 || len >= MOUNT_PATH_MAX)
        return false;
    memcpy(out_path, at, len);
    out_path[len] = '\0';
    return true;
}

int mount_find(const char *type, char out_path[static MOUNT_PATH_MAX], struct why *why)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t room = 0;
    bool is_found = false;

    if (!file)
        return why_fail(why, -ENOENT, "/proc/self/mountinfo cannot be read: %s",
                        strerrordesc_np(errno));
    while (!is_found && getline(&line, &room, file) > 0)
        is_found = mount_point(line, type, out_path);
    free(line);
    fclose(file);
    return is_found ? 0 : why_fail(why, -ENOENT, "no %s is mounted", type);
}
