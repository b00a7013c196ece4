// SPDX-License-Identifier: Apache-2.0
// Blocks double up to 64 KiB; a larger request gets a block of its own.

#include "libtrace/base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_MIN_BYTES = 1024, BLOCK_MAX_BYTES = 64 * 1024 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
    _Alignas(16) unsigned char bytes[];
};

void arena_init(struct arena *arena, size_t limit_bytes)
{
    *arena = (struct arena){.limit_bytes = limit_bytes};
}

static void free_from(struct arena_block *block)
{
    while (block) {
        struct arena_block *next = block->next;

        free(block);
        block = next;
    }
}

void arena_done(struct arena *arena)
{
    free_from(arena->blocks);
    arena->blocks = NULL;
    arena->used_bytes = 0;
}

void arena_reset(struct arena *arena)
{
    if (!arena->blocks)
        return;
    free_from(arena->blocks->next);
    arena->blocks->next = NULL;
    arena->blocks->used = 0;
    arena->used_bytes = 0;
}

static struct arena_block *block_for(struct arena *arena, size_t bytes)
{
    size_t size = arena->blocks ? arena->blocks->size * 2 : BLOCK_MIN_BYTES;
    struct arena_block *block;

    if (size > BLOCK_MAX_BYTES)
        size = BLOCK_MAX_BYTES;
    if (size < bytes)
        size = bytes;
    block = malloc(sizeof *block + size);
    if (!block)
        return NULL;
    block->next = arena->blocks;
    block->size = size;
    block->used = 0;
    arena->blocks = block;
    return block;
}

void *arena_take(struct arena *arena, size_t bytes)
{
    struct arena_block *block = arena->blocks;
    void *taken;

    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + 15) & ~(size_t)15;
    if (arena->limit_bytes &&
        (bytes > arena->limit_bytes || arena->used_bytes > arena->limit_bytes - bytes))
        return NULL;
    if (!block || block->size - block->used < bytes)
        block = block_for(arena, bytes);
    if (!block)
        return NULL;
    taken = block->bytes + block->used;
    block->used += bytes;
    arena->used_bytes += bytes;
    return memset(taken, 0, bytes);
}

struct str arena_copy(struct arena *arena, struct str text)
{
    char *copy;

    if (text.len == 0)
        return (struct str){"", 0};
    copy = arena_take(arena, text.len);
    if (!copy)
        return (struct str){NULL, 0};
    memcpy(copy, text.at, text.len);
    return (struct str){copy, text.len};
}

struct str arena_format(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_list again;
    char *text = NULL;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len >= 0)
        text = arena_take(arena, (size_t)len + 1);
    if (text)
        len = vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    if (!text || len < 0)
        return (struct str){NULL, 0};
    return (struct str){text, (size_t)len};
}
