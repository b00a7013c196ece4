// SPDX-License-Identifier: Apache-2.0
// Loggers, their provider and their processors from inside.

#pragma once

#include <stdatomic.h>

#include <throughline/sdk.h>

#include "libtrace/sdk/logs/log_record.h"
#include "libtrace/sdk/scope.h"

enum { LOG_PROCESSORS_MAX = 8, LOGGERS_MAX = 4096, LOG_DEPTH_MAX = 8 };

// A processor of ours: a pipe, or an exporter that is given each record at once.
struct log_sink;

struct tl_logger {
    struct tl_logger_provider *provider;
    struct scope scope;
    struct tl_logger_config config;
    uint32_t entries[LOG_PROCESSORS_MAX]; // in the pipe of that processor
    struct tl_logger *next;
};

// Immutable once made but for what is atomic; loggers are only ever added.
struct tl_logger_provider {
    struct tl_resource *resource;
    struct tl_log_processor processors[LOG_PROCESSORS_MAX];
    struct log_sink *sinks[LOG_PROCESSORS_MAX]; // of those that are ours; else NULL
    size_t processor_count;
    bool has_custom; // a processor that is not ours wants calls
    bool all_asked;  // every processor has a say in whether a record would go anywhere
    struct log_limits limits;
    void (*configure)(void *self, const struct tl_scope *scope, struct tl_logger_config *config);
    void *configure_self;
    _Atomic bool is_shut;
    _Atomic(struct tl_logger *) loggers;
    _Atomic(struct tl_logger *) nameless;
    _Atomic size_t logger_count;
};

// A record on its way through a provider's processors.
struct log_call {
    const struct tl_logger *logger;
    const struct tl_log_record *record;
    const struct tl_span_context *span; // whose trace it belongs to; NULL: none
    uint64_t observed_ns;
    const struct log_call *former; // whose processor emitted this one, on the same thread
    unsigned depth;
};

// The sink behind a processor of ours; NULL for others.
struct log_sink *log_processor_sink(const struct tl_log_processor *processor);

// The entry of resource and scope in the sink's pipe; UINT32_MAX: it has none.
uint32_t log_sink_entry(struct log_sink *sink, struct str resource, struct str scope);

void log_sink_emit(struct log_sink *sink, const struct log_call *call, uint32_t entry);

// The call that runs on this thread: what a processor of ours that is called by another one needs
// to know. Returns the former.
const struct log_call *log_call_swap(const struct log_call *call);

// The logger of those who name none; NULL without a provider or memory.
struct tl_logger *logger_default(void);
