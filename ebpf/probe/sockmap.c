// SPDX-License-Identifier: Apache-2.0
// One loopback connection a try; everything is closed again.

#include "ebpf/probe/sockmap.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TRY_MS = 1000 };

static const char text[] = "how much is there";

struct pair {
    int listener;
    int client;
    int server;
};

static void pair_close(struct pair *pair)
{
    const int all[] = {pair->listener, pair->client, pair->server};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i] >= 0)
            close(all[i]);
    }
}

static int pair_open(struct pair *pair)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    *pair = (struct pair){-1, -1, -1};
    pair->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pair->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pair->listener < 0 || pair->client < 0 ||
        bind(pair->listener, (struct sockaddr *)&address, len) != 0 ||
        listen(pair->listener, 1) != 0 ||
        getsockname(pair->listener, (struct sockaddr *)&address, &len) != 0 ||
        connect(pair->client, (struct sockaddr *)&address, len) != 0)
        return -errno;
    pair->server = accept4(pair->listener, NULL, NULL, SOCK_CLOEXEC);
    return pair->server < 0 ? -errno : 0;
}

// 1: told right; 0: told wrong; negative: could not be tried.
static int tells_right(int map, int verdict_fd)
{
    const uint32_t first = 0;
    struct pair pair;
    struct pollfd waiting;
    uint64_t value;
    int told = -1;
    int result = pair_open(&pair);

    if (result == 0 && verdict_fd >= 0 &&
        bpf_prog_attach(verdict_fd, map, BPF_SK_SKB_STREAM_VERDICT, 0) != 0)
        result = -errno;
    value = (uint64_t)pair.server;
    if (result == 0 && bpf_map_update_elem(map, &first, &value, BPF_ANY) != 0)
        result = -errno;
    if (result == 0 && send(pair.client, text, sizeof text, MSG_NOSIGNAL) != sizeof text)
        result = -EIO;
    waiting = (struct pollfd){.fd = pair.server, .events = POLLIN};
    if (result == 0 && poll(&waiting, 1, TRY_MS) != 1)
        result = -ETIMEDOUT;
    if (result == 0 && ioctl(pair.server, FIONREAD, &told) != 0)
        result = -errno;
    if (result == 0)
        result = told == (int)sizeof text;
    pair_close(&pair);
    return result;
}

static int try(int verdict_fd)
{
    const int map = bpf_map_create(BPF_MAP_TYPE_SOCKMAP, "throughline_try", sizeof(uint32_t),
                                   sizeof(uint64_t), 1, NULL);
    const int result = map < 0 ? -errno : tells_right(map, verdict_fd);

    if (map >= 0)
        close(map);
    return result;
}

// Lets everything pass.
static int verdict_load(void)
{
    const struct bpf_insn program[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = SK_PASS},
        {.code = BPF_JMP | BPF_EXIT},
    };
    const int fd = bpf_prog_load(BPF_PROG_TYPE_SK_SKB, "throughline_try", "GPL", program,
                                 sizeof program / sizeof program[0], NULL);

    return fd < 0 ? -errno : fd;
}

int sockmap_needs_verdict(bool *out_needs, struct why *why)
{
    const int plain = try(-1);
    const int verdict_fd = plain == 0 ? verdict_load() : -1;
    const int with_verdict = plain == 0 && verdict_fd >= 0 ? try(verdict_fd) : verdict_fd;

    if (verdict_fd >= 0)
        close(verdict_fd);
    if (plain == -EPERM || plain == -EACCES)
        return why_fail(why, -EPERM,
                        "loading needs root, or CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN");
    if (plain < 0 || (plain == 0 && with_verdict < 0))
        return why_fail(why, -EOPNOTSUPP, "a socket in a map could not be tried: %s",
                        strerrordesc_np(plain < 0 ? -plain : -with_verdict));
    if (plain == 0 && with_verdict == 0)
        return why_fail(why, -EOPNOTSUPP,
                        "on this kernel a socket in a map does not tell how much it has to read; "
                        "programs would wait for ever");
    *out_needs = plain == 0;
    return 0;
}
