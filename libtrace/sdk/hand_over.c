// SPDX-License-Identifier: Apache-2.0
// The agent gets the descriptors over a unix socket. Whoever holds the other end owns the reading;
// its end of file means that the ring waits, and fills, for the next one.

#include "libtrace/sdk/hand_over.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libtrace/base/clock.h"
#include "libtrace/otlp/span.h"

enum { SUB_BYTES = 512 * 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic(struct ring *) shared_ring;
static _Atomic uint32_t scope_entry;
static _Atomic uint64_t next_tick_ns;
static int agent_socket = -1;
static bool is_disabled;
static char socket_path[sizeof((struct sockaddr_un *)0)->sun_path];

static struct str percent_decoded(struct arena *arena, struct str text)
{
    char *to = arena_take(arena, text.len + 1);
    size_t len = 0;

    for (size_t i = 0; to && i < text.len; i++) {
        unsigned value;
        char digits[3] = "";

        if (text.at[i] == '%' && i + 2 < text.len) {
            memcpy(digits, text.at + i + 1, 2);
            if (sscanf(digits, "%2x", &value) == 1) {
                to[len++] = (char)value;
                i += 2;
                continue;
            }
        }
        to[len++] = text.at[i];
    }
    return (struct str){to ? to : "", len};
}

static void attribute_put(struct attribute *list, size_t *inout_count, struct str key,
                          struct str value)
{
    for (size_t i = 0; i < *inout_count; i++) {
        if (str_equal(list[i].key, key)) {
            list[i].value.string = value;
            return;
        }
    }
    if (*inout_count < 64)
        list[(*inout_count)++] = (struct attribute){key, {.type = VALUE_STRING, .string = value}};
}

// OpenTelemetry specification, "Resource SDK": OTEL_SERVICE_NAME wins over the attributes.
static void resource_make(struct arena *arena, struct bytes *out)
{
    const char *text = getenv("OTEL_RESOURCE_ATTRIBUTES");
    const char *name = getenv("OTEL_SERVICE_NAME");
    struct str left = str_of(text ? text : "");
    struct attribute list[65];
    size_t count = 0;
    const struct str fallback =
        arena_format(arena, "unknown_service:%s", program_invocation_short_name);

    attribute_put(list, &count, STR("service.name"), fallback);
    attribute_put(list, &count, STR("telemetry.sdk.name"), STR("throughline"));
    attribute_put(list, &count, STR("telemetry.sdk.language"), STR("c"));
    attribute_put(list, &count, STR("telemetry.sdk.version"), STR("0.1.0"));
    while (left.len) {
        const size_t end = str_find(left, ',');
        const struct str pair = {left.at, end};
        const size_t equals = str_find(pair, '=');

        if (equals < pair.len)
            attribute_put(list, &count,
                          percent_decoded(arena, str_trim((struct str){pair.at, equals})),
                          percent_decoded(arena, str_trim(str_from(pair, equals + 1))));
        left = str_from(left, end + 1);
    }
    if (name && *name)
        attribute_put(list, &count, STR("service.name"), str_of(name));
    list[count++] =
        (struct attribute){STR("process.pid"), {.type = VALUE_INT, .integer = (int64_t)getpid()}};
    resource_write(out, &(struct resource){.attributes = {list, count}});
}

static unsigned sub_count(void)
{
    const long cpus = sysconf(_SC_NPROCESSORS_CONF);
    unsigned subs = 1;

    while (subs < RING_SUBS_MAX && (long)subs < cpus)
        subs *= 2;
    return subs;
}

// Under the lock. The first table entry is the resource, the second the scope.
static struct ring *ring_make(void)
{
    struct ring *ring = ring_new(sub_count(), SUB_BYTES);
    struct bytes bytes = {.limit = 32 * 1024};
    struct arena arena;
    int64_t entry = -1;

    if (!ring)
        return NULL;
    arena_init(&arena, 256 * 1024);
    resource_make(&arena, &bytes);
    if (ring_table_add(ring, bytes_str(&bytes)) == 0) {
        bytes.len = 0;
        scope_write(&bytes, &(struct scope){.name = STR("throughline"), .version = STR("0.1.0")});
        entry = ring_table_add(ring, bytes_str(&bytes));
    }
    arena_done(&arena);
    bytes_done(&bytes);
    if (entry < 0) {
        ring_free(ring);
        return NULL;
    }
    atomic_store(&scope_entry, (uint32_t)entry);
    return ring;
}

// The child of a fork shares the parent's ring and socket: it lets both go and makes its own.
static void after_fork(void)
{
    struct ring *ring = atomic_exchange(&shared_ring, NULL);

    ring_free(ring);
    if (agent_socket >= 0)
        close(agent_socket);
    agent_socket = -1;
    atomic_store(&next_tick_ns, 0);
    pthread_mutex_init(&lock, NULL);
}

static void first_use(void)
{
    const char *disabled = getenv("OTEL_SDK_DISABLED");
    const char *path = getenv("THROUGHLINE_SOCKET");
    const struct str text = str_of(path && *path ? path : "/run/throughline/agent.sock");

    // Read once: later the program may be changing its environment in another thread.
    if (text.len < sizeof socket_path)
        memcpy(socket_path, text.at, text.len);
    is_disabled = disabled && str_equal_nocase(str_of(disabled), STR("true"));
    pthread_atfork(NULL, NULL, after_fork);
}

bool hand_over_is_disabled(void)
{
    pthread_once(&once, first_use);
    return is_disabled;
}

struct ring *hand_over_ring(uint32_t *out_scope)
{
    struct ring *ring = atomic_load_explicit(&shared_ring, memory_order_acquire);

    if (!ring && !hand_over_is_disabled()) {
        const int saved = errno;

        pthread_mutex_lock(&lock);
        ring = atomic_load(&shared_ring);
        if (!ring) {
            ring = ring_make();
            atomic_store(&shared_ring, ring);
        }
        pthread_mutex_unlock(&lock);
        errno = saved;
    }
    *out_scope = atomic_load_explicit(&scope_entry, memory_order_relaxed);
    return ring;
}

static int agent_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (!*socket_path)
        return -1;
    memcpy(address.sun_path, socket_path, sizeof address.sun_path);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool ring_pass(int fd, const struct ring *ring)
{
    char hello[] = "throughline-ring-1";
    struct iovec part = {hello, sizeof hello - 1};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    const int descriptors[2] = {ring_fd(ring), ring_event_fd(ring)};

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof descriptors);
    memcpy(CMSG_DATA(head), descriptors, sizeof descriptors);
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

static void tick_locked(void)
{
    struct ring *ring = atomic_load(&shared_ring);
    char byte;

    if (agent_socket >= 0) {
        // Nothing is ever sent to us: only the end of file matters.
        if (recv(agent_socket, &byte, 1, MSG_DONTWAIT) != 0)
            return;
        close(agent_socket);
        agent_socket = -1;
    }
    if (!ring)
        return;
    agent_socket = agent_connect();
    if (agent_socket >= 0 && !ring_pass(agent_socket, ring)) {
        close(agent_socket);
        agent_socket = -1;
    }
}

void hand_over_tick(uint64_t now_ns)
{
    uint64_t due = atomic_load_explicit(&next_tick_ns, memory_order_relaxed);
    int saved;

    if (now_ns < due ||
        !atomic_compare_exchange_strong(&next_tick_ns, &due, now_ns + NS_PER_SECOND))
        return;
    saved = errno;
    if (pthread_mutex_trylock(&lock) == 0) {
        tick_locked();
        pthread_mutex_unlock(&lock);
    }
    errno = saved;
}
