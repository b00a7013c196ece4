// SPDX-License-Identifier: Apache-2.0
// An OTLP/HTTP sink on 127.0.0.1 that costs next to nothing: one thread, epoll; reads every body
// whole (chunked too), counts the records in it, answers 200. GET answers with the counts so far
// and sets them to zero. It believes what it is sent: a measure, not a server. usage: sink PORT

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ROOM_BYTES = 1 << 20, READ_BYTES = 64 * 1024 };

struct connection {
    int fd;
    char *at;
    size_t len;
    size_t capacity;
};

static uint64_t requests, body_bytes, records;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static bool varint_take(const uint8_t **at, const uint8_t *end, uint64_t *out_value)
{
    uint64_t value = 0;

    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        const uint8_t byte = *(*at)++;

        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *out_value = value;
            return true;
        }
    }
    return false;
}

// How many fields stand at the path 1.2.2 of a request: spans of scopes of resources, or records.
static uint64_t count_at(const uint8_t *at, const uint8_t *end, unsigned depth)
{
    static const unsigned path[] = {1, 2, 2};
    uint64_t count = 0;
    uint64_t key, len;

    while (at < end && varint_take(&at, end, &key)) {
        switch (key & 7) {
        case 0:
            if (!varint_take(&at, end, &len))
                return count;
            break;
        case 1:
            at += 8;
            break;
        case 5:
            at += 4;
            break;
        case 2:
            if (!varint_take(&at, end, &len) || len > (uint64_t)(end - at))
                return count;
            if (key >> 3 == path[depth])
                count += depth == 2 ? 1 : count_at(at, at + len, depth + 1);
            at += len;
            break;
        default:
            return count;
        }
    }
    return count;
}

static void send_all(int fd, const char *text, size_t len)
{
    while (len) {
        const ssize_t sent = send(fd, text, len, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        text += sent;
        len -= (size_t)sent;
    }
}

static void answer_counts(int fd)
{
    char body[128];
    char answer[256];
    const int body_len = snprintf(body, sizeof body, "%ju %ju %ju\n", (uintmax_t)requests,
                                  (uintmax_t)body_bytes, (uintmax_t)records);
    const int len = snprintf(answer, sizeof answer,
                             "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
                             body_len, body);

    if (len > 0)
        send_all(fd, answer, (size_t)len);
    requests = body_bytes = records = 0;
}

// Makes one piece of a chunked body, in place. Returns how much of the buffer it took, 0: it is not
// all there.
static size_t chunks_join(char *body, const char *end, size_t *out_len)
{
    char *to = body;
    char *at = body;

    for (int pass = 0; pass < 2; pass++) {
        for (at = body;;) {
            char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
            const size_t len = strtoull(at, NULL, 16);

            if (!line_end || (size_t)(end - line_end) < len + 4)
                return 0;
            if (pass == 1) {
                memmove(to, line_end + 2, len);
                to += len;
            }
            at = line_end + 2 + len + 2;
            if (len == 0)
                break;
            // The second pass moves text over what it has read.
        }
    }
    *out_len = (size_t)(to - body);
    return (size_t)(at - body);
}

// Takes one request from the front of the buffer; how many bytes it had, 0: it is not all there.
static size_t request_take(struct connection *from)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\n"
                             "Content-Length: 0\r\n\r\n";
    char *body = memmem(from->at, from->len, "\r\n\r\n", 4);
    size_t head_len, len = 0, whole;
    const char *field;

    if (!body)
        return 0;
    *body = 0;
    body += 4;
    head_len = (size_t)(body - from->at);
    field = strcasestr(from->at, "\r\ncontent-length:");
    if (field)
        len = strtoull(field + 17, NULL, 10);
    whole = head_len + len;
    if (strcasestr(from->at, "\r\ntransfer-encoding: chunked"))
        whole = head_len + chunks_join(body, from->at + from->len, &len);
    if (strcasestr(from->at, "\r\nexpect: 100") && from->len == head_len)
        send_all(from->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    body[-4] = '\r';
    if (from->len < whole || (whole == head_len && strncmp(from->at, "POST", 4) == 0))
        return 0;
    if (strncmp(from->at, "GET ", 4) == 0) {
        answer_counts(from->fd);
        return whole;
    }
    requests++;
    body_bytes += len;
    records += count_at((const uint8_t *)body, (const uint8_t *)body + len, 0);
    send_all(from->fd, ok, sizeof ok - 1);
    return whole;
}

static void read_some(struct connection *from)
{
    ssize_t got;
    size_t taken;

    if (from->capacity - from->len < READ_BYTES) {
        from->capacity *= 2;
        from->at = realloc(from->at, from->capacity + 1);
        if (!from->at)
            die("realloc");
    }
    got = recv(from->fd, from->at + from->len, from->capacity - from->len, 0);
    if (got <= 0) {
        close(from->fd);
        free(from->at);
        free(from);
        return;
    }
    from->len += (size_t)got;
    from->at[from->len] = 0;
    for (taken = request_take(from); taken; taken = from->len ? request_take(from) : 0) {
        memmove(from->at, from->at + taken, from->len - taken);
        from->len -= taken;
        from->at[from->len] = 0;
    }
}

static void accept_one(int poll, int listener)
{
    const int fd = accept(listener, NULL, NULL);
    const int one = 1;
    struct connection *connection = calloc(1, sizeof *connection);

    if (fd < 0 || !connection)
        die("accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection->fd = fd;
    connection->capacity = ROOM_BYTES;
    connection->at = malloc(ROOM_BYTES + 1);
    if (!connection->at)
        die("malloc");
    epoll_ctl(poll, EPOLL_CTL_ADD, fd,
              &(struct epoll_event){.events = EPOLLIN, .data.ptr = connection});
}

int main(int argc, char **argv)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)strtoul(argc > 1 ? argv[1] : "4318", NULL, 10)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    const int poll = epoll_create1(0);
    const int one = 1;
    struct epoll_event events[64];

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 128) != 0)
        die("listen");
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN});
    for (;;) {
        const int count = epoll_wait(poll, events, 64, -1);

        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                read_some(events[i].data.ptr);
            else
                accept_one(poll, listener);
        }
    }
}
