// SPDX-License-Identifier: Apache-2.0
// One thread: accepts programs on a unix socket, takes their rings and drains them. Who a program
// is says the kernel (SO_PEERCRED), never the program.

#include "agent/receivers/ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/log.h"
#include "agent/stats.h"
#include "libtrace/base/clock.h"
#include "libtrace/base/ring.h"
#include "libtrace/flow/peers.h"
#include "libtrace/otlp/index.h"
#include "libtrace/otlp/varint.h"

enum { GUESTS_MAX = 512, LOOK_MS = 200, TURN_BYTES = 4 << 20, BATCH_RECORDS = 8192 };

struct guest {
    int socket;
    struct ring_reader *reader; // NULL until it was handed over
    uint32_t pid;
    bool is_gone;
    uint64_t fixed;
    uint64_t dropped;
    struct batch *pending[SIGNAL_COUNT]; // read, and found no room when others of its turn did
};

struct ring_receiver {
    struct str path;
    // Not settings.
    const struct outlet *outlet;
    int listener;
    int stop_fd;
    int epoll;
    pthread_t thread;
    struct guest *guests[GUESTS_MAX];
    size_t guest_count;
};

static const struct setting settings[] = {
    {"socket", SETTING_TYPE_TEXT, offsetof(struct ring_receiver, path),
     "/run/throughline/agent.sock", NULL, "The unix socket; THROUGHLINE_SOCKET wins."},
    SETTING_END,
};

// What one ring gave in one turn: records of one signal become one batch, those of one scope in a
// row one group of it.
struct turn {
    struct guest *guest;
    struct bytes bodies; // the records in a row
    struct {
        struct ring_mark mark;
        uint32_t at;
        uint32_t len;
    } records[BATCH_RECORDS];
    size_t count;
};

static void keep_record(void *self, const struct ring_record *record)
{
    struct turn *turn = self;

    if (turn->count == BATCH_RECORDS)
        return; // never: the turn's bytes are limited below that
    turn->records[turn->count].mark = record->mark;
    turn->records[turn->count].at = (uint32_t)turn->bodies.len;
    turn->records[turn->count].len = (uint32_t)record->bytes.len;
    turn->count++;
    bytes_add_str(&turn->bodies, record->bytes);
}

static bool goes_on(const struct turn *turn, size_t index, const struct ring_mark *mark)
{
    return index < turn->count && turn->records[index].mark.entry == mark->entry &&
           turn->records[index].mark.signal == mark->signal;
}

// A scope's entry begins with the offset of its resource's (libtrace/sdk/export/pipe.c).
static bool entry_read(struct ring_reader *reader, uint32_t entry, struct bytes *resource,
                       struct bytes *scope)
{
    uint32_t offset;

    resource->len = scope->len = 0;
    if (!ring_reader_entry(reader, entry, scope) || scope->len < sizeof offset)
        return false;
    memcpy(&offset, scope->at, sizeof offset);
    return ring_reader_entry(reader, offset, resource);
}

// One Resource... field: what the program wrote of its resource and scope, with its records inside.
static void group_write(struct bytes *wire, struct turn *turn, size_t from, size_t count,
                        struct str resource, struct str scope)
{
    const size_t group = message_begin(wire, 1);
    size_t inner;

    bytes_add_str(wire, resource);
    inner = message_begin(wire, 2);
    bytes_add_str(wire, scope);
    for (size_t i = from; i < from + count; i++)
        body_write(wire, 2,
                   (struct str){(const char *)turn->bodies.at + turn->records[i].at,
                                turn->records[i].len});
    message_end(wire, inner);
    message_end(wire, group);
}

static void signal_write(struct turn *turn, unsigned signal, struct bytes *wire)
{
    struct bytes resource = {.limit = 1 << 20};
    struct bytes scope = {.limit = 1 << 20};

    for (size_t from = 0; from < turn->count;) {
        const struct ring_mark mark = turn->records[from].mark;
        size_t count = 1;

        while (goes_on(turn, from + count, &mark))
            count++;
        if (mark.signal == signal) {
            if (entry_read(turn->guest->reader, mark.entry, &resource, &scope))
                group_write(wire, turn, from, count, bytes_str(&resource),
                            str_from(bytes_str(&scope), sizeof(uint32_t)));
            else
                stats_add(&agent_stats, AGENT_ring_malformed, count);
        }
        from += count;
    }
    bytes_done(&resource);
    bytes_done(&scope);
}

// Pushes and keeps the batch when the pipeline is full.
static bool batch_push(struct ring_receiver *self, struct guest *guest, struct batch *batch)
{
    const enum signal signal = batch_signal(batch);
    const size_t records = batch_records(batch);
    uint32_t wait_ms = 0;
    int failed;

    batch_ref(batch);
    failed = outlet_push(self->outlet, batch, &wait_ms);
    if (failed && failed != -EOPNOTSUPP) {
        guest->pending[signal] = batch;
        return false;
    }
    // No pipeline takes this signal: it is dropped, and the ring goes on.
    stats_add(&agent_stats, failed ? AGENT_ring_unwanted : AGENT_ring_records, records);
    batch_unref(batch);
    return true;
}

// What waits of an earlier turn.
static bool pending_push(struct ring_receiver *self, struct guest *guest)
{
    for (unsigned signal = 0; signal < SIGNAL_COUNT; signal++) {
        struct batch *batch = guest->pending[signal];

        guest->pending[signal] = NULL;
        if (batch && !batch_push(self, guest, batch))
            return false;
    }
    return true;
}

static size_t signal_count(const struct turn *turn, enum signal signal)
{
    size_t count = 0;

    for (size_t i = 0; i < turn->count; i++)
        count += turn->records[i].mark.signal == signal;
    return count;
}

// One signal's records as a batch; NULL: there are none, or none that can be used.
static struct batch *signal_batch(struct turn *turn, enum signal signal)
{
    struct bytes wire = {.limit = 64 << 20};
    size_t records = 0;

    signal_write(turn, signal, &wire);
    // The program may be hostile: its bytes are checked as those from a network.
    if (wire.is_failed || otlp_check(signal, bytes_str(&wire), &records, NULL) != 0) {
        stats_add(&agent_stats, AGENT_ring_malformed, signal_count(turn, signal));
        records = 0;
    }
    if (records == 0) {
        bytes_done(&wire);
        return NULL;
    }
    return batch_new(signal, wire.at, wire.len, records, clock_unix_ns());
}

// Hands the turn in, one signal after the other. False: the first one found the pipeline full, and
// the ring must keep it all. What finds no room after that waits in the guest.
static bool turn_push(struct ring_receiver *self, struct turn *turn)
{
    struct guest *guest = turn->guest;
    bool is_first = true;

    for (unsigned signal = 0; signal < SIGNAL_COUNT; signal++) {
        struct batch *batch = signal_batch(turn, (enum signal)signal);

        if (!batch)
            continue;
        if (!batch_push(self, guest, batch) && is_first) {
            batch_unref(guest->pending[signal]);
            guest->pending[signal] = NULL;
            return false;
        }
        is_first = false;
    }
    return true;
}

static void guest_counts(struct guest *guest)
{
    const uint64_t fixed = ring_reader_fixed(guest->reader);
    uint64_t dropped = 0;

    for (unsigned signal = 0; signal < SIGNAL_COUNT; signal++)
        dropped += ring_reader_dropped(guest->reader, signal);
    stats_add(&agent_stats, AGENT_ring_fixed, fixed - guest->fixed);
    if (dropped > guest->dropped)
        stats_add(&agent_stats, AGENT_ring_dropped, dropped - guest->dropped);
    guest->fixed = fixed;
    guest->dropped = dropped;
}

// DRAIN_MORE: its turn is over, others come first. DRAIN_FULL: something had to stay because the
// pipeline is full.
enum drain { DRAIN_EMPTY, DRAIN_MORE, DRAIN_FULL };

static enum drain guest_drain(struct ring_receiver *self, struct guest *guest, struct turn *turn)
{
    size_t total = 0;
    size_t got;

    if (!pending_push(self, guest))
        return DRAIN_FULL;
    do {
        // 16 bytes is the smallest record with its head, so the list of a turn cannot overflow.
        const size_t limit = BATCH_RECORDS * 16;

        turn->guest = guest;
        turn->count = 0;
        turn->bodies.len = 0;
        turn->bodies.is_failed = false;
        got = ring_reader_read(guest->reader, limit, guest->is_gone, keep_record, turn);
        // Without memory for what was read, all of it stays where it is.
        if (turn->bodies.is_failed || (turn->count && !turn_push(self, turn))) {
            ring_reader_rewind(guest->reader);
            return DRAIN_FULL;
        }
        ring_reader_release(guest->reader);
        total += got;
        // What waits goes first; order within a signal is kept.
        if (!pending_push(self, guest))
            return DRAIN_FULL;
    } while (got && total < TURN_BYTES);
    guest_counts(guest);
    return got ? DRAIN_MORE : DRAIN_EMPTY;
}

static void guest_free(struct ring_receiver *self, struct guest *guest)
{
    if (guest->reader && self->outlet->peers)
        peers_remove(self->outlet->peers, guest->pid);
    for (unsigned signal = 0; signal < SIGNAL_COUNT; signal++) {
        if (!guest->pending[signal])
            continue;
        stats_add(&agent_stats, AGENT_ring_dropped, batch_records(guest->pending[signal]));
        batch_unref(guest->pending[signal]);
    }
    // Closing ours is not enough: the program may hold the same eventfd open, and its wakes would
    // come here with the guest's address for ever.
    if (guest->reader)
        epoll_ctl(self->epoll, EPOLL_CTL_DEL, ring_reader_event_fd(guest->reader), NULL);
    epoll_ctl(self->epoll, EPOLL_CTL_DEL, guest->socket, NULL);
    ring_reader_free(guest->reader);
    close(guest->socket);
    free(guest);
}

static void watch(struct ring_receiver *self, int fd, uint32_t events, struct guest *guest)
{
    struct epoll_event event = {.events = events, .data.ptr = guest};

    if (epoll_ctl(self->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        log_warn("ring.watch", "error=\"%s\"", strerrordesc_np(errno));
}

static void guest_accept(struct ring_receiver *self)
{
    const int fd = accept4(self->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct ucred peer = {0};
    socklen_t len = sizeof peer;
    struct guest *guest;

    if (fd < 0)
        return;
    guest = self->guest_count < GUESTS_MAX ? calloc(1, sizeof *guest) : NULL;
    if (!guest || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) {
        stats_add(&agent_stats, AGENT_ring_refused, 1);
        free(guest);
        close(fd);
        return;
    }
    guest->socket = fd;
    guest->pid = (uint32_t)peer.pid;
    self->guests[self->guest_count++] = guest;
    watch(self, fd, EPOLLIN | EPOLLRDHUP, guest);
}

// Takes the two descriptors of the one message a program sends; any others are closed at once, or a
// guest could use up ours.
static void ring_take(struct ring_receiver *self, struct guest *guest, struct msghdr *message)
{
    struct cmsghdr *head = CMSG_FIRSTHDR(message);
    struct why why = {""};
    int descriptors[2];
    size_t count;

    if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
        return;
    count = (head->cmsg_len - CMSG_LEN(0)) / sizeof descriptors[0];
    if (count > 2)
        count = 2;
    memcpy(descriptors, CMSG_DATA(head), count * sizeof descriptors[0]);
    if (guest->reader || guest->is_gone || count < 2) {
        for (size_t i = 0; i < count; i++)
            close(descriptors[i]);
        return;
    }
    if (ring_reader_new(descriptors[0], descriptors[1], &guest->reader, &why) != 0) {
        stats_add(&agent_stats, AGENT_ring_refused, 1);
        log_warn("ring.refused", "pid=%u reason=\"%s\"", guest->pid, why.text);
        guest->is_gone = true;
        return;
    }
    if (self->outlet->peers)
        peers_add(self->outlet->peers, guest->pid);
    // By its edges: it is never read, because whoever shares it decides whether reading blocks.
    watch(self, ring_reader_event_fd(guest->reader), EPOLLIN | EPOLLET, guest);
    log_info("ring.open", "pid=%u", guest->pid);
}

static void guest_hear(struct ring_receiver *self, struct guest *guest)
{
    char hello[64];
    struct iovec part = {hello, sizeof hello};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    const ssize_t got = recvmsg(guest->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (got > 0)
        ring_take(self, guest, &message);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        guest->is_gone = true;
}

// True when a ring has more than its turn allowed.
static bool look(struct ring_receiver *self, struct turn *turn)
{
    bool has_more = false;

    for (size_t i = 0; i < self->guest_count;) {
        struct guest *guest = self->guests[i];
        enum drain drain = DRAIN_EMPTY;

        if (guest->reader) {
            ring_reader_sleep(guest->reader);
            drain = guest_drain(self, guest, turn);
            has_more |= drain == DRAIN_MORE;
        }
        // A program that is gone leaves when its ring has been read to the end.
        if (guest->is_gone && drain == DRAIN_EMPTY) {
            guest_free(self, guest);
            self->guests[i] = self->guests[--self->guest_count];
            continue;
        }
        i++;
    }
    return has_more;
}

static void *run(void *self_)
{
    struct ring_receiver *self = self_;
    struct turn *turn = calloc(1, sizeof *turn);
    bool is_stopping = !turn;
    bool has_more = false;

    while (!is_stopping) {
        struct epoll_event events[64];
        const int count = epoll_wait(self->epoll, events, 64, has_more ? 0 : LOOK_MS);

        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr == &self->listener)
                guest_accept(self);
            else if (events[i].data.ptr == &self->stop_fd)
                is_stopping = true;
            else
                guest_hear(self, events[i].data.ptr);
        }
        has_more = look(self, turn);
    }
    if (turn)
        bytes_done(&turn->bodies);
    free(turn);
    return NULL;
}

static int listen_on(const char *path, struct why *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char folder[sizeof address.sun_path];
    const size_t len = strlen(path);
    char *slash;
    int fd;

    if (len >= sizeof address.sun_path)
        return why_fail(why, -ENAMETOOLONG, "socket: '%s' is too long", path);
    memcpy(address.sun_path, path, len + 1);
    memcpy(folder, path, len + 1);
    slash = strrchr(folder, '/');
    if (slash && slash != folder) {
        *slash = '\0';
        if (mkdir(folder, 0755) != 0 && errno != EEXIST)
            return why_fail(why, -errno, "socket: '%s' cannot be made: %s", folder,
                            strerrordesc_np(errno));
    }
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return why_fail(why, -errno, "socket: %s", strerrordesc_np(errno));
    // A live agent answers; a name left behind by a dead one does not, and is replaced.
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        close(fd);
        return why_fail(why, -EADDRINUSE, "socket: another agent listens on '%s'", path);
    }
    unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || chmod(path, 0666) != 0 ||
        listen(fd, 128) != 0) {
        const int failed = -errno;

        close(fd);
        return why_fail(why, failed, "socket: cannot listen on '%s': %s", path,
                        strerrordesc_np(-failed));
    }
    return fd;
}

static int ring_open(void *self_, const struct outlet *outlet, struct why *why)
{
    struct ring_receiver *self = self_;
    const char *given = getenv("THROUGHLINE_SOCKET");
    char path[256];
    struct epoll_event event = {.events = EPOLLIN};

    if (given && *given)
        self->path = str_of(given);
    if (self->path.len >= sizeof path)
        return why_fail(why, -ENAMETOOLONG, "socket: the name is too long");
    memcpy(path, self->path.at, self->path.len);
    path[self->path.len] = '\0';
    self->outlet = outlet;
    self->listener = listen_on(path, why);
    if (self->listener < 0)
        return self->listener;
    self->stop_fd = eventfd(0, EFD_CLOEXEC);
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    event.data.ptr = &self->listener;
    epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->listener, &event);
    event.data.ptr = &self->stop_fd;
    epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->stop_fd, &event);
    if (pthread_create(&self->thread, NULL, run, self) != 0)
        return why_fail(why, -EAGAIN, "no thread to read rings");
    return 0;
}

static void ring_close(void *self_)
{
    struct ring_receiver *self = self_;
    const uint64_t one = 1;

    if (write(self->stop_fd, &one, sizeof one) < 0)
        log_error("ring.stop", "error=\"%s\"", strerrordesc_np(errno));
    pthread_join(self->thread, NULL);
    for (size_t i = 0; i < self->guest_count; i++)
        guest_free(self, self->guests[i]);
    close(self->listener);
    close(self->stop_fd);
    close(self->epoll);
}

const struct receiver ring_receiver = {
    .name = "ring",
    .settings = settings,
    .size = sizeof(struct ring_receiver),
    .open = ring_open,
    .close = ring_close,
};
