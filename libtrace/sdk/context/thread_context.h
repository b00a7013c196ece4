// SPDX-License-Identifier: Apache-2.0
// The current span of each thread, for profilers that stop a thread and look (OTEP 4947): the
// thread-local symbol otel_thread_ctx_v1 points to a record of the thread's own. Written by that
// thread alone; off until process_context_publish asks for it.

#pragma once

#include <stdatomic.h>

#include <throughline/base.h>

// What the process context says of it.
#define THREAD_CONTEXT_SCHEMA "tlsdesc_v1_dev"

struct thread_record {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t is_valid; // 1: the record is whole; nothing else counts
    uint8_t flags;
    uint16_t attributes_bytes; // of attributes behind the record: we write none
};
_Static_assert(sizeof(struct thread_record) == 28, "OTEP 4947");

struct thread;

extern _Atomic bool thread_context_on;

void thread_context_enable(bool is_on);

// Writes what is current in this thread now.
void thread_context_write(struct thread *thread);

// Whoever changes what is current calls this; a load and a branch while it is off.
static inline void thread_context_note(struct thread *thread)
{
    if (__builtin_expect(atomic_load_explicit(&thread_context_on, memory_order_relaxed), 0))
        thread_context_write(thread);
}
