// SPDX-License-Identifier: Apache-2.0
// process.* (semantic conventions, "Process"). Nothing that may hold a secret, unless asked for:
// arguments, and with them the command line, are a detector of their own.

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "libtrace/base/clock.h"
#include "libtrace/sdk/resource/detect.h"

enum { FILE_BYTES = 64 * 1024, ARGUMENTS_MAX = 128, LINE_BYTES = 4096 };

// The path of a link below root, or empty.
static struct str link_read(const char *root, const char *path, char *room, size_t room_bytes)
{
    char whole[LINE_BYTES];
    const int len = snprintf(whole, sizeof whole, "%s%s", root, path);
    ssize_t got;

    if (len < 0 || (size_t)len >= sizeof whole)
        return STR("");
    got = readlink(whole, room, room_bytes);
    return (struct str){room, got > 0 && (size_t)got < room_bytes ? (size_t)got : 0};
}

static struct str name_of(struct str path)
{
    for (size_t i = path.len; i > 0; i--) {
        if (path.at[i - 1] == '/')
            return str_from(path, i);
    }
    return path;
}

// passwd(5) itself: getpwuid(3) may ask a server far away.
static struct str owner_find(const char *root, char *room, size_t room_bytes)
{
    struct str text = file_read(root, "/etc/passwd", room, room_bytes);
    struct str line;

    while (line_next(&text, &line)) {
        const size_t name = str_find(line, ':');
        const struct str behind = str_from(line, name + 1);
        const struct str id = str_from(behind, str_find(behind, ':') + 1);
        uint64_t uid;

        if (str_to_u64((struct str){id.at, str_find(id, ':')}, &uid) && uid == geteuid())
            return (struct str){line.at, name};
    }
    return STR("");
}

// Field 22 of /proc/self/stat, in ticks since the boot; the second field may hold any character,
// also blanks and parentheses.
static bool start_ticks(struct str stat, uint64_t *out_ticks)
{
    size_t at = stat.len;

    while (at > 0 && stat.at[at - 1] != ')')
        at--;
    stat = str_trim(str_from(stat, at));
    for (int field = 3; field < 22; field++)
        stat = str_trim(str_from(stat, str_find(stat, ' ')));
    return at != 0 && str_to_u64((struct str){stat.at, str_find(stat, ' ')}, out_ticks);
}

static bool boot_seconds(struct str stat, uint64_t *out_seconds)
{
    struct str line;

    while (line_next(&stat, &line)) {
        if (str_starts(line, STR("btime ")))
            return str_to_u64(str_trim(str_from(line, 6)), out_seconds);
    }
    return false;
}

// ISO 8601, in milliseconds: all that the kernel's ticks are good for.
static void creation_time(struct draft *draft, const char *root, char *room)
{
    const long hz = sysconf(_SC_CLK_TCK);
    uint64_t ticks;
    uint64_t boot;
    uint64_t ms;
    time_t seconds;
    struct tm utc;
    char text[64];
    int len;

    if (!start_ticks(file_read(root, "/proc/self/stat", room, FILE_BYTES), &ticks) ||
        !boot_seconds(file_read(root, "/proc/stat", room, FILE_BYTES), &boot) || hz <= 0)
        return;
    ms = ticks % (uint64_t)hz * 1000 / (uint64_t)hz;
    seconds = (time_t)(boot + ticks / (uint64_t)hz);
    if (!gmtime_r(&seconds, &utc))
        return;
    len = snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", utc.tm_year + 1900,
                   utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, (unsigned)ms);
    if (len > 0 && (size_t)len < sizeof text)
        draft_text(draft, "process.creation.time", (struct str){text, (size_t)len});
}

struct tl_resource *detect_process(const char *root)
{
    struct draft draft;
    char *room;
    struct str text;

    draft_init(&draft);
    room = arena_take(&draft.arena, FILE_BYTES);
    draft_number(&draft, "process.pid", getpid());
    if (!room)
        return draft_finish(&draft);
    text = link_read(root, "/proc/self/exe", room, FILE_BYTES);
    draft_text(&draft, "process.executable.path", text);
    draft_text(&draft, "process.executable.name", name_of(text));
    text = file_read(root, "/proc/self/cmdline", room, FILE_BYTES);
    draft_text(&draft, "process.command", (struct str){text.at, str_find(text, '\0')});
    draft_text(&draft, "process.owner", owner_find(root, room, FILE_BYTES));
    creation_time(&draft, root, room);
    return draft_finish(&draft);
}

struct tl_resource *detect_process_arguments(const char *root)
{
    const char *arguments[ARGUMENTS_MAX];
    size_t count = 0;
    struct draft draft;
    char *room;
    struct str text;

    draft_init(&draft);
    room = arena_take(&draft.arena, FILE_BYTES + 1);
    text = room ? file_read(root, "/proc/self/cmdline", room, FILE_BYTES) : STR("");
    while (text.len && count < ARGUMENTS_MAX) {
        arguments[count++] = text.at;
        text = str_from(text, str_find(text, '\0') + 1);
    }
    if (count) {
        draft_number(&draft, "process.args_count", (int64_t)count);
        draft.list[draft.count++] = TL_STRS("process.command_args", arguments, count);
    }
    return draft_finish(&draft);
}
