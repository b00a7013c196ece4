// SPDX-License-Identifier: Apache-2.0
// The table of a pipe: resources and scopes that records refer to. Callers know an entry by its
// index, the ring by where it stands.

#include <errno.h>
#include <stdlib.h>

#include "libtrace/sdk/export/pipe_own.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/scope.h"
#include "libtrace/sdk/thread.h"

// Table: what a scope's entry begins with is where its resource stands.
static int64_t entry_put(struct ring *ring, struct str resource, struct str scope)
{
    struct bytes bytes = {.limit = RING_TABLE_BYTES};
    int64_t at = ring_table_find(ring, resource);
    uint32_t offset;

    if (at < 0)
        at = ring_table_add(ring, resource);
    if (at < 0)
        return at;
    offset = (uint32_t)at;
    bytes_add(&bytes, &offset, sizeof offset);
    bytes_add_str(&bytes, scope);
    at = bytes.is_failed ? -ENOSPC : ring_table_add(ring, bytes_str(&bytes));
    bytes_done(&bytes);
    return at;
}

static bool text_keep(struct str *text)
{
    char *copy = malloc(text->len + 1);

    if (!copy)
        return false;
    if (text->len)
        memcpy(copy, text->at, text->len);
    text->at = copy;
    return true;
}

// Resource and schema URL of the default resource as entries have them. Empty without memory.
static void default_write(struct bytes *out)
{
    out->limit = 64 * 1024;
    resource_group_write(out, NULL);
    if (out->is_failed)
        out->len = 0;
}

// Under the lock. A child of fork is another process, and so has another default resource.
static void entries_renew(struct pipe *pipe)
{
    const unsigned forks = atomic_load(&thread_forks);
    struct bytes text = {.at = NULL};

    if (pipe->entry_forks == forks)
        return;
    default_write(&text);
    for (size_t i = 0; i < pipe->entry_count && text.len; i++) {
        struct str copy = bytes_str(&text);

        if (!pipe->entries[i].is_default || !text_keep(&copy))
            continue;
        free((char *)pipe->entries[i].resource.at);
        pipe->entries[i].resource = copy;
    }
    bytes_done(&text);
    pipe->entry_forks = forks;
}

bool pipe_entries_put(struct pipe *pipe, struct ring *ring)
{
    entries_renew(pipe);
    for (size_t i = 0; i < pipe->entry_count; i++) {
        struct pipe_entry *entry = &pipe->entries[i];
        const int64_t at = entry_put(ring, entry->resource, entry->scope);

        if (at < 0)
            return false;
        entry->at = (uint32_t)at;
    }
    return true;
}

void pipe_entries_free(struct pipe *pipe)
{
    for (size_t i = 0; i < pipe->entry_count; i++) {
        free((char *)pipe->entries[i].resource.at);
        free((char *)pipe->entries[i].scope.at);
    }
}

// Under the lock. Without a ring the entry waits for one.
static uint32_t entry_add(struct pipe *pipe, struct ring *ring, struct str resource,
                          struct str scope, bool is_default)
{
    struct pipe_entry *entry = &pipe->entries[pipe->entry_count];
    int64_t at;

    for (size_t i = 0; i < pipe->entry_count; i++) {
        if (str_equal(pipe->entries[i].resource, resource) &&
            str_equal(pipe->entries[i].scope, scope))
            return (uint32_t)i;
    }
    if (pipe->entry_count == ENTRIES_MAX || !text_keep(&resource))
        return UINT32_MAX;
    if (!text_keep(&scope)) {
        free((char *)resource.at);
        return UINT32_MAX;
    }
    at = ring ? entry_put(ring, resource, scope) : 0;
    if (at < 0) {
        free((char *)resource.at);
        free((char *)scope.at);
        return UINT32_MAX;
    }
    *entry = (struct pipe_entry){(uint32_t)at, is_default, resource, scope};
    return (uint32_t)pipe->entry_count++;
}

uint32_t pipe_entry(struct pipe *pipe, struct str resource, struct str scope)
{
    const int saved = errno;
    struct bytes standard = {.at = NULL};
    uint32_t index;
    int failed;

    if (!pipe)
        return UINT32_MAX;
    pipe_ring(pipe);
    default_write(&standard);
    pthread_mutex_lock(&pipe->lock);
    index = entry_add(pipe, atomic_load(&pipe->ring), resource, scope,
                      str_equal(bytes_str(&standard), resource));
    failed = pipe->ring_failed;
    pipe->ring_failed = 0;
    pthread_mutex_unlock(&pipe->lock);
    bytes_done(&standard);
    // Not where records are put: a span is locked there.
    if (failed)
        say(TL_ERROR, "records are dropped, there is no room for them: %s",
            strerrordesc_np(failed));
    errno = saved;
    return index;
}
