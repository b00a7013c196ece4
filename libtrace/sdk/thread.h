// SPDX-License-Identifier: Apache-2.0
// What the SDK keeps for each thread that uses it: random numbers, the current span and context.
// The thread itself touches its state; it goes with the thread.

#pragma once

#include <throughline/context.h>

// The identity of the thread's current span (of tl_current, else of the current context); all zero
// when there is none.
struct tl_span_context thread_span_context(void);

// 64 random bits, never zero. Seeded by the kernel for each thread and after each fork.
uint64_t thread_random(void);

// The context object current in this thread, borrowed (not the one implied by tl_current); NULL.
struct tl_context *thread_context(void);
// Exchanges it; the reference goes over both ways.
struct tl_context *thread_context_swap(struct tl_context *context);
