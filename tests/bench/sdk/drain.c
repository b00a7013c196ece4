// SPDX-License-Identifier: Apache-2.0
// Listens in a folder of its own, which goes once a program has connected.

#include "tests/bench/sdk/drain.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libtrace/base/ring.h"

enum { TURN_BYTES = 1 << 20, LOOK_MS = 1 };

static void count_one(void *self, const struct ring_record *record)
{
    (void)record;
    ++*(uint64_t *)self;
}

static struct ring_reader *ring_take(int listener, char *path)
{
    const int guest = accept(listener, NULL, NULL);
    char text[64];
    struct iovec part = {text, sizeof text};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(8 * sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct ring_reader *reader = NULL;
    int descriptors[2];

    unlink(path);
    *strrchr(path, '/') = 0;
    rmdir(path);
    if (recvmsg(guest, &message, 0) <= 0 || !CMSG_FIRSTHDR(&message))
        return NULL;
    memcpy(descriptors, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof descriptors);
    if (ring_reader_new(descriptors[0], descriptors[1], &reader, NULL) != 0)
        return NULL;
    return reader;
}

static void drain(int listener, char *path, _Atomic uint64_t *records)
{
    struct ring_reader *reader = ring_take(listener, path);

    while (reader) {
        uint64_t count = 0;

        ring_reader_read(reader, TURN_BYTES, false, count_one, &count);
        ring_reader_release(reader);
        atomic_fetch_add_explicit(records, count, memory_order_relaxed);
        if (count == 0)
            poll(NULL, 0, LOOK_MS);
    }
}

_Atomic uint64_t *drain_start(bool with_agent)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/throughline-bench-XXXXXX";
    _Atomic uint64_t *records =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const pid_t service = getpid();
    int listener;
    int len;

    if (records == MAP_FAILED)
        return NULL;
    // Without an agent the ring must find none.
    if (setenv("THROUGHLINE_SOCKET", "/nonexistent/agent.sock", 1) != 0 || !with_agent)
        return records;
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (!mkdtemp(folder))
        return NULL;
    len = snprintf(address.sun_path, sizeof address.sun_path, "%s/agent.sock", folder);
    if (len < 0 || bind(listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 1) != 0 || setenv("THROUGHLINE_SOCKET", address.sun_path, 1) != 0)
        return NULL;
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == service)
            drain(listener, address.sun_path, records);
        _exit(0);
    }
    return records;
}
