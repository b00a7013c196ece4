// SPDX-License-Identifier: Apache-2.0
// A span from inside. Its memory is a slot that is never given back to the system, so a handle that
// is too old can be looked at safely: it carries the slot's generation, and does nothing when the
// slot has another one by now.
//
// A handle: bits 0-47 the slot's address (its lowest six are zero), bit 0 "records" as decided at
// the start, bits 48-63 the generation. User addresses have 47 or 48 bits on x86-64 and arm64.

#pragma once

#include <stdatomic.h>

#include "libtrace/base/bytes.h"
#include "libtrace/sdk/thread.h"
#include "libtrace/sdk/trace/tracer.h"

enum {
    BODY_BYTES_MAX = 192 * 1024, // attributes, events and links of one span, encoded
    BODY_BYTES_KEPT = 8 * 1024,  // what a slot keeps for the next one
    BODY_BYTES_FIRST = 1024,
    STATUS_BYTES_MAX = 1024,
};

enum span_state {
    SPAN_FREE,
    SPAN_RECORDING,
    SPAN_PASSIVE, // carries an identity only
    SPAN_ENDING,  // as recording, but for a second end
    SPAN_READING, // ended, its processors look at it
    SPAN_ENDED,
};

// A slot begins on a line of its own; what a span that is not sampled needs comes first.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct span {
    _Alignas(64) _Atomic uint32_t tag; // generation << 8 | state
    _Atomic uint8_t lock;
    bool has_parent;
    bool parent_is_remote;
    uint8_t kind;
    uint8_t status;
    uint8_t name_len;
    _Atomic unsigned forks; // the process it was started in
    struct tl_span_context context;
    uint8_t parent_id[8];
    uint8_t parent_flags;
    struct tl_tracer *tracer;
    uint64_t start_ns;
    uint64_t end_ns;
    uint64_t keys[2]; // which keys may be there: one bit each, by a hash
    uint32_t attribute_count;
    uint32_t event_count;
    uint32_t link_count;
    uint32_t dropped_attributes;
    uint32_t dropped_events;
    uint32_t dropped_links;
    struct bytes body;    // attributes, events, links
    struct bytes message; // of the status
    struct bytes trace_state;
    struct span *next; // in a list of free ones
    char name[TL_NAME_MAX + 1];
};

static inline uint32_t span_tag(uint16_t generation, enum span_state state)
{
    return (uint32_t)generation << 8 | (uint32_t)state;
}

static inline struct span *span_of(const struct tl_span *handle)
{
    return (struct span *)((uintptr_t)handle & UINT64_C(0x0000ffffffffffc0));
}

static inline uint16_t generation_of(const struct tl_span *handle)
{
    return (uint16_t)((uintptr_t)handle >> 48);
}

static inline struct tl_span *span_handle(const struct span *span, bool is_recording)
{
    const uint64_t generation =
        atomic_load_explicit(&span->tag, memory_order_relaxed) >> 8 & 0xffff;

    return (struct tl_span *)((uintptr_t)span | (uintptr_t)(generation << 48) |
                              (uintptr_t)is_recording);
}

// False in the child of a fork for what the parent started. Asked before the lock is taken: another
// thread may have had it when the process was forked, and there is nobody left to give it back.
static inline bool span_is_of_process(const struct span *span)
{
    return atomic_load_explicit(&span->forks, memory_order_relaxed) ==
           atomic_load_explicit(&thread_forks, memory_order_relaxed);
}

// What span_lock does when another thread has the span.
void span_lock_wait(struct span *span);

// Generation and identity are one behind the other for both sides. gcc has no fence for its thread
// sanitizer, which does not look at these reads.
#ifdef __SANITIZE_THREAD__
#define SPAN_FENCE(order) atomic_signal_fence(order)
#else
#define SPAN_FENCE(order) atomic_thread_fence(order)
#endif

static inline void span_lock(struct span *span)
{
    if (__builtin_expect(atomic_exchange_explicit(&span->lock, 1, memory_order_acquire), 0))
        span_lock_wait(span);
}

static inline void span_unlock(struct span *span)
{
    atomic_store_explicit(&span->lock, 0, memory_order_release);
}

// Locks the span when it records still; NULL (counted, unless the handle is NULL or never recorded)
// when not.
struct span *span_hold(struct tl_span *handle);

// A slot with a new generation that nobody else knows; NULL without memory. Handles of what was in
// it are too old from here on, and span_open makes the new one valid.
struct span *span_take(void);
void span_open(struct span *span, enum span_state state);
void span_give(struct span *span);

// Room in trace_state for that many bytes; what was there stays readable elsewhere. False without
// memory.
bool span_trace_state_room(struct span *span, size_t len);

// Under the lock (or before the span is open). What finds no room is counted on the span.
void span_attributes_add(struct span *span, const struct tl_attribute *attributes, size_t count);
void span_link_add(struct span *span, const struct tl_link *link);

// The Span message (opentelemetry-proto trace.proto). `to` has span_size.
size_t span_size(const struct span *span);
uint8_t *span_put(uint8_t *to, const struct span *span);
