// SPDX-License-Identifier: Apache-2.0
// The ports, folders and files that a configuration uses. Nothing is changed: what would be made is
// only asked for.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "agent/api/http_guard.h"
#include "agent/cli/fetch.h"
#include "agent/cli/finding.h"
#include "agent/store/connection.h"

enum { PATH_BYTES = 4096 };

// The text of a setting of that name, or empty.
static struct str setting_text(const struct config_component *component, const char *name)
{
    const struct setting *row = setting_find(component->settings, str_of(name));

    return row ? *(const struct str *)((const char *)component->self + row->offset) : STR("");
}

static bool is_agent_at(struct str endpoint)
{
    struct bytes answer = {.limit = 4 << 20};
    char url[256];
    bool is_ours;

    if (snprintf(url, sizeof url, "http://%.*s", STR_ARGS(endpoint)) >= (int)sizeof url)
        return false;
    is_ours = fetch_json(&(struct fetch_plan){.endpoint = url}, "/metrics", &answer, NULL) == 0 &&
              memmem(answer.at, answer.len, "throughline_", 12) != NULL;
    bytes_done(&answer);
    return is_ours;
}

// 0: free; else why it cannot be bound, as -errno.
static int port_try(const struct sockaddr_storage *address)
{
    const int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int one = 1;
    int failed = 0;

    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, (const struct sockaddr *)address, sizeof *address) != 0 || listen(fd, 1) != 0)
        failed = -errno;
    close(fd);
    return failed;
}

static void port_check(struct findings *findings, const char *setting, struct str endpoint,
                       bool has_agent)
{
    struct sockaddr_storage address = {0};
    struct why why = {""};
    bool is_loopback;
    int failed = endpoint_parse(endpoint, &address, &is_loopback, &why);

    if (failed) {
        finding_add(findings, "port", FINDING_MISSING, "%s: %.150s", setting, why.text);
        finding_advise(findings, "write %s as an IP address and a port", setting);
        return;
    }
    failed = port_try(&address);
    if (!failed) {
        finding_add(findings, "port", FINDING_OK, "%.*s is free", STR_ARGS(endpoint));
    } else if (failed == -EADDRINUSE && has_agent) {
        finding_add(findings, "port", FINDING_OK, "%.*s is the running agent's",
                    STR_ARGS(endpoint));
    } else {
        finding_add(findings, "port", FINDING_MISSING, "%.*s: %s", STR_ARGS(endpoint),
                    strerrordesc_np(-failed));
        finding_advise(findings, "stop what listens there (ss -ltnp), or choose another in %s",
                       setting);
    }
}

static void ports_check(struct findings *findings, const struct config *config)
{
    const bool has_agent = is_agent_at(config->api_endpoint);
    char setting[256];

    for (size_t i = 0; i < config->receiver_count; i++) {
        const struct config_component *component = &config->receivers[i];
        const struct str endpoint = setting_text(component, "endpoint");

        if (!component->is_used || endpoint.len == 0)
            continue;
        if (snprintf(setting, sizeof setting, "receivers.%.*s.endpoint",
                     STR_ARGS(component->name)) > 0)
            port_check(findings, setting, endpoint, has_agent);
    }
    port_check(findings, "api.endpoint", config->api_endpoint, has_agent);
}

// The folder that must be writable for `path` to be made there: the nearest one that exists.
static void nearest_folder(const char *path, char out_folder[static PATH_BYTES])
{
    struct stat status;
    char *slash;

    if (snprintf(out_folder, PATH_BYTES, "%s", path) >= PATH_BYTES)
        out_folder[0] = '\0';
    while (out_folder[0] && stat(out_folder, &status) != 0) {
        slash = strrchr(out_folder, '/');
        if (!slash || slash == out_folder) {
            memcpy(out_folder, slash ? "/" : ".", 2);
            return;
        }
        *slash = '\0';
    }
}

static bool is_listening(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t len = strlen(path);
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool is_open = false;

    if (fd >= 0 && len < sizeof address.sun_path) {
        memcpy(address.sun_path, path, len + 1);
        is_open = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    }
    if (fd >= 0)
        close(fd);
    return is_open;
}

static void socket_check(struct findings *findings, const struct config *config)
{
    const char *given = getenv("THROUGHLINE_SOCKET");
    char path[PATH_BYTES] = "";
    char folder[PATH_BYTES];
    char *slash;

    for (size_t i = 0; i < config->receiver_count; i++) {
        const struct str socket = setting_text(&config->receivers[i], "socket");

        if (config->receivers[i].is_used && socket.len &&
            snprintf(path, sizeof path, "%.*s",
                     given && *given ? (int)strlen(given) : (int)socket.len,
                     given && *given ? given : socket.at) >= (int)sizeof path)
            return;
    }
    if (!*path)
        return;
    if (is_listening(path)) {
        finding_add(findings, "rings", FINDING_OK, "%.200s is a running agent's", path);
        return;
    }
    slash = strrchr(path, '/');
    if (slash && slash != path)
        *slash = '\0';
    nearest_folder(slash ? path : ".", folder);
    if (access(folder, W_OK | X_OK) == 0) {
        finding_add(findings, "rings", FINDING_OK, "the socket can be made in %.200s", path);
        return;
    }
    finding_add(findings, "rings", FINDING_MISSING, "no socket can be made in %.150s: %s", folder,
                strerrordesc_np(errno));
    finding_advise(findings,
                   "set receivers.ring.socket, or THROUGHLINE_SOCKET here and in services");
}

static void data_check(struct findings *findings, const char *data_dir)
{
    char folder[PATH_BYTES];
    struct statvfs disk;
    struct stat status;

    nearest_folder(data_dir, folder);
    if (stat(folder, &status) == 0 && !S_ISDIR(status.st_mode)) {
        finding_add(findings, "data directory", FINDING_MISSING, "%.150s is not a folder", folder);
        finding_advise(findings, "give another with --data-dir");
        return;
    }
    if (access(folder, W_OK | X_OK) != 0) {
        finding_add(findings, "data directory", FINDING_MISSING, "%.150s is not writable: %s",
                    folder, strerrordesc_np(errno));
        finding_advise(findings, "chown it to this user, or give another with --data-dir");
        return;
    }
    finding_add(findings, "data directory", FINDING_OK, "%.200s%s", data_dir,
                strcmp(folder, data_dir) == 0 ? "" : " will be made");
    if (statvfs(folder, &disk) != 0)
        return;
    if ((uint64_t)disk.f_bavail * disk.f_frsize >= UINT64_C(1) << 30) {
        finding_add(findings, "disk", FINDING_OK, "%llu MiB free",
                    (unsigned long long)disk.f_bavail * disk.f_frsize >> 20);
        return;
    }
    finding_add(findings, "disk", FINDING_MISSING, "%llu MiB free: less than the store may take",
                (unsigned long long)disk.f_bavail * disk.f_frsize >> 20);
    finding_advise(findings, "make room, or set exporters.store.max_size below what is free");
}

// https://www.sqlite.org/fileformat.html 1.3: user_version is at offset 60, most significant first.
static void store_check(struct findings *findings, const char *data_dir)
{
    char path[PATH_BYTES + 16];
    uint8_t head[64] = {0};
    unsigned version;
    FILE *file;
    size_t got;

    if (snprintf(path, sizeof path, "%s/store.sqlite", data_dir) < 0)
        return;
    file = fopen(path, "re");
    if (!file) {
        if (errno != ENOENT && errno != ENOTDIR) {
            finding_add(findings, "store", FINDING_MISSING, "%.150s: %s", path,
                        strerrordesc_np(errno));
            finding_advise(findings, "chown it to this user, or give another --data-dir");
        } else {
            finding_add(findings, "store", FINDING_OK, "none yet");
        }
        return;
    }
    got = fread(head, 1, sizeof head, file);
    fclose(file);
    version =
        (unsigned)head[60] << 24 | (unsigned)head[61] << 16 | (unsigned)head[62] << 8 | head[63];
    if (got && (got < sizeof head || memcmp(head, "SQLite format 3", 16) != 0)) {
        finding_add(findings, "store", FINDING_MISSING, "%.200s is damaged", path);
        finding_advise(findings, "nothing: the agent keeps it aside and begins another");
    } else if (version > STORE_VERSION) {
        finding_add(findings, "store", FINDING_MISSING, "%.150s is of version %u, we know %d", path,
                    version, STORE_VERSION);
        finding_advise(findings, "use a newer throughline or another --data-dir");
    } else {
        finding_add(findings, "store", FINDING_OK, "version %u", version);
    }
}

static void clock_check(struct findings *findings)
{
    struct timex state = {0};

    if (time(NULL) < 1700000000) {
        finding_add(findings, "clock", FINDING_MISSING, "it is years behind");
        finding_advise(findings, "set it: date -s, then run an NTP client");
    } else if (adjtimex(&state) == TIME_ERROR || state.status & STA_UNSYNC) {
        finding_add(findings, "clock", FINDING_NOTE,
                    "not synchronised: spans of several hosts may not line up");
        finding_advise(findings, "run an NTP client: apt install systemd-timesyncd");
    } else {
        finding_add(findings, "clock", FINDING_OK, "synchronised");
    }
}

void place_check(struct findings *findings, const struct config *config)
{
    char data_dir[PATH_BYTES];

    ports_check(findings, config);
    socket_check(findings, config);
    if (config->data_dir.len && snprintf(data_dir, sizeof data_dir, "%.*s",
                                         STR_ARGS(config->data_dir)) < (int)sizeof data_dir) {
        data_check(findings, data_dir);
        store_check(findings, data_dir);
    }
    clock_check(findings);
}
