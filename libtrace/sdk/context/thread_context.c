// SPDX-License-Identifier: Apache-2.0
// A reader stops the thread, so that only the order of the instructions matters: compiler fences,
// no others.

#include "libtrace/sdk/context/thread_context.h"

#include "libtrace/sdk/thread.h"

// The name and the visibility are the contract. In a static program the linker has to be told to
// keep it in the dynamic symbols (--export-dynamic-symbol=otel_thread_ctx_v1).
extern _Thread_local struct thread_record *otel_thread_ctx_v1;
__attribute__((visibility("default"))) _Thread_local struct thread_record *otel_thread_ctx_v1;

_Atomic bool thread_context_on;

void thread_context_enable(bool is_on)
{
    atomic_store(&thread_context_on, is_on);
    // Other threads' records say what was current until they change it; this one's goes at once.
    if (thread_block)
        thread_context_write(thread_block);
}

void thread_context_write(struct thread *thread)
{
    volatile struct thread_record *record = &thread->record;
    const struct tl_span_context context = thread_span_context();

    record->is_valid = 0;
    atomic_signal_fence(memory_order_seq_cst);
    if (!tl_span_context_is_valid(&context) || !atomic_load(&thread_context_on))
        return;
    memcpy(thread->record.trace_id, context.trace_id, sizeof thread->record.trace_id);
    memcpy(thread->record.span_id, context.span_id, sizeof thread->record.span_id);
    thread->record.flags = context.flags;
    thread->record.attributes_bytes = 0;
    atomic_signal_fence(memory_order_seq_cst);
    record->is_valid = 1;
    otel_thread_ctx_v1 = &thread->record;
}
