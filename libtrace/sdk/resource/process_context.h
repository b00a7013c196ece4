// SPDX-License-Identifier: Apache-2.0
// What this process is, for profilers and agents on the node that read its memory (OTEP 4719): a
// mapping named OTEL_CTX whose header points to a ProcessContext message. Any thread.

#pragma once

#include <throughline/sdk.h>

#include "libtrace/base/str.h"

enum { PROCESS_CONTEXT_VERSION = 2 };

// The header as readers see it.
struct process_context_header {
    char signature[8]; // "OTEL_CTX"
    uint32_t version;
    uint32_t payload_bytes;
    uint64_t published_ns; // CLOCK_BOOTTIME; 0 while it changes; another value after each change
    uint64_t payload;      // an address of this process
};
_Static_assert(sizeof(struct process_context_header) == 32, "OTEP 4719");

// Publishes the resource (NULL: the default one), or puts it in the place of the one published.
// `has_threads`: threads publish their contexts too (thread_context.h). 0, -ENOMEM, or the errno of
// the mapping that could not be made. A child of fork(2) has none until process_context_renew.
int process_context_publish(const struct tl_resource *resource, bool has_threads);

// In the child of a fork whose parent had published: the child's own, of its default resource.
// Nothing to do otherwise; cheap.
void process_context_renew(void);

void process_context_withdraw(void);
