// SPDX-License-Identifier: Apache-2.0
// container.id: from the name of the control group (version 1, and 2 where the container sees it),
// else from the files that the engine mounts into the container.

#include <stdlib.h>

#include "libtrace/sdk/resource/detect.h"

enum { ID_DIGITS = 64, FILE_BYTES = 256 * 1024, UID_CHARACTERS = 36 };

static bool is_hex(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.at[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

// What stands behind the last of `byte`.
static struct str behind_last(struct str text, char byte)
{
    for (size_t i = text.len; i > 0; i--) {
        if (text.at[i - 1] == byte)
            return str_from(text, i);
    }
    return text;
}

// Amazon ECS: 32 digits of the task, a dash, decimal digits.
static bool is_ecs_id(struct str text)
{
    uint64_t number;

    return text.len > 33 && text.len <= 33 + 20 && text.at[32] == '-' &&
           is_hex((struct str){text.at, 32}) && str_to_u64(str_from(text, 33), &number);
}

// docker-ID.scope, cri-containerd-ID.scope, crio-ID, libpod-ID.scope, SLICE:cri-containerd:ID, ID.
static struct str id_of_part(struct str part)
{
    struct str id = behind_last(part, ':');

    id.len = str_find(id, '.');
    // The monitor beside a podman or cri-o container has a group of its own.
    if (str_starts(id, STR("libpod-conmon-")) || str_starts(id, STR("crio-conmon-")))
        return STR("");
    if (is_ecs_id(id))
        return id;
    id = behind_last(id, '-');
    return id.len == ID_DIGITS && is_hex(id) ? id : STR("");
}

struct str container_id_of_cgroup(struct str line)
{
    const struct str behind = str_from(line, str_find(line, ':') + 1);
    struct str path = str_from(behind, str_find(behind, ':') + 1);

    // From the end: a container within a container is what the process runs in.
    while (path.len) {
        const struct str part = behind_last(path, '/');
        const struct str id = id_of_part(part);

        if (id.len)
            return id;
        path.len -= part.len < path.len ? part.len + 1 : path.len;
    }
    return STR("");
}

// Fields 4 and 5 of a line of mountinfo (proc(5)): what is mounted, and where.
static void mount_fields(struct str line, struct str *out_root, struct str *out_point)
{
    for (int field = 1; field < 4; field++)
        line = str_from(line, str_find(line, ' ') + 1);
    *out_root = (struct str){line.at, str_find(line, ' ')};
    line = str_from(line, out_root->len + 1);
    *out_point = (struct str){line.at, str_find(line, ' ')};
}

// The part of a path right behind the part `before`.
static struct str part_behind(struct str path, struct str before)
{
    bool is_next = false;

    while (path.len) {
        const struct str part = {path.at, str_find(path, '/')};

        if (is_next)
            return part;
        is_next = str_equal(part, before);
        path = str_from(path, part.len + 1);
    }
    return STR("");
}

struct str container_id_of_mount(struct str line)
{
    static const char *const folders[] = {"containers", "overlay-containers"};
    struct str root;
    struct str point;

    mount_fields(line, &root, &point);
    if (!str_equal(point, STR("/etc/hostname")) && !str_equal(point, STR("/etc/hosts")) &&
        !str_equal(point, STR("/etc/resolv.conf")))
        return STR("");
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        const struct str id = part_behind(root, str_of(folders[i]));

        if (id.len == ID_DIGITS && is_hex(id))
            return id;
    }
    return STR("");
}

struct str pod_uid_of_mount(struct str line)
{
    struct str root;
    struct str point;
    struct str uid;

    mount_fields(line, &root, &point);
    uid = part_behind(root, STR("pods"));
    if (uid.len != UID_CHARACTERS)
        return STR("");
    for (size_t i = 0; i < uid.len; i++) {
        const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (is_dash ? uid.at[i] != '-' : !is_hex((struct str){uid.at + i, 1}))
            return STR("");
    }
    return uid;
}

static struct str first_found(struct str text, struct str (*find)(struct str line))
{
    struct str line;

    while (line_next(&text, &line)) {
        const struct str found = find(line);

        if (found.len)
            return found;
    }
    return STR("");
}

struct tl_resource *detect_container(const char *root)
{
    struct draft draft;
    struct str id = STR("");
    char *room = malloc(FILE_BYTES);

    draft_init(&draft);
    if (room)
        id = first_found(file_read(root, "/proc/self/cgroup", room, FILE_BYTES),
                         container_id_of_cgroup);
    if (room && id.len == 0)
        id = first_found(file_read(root, "/proc/self/mountinfo", room, FILE_BYTES),
                         container_id_of_mount);
    draft_text(&draft, "container.id", id);
    free(room);
    return draft_finish(&draft);
}
