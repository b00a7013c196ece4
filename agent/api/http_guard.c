// SPDX-License-Identifier: Apache-2.0
// Connections are kept in a list with the time their present request began. libmicrohttpd's own
// timeout is for silence only; a client that sends a byte now and then is ended here.

#include "agent/api/http_guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "libtrace/base/clock.h"

struct guarded {
    struct guarded *next;
    struct guarded *previous;
    int fd;
    uint64_t began_ns;
    uint64_t idle_bytes; // received when the last request had ended
    bool is_idle;        // no request has begun since
    bool is_ended;
    bool is_stream;
};

struct http_guard {
    struct http_guard_plan plan;
    pthread_mutex_t lock;
    struct guarded list; // head of a ring
};

struct http_guard *http_guard_new(const struct http_guard_plan *plan)
{
    struct http_guard *guard = calloc(1, sizeof *guard);

    if (!guard)
        return NULL;
    guard->plan = *plan;
    pthread_mutex_init(&guard->lock, NULL);
    guard->list.next = guard->list.previous = &guard->list;
    return guard;
}

void http_guard_free(struct http_guard *guard)
{
    if (!guard)
        return;
    pthread_mutex_destroy(&guard->lock);
    free(guard);
}

static void added(struct http_guard *guard, struct MHD_Connection *connection,
                  void **socket_context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct guarded *guarded = calloc(1, sizeof *guarded);

    if (!guarded)
        return;
    guarded->fd = info ? info->connect_fd : -1;
    guarded->began_ns = clock_mono_ns();
    pthread_mutex_lock(&guard->lock);
    guarded->next = &guard->list;
    guarded->previous = guard->list.previous;
    guarded->previous->next = guarded;
    guard->list.previous = guarded;
    pthread_mutex_unlock(&guard->lock);
    *socket_context = guarded;
}

void http_guard_connection(void *guard_, struct MHD_Connection *connection, void **socket_context,
                           enum MHD_ConnectionNotificationCode code)
{
    struct http_guard *guard = guard_;
    struct guarded *guarded = *socket_context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        added(guard, connection, socket_context);
        return;
    }
    if (!guarded)
        return;
    pthread_mutex_lock(&guard->lock);
    guarded->previous->next = guarded->next;
    guarded->next->previous = guarded->previous;
    pthread_mutex_unlock(&guard->lock);
    free(guarded);
    *socket_context = NULL;
}

// What a connection ever received: how to see that a request begins, of which the server tells only
// when its head is whole.
static uint64_t received_bytes(int fd)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;

    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 ? info.tcpi_bytes_received : 0;
}

static struct guarded *guarded_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info ? info->socket_context : NULL;
}

void http_guard_request_ended(struct http_guard *guard, struct MHD_Connection *connection)
{
    struct guarded *guarded = guarded_of(connection);

    if (!guarded)
        return;
    pthread_mutex_lock(&guard->lock);
    guarded->is_idle = true;
    guarded->idle_bytes = received_bytes(guarded->fd);
    guarded->is_stream = false;
    pthread_mutex_unlock(&guard->lock);
}

void http_guard_stream(struct http_guard *guard, struct MHD_Connection *connection)
{
    struct guarded *guarded = guarded_of(connection);

    if (!guarded)
        return;
    pthread_mutex_lock(&guard->lock);
    guarded->is_stream = true;
    pthread_mutex_unlock(&guard->lock);
}

// An idle connection is left to the server's own timeout. Under the lock.
static bool is_late(struct guarded *each, uint64_t now_ns, uint64_t request_ms)
{
    if (each->is_idle && received_bytes(each->fd) != each->idle_bytes) {
        each->is_idle = false;
        each->began_ns = now_ns;
    }
    return !each->is_idle && !each->is_ended && !each->is_stream &&
           now_ns - each->began_ns >= request_ms * NS_PER_MS;
}

unsigned http_guard_sweep(struct http_guard *guard)
{
    const uint64_t now_ns = clock_mono_ns();
    unsigned ended = 0;

    pthread_mutex_lock(&guard->lock);
    for (struct guarded *each = guard->list.next; each != &guard->list; each = each->next) {
        if (!is_late(each, now_ns, guard->plan.request_ms))
            continue;
        // The server sees the end of the stream and closes; the descriptor stays its own.
        shutdown(each->fd, SHUT_RDWR);
        each->is_ended = true;
        ended++;
    }
    pthread_mutex_unlock(&guard->lock);
    return ended;
}

static bool is_in_list(struct str list, struct str name)
{
    while (list.len) {
        const size_t end = str_find(list, '\n');

        if (str_equal_nocase((struct str){list.at, end}, name))
            return true;
        list = str_from(list, end + 1);
    }
    return false;
}

// The name of "name:port", "[v6]:port" or a bare name.
static struct str host_name(struct str host)
{
    const size_t bracket = str_find(host, ']');

    if (bracket < host.len)
        return (struct str){host.at, bracket + 1};
    return (struct str){host.at, str_find(host, ':')};
}

static bool is_ours(const struct http_guard *guard, struct str host)
{
    const struct str name = host_name(host);

    return str_equal_nocase(name, STR("localhost")) || str_equal(name, STR("127.0.0.1")) ||
           str_equal(name, STR("[::1]")) || is_in_list(guard->plan.allowed_hosts, name);
}

// A name can be made to point here by whoever owns it (DNS rebinding); an address cannot.
static bool is_address(struct str host)
{
    struct in6_addr address;
    char text[INET6_ADDRSTRLEN] = "";

    if (host.len > 2 && host.at[0] == '[')
        host = (struct str){host.at + 1, host.len - 2};
    if (host.len >= sizeof text)
        return false;
    memcpy(text, host.at, host.len);
    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

// A page elsewhere that embeds or fetches sends no Origin with an image or a script, but says this.
// Following a link is allowed.
static bool is_foreign_page(struct MHD_Connection *connection)
{
    const char *site = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Sec-Fetch-Site");
    const char *mode = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Sec-Fetch-Mode");

    return site && strcmp(site, "cross-site") == 0 && !(mode && strcmp(mode, "navigate") == 0);
}

bool http_guard_allows(const struct http_guard *guard, struct MHD_Connection *connection)
{
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
    const char *origin = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Origin");
    struct str site;

    if (guard->plan.is_loopback && host && !is_ours(guard, str_of(host)))
        return false;
    if (guard->plan.is_host_required && host && !is_ours(guard, str_of(host)) &&
        !is_address(host_name(str_of(host))))
        return false;
    if (!origin)
        return !is_foreign_page(connection);
    site = str_of(origin);
    if (str_starts(site, STR("http://")))
        site = str_from(site, 7);
    else if (str_starts(site, STR("https://")))
        site = str_from(site, 8);
    // Same site, or one of the names allowed.
    return (host && str_equal_nocase(site, str_of(host)) && is_ours(guard, site)) ||
           is_in_list(guard->plan.allowed_hosts, host_name(site));
}

int endpoint_parse(struct str endpoint, struct sockaddr_storage *out_address, bool *out_loopback,
                   struct why *why)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
    size_t colon = endpoint.len;
    struct str host;
    char text[64] = "";
    uint64_t port;

    while (colon && endpoint.at[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return why_fail(why, -EINVAL, "'%.*s' is not host:port", STR_ARGS(endpoint));
    if (!str_to_u64(str_from(endpoint, colon), &port) || port > UINT16_MAX)
        return why_fail(why, -EINVAL, "'%.*s' is not a port", STR_ARGS(str_from(endpoint, colon)));
    host = (struct str){endpoint.at, colon - 1};
    if (host.len > 2 && host.at[0] == '[')
        host = (struct str){host.at + 1, host.len - 2};
    if (str_equal(host, STR("localhost")))
        host = STR("127.0.0.1");
    if (host.len == 0)
        host = STR("0.0.0.0");
    if (host.len < sizeof text)
        memcpy(text, host.at, host.len);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        *out_loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        *out_loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    } else {
        return why_fail(why, -EINVAL, "'%.*s' is not an IP address", STR_ARGS(host));
    }
    *out_address = address;
    return 0;
}
