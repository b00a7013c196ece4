// SPDX-License-Identifier: Apache-2.0
// Memory that dies together: telemetry lives in its batch's arena. One thread at a time.

#pragma once

#include "libtrace/base/str.h"

struct arena_block;

struct arena {
    struct arena_block *blocks;
    size_t used_bytes;
    size_t limit_bytes;
};

// limit_bytes 0 means no limit. Takes no memory yet.
void arena_init(struct arena *arena, size_t limit_bytes);

// Frees everything; the arena may be used again.
void arena_done(struct arena *arena);

// Forgets everything but keeps one block for the next use.
void arena_reset(struct arena *arena);

// Zeroed, aligned to 16. NULL when the limit or memory is reached.
void *arena_take(struct arena *arena, size_t bytes);

// A copy of the text. at == NULL when the limit or memory is reached and the text is not empty.
struct str arena_copy(struct arena *arena, struct str text);

// Formatted text, terminated (the NUL is not counted). at == NULL as above.
__attribute__((format(printf, 2, 3))) struct str arena_format(struct arena *arena,
                                                              const char *format, ...);
