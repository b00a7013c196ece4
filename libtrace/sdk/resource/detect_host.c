// SPDX-License-Identifier: Apache-2.0
// host.* and os.* (semantic conventions, "Host" and "Operating System"): from files and uname(2).

#include <sys/utsname.h>

#include "libtrace/sdk/resource/detect.h"

enum { MACHINE_ID_DIGITS = 32, OS_RELEASE_BYTES = 8192 };

static const struct {
    const char *machine; // of uname(2)
    const char *arch;    // of the conventions
} archs[] = {
    {"x86_64", "amd64"}, {"aarch64", "arm64"}, {"armv6l", "arm32"}, {"armv7l", "arm32"},
    {"armv8l", "arm32"}, {"i386", "x86"},      {"i586", "x86"},     {"i686", "x86"},
    {"ppc64", "ppc64"},  {"ppc64le", "ppc64"}, {"ppc", "ppc32"},    {"s390x", "s390x"},
    {"ia64", "ia64"},
};

static struct str arch_of(struct str machine)
{
    for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++) {
        if (str_equal(machine, str_of(archs[i].machine)))
            return str_of(archs[i].arch);
    }
    return machine;
}

// machine-id(5): 32 hexadecimal digits; "uninitialized" while an image is being made.
static bool is_machine_id(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!((text.at[i] >= '0' && text.at[i] <= '9') || (text.at[i] >= 'a' && text.at[i] <= 'f')))
            return false;
    }
    return text.len == MACHINE_ID_DIGITS;
}

static void host_id(struct draft *draft, const char *root)
{
    static const char *const paths[] = {"/etc/machine-id", "/var/lib/dbus/machine-id"};
    char room[256];

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const struct str id = file_line(root, paths[i], room, sizeof room);

        if (is_machine_id(id)) {
            draft_text(draft, "host.id", id);
            return;
        }
    }
}

// os-release(5): KEY=value, perhaps in quotes.
static struct str os_release_value(struct str text, struct str key)
{
    struct str line;

    while (line_next(&text, &line)) {
        struct str value;

        line = str_trim(line);
        if (!str_starts(line, key) || line.len <= key.len || line.at[key.len] != '=')
            continue;
        value = str_from(line, key.len + 1);
        if (value.len >= 2 && (value.at[0] == '"' || value.at[0] == '\'') &&
            value.at[value.len - 1] == value.at[0])
            value = (struct str){value.at + 1, value.len - 2};
        return value;
    }
    return STR("");
}

static void os(struct draft *draft, const char *root)
{
    char room[OS_RELEASE_BYTES];
    struct str text = file_read(root, "/etc/os-release", room, sizeof room);

    if (text.len == 0)
        text = file_read(root, "/usr/lib/os-release", room, sizeof room);
    draft_text(draft, "os.type", STR("linux"));
    draft_text(draft, "os.name", os_release_value(text, STR("NAME")));
    draft_text(draft, "os.version", os_release_value(text, STR("VERSION_ID")));
    draft_text(draft, "os.description", os_release_value(text, STR("PRETTY_NAME")));
    draft_text(draft, "os.build_id", os_release_value(text, STR("BUILD_ID")));
}

struct tl_resource *detect_host(const char *root)
{
    struct draft draft;
    struct utsname name;

    draft_init(&draft);
    host_id(&draft, root);
    if (uname(&name) == 0) {
        draft_text(&draft, "host.name", str_of(name.nodename));
        draft_text(&draft, "host.arch", arch_of(str_of(name.machine)));
    }
    os(&draft, root);
    return draft_finish(&draft);
}
