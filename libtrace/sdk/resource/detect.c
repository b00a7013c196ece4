// SPDX-License-Identifier: Apache-2.0
// The table of detectors, those of the program's own, and what detectors share.

#include "libtrace/sdk/resource/detect.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"

enum { OWN_MAX = 64, NAME_BYTES = 64, DRAFT_BYTES_MAX = 256 * 1024, PATH_BYTES = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct own_detector {
    char name[NAME_BYTES];
    struct tl_resource *(*detect)(void *self);
    void *self;
} own[OWN_MAX];
static size_t own_count;

// ---- Drafts

void draft_init(struct draft *draft)
{
    arena_init(&draft->arena, DRAFT_BYTES_MAX);
    draft->count = 0;
}

void draft_text(struct draft *draft, const char *key, struct str text)
{
    const struct str kept = arena_copy(&draft->arena, text);

    if (kept.len && kept.at && draft->count < DRAFT_MAX)
        draft->list[draft->count++] = TL_STR_N(key, kept.at, kept.len);
}

void draft_number(struct draft *draft, const char *key, int64_t number)
{
    if (draft->count < DRAFT_MAX)
        draft->list[draft->count++] = TL_INT(key, number);
}

struct tl_resource *draft_finish(struct draft *draft)
{
    struct tl_resource *resource =
        tl_resource_new(draft->list, draft->count, draft->count ? RESOURCE_SCHEMA_URL : "");

    arena_done(&draft->arena);
    return resource;
}

// ---- Files

struct str file_read(const char *root, const char *path, char *room, size_t room_bytes)
{
    char whole[PATH_BYTES];
    const int len = snprintf(whole, sizeof whole, "%s%s", root, path);
    struct str text = {room, 0};
    ssize_t got = 1;
    int fd;

    if (len < 0 || (size_t)len >= sizeof whole)
        return text;
    fd = open(whole, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (fd >= 0 && got > 0 && text.len < room_bytes) {
        got = read(fd, room + text.len, room_bytes - text.len);
        if (got > 0)
            text.len += (size_t)got;
        else if (got < 0 && errno == EINTR)
            got = 1;
    }
    if (fd >= 0)
        close(fd);
    return text;
}

bool line_next(struct str *inout_text, struct str *out_line)
{
    const size_t end = str_find(*inout_text, '\n');

    if (inout_text->len == 0)
        return false;
    *out_line = (struct str){inout_text->at, end};
    *inout_text = str_from(*inout_text, end + 1);
    return true;
}

struct str file_line(const char *root, const char *path, char *room, size_t room_bytes)
{
    struct str text = file_read(root, path, room, room_bytes);
    struct str line = {room, 0};

    line_next(&text, &line);
    return str_trim(line);
}

// ---- By name

static struct tl_resource *host(void)
{
    return detect_host("");
}

static struct tl_resource *process(void)
{
    return detect_process("");
}

static struct tl_resource *process_arguments(void)
{
    return detect_process_arguments("");
}

static struct tl_resource *container(void)
{
    return detect_container("");
}

static struct tl_resource *k8s(void)
{
    return detect_k8s("", environment_read());
}

static struct tl_resource *service(void)
{
    return detect_service(environment_read());
}

static struct tl_resource *env(void)
{
    return detect_environment(environment_read());
}

static const struct {
    const char *name;
    struct tl_resource *(*detect)(void);
} detectors[] = {
    {"container", container}, {"env", env},
    {"host", host},           {"k8s", k8s},
    {"process", process},     {"process_command_args", process_arguments},
    {"service", service},
};

static bool own_find(const char *name, struct own_detector *out_detector)
{
    bool is_found = false;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < own_count && !is_found; i++) {
        is_found = strcmp(own[i].name, name) == 0;
        if (is_found)
            *out_detector = own[i];
    }
    pthread_mutex_unlock(&lock);
    return is_found;
}

static bool is_built_in(const char *name)
{
    for (size_t i = 0; i < sizeof detectors / sizeof detectors[0]; i++) {
        if (strcmp(detectors[i].name, name) == 0)
            return true;
    }
    return false;
}

struct tl_resource *tl_resource_detect(const char *name)
{
    const int saved = errno;
    struct tl_resource *resource = NULL;
    struct own_detector detector;

    if (!name)
        return tl_resource_new(NULL, 0, NULL);
    for (size_t i = 0; i < sizeof detectors / sizeof detectors[0]; i++) {
        if (strcmp(detectors[i].name, name) == 0) {
            resource = detectors[i].detect();
            errno = saved;
            return resource;
        }
    }
    if (own_find(name, &detector)) {
        resource = detector.detect(detector.self);
    } else {
        stats_add(&sdk_stats, SDK_invalid_settings, 1);
        say(TL_WARN, "resource: no detector is named '%.64s'", name);
    }
    errno = saved;
    return resource ? resource : tl_resource_new(NULL, 0, NULL);
}

void tl_detector_add(const char *name, struct tl_resource *(*detect)(void *self), void *self)
{
    struct own_detector ignored;
    bool is_full = true;

    if (!name || !detect)
        return;
    // Two of one name: the first stays (specification, "Resource detector name").
    if (is_built_in(name) || own_find(name, &ignored) || strlen(name) >= NAME_BYTES) {
        stats_add(&sdk_stats, SDK_misuses, 1);
        say(TL_WARN, "resource: a detector '%.64s' cannot be added", name);
        return;
    }
    pthread_mutex_lock(&lock);
    if (own_count < OWN_MAX) {
        memcpy(own[own_count].name, name, strlen(name) + 1);
        own[own_count].detect = detect;
        own[own_count].self = self;
        own_count++;
        is_full = false;
    }
    pthread_mutex_unlock(&lock);
    if (is_full)
        stats_add(&sdk_stats, SDK_misuses, 1);
}
