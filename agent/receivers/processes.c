// SPDX-License-Identifier: Apache-2.0
// A chained table by process id. What /proc says is bounded text from strangers: it becomes
// attribute values and nothing else.

#include "agent/receivers/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "libtrace/base/clock.h"
#include "libtrace/otlp/json_text.h"
#include "libtrace/otlp/span.h"

enum { BUCKETS = 1024, PROC_BYTES_MAX = 32 * 1024, RESOURCE_BYTES_MAX = 4096, RECHECK_S = 2 };
enum { NAME_BYTES_MAX = 255 };

struct processes {
    struct process *buckets[BUCKETS];
    char host[256];
};

struct processes *processes_new(void)
{
    struct processes *processes = calloc(1, sizeof *processes);

    if (processes && gethostname(processes->host, sizeof processes->host - 1) != 0)
        processes->host[0] = '\0';
    return processes;
}

static void process_free(struct process *process)
{
    bytes_done(&process->resource);
    free(process);
}

void processes_free(struct processes *processes)
{
    if (!processes)
        return;
    processes_forget(processes, UINT64_MAX);
    free(processes);
}

// A file of /proc, as much of it as there is room for. Empty when the process is gone.
static struct str proc_read(uint32_t pid, const char *file, char *room, size_t size)
{
    char path[64];
    size_t len = 0;
    ssize_t got = 1;
    int fd;

    if (snprintf(path, sizeof path, "/proc/%u/%s", pid, file) >= (int)sizeof path)
        return STR("");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return STR("");
    while (got > 0 && len < size) {
        got = read(fd, room + len, size - len);
        len += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    return (struct str){room, len};
}

// proc(5): field 22; the name in brackets may hold anything, so fields count from the last ')'.
static uint64_t started_read(uint32_t pid)
{
    char room[1024];
    struct str left = proc_read(pid, "stat", room, sizeof room);
    const char *bracket = left.len ? memrchr(left.at, ')', left.len) : NULL;
    uint64_t started = 0;

    if (!bracket)
        return 0;
    left = str_from(left, (size_t)(bracket - left.at));
    for (int field = 2; field < 22; field++)
        left = str_from(left, str_find(left, ' ') + 1);
    str_to_u64((struct str){left.at, str_find(left, ' ')}, &started);
    return started;
}

static struct str base_name(struct str path)
{
    const char *slash = path.len ? memrchr(path.at, '/', path.len) : NULL;

    return slash ? str_from(path, (size_t)(slash - path.at) + 1) : path;
}

static bool is_interpreter(struct str name)
{
    static const char *const names[] = {"python", "node", "ruby", "perl", "php",
                                        "java",   "deno", "bun",  "sh",   "bash"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct str known = str_of(names[i]);

        // "python3.11" is python; "nodeexporter" is not node.
        if (str_starts(name, known) &&
            (name.len == known.len || (name.at[known.len] >= '0' && name.at[known.len] <= '9')))
            return true;
    }
    return false;
}

// What an operator would call it: the script of an interpreter, else the program.
static struct str command_name(struct str command, struct str fallback)
{
    const size_t first = str_find(command, '\0');
    struct str name = base_name((struct str){command.at, first});
    struct str left = str_from(command, first + 1);

    // Servers rewrite their title: "nginx: worker process".
    if (memchr(name.at ? name.at : "", ':', name.len) || name.len == 0)
        name = fallback;
    if (!is_interpreter(name))
        return name.len ? name : fallback;
    while (left.len) {
        const struct str argument = {left.at, str_find(left, '\0')};
        struct str script = base_name(argument);
        const char *dot;

        left = str_from(left, argument.len + 1);
        if (argument.len == 0 || argument.at[0] == '-')
            continue;
        dot = memrchr(script.at, '.', script.len);
        if (dot && dot != script.at)
            script.len = (size_t)(dot - script.at);
        return script.len ? script : name;
    }
    return name;
}

// The value of a variable in an environment block.
static struct str variable(struct str environment, struct str name)
{
    while (environment.len) {
        const struct str line = {environment.at, str_find(environment, '\0')};

        if (str_starts(line, name) && line.len > name.len && line.at[name.len] == '=')
            return str_from(line, name.len + 1);
        environment = str_from(environment, line.len + 1);
    }
    return STR("");
}

// OTEL_SERVICE_NAME wins over service.name in OTEL_RESOURCE_ATTRIBUTES (SDK specification).
static struct str named_by_operator(struct str environment)
{
    const struct str name = variable(environment, STR("OTEL_SERVICE_NAME"));
    struct str list = variable(environment, STR("OTEL_RESOURCE_ATTRIBUTES"));

    if (name.len)
        return name;
    while (list.len) {
        const struct str pair = {list.at, str_find(list, ',')};

        if (str_starts(str_trim(pair), STR("service.name=")))
            return str_from(str_trim(pair), sizeof "service.name=" - 1);
        list = str_from(list, pair.len + 1);
    }
    return STR("");
}

static bool utf8_is_valid(struct str text)
{
    while (text.len) {
        const size_t len = (unsigned char)text.at[0] < 0x80 ? 1 : utf8_sequence_len(text);

        if (len == 0)
            return false;
        text = str_from(text, len);
    }
    return true;
}

// What an attribute may hold (OTLP strings are UTF-8): cut at 255 bytes, and no control characters,
// and no byte above ASCII where it is not well-formed.
static struct str name_clean(struct str name, char room[static NAME_BYTES_MAX])
{
    const bool is_utf8 = name.len <= NAME_BYTES_MAX && utf8_is_valid(name);
    size_t len = 0;

    for (; len < name.len && len < NAME_BYTES_MAX; len++) {
        const unsigned char byte = (unsigned char)name.at[len];

        room[len] = byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !is_utf8) ? '?' : (char)byte;
    }
    return (struct str){room, len};
}

static void resource_make(const struct processes *processes, struct process *process,
                          struct str name)
{
    char *room = malloc(2 * PROC_BYTES_MAX);
    struct attribute attributes[6];
    struct resource resource = {.attributes = {attributes, 0}};
    struct str command = STR("");
    struct str service = STR("");
    char service_room[NAME_BYTES_MAX];
    char name_room[NAME_BYTES_MAX];

    if (room) {
        command = proc_read(process->pid, "cmdline", room, PROC_BYTES_MAX);
        service = named_by_operator(
            proc_read(process->pid, "environ", room + PROC_BYTES_MAX, PROC_BYTES_MAX));
    }
    if (service.len == 0)
        service = command_name(command, name);
    service = name_clean(service, service_room);
    name = name_clean(name, name_room);
#define ADD(key, ...)                                                                              \
    attributes[resource.attributes.count++] = (struct attribute){STR(key), __VA_ARGS__}
    ADD("service.name", {.type = VALUE_STRING, .string = service});
    ADD("process.pid", {.type = VALUE_INT, .integer = process->pid});
    ADD("process.executable.name", {.type = VALUE_STRING, .string = name});
    ADD("host.name", {.type = VALUE_STRING, .string = str_of(processes->host)});
    ADD("telemetry.sdk.name", {.type = VALUE_STRING, .string = STR("throughline")});
#undef ADD
    process->resource.len = 0;
    process->resource.limit = RESOURCE_BYTES_MAX;
    resource_write(&process->resource, &resource);
    free(room);
}

static void process_read(const struct processes *processes, struct process *process,
                         struct str name, uint64_t now_ns)
{
    const uint64_t started = started_read(process->pid);

    process->read_ns = now_ns;
    // Gone: what was learnt while it lived stays true.
    if (process->resource.len && (started == 0 || started == process->started))
        return;
    process->started = started;
    resource_make(processes, process, name);
}

struct process *processes_find(struct processes *processes, uint32_t pid, struct str name,
                               uint64_t now_ns)
{
    struct process **bucket = &processes->buckets[pid % BUCKETS];
    struct process *process = *bucket;

    while (process && process->pid != pid)
        process = process->next;
    if (!process) {
        process = calloc(1, sizeof *process);
        if (!process)
            return NULL;
        process->pid = pid;
        process->next = *bucket;
        *bucket = process;
    }
    process->seen_ns = now_ns;
    if (now_ns - process->read_ns > RECHECK_S * NS_PER_SECOND)
        process_read(processes, process, name, now_ns);
    return process;
}

void processes_forget(struct processes *processes, uint64_t before_ns)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        struct process **link = &processes->buckets[i];

        while (*link) {
            struct process *process = *link;

            if (process->seen_ns >= before_ns) {
                link = &process->next;
                continue;
            }
            *link = process->next;
            process_free(process);
        }
    }
}
