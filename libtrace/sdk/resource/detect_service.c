// SPDX-License-Identifier: Apache-2.0
// service.name and service.instance.id, and the default resource, which a forked child makes anew:
// it is another instance.

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "libtrace/base/hex.h"
#include "libtrace/sdk/resource/detect.h"
#include "libtrace/sdk/resource/version.h"
#include "libtrace/sdk/thread.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static char instance_id[UUID_TEXT];
static unsigned instance_forks;
static struct tl_resource *chosen;   // by the room above
static struct tl_resource *fallback; // made here
static unsigned fallback_forks;

static void before_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void after_fork_parent(void)
{
    pthread_mutex_unlock(&lock);
}

static void after_fork_child(void)
{
    pthread_mutex_init(&lock, NULL);
}

static void first_use(void)
{
    thread_forks_watch();
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

void resource_forks_watch(void)
{
    pthread_once(&once, first_use);
}

static void lock_take(void)
{
    // Threads' blocks have a lock that is taken under this one: at a fork, too, when its handlers
    // were there first.
    thread_get();
    pthread_once(&once, first_use);
    pthread_mutex_lock(&lock);
}

// RFC 9562 5.4.
static void uuid_make(char out_text[static UUID_TEXT])
{
    static const uint8_t groups[] = {4, 2, 2, 2, 6};
    const uint64_t random[2] = {thread_random(), thread_random()};
    uint8_t bytes[16];
    const uint8_t *from = bytes;
    char *to = out_text;

    memcpy(bytes, random, sizeof bytes);
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof groups; i++) {
        if (i)
            *to++ = '-';
        hex_write(to, from, groups[i]);
        from += groups[i];
        to += 2 * groups[i];
    }
}

void service_instance_id(char out_text[static UUID_TEXT])
{
    const unsigned forks = atomic_load(&thread_forks);
    char made[UUID_TEXT];

    // Made outside the lock: it may take another one.
    uuid_make(made);
    lock_take();
    if (instance_forks != forks) {
        memcpy(instance_id, made, UUID_TEXT);
        instance_forks = forks;
    }
    memcpy(out_text, instance_id, UUID_TEXT);
    pthread_mutex_unlock(&lock);
}

struct str service_fallback_name(char out_room[static FALLBACK_NAME_BYTES])
{
    const char *name = program_invocation_short_name;
    const int len = snprintf(out_room, FALLBACK_NAME_BYTES, "unknown_service%s%s",
                             name && *name ? ":" : "", name ? name : "");

    if (len <= 0)
        return STR("unknown_service");
    return (struct str){out_room,
                        (size_t)len < FALLBACK_NAME_BYTES ? (size_t)len : FALLBACK_NAME_BYTES - 1};
}

struct tl_resource *detect_service(const struct environment *environment)
{
    struct draft draft;
    char id[UUID_TEXT];

    service_instance_id(id);
    draft_init(&draft);
    if (environment->service_name)
        draft_text(&draft, "service.name", str_of(environment->service_name));
    draft_text(&draft, "service.instance.id", str_of(id));
    return draft_finish(&draft);
}

// What telemetry has in any case (specification, "SDK-provided resource attributes").
static struct tl_resource *sdk_resource(void)
{
    struct draft draft;
    char name[FALLBACK_NAME_BYTES];
    char id[UUID_TEXT];

    service_instance_id(id);
    draft_init(&draft);
    draft_text(&draft, "telemetry.sdk.name", STR("opentelemetry"));
    draft_text(&draft, "telemetry.sdk.language", STR("c"));
    draft_text(&draft, "telemetry.sdk.version", STR(SDK_VERSION));
    draft_text(&draft, "telemetry.distro.name", STR("throughline"));
    draft_text(&draft, "telemetry.distro.version", STR(SDK_VERSION));
    draft_text(&draft, "service.name", service_fallback_name(name));
    draft_text(&draft, "service.instance.id", str_of(id));
    draft_number(&draft, "process.pid", getpid());
    return draft_finish(&draft);
}

// Takes both.
static struct tl_resource *merged(struct tl_resource *old, struct tl_resource *updating)
{
    struct tl_resource *both = tl_resource_merge(old, updating);

    tl_resource_unref(old);
    tl_resource_unref(updating);
    return both;
}

static struct tl_resource *default_make(void)
{
    const struct environment *environment = environment_read();
    struct tl_resource *resource = merged(sdk_resource(), detect_environment(environment));
    struct draft draft;

    if (!environment->service_name)
        return resource;
    draft_init(&draft);
    draft_text(&draft, "service.name", str_of(environment->service_name));
    return merged(resource, draft_finish(&draft));
}

void resource_default_set(struct tl_resource *resource)
{
    struct tl_resource *former;

    lock_take();
    former = chosen;
    chosen = resource;
    pthread_mutex_unlock(&lock);
    tl_resource_unref(former);
}

struct tl_resource *tl_resource_default(void)
{
    const unsigned forks = atomic_load(&thread_forks);
    struct tl_resource *resource;
    struct tl_resource *made;
    struct tl_resource *former = NULL;

    lock_take();
    resource = tl_resource_ref(chosen ? chosen : fallback_forks == forks ? fallback : NULL);
    pthread_mutex_unlock(&lock);
    if (resource)
        return resource;
    // Without the lock: it tells what is wrong with the environment. Two threads may both make it.
    made = default_make();
    lock_take();
    if (fallback_forks != forks && made) {
        former = fallback;
        fallback = made;
        fallback_forks = forks;
        made = NULL;
    }
    resource = tl_resource_ref(fallback);
    pthread_mutex_unlock(&lock);
    tl_resource_unref(former);
    tl_resource_unref(made);
    return resource;
}
