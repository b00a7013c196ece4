// SPDX-License-Identifier: Apache-2.0
// A stream says only that something changed: the page asks again for what it shows, with its own
// filters. So messages are small, a slow reader misses nothing, and nothing is kept for anybody.
// One lock, held for a few instructions; libmicrohttpd's threads read, the watching thread wakes.

#include "agent/api/live.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/api/stats.h"
#include "agent/store/store.h"
#include "libtrace/base/clock.h"

enum { LOOK_MS = 250, MESSAGE_BYTES_MAX = 128, BUFFER_BYTES = 1024, END_S_MAX = 1 };

static const uint64_t BEAT_NS = 5 * NS_PER_SECOND;

struct stream {
    struct live *live;
    struct stream *next;
    struct MHD_Connection *connection;
    int fd;
    uint64_t version; // told last
    uint64_t told_ns;
    bool is_begun;
    bool is_suspended;
    bool is_gone; // the other end has closed
};

struct live {
    struct str data_dir;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; // somebody listens, or it is time to stop
    struct stream *streams;
    unsigned count;
    uint64_t version; // of the store; 0: not seen yet
    bool is_stopping;
};

static bool is_due(const struct stream *stream, uint64_t now_ns)
{
    return !stream->is_begun || stream->version != stream->live->version || stream->is_gone ||
           stream->live->is_stopping || now_ns - stream->told_ns >= BEAT_NS;
}

static void wake(struct stream *stream)
{
    if (!stream->is_suspended)
        return;
    stream->is_suspended = false;
    MHD_resume_connection(stream->connection);
}

static int message_write(struct stream *stream, char *buffer, size_t max)
{
    const struct live *live = stream->live;

    // A browser that lost the stream asks again after this time.
    if (!stream->is_begun)
        return snprintf(buffer, max, "retry: 2000\nevent: change\ndata: {\"version\":%llu}\n\n",
                        (unsigned long long)live->version);
    if (stream->version != live->version)
        return snprintf(buffer, max, "event: change\ndata: {\"version\":%llu}\n\n",
                        (unsigned long long)live->version);
    return snprintf(buffer, max, ": beat\n\n");
}

static ssize_t stream_read(void *self, uint64_t position, char *buffer, size_t max)
{
    struct stream *stream = self;
    struct live *live = stream->live;
    const uint64_t now_ns = clock_mono_ns();
    ssize_t result = 0;

    (void)position;
    if (max < MESSAGE_BYTES_MAX)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    pthread_mutex_lock(&live->lock);
    if (stream->is_gone) {
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (live->is_stopping) {
        result = MHD_CONTENT_READER_END_OF_STREAM;
    } else if (is_due(stream, now_ns)) {
        result = message_write(stream, buffer, max);
        stream->is_begun = true;
        stream->version = live->version;
        stream->told_ns = now_ns;
    } else {
        // Under the lock, so that whoever wakes sees it.
        stream->is_suspended = true;
        MHD_suspend_connection(stream->connection);
    }
    pthread_mutex_unlock(&live->lock);
    return result;
}

static void stream_free(void *self)
{
    struct stream *stream = self;
    struct live *live = stream->live;
    struct stream **at = &live->streams;

    pthread_mutex_lock(&live->lock);
    while (*at && *at != stream)
        at = &(*at)->next;
    if (*at) {
        *at = stream->next;
        live->count--;
        pthread_cond_signal(&live->changed);
    }
    pthread_mutex_unlock(&live->lock);
    free(stream);
}

static bool stream_add(struct live *live, struct stream *stream)
{
    bool is_taken;

    pthread_mutex_lock(&live->lock);
    is_taken = !live->is_stopping && live->count < LIVE_STREAMS_MAX;
    if (is_taken) {
        stream->next = live->streams;
        live->streams = stream;
        live->count++;
        pthread_cond_signal(&live->changed);
    }
    pthread_mutex_unlock(&live->lock);
    return is_taken;
}

static enum MHD_Result refuse(struct MHD_Connection *connection)
{
    static const char text[] = "{\"error\":\"too many live streams\"}";
    struct MHD_Response *response = MHD_create_response_from_buffer(
        sizeof text - 1, (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result;

    if (!response)
        return MHD_NO;
    stats_add(&api_stats, API_live_refused, 1);
    MHD_add_response_header(response, "Content-Type", "application/json");
    MHD_add_response_header(response, "Retry-After", "5");
    result = MHD_queue_response(connection, MHD_HTTP_SERVICE_UNAVAILABLE, response);
    MHD_destroy_response(response);
    return result;
}

enum MHD_Result live_answer(struct live *live, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct stream *stream = calloc(1, sizeof *stream);
    struct MHD_Response *response;
    enum MHD_Result result;

    if (!stream)
        return MHD_NO;
    *stream =
        (struct stream){.live = live, .connection = connection, .fd = info ? info->connect_fd : -1};
    if (!stream_add(live, stream)) {
        free(stream);
        return refuse(connection);
    }
    response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BUFFER_BYTES, stream_read,
                                                 stream, stream_free);
    if (!response) {
        stream_free(stream);
        return MHD_NO;
    }
    stats_add(&api_stats, API_live_streams, 1);
    MHD_add_response_header(response, "Content-Type", "text/event-stream");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    result = MHD_queue_response(connection, MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

// A browser that went away is noticed here: a suspended connection is not looked at by its server.
static void hang_ups_find(struct live *live)
{
    struct pollfd fds[LIVE_STREAMS_MAX];
    nfds_t count = 0;

    for (struct stream *each = live->streams; each; each = each->next)
        fds[count++] =
            (struct pollfd){.fd = each->is_suspended ? each->fd : -1, .events = POLLRDHUP};
    if (poll(fds, count, 0) <= 0)
        return;
    count = 0;
    for (struct stream *each = live->streams; each; each = each->next, count++) {
        if (each->is_suspended && fds[count].revents & (POLLRDHUP | POLLHUP | POLLERR))
            each->is_gone = true;
    }
}

static void *watch(void *self)
{
    struct live *live = self;
    struct store *store = NULL;

    pthread_mutex_lock(&live->lock);
    while (!live->is_stopping) {
        struct timespec until;
        uint64_t version;

        if (!live->streams) {
            pthread_cond_wait(&live->changed, &live->lock);
            continue;
        }
        pthread_mutex_unlock(&live->lock);
        if (!store)
            store_open_readonly(live->data_dir, &store, NULL);
        version = store ? store_version(store) : 0;
        pthread_mutex_lock(&live->lock);
        live->version = version;
        hang_ups_find(live);
        for (struct stream *each = live->streams; each; each = each->next) {
            if (is_due(each, clock_mono_ns()))
                wake(each);
        }
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * (long)NS_PER_MS;
        until.tv_sec += until.tv_nsec / (long)NS_PER_SECOND;
        until.tv_nsec %= (long)NS_PER_SECOND;
        if (!live->is_stopping)
            pthread_cond_timedwait(&live->changed, &live->lock, &until);
    }
    pthread_mutex_unlock(&live->lock);
    store_close(store);
    return NULL;
}

int live_start(struct str data_dir, struct live **out_live, struct why *why)
{
    struct live *live = calloc(1, sizeof *live);

    if (!live)
        return why_fail(why, -ENOMEM, "out of memory");
    live->data_dir = data_dir;
    pthread_mutex_init(&live->lock, NULL);
    pthread_cond_init(&live->changed, NULL);
    if (pthread_create(&live->thread, NULL, watch, live) != 0) {
        live_free(live);
        return why_fail(why, -EAGAIN, "api: no thread to watch the store");
    }
    *out_live = live;
    return 0;
}

void live_stop(struct live *live)
{
    struct timespec until;
    int waited = 0;

    if (!live)
        return;
    pthread_mutex_lock(&live->lock);
    live->is_stopping = true;
    for (struct stream *each = live->streams; each; each = each->next)
        wake(each);
    pthread_cond_signal(&live->changed);
    pthread_mutex_unlock(&live->lock);
    pthread_join(live->thread, NULL);
    // The server ends each stream properly; one whose reader is stuck is cut when the server stops.
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += END_S_MAX;
    pthread_mutex_lock(&live->lock);
    while (live->streams && !waited)
        waited = pthread_cond_timedwait(&live->changed, &live->lock, &until);
    pthread_mutex_unlock(&live->lock);
}

void live_free(struct live *live)
{
    if (!live)
        return;
    pthread_cond_destroy(&live->changed);
    pthread_mutex_destroy(&live->lock);
    free(live);
}
