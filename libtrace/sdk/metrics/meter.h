// SPDX-License-Identifier: Apache-2.0
// Meter providers and meters. Lists of meters and instruments only grow while the provider lives:
// they are read without a lock and added to under the provider's.

#pragma once

#include <pthread.h>

#include "libtrace/sdk/metrics/view.h"
#include "libtrace/sdk/scope.h"

struct tl_meter_provider {
    struct tl_resource *resource;
    struct tl_metric_reader **readers;
    size_t reader_count;
    enum tl_exemplar_filter exemplars;
    bool (*is_enabled)(void *self, const struct tl_scope *scope);
    void *is_enabled_self;
    _Atomic bool is_shut;
    _Atomic(struct tl_meter *) meters;

    pthread_mutex_t lock; // of what follows, and of adding meters and instruments
    pthread_cond_t quiet; // a callback has returned
    struct view_set *views;
    struct view_set **former_views; // instruments point into them
    size_t former_count;
    struct tl_callback *callbacks;
    struct tl_meter_provider *next; // all providers, for forks
};

struct tl_meter {
    struct tl_meter_provider *provider;
    struct scope scope_copy;
    struct tl_scope scope; // points into the copy
    bool is_disabled;
    _Atomic(struct tl_instrument *) instruments;
    struct tl_instrument *last;
    struct tl_meter *_Atomic next;
};

// Calls visit for each stream of a reader, also for those that a change of views took out of use.
void provider_streams(struct tl_meter_provider *provider, const struct tl_metric_reader *reader,
                      void (*visit)(void *self, const struct tl_meter *meter,
                                    struct stream *stream),
                      void *self);

// tl_callback_new without waking readers that sleep until a program of its own measures.
struct tl_callback *callback_new(struct tl_instrument *const *instruments, size_t count,
                                 tl_observe_function *observe, void *self);

// Runs every callback for the reader, until the deadline. False: some were left out.
bool callbacks_run(struct tl_meter_provider *provider, struct tl_metric_reader *reader,
                   uint64_t deadline_ns);
// The provider goes; the handles stay their owners', to be freed.
void callbacks_detach(struct tl_meter_provider *provider);
void callbacks_forked(struct tl_meter_provider *provider);
