// SPDX-License-Identifier: Apache-2.0
// The least that writing the bench's span costs on this machine: two clock reads, three random
// words and the same bytes of OTLP, put at a place in memory by one thread. No span to hold, no
// choice of attributes at run time, no ring, no other thread.

#pragma once

#include <stdint.h>
#include <string.h>
#include <time.h>

enum { FLOOR_BYTES_MAX = 256 };

struct floor_state {
    uint64_t random[4];
};

static inline uint64_t floor_random(struct floor_state *state)
{
    uint64_t *s = state->random;
    const uint64_t sum = s[0] + s[3];
    const uint64_t result = (sum << 23 | sum >> 41) + s[0];
    const uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = s[3] << 45 | s[3] >> 19;
    return result;
}

static inline uint64_t floor_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#define FLOOR_PUT(to, literal)                                                                     \
    (memcpy((to), literal, sizeof literal - 1), (to) + sizeof literal - 1)
#define FLOOR_PUT_WORD(to, word) (memcpy((to), &(word), 8), (to) + 8)

// Returns where the span ends.
__attribute__((noinline)) static uint8_t *floor_span(struct floor_state *state, uint8_t *to)
{
    const uint64_t start_ns = floor_clock();
    const uint64_t trace[2] = {floor_random(state), floor_random(state)};
    const uint64_t span = floor_random(state);
    uint64_t end_ns;

    to = FLOOR_PUT(to, "\x0a\x10");
    to = FLOOR_PUT_WORD(to, trace[0]);
    to = FLOOR_PUT_WORD(to, trace[1]);
    to = FLOOR_PUT(to, "\x12\x08");
    to = FLOOR_PUT_WORD(to, span);
    to = FLOOR_PUT(to, "\x2a\x0bGET /orders\x30\x02\x39");
    to = FLOOR_PUT_WORD(to, start_ns);
    to = FLOOR_PUT(to, "\x4a\x1c\x0a\x13http.request.method\x12\x05\x0a\x03GET");
    to = FLOOR_PUT(to, "\x4a\x18\x0a\x08url.path\x12\x0c\x0a\x0a/orders/17");
    to = FLOOR_PUT(to, "\x4a\x20\x0a\x0eserver.address\x12\x0e\x0a\x0cshop.example");
    to = FLOOR_PUT(to, "\x4a\x1f\x0a\x18http.response.status_code\x12\x03\x18\xc8\x01");
    to = FLOOR_PUT(to, "\x4a\x0c\x0a\x06\x63\x61\x63hed\x12\x02\x10\x00");
    end_ns = floor_clock();
    to = FLOOR_PUT(to, "\x41");
    to = FLOOR_PUT_WORD(to, end_ns);
    return FLOOR_PUT(to, "\x85\x01\x03\x01\x00\x00");
}
