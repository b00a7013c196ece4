// SPDX-License-Identifier: Apache-2.0
// A short list under a lock: rings are counted in tens, and readers copy it.

#include "libtrace/flow/peers.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct peer {
    uint32_t pid;
    unsigned rings;
};

struct peers {
    pthread_mutex_t lock;
    struct peer *list;
    size_t count;
    size_t capacity;
    _Atomic uint64_t version;
};

struct peers *peers_new(void)
{
    struct peers *peers = calloc(1, sizeof *peers);

    if (peers)
        pthread_mutex_init(&peers->lock, NULL);
    return peers;
}

void peers_free(struct peers *peers)
{
    if (!peers)
        return;
    pthread_mutex_destroy(&peers->lock);
    free(peers->list);
    free(peers);
}

static struct peer *find(struct peers *peers, uint32_t pid)
{
    for (size_t i = 0; i < peers->count; i++) {
        if (peers->list[i].pid == pid)
            return &peers->list[i];
    }
    return NULL;
}

static int add_locked(struct peers *peers, uint32_t pid)
{
    struct peer *peer = find(peers, pid);

    if (peer) {
        peer->rings++;
        return 0;
    }
    if (peers->count == peers->capacity) {
        const size_t capacity = peers->capacity ? peers->capacity * 2 : 16;
        struct peer *grown = realloc(peers->list, capacity * sizeof grown[0]);

        if (!grown)
            return -ENOMEM;
        peers->list = grown;
        peers->capacity = capacity;
    }
    peers->list[peers->count++] = (struct peer){pid, 1};
    atomic_fetch_add(&peers->version, 1);
    return 0;
}

int peers_add(struct peers *peers, uint32_t pid)
{
    int failed;

    pthread_mutex_lock(&peers->lock);
    failed = add_locked(peers, pid);
    pthread_mutex_unlock(&peers->lock);
    return failed;
}

void peers_remove(struct peers *peers, uint32_t pid)
{
    struct peer *peer;

    pthread_mutex_lock(&peers->lock);
    peer = find(peers, pid);
    if (peer && --peer->rings == 0) {
        *peer = peers->list[--peers->count];
        atomic_fetch_add(&peers->version, 1);
    }
    pthread_mutex_unlock(&peers->lock);
}

uint64_t peers_version(const struct peers *peers)
{
    return atomic_load(&peers->version);
}

size_t peers_list(struct peers *peers, uint32_t *out_pids, size_t max)
{
    size_t count;

    pthread_mutex_lock(&peers->lock);
    count = peers->count;
    for (size_t i = 0; i < count && i < max; i++)
        out_pids[i] = peers->list[i].pid;
    pthread_mutex_unlock(&peers->lock);
    return count;
}
