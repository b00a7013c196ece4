// SPDX-License-Identifier: Apache-2.0
// The same bytes received and sent, nothing else: bodies of POST requests are kept as they come,
// and every 82 of them (8,200 spans) go out as one POST over one kept connection. No check, no
// queue, no thread, no library. It believes what it is sent: a measure, not a server.
// usage: floor PORT SINK_PORT

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BATCH = 82, CONNECTIONS = 64, HEAD_BYTES_MAX = 4096, BODY_BYTES_MAX = 64 * 1024 };
enum { LISTENER = CONNECTIONS };

struct connection {
    int fd;
    bool has_head;
    size_t len;    // of what is in `bytes`
    size_t begins; // where the body does
    size_t whole;  // head and body
    uint8_t *bytes;
};

static struct connection connections[CONNECTIONS];
static struct iovec waiting[BATCH + 1]; // 0: the head
static uint8_t *owners[BATCH + 1];
static uint8_t *spare[BATCH + CONNECTIONS];
static size_t waiting_count, spare_count, waiting_bytes;
static int sink;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint8_t *buffer_take(void)
{
    uint8_t *bytes = spare_count ? spare[--spare_count] : malloc(HEAD_BYTES_MAX + BODY_BYTES_MAX);

    if (!bytes)
        die("malloc");
    return bytes;
}

static void send_all(struct iovec *parts, int count)
{
    while (count) {
        ssize_t sent = writev(sink, parts, count);

        if (sent < 0)
            die("writev");
        while (count && (size_t)sent >= parts->iov_len) {
            sent -= (ssize_t)parts->iov_len;
            parts++;
            count--;
        }
        if (count) {
            parts->iov_base = (char *)parts->iov_base + sent;
            parts->iov_len -= (size_t)sent;
        }
    }
}

static void flush(void)
{
    char head[256];
    char answer[1024];
    size_t len = 0;
    const int head_len = snprintf(head, sizeof head,
                                  "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                                  "application/x-protobuf\r\nContent-Length: %zu\r\n\r\n",
                                  waiting_bytes);

    if (waiting_count == 0 || head_len < 0)
        return;
    waiting[0] = (struct iovec){head, (size_t)head_len};
    send_all(waiting, (int)waiting_count + 1);
    while (len < 4 || memcmp(answer + len - 4, "\r\n\r\n", 4) != 0) {
        const ssize_t got = recv(sink, answer + len, sizeof answer - len, 0);

        if (got <= 0)
            die("the sink");
        len += (size_t)got;
    }
    for (size_t i = 1; i <= waiting_count; i++)
        spare[spare_count++] = owners[i];
    waiting_count = 0;
    waiting_bytes = 0;
}

static void keep_body(struct connection *from)
{
    waiting_count++;
    waiting[waiting_count] = (struct iovec){from->bytes + from->begins, from->whole - from->begins};
    owners[waiting_count] = from->bytes;
    waiting_bytes += from->whole - from->begins;
    *from = (struct connection){.fd = from->fd};
    if (waiting_count == BATCH)
        flush();
}

static void read_head(struct connection *from)
{
    const uint8_t *end = memmem(from->bytes, from->len, "\r\n\r\n", 4);
    const char *length;

    if (!end)
        return;
    from->begins = (size_t)(end + 4 - from->bytes);
    length = memmem(from->bytes, from->begins, "Content-Length: ", 16);
    from->whole = from->begins + (length ? strtoul(length + 16, NULL, 10) : 0);
    from->has_head = from->begins <= HEAD_BYTES_MAX && from->whole - from->begins <= BODY_BYTES_MAX;
    if (!from->has_head)
        exit(1);
}

static void read_some(struct connection *from)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
                             "Content-Length: 0\r\n\r\n";
    ssize_t got;

    if (!from->bytes)
        from->bytes = buffer_take();
    got = recv(from->fd, from->bytes + from->len,
               (from->has_head ? from->whole : HEAD_BYTES_MAX + BODY_BYTES_MAX) - from->len, 0);
    if (got <= 0) {
        close(from->fd);
        free(from->bytes);
        *from = (struct connection){.fd = -1};
        return;
    }
    from->len += (size_t)got;
    if (!from->has_head)
        read_head(from);
    if (!from->has_head || from->len < from->whole)
        return;
    keep_body(from);
    if (send(from->fd, ok, sizeof ok - 1, MSG_NOSIGNAL) < 0)
        die("send");
}

static int socket_at(uint16_t port, bool listens)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    const int one = 1;

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (listens ? bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
                      listen(fd, CONNECTIONS) != 0
                : connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        die("socket");
    return fd;
}

static void accept_one(int poll, int listener)
{
    const int fd = accept(listener, NULL, NULL);
    uint32_t free_one = 0;

    while (free_one < CONNECTIONS && connections[free_one].fd >= 0)
        free_one++;
    if (fd < 0 || free_one == CONNECTIONS)
        exit(1);
    connections[free_one].fd = fd;
    epoll_ctl(poll, EPOLL_CTL_ADD, fd,
              &(struct epoll_event){.events = EPOLLIN, .data.u32 = free_one});
}

int main(int argc, char **argv)
{
    const int poll = epoll_create1(0);
    struct epoll_event events[16];
    int listener;

    if (argc != 3)
        return 2;
    for (int i = 0; i < CONNECTIONS; i++)
        connections[i].fd = -1;
    sink = socket_at((uint16_t)strtoul(argv[2], NULL, 10), false);
    listener = socket_at((uint16_t)strtoul(argv[1], NULL, 10), true);
    epoll_ctl(poll, EPOLL_CTL_ADD, listener,
              &(struct epoll_event){.events = EPOLLIN, .data.u32 = LISTENER});
    for (;;) {
        const int count = epoll_wait(poll, events, 16, 200);

        if (count == 0)
            flush();
        for (int i = 0; i < count; i++) {
            if (events[i].data.u32 == LISTENER)
                accept_one(poll, listener);
            else
                read_some(&connections[events[i].data.u32]);
        }
    }
}
