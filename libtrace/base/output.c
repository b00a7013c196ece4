// SPDX-License-Identifier: Apache-2.0
// poll(2) says that some room is there, not how much: into anything but a file only PIPE_BUF bytes
// go at once, so that a descriptor that blocks does not block beyond the deadline.

#include "libtrace/base/output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libtrace/base/clock.h"

static bool sigpipe_is_pending(void)
{
    sigset_t pending;

    sigemptyset(&pending);
    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

static void sigpipe_set(sigset_t *out_set)
{
    sigemptyset(out_set);
    sigaddset(out_set, SIGPIPE);
}

void sigpipe_hold(struct sigpipe_hold *hold)
{
    sigset_t set;

    sigpipe_set(&set);
    sigemptyset(&hold->before);
    hold->was_pending = sigpipe_is_pending();
    pthread_sigmask(SIG_BLOCK, &set, &hold->before);
}

void sigpipe_release(const struct sigpipe_hold *hold)
{
    const int saved = errno;

    if (!hold->was_pending && sigpipe_is_pending()) {
        const struct timespec at_once = {0, 0};
        sigset_t set;

        sigpipe_set(&set);
        while (sigtimedwait(&set, NULL, &at_once) < 0 && errno == EINTR)
            ;
    }
    pthread_sigmask(SIG_SETMASK, &hold->before, NULL);
    errno = saved;
}

static int wait_for_room(int fd, uint64_t deadline_ns)
{
    struct pollfd wanted = {.fd = fd, .events = POLLOUT};

    for (;;) {
        const uint64_t now_ns = clock_mono_ns();
        int wait_ms = -1;
        int ready;

        if (deadline_ns) {
            const uint64_t left_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
            const uint64_t left_ms = (left_ns + NS_PER_MS - 1) / NS_PER_MS;

            wait_ms = left_ms > INT_MAX ? INT_MAX : (int)left_ms;
        }
        ready = poll(&wanted, 1, wait_ms);
        if (ready > 0)
            return 0;
        if (ready == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

static int write_all(int fd, struct str text, uint64_t deadline_ns, size_t *out_written)
{
    struct stat status;
    const bool is_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);

    while (*out_written < text.len) {
        const struct str left = str_from(text, *out_written);
        const size_t step = is_file || left.len < PIPE_BUF ? left.len : PIPE_BUF;
        const int failed = is_file ? 0 : wait_for_room(fd, deadline_ns);
        ssize_t wrote;

        if (failed)
            return failed;
        wrote = write(fd, left.at, step);
        if (wrote > 0)
            *out_written += (size_t)wrote;
        else if (wrote == 0)
            return -EIO;
        else if (errno != EINTR && errno != EAGAIN)
            return -errno;
    }
    return 0;
}

int output_write(int fd, struct str text, uint64_t deadline_mono_ns, size_t *out_written)
{
    const int saved = errno;
    struct sigpipe_hold hold;
    int failed;

    *out_written = 0;
    sigpipe_hold(&hold);
    failed = write_all(fd, text, deadline_mono_ns, out_written);
    sigpipe_release(&hold);
    errno = saved;
    return failed;
}
