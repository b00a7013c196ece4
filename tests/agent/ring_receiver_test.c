// SPDX-License-Identifier: Apache-2.0
// The receiver of rings and a guest that does not play by the rules.

#include "tests/support/check.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/receivers/ring.h"
#include "libtrace/base/ring.h"
#include "libtrace/flow/peers.h"

static int refuse_all(void *self, struct batch *batch, uint32_t *out_wait_ms)
{
    (void)self, (void)out_wait_ms;
    batch_unref(batch);
    return -EOPNOTSUPP;
}

static int guest_connect(const char *path)
{
    const int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memcpy(address.sun_path, path, strlen(path));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void ring_give(int fd, const struct ring *ring)
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
    assert_true(sendmsg(fd, &message, 0) > 0);
}

static void wait_until(struct peers *peers, bool is_there)
{
    uint32_t pid;

    for (int i = 0; i < 1000 && peers_list(peers, &pid, 1) != is_there; i++)
        poll(NULL, 0, 10);
    assert_int_equal(peers_list(peers, &pid, 1), is_there);
}

// Its eventfd is open as long as the guest holds it, whatever became of its socket.
static void a_guest_that_left_and_still_wakes_is_not_heard(void **state)
{
    char path[] = "/tmp/ring-receiver-XXXXXX.sock";
    const uint64_t one = 1;
    struct peers *peers = peers_new();
    const struct outlet outlet = {.peers = peers, .push = refuse_all};
    void *receiver = calloc(1, ring_receiver.size);
    struct ring *ring = ring_new(1, 64 * 1024, -1);
    int fd;

    (void)state;
    assert_non_null(receiver);
    assert_non_null(ring);
    fd = mkstemps(path, 5);
    assert_true(fd >= 0);
    close(fd);
    setenv("THROUGHLINE_SOCKET", path, 1);
    assert_int_equal(ring_receiver.open(receiver, &outlet, NULL), 0);
    fd = guest_connect(path);
    ring_give(fd, ring);
    wait_until(peers, true);
    close(fd);
    wait_until(peers, false);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(write(ring_event_fd(ring), &one, sizeof one), sizeof one);
        // Another guest's turn comes after the wake was looked at.
        fd = guest_connect(path);
        ring_give(fd, ring);
        wait_until(peers, true);
        close(fd);
        wait_until(peers, false);
    }
    ring_receiver.close(receiver);
    ring_free(ring);
    peers_free(peers);
    free(receiver);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_that_left_and_still_wakes_is_not_heard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
