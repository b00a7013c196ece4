// SPDX-License-Identifier: Apache-2.0
// Spans. Attributes, events and links are encoded as OTLP bytes when they are given; the end puts
// ids and times around them, straight into the ring. Spans are kept per thread and used again, so
// that none is allocated once a thread is warm.

#include <throughline/throughline.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

#include "libtrace/base/clock.h"
#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/encode.h"
#include "libtrace/sdk/hand_over.h"

enum {
    INLINE_BYTES = 2048,
    BODY_BYTES_MAX = 64 * 1024,
    NAME_BYTES_MAX = 255,
    KEEP_MAX = 64,
    HEAD_BYTES_MAX = 128 + NAME_BYTES_MAX,
};

struct tl_span {
    struct tl_span_context context;
    uint8_t parent_id[8];
    bool has_parent;
    bool parent_is_remote;
    enum tl_kind kind;
    enum tl_status status;
    uint64_t start_ns;
    uint32_t dropped_attributes;
    uint32_t dropped_events;
    uint32_t dropped_links;
    uint32_t name_len;
    char name[NAME_BYTES_MAX + 1];
    struct bytes body; // attributes, events, links, status message: encoded
    struct tl_span *next;
};

struct thread_state {
    uint64_t random[4];
    bool is_seeded;
    bool is_watched;
    unsigned fork_count;
    struct tl_span *kept;
    unsigned kept_count;
    struct tl_span *current;
};

static _Thread_local struct thread_state thread;
static pthread_key_t thread_end;
static pthread_once_t thread_end_once = PTHREAD_ONCE_INIT;
static _Atomic uint64_t dropped_without_ring;
static _Atomic unsigned forks;

static void count_fork(void)
{
    atomic_fetch_add(&forks, 1);
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

// Room in a buffer, without a trace in errno when there is none.
static uint8_t *room_make(struct bytes *bytes, size_t more)
{
    const int saved = errno;
    uint8_t *to = bytes_reserve(bytes, more);

    errno = saved;
    return to;
}

static uint64_t rotate(uint64_t value, int by)
{
    return value << by | value >> (64 - by);
}

// xoshiro256++ (Blackman, Vigna 2019), seeded by the kernel for each thread and after each fork.
static uint64_t random_next(void)
{
    uint64_t *s = thread.random;
    uint64_t result;
    uint64_t t;

    if (!thread.is_seeded ||
        thread.fork_count != atomic_load_explicit(&forks, memory_order_relaxed)) {
        const int saved = errno;

        if (getrandom(s, sizeof thread.random, GRND_NONBLOCK) != sizeof thread.random) {
            s[0] ^= clock_unix_ns();
            s[1] ^= (uint64_t)(uintptr_t)&thread;
            s[2] ^= clock_mono_ns();
            s[3] |= 1;
        }
        errno = saved;
        thread.is_seeded = true;
        thread.fork_count = atomic_load_explicit(&forks, memory_order_relaxed);
    }
    result = rotate(s[0] + s[3], 23) + s[0];
    t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

static void id_make(uint8_t *out_id, size_t len)
{
    for (size_t at = 0; at < len; at += 8) {
        uint64_t random = random_next();

        // Zero is no id; once in 2^64.
        random |= random == 0;
        memcpy(out_id + at, &random, 8);
    }
}

static struct tl_span *span_take(void)
{
    struct tl_span *span = thread.kept;
    struct bytes body;
    int saved;

    if (span) {
        thread.kept = span->next;
        thread.kept_count--;
        body = span->body;
        body.len = 0;
        body.is_failed = false;
        span->body = body;
        return span;
    }
    saved = errno;
    span = calloc(1, sizeof *span);
    if (span) {
        span->body.limit = BODY_BYTES_MAX;
        bytes_reserve(&span->body, INLINE_BYTES);
    }
    errno = saved;
    return span;
}

static void kept_free(void *self)
{
    struct thread_state *state = self;

    while (state->kept) {
        struct tl_span *next = state->kept->next;

        bytes_done(&state->kept->body);
        free(state->kept);
        state->kept = next;
    }
    state->kept_count = 0;
}

static void thread_end_make(void)
{
    pthread_key_create(&thread_end, kept_free);
}

// A span is kept for the thread's next one; what is kept goes with the thread.
static void span_keep(struct tl_span *span)
{
    if (!thread.is_watched) {
        pthread_once(&thread_end_once, thread_end_make);
        thread.is_watched = pthread_setspecific(thread_end, &thread) == 0;
    }
    if (thread.kept_count >= KEEP_MAX) {
        bytes_done(&span->body);
        free(span);
        return;
    }
    span->next = thread.kept;
    thread.kept = span;
    thread.kept_count++;
}

void tl_init(void)
{
    uint32_t scope;

    hand_over_ring(&scope);
    hand_over_tick(clock_unix_ns());
}

struct tl_span *tl_span_start(const char *name, enum tl_kind kind,
                              const struct tl_span_context *parent)
{
    struct tl_span *span;
    struct tl_span_context current;

    if (!thread.is_seeded && hand_over_is_disabled())
        return NULL;
    span = span_take();
    if (!span)
        return NULL;
    if (!parent && thread.current) {
        current = thread.current->context;
        parent = &current;
    }
    span->has_parent = false;
    // A wire value of another size would spoil the records around it.
    span->kind = kind >= TL_INTERNAL && kind <= TL_CONSUMER ? kind : TL_INTERNAL;
    span->status = TL_STATUS_UNSET;
    span->dropped_attributes = span->dropped_events = span->dropped_links = 0;
    tl_span_name(span, name);
    id_make(span->context.span_id, 8);
    span->context.is_remote = false;
    if (parent) {
        for (int i = 0; i < 16; i++)
            span->has_parent |= parent->trace_id[i] != 0;
    }
    if (span->has_parent) {
        memcpy(span->context.trace_id, parent->trace_id, 16);
        memcpy(span->parent_id, parent->span_id, 8);
        span->context.flags = (uint8_t)(parent->flags | 1);
        span->parent_is_remote = parent->is_remote;
    } else {
        id_make(span->context.trace_id, 16);
        span->context.flags = 3; // sampled, random
        span->parent_is_remote = false;
    }
    span->start_ns = clock_unix_ns();
    return span;
}

void tl_span_name(struct tl_span *span, const char *name)
{
    const size_t len = name ? strlen(name) : 0;

    if (!span)
        return;
    span->name_len = (uint32_t)text_cut(name, len, NAME_BYTES_MAX);
    // Not memcpy: gcc 12 sees the bound and writes "rep movsq", which takes 28 ns for ten bytes.
    if (name && span->name_len)
        memmove(span->name, name, span->name_len);
}

// Returns how many found no room: they are dropped, what holds them goes on.
static uint32_t attributes_put(struct bytes *out, uint8_t number,
                               const struct tl_attribute *attributes, size_t count)
{
    uint32_t dropped = 0;

    for (size_t i = 0; i < count; i++) {
        const size_t room = attribute_room(&attributes[i]);
        uint8_t *to = out->capacity - out->len >= room ? out->at + out->len : room_make(out, room);

        if (to && !attribute_is_valid(&attributes[i]))
            to = NULL;
        if (!to) {
            out->is_failed = false;
            dropped++;
            continue;
        }
        out->len = (size_t)(attribute_put(to, number, &attributes[i], ENCODE_UNLIMITED) - out->at);
    }
    return dropped;
}

void tl_span_set(struct tl_span *span, const struct tl_attribute *attributes, size_t count)
{
    if (span)
        span->dropped_attributes += attributes_put(&span->body, 9, attributes, count);
}

void tl_span_set_one(struct tl_span *span, struct tl_attribute attribute)
{
    tl_span_set(span, &attribute, 1);
}

// Adds an event or a link that is encoded; false, with nothing added, when there is no room.
static bool part_add(struct tl_span *span, uint32_t number, struct bytes *part)
{
    const bool fits = !part->is_failed && span->body.len + part->len + 16 < BODY_BYTES_MAX &&
                      room_make(&span->body, part->len + 16);

    if (fits)
        body_write(&span->body, number, bytes_str(part));
    else
        span->body.is_failed = false;
    bytes_done(part);
    return fits;
}

void tl_span_event(struct tl_span *span, const char *name, const struct tl_attribute *attributes,
                   size_t count)
{
    struct bytes event = {.limit = BODY_BYTES_MAX};
    uint32_t dropped;

    if (!span)
        return;
    if (room_make(&event, 256)) {
        fixed64_write(&event, 1, clock_unix_ns());
        body_write(&event, 2,
                   (struct str){name, name ? text_cut(name, strlen(name), NAME_BYTES_MAX) : 0});
        dropped = attributes_put(&event, 3, attributes, count);
        if (dropped) {
            tag_write(&event, 4, WIRE_VARINT);
            varint_write(&event, dropped);
        }
    }
    span->dropped_events += !part_add(span, 11, &event);
}

void tl_span_link(struct tl_span *span, const struct tl_span_context *to)
{
    struct bytes link = {.limit = 256};

    if (!span || !to)
        return;
    if (room_make(&link, 64)) {
        body_write(&link, 1, (struct str){(const char *)to->trace_id, 16});
        body_write(&link, 2, (struct str){(const char *)to->span_id, 8});
        fixed32_write(&link, 6, to->flags | 0x100u | (to->is_remote ? 0x200u : 0));
    }
    span->dropped_links += !part_add(span, 13, &link);
}

void tl_span_status(struct tl_span *span, enum tl_status status, const char *message)
{
    uint8_t head[16];
    size_t len = 0;
    struct str text = str_of(status == TL_STATUS_ERROR && message ? message : "");

    if (!span || (status != TL_STATUS_OK && status != TL_STATUS_ERROR))
        return;
    text.len = text_cut(text.at, text.len, 1024);
    head[len++] = 3 << 3 | WIRE_VARINT;
    head[len++] = (uint8_t)status;
    if (!room_make(&span->body, text.len + 32)) {
        span->body.is_failed = false;
        return;
    }
    // Written again it merges: protobuf keeps the last value of each field.
    tag_write(&span->body, 15, WIRE_BYTES);
    varint_write(&span->body, len + (text.len ? 1 + varint_size(text.len) + text.len : 0));
    bytes_add(&span->body, head, len);
    if (text.len)
        body_write(&span->body, 2, text);
}

static uint8_t *id_put(uint8_t *to, uint8_t number, const uint8_t *id, uint8_t len)
{
    *to++ = (uint8_t)(number << 3 | WIRE_BYTES);
    *to++ = len;
    memcpy(to, id, len);
    return to + len;
}

static uint8_t *count_put(uint8_t *to, uint8_t number, uint32_t count)
{
    if (!count)
        return to;
    *to++ = (uint8_t)(number << 3 | WIRE_VARINT);
    return to + varint_put(to, count);
}

static uint8_t *time_put(uint8_t *to, uint8_t number, uint64_t ns)
{
    *to++ = (uint8_t)(number << 3 | WIRE_FIXED64);
    memcpy(to, &ns, 8); // little-endian, as every machine we run on
    return to + 8;
}

// Everything but the body. Returns its length.
static size_t head_put(uint8_t *start, const struct tl_span *span, uint64_t end_ns)
{
    uint8_t *to = start;
    const uint32_t flags = span->context.flags | 0x100u | (span->parent_is_remote ? 0x200u : 0);

    to = id_put(to, 1, span->context.trace_id, 16);
    to = id_put(to, 2, span->context.span_id, 8);
    if (span->has_parent)
        to = id_put(to, 4, span->parent_id, 8);
    *to++ = 5 << 3 | WIRE_BYTES;
    to += varint_put(to, span->name_len);
    memcpy(to, span->name, span->name_len);
    to += span->name_len;
    *to++ = 6 << 3 | WIRE_VARINT;
    *to++ = (uint8_t)span->kind;
    to = time_put(to, 7, span->start_ns);
    to = time_put(to, 8, end_ns);
    to = count_put(to, 10, span->dropped_attributes);
    to = count_put(to, 12, span->dropped_events);
    to = count_put(to, 14, span->dropped_links);
    // Field 16 needs two bytes of tag.
    to += varint_put(to, 16 << 3 | WIRE_FIXED32);
    memcpy(to, &flags, 4);
    return (size_t)(to + 4 - start);
}

void tl_span_end(struct tl_span *span)
{
    uint8_t head[HEAD_BYTES_MAX];
    struct ring_slot slot;
    struct ring *ring;
    uint32_t scope;
    size_t head_len;
    uint64_t end_ns;

    if (!span)
        return;
    end_ns = clock_unix_ns();
    if (end_ns < span->start_ns)
        end_ns = span->start_ns;
    head_len = head_put(head, span, end_ns);
    ring = hand_over_ring(&scope);
    if (!ring)
        atomic_fetch_add_explicit(&dropped_without_ring, 1, memory_order_relaxed);
    else if (ring_reserve(ring, (uint32_t)(head_len + span->body.len), scope, &slot)) {
        memcpy(slot.at, head, head_len);
        memcpy(slot.at + head_len, span->body.at, span->body.len);
        ring_commit(ring, &slot);
    }
    if (thread.current == span)
        thread.current = NULL;
    span_keep(span);
    hand_over_tick(end_ns);
}

struct tl_span_context tl_span_context(const struct tl_span *span)
{
    return span ? span->context : (struct tl_span_context){0};
}

struct tl_span *tl_current(void)
{
    return thread.current;
}

struct tl_span *tl_current_set(struct tl_span *span)
{
    struct tl_span *former = thread.current;

    thread.current = span;
    return former;
}

uint64_t tl_dropped(enum tl_signal signal)
{
    (void)signal;
    uint32_t scope;
    struct ring *ring = hand_over_ring(&scope);

    return atomic_load(&dropped_without_ring) + (ring ? ring_dropped(ring) : 0);
}
