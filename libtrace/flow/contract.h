// SPDX-License-Identifier: Apache-2.0
// How a batch moves: receiver -> processors -> exporter queues. Small structs of functions, one
// constant per component; the agent keeps the lists. A sealed batch given away is given for good.

#pragma once

#include "libtrace/base/setting.h"
#include "libtrace/model/batch.h"

struct peers;

// Where a source hands batches in. Any thread.
struct outlet {
    void *self;
    struct peers *peers; // processes that report by themselves (flow/peers.h)
    // 0: in every queue. -EAGAIN: full, ask again after *out_wait_ms. -ESHUTDOWN: stopping.
    // -EOPNOTSUPP: no pipeline takes this signal from this receiver.
    // Takes the reference whatever it returns.
    int (*push)(void *self, struct batch *batch, uint32_t *out_wait_ms);
    // Waits for room in every queue of this signal: 0, or -EAGAIN when the time comes first.
    int (*await_room)(void *self, enum signal signal, size_t bytes, uint64_t deadline_mono_ns);
};

static inline int outlet_push(const struct outlet *outlet, struct batch *batch,
                              uint32_t *out_wait_ms)
{
    return outlet->push(outlet->self, batch, out_wait_ms);
}

struct receiver {
    const char *name;
    const struct setting *settings;
    size_t size; // of its own struct, which begins with its settings' fields
    // Starts the threads. The outlet lives until close returns. -EPERM or -EOPNOTSUPP: this host or
    // user cannot have it; the agent says why and starts without it.
    int (*open)(void *self, const struct outlet *outlet, struct why *why);
    // Stops taking, hands in what it holds, joins the threads.
    void (*close)(void *self);
};

struct batch_out {
    void *self;
    void (*put)(void *self, struct batch *batch); // takes the reference
};

struct processor {
    const char *name;
    const struct setting *settings;
    size_t size;
    bool edits;
    bool parallel;
    int (*open)(void *self, struct why *why);
    void (*process)(void *self, struct batch *batch, const struct batch_out *out);
    void (*tick)(void *self, uint64_t now_ns, const struct batch_out *out);
    void (*drain)(void *self, const struct batch_out *out);
    void (*close)(void *self);
};

enum send_result { SEND_DONE, SEND_RETRY, SEND_REFUSED };

struct exporter {
    const char *name;
    const struct setting *settings;
    size_t size;
    int (*open)(void *self, struct why *why);
    // Only borrows the batch. SEND_RETRY may set *out_wait_ms (0: the caller's own back-off).
    // One thread calls it.
    enum send_result (*send)(void *self, const struct batch *batch, uint32_t *out_wait_ms,
                             struct why *why);
    void (*close)(void *self);
};
