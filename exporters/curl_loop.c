// SPDX-License-Identifier: Apache-2.0
// epoll(7) with libcurl's sockets, a timerfd for its time and an eventfd for the hint.

#include "exporters/curl_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "libtrace/base/clock.h"
#include "libtrace/base/descriptor.h"

enum { EVENTS_AT_ONCE = 16, WAIT_MAX_MS = 1 << 30 };

static int watch_for_reading(int epoll_fd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0 ? -errno : 0;
}

int curl_loop_open(struct curl_loop *loop)
{
    int failed;

    loop->epoll_fd = descriptor_keep(epoll_create1(EPOLL_CLOEXEC));
    if (loop->epoll_fd < 0)
        return -errno;
    loop->timer_fd = descriptor_keep(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    failed = watch_for_reading(loop->epoll_fd, loop->timer_fd);
    if (failed)
        return failed;
    loop->hint_fd = descriptor_keep(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    return watch_for_reading(loop->epoll_fd, loop->hint_fd);
}

static void descriptor_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void curl_loop_close(struct curl_loop *loop)
{
    descriptor_close(&loop->epoll_fd);
    descriptor_close(&loop->timer_fd);
    descriptor_close(&loop->hint_fd);
}

int curl_loop_renew(struct curl_loop *loop)
{
    const int known_fd = loop->epoll_fd;
    int failed;

    loop->epoll_fd = -1;
    curl_loop_close(loop);
    failed = curl_loop_open(loop);
    if (!failed && dup3(loop->epoll_fd, known_fd, O_CLOEXEC) < 0)
        failed = -errno;
    descriptor_close(&loop->epoll_fd);
    loop->epoll_fd = known_fd;
    return failed;
}

static int socket_watch(CURL *curl, curl_socket_t fd, int what, void *self, void *unused)
{
    const struct curl_loop *loop = self;
    struct epoll_event event = {.data.fd = fd};

    (void)curl;
    (void)unused;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    if (what & CURL_POLL_IN)
        event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        event.events |= EPOLLOUT;
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, fd, &event) != 0 && errno == ENOENT)
        return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event);
    return 0;
}

static int timer_watch(CURLM *multi, long after_ms, void *self)
{
    const struct curl_loop *loop = self;
    struct itimerspec at = {0};

    (void)multi;
    if (after_ms > 0)
        at.it_value = (struct timespec){after_ms / 1000, after_ms % 1000 * (long)NS_PER_MS};
    // A time of zero would switch the timer off.
    if (after_ms == 0)
        at.it_value.tv_nsec = 1;
    timerfd_settime(loop->timer_fd, 0, &at, NULL);
    return 0;
}

void curl_loop_attach(struct curl_loop *loop, CURLM *multi)
{
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket_watch);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, loop);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer_watch);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, loop);
}

static CURLMcode act_on(struct curl_loop *loop, CURLM *multi, const struct epoll_event *event)
{
    const int fd = event->data.fd;
    uint64_t expirations;
    int flags = 0;
    int running;

    if (fd == loop->hint_fd)
        return CURLM_OK;
    if (fd == loop->timer_fd) {
        if (read(fd, &expirations, sizeof expirations) < 0)
            return CURLM_OK;
        return curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
    if (event->events & EPOLLIN)
        flags |= CURL_CSELECT_IN;
    if (event->events & EPOLLOUT)
        flags |= CURL_CSELECT_OUT;
    if (event->events & (EPOLLERR | EPOLLHUP))
        flags |= CURL_CSELECT_ERR;
    return curl_multi_socket_action(multi, fd, flags, &running);
}

bool curl_loop_run(struct curl_loop *loop, CURLM *multi, uint64_t deadline_mono_ns,
                   CURLMcode *out_code)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    const uint64_t now_ns = clock_mono_ns();
    const uint64_t left_ns = deadline_mono_ns > now_ns ? deadline_mono_ns - now_ns : 0;
    const uint64_t left_ms = (left_ns + NS_PER_MS - 1) / NS_PER_MS;
    const int ready = epoll_wait(loop->epoll_fd, events, EVENTS_AT_ONCE,
                                 left_ms > WAIT_MAX_MS ? WAIT_MAX_MS : (int)left_ms);

    for (int i = 0; i < ready; i++) {
        const CURLMcode code = act_on(loop, multi, &events[i]);

        if (code != CURLM_OK) {
            *out_code = code;
            break;
        }
    }
    return ready > 0 || left_ns > 0;
}

void curl_loop_hint(struct curl_loop *loop, bool is_readable)
{
    eventfd_t count;

    if (is_readable)
        eventfd_write(loop->hint_fd, 1);
    else
        eventfd_read(loop->hint_fd, &count);
}
