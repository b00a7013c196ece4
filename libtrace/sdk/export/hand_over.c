// SPDX-License-Identifier: Apache-2.0
// The agent gets the descriptors over a unix socket. Whoever holds the other end owns the reading;
// its end of file means that the ring waits, and fills, for the next one.

#include "libtrace/sdk/export/hand_over.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libtrace/base/descriptor.h"

static int agent_socket = -1;
static struct descriptor_file agent_file; // what the number stood for when we opened it
static char socket_path[sizeof((struct sockaddr_un *)0)->sun_path];

void hand_over_path_read(void)
{
    const char *path = getenv("THROUGHLINE_SOCKET");
    const struct str text = str_of(path && *path ? path : "/run/throughline/agent.sock");

    if (text.len < sizeof socket_path) {
        memset(socket_path, 0, sizeof socket_path);
        memcpy(socket_path, text.at, text.len);
    }
}

static int agent_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (!*socket_path)
        return -1;
    memcpy(address.sun_path, socket_path, sizeof address.sun_path);
    fd = descriptor_keep(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool ring_pass(int fd, const struct ring *ring)
{
    char hello[] = "throughline-ring-2";
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

bool hand_over_pass(const struct ring *ring)
{
    const int saved = errno;

    if (hand_over_is_held())
        return true;
    if (!ring_has_descriptors(ring))
        return false;
    agent_socket = agent_connect();
    agent_file = descriptor_file_of(agent_socket);
    if (agent_socket >= 0 && !ring_pass(agent_socket, ring))
        hand_over_forget();
    errno = saved;
    return agent_socket >= 0;
}

// False when the program closed it, with every other that it does not know; the number may be one
// of its own by now.
static bool is_still_ours(void)
{
    return descriptor_is(agent_socket, agent_file);
}

bool hand_over_is_held(void)
{
    const int saved = errno;
    char byte;

    // Nothing is ever sent to us: only the end of file matters, and nothing is taken.
    if (agent_socket >= 0 &&
        (!is_still_ours() || recv(agent_socket, &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0))
        hand_over_forget();
    errno = saved;
    return agent_socket >= 0;
}

void hand_over_forget(void)
{
    if (agent_socket >= 0 && is_still_ours())
        close(agent_socket);
    agent_socket = -1;
}
