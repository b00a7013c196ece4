// SPDX-License-Identifier: Apache-2.0
// OTEL_* read once into a plain struct (specification 1.60, "Environment Variable Specification").
// Empty is unset; what cannot be used is told, counted and left out. OTEL_PROPAGATORS and the
// resource's variables are read where they are used, in the room below. One thread.

#pragma once

#include <throughline/sdk.h>

#include "libtrace/base/arena.h"

enum {
    VARIABLE_BYTES_MAX = 64 << 10,
    VARIABLE_HEADERS_MAX = 64,
    VARIABLE_EXPORTERS_MAX = 8,
};

// What 0 milliseconds mean where it is "no limit": a year.
#define VARIABLE_NO_LIMIT_MS UINT64_C(31536000000)

enum exporter_choice {
    CHOICE_RING,
    CHOICE_OTLP,
    CHOICE_CONSOLE,
    CHOICE_STDOUT, // OTLP/JSON lines
    CHOICE_PROMETHEUS,
};

enum otlp_protocol { OTLP_HTTP_PROTOBUF, OTLP_HTTP_JSON, OTLP_GRPC };

// OTLP as one signal uses it: the signal's own variables before those for all.
struct otlp_variables {
    enum otlp_protocol protocol;
    const char *endpoint; // as it is used; NULL: the protocol's default
    const char *headers[2 * VARIABLE_HEADERS_MAX + 1];
    const char *compression;
    uint64_t timeout_ms;
    bool is_insecure;
    const char *ca_file;
    const char *client_key_file;
    const char *client_certificate_file;
};

struct signal_variables {
    enum exporter_choice exporters[VARIABLE_EXPORTERS_MAX];
    size_t exporter_count; // 0: none, records go nowhere
    struct otlp_variables otlp;
};

enum sampler_choice {
    SAMPLER_CHOICE_ON,
    SAMPLER_CHOICE_OFF,
    SAMPLER_CHOICE_RATIO,
    SAMPLER_CHOICE_JAEGER,
};

struct sampler_variables {
    enum sampler_choice choice;
    bool is_parent_based;
    double ratio;
    const char *endpoint; // jaeger's; NULL: its default
    uint64_t poll_ms;
    double initial_ratio;
};

struct variables {
    struct arena arena;
    bool is_disabled;
    bool has_thread_context; // profilers may read each thread's current span
    const char *config_file; // nothing else is read when it is set
    int log_level;           // enum tl_severity; above TL_FATAL: nothing
    struct signal_variables signals[3];
    struct sampler_variables sampler;
    struct tl_batch_options span_batch;
    struct tl_batch_options log_batch;
    struct tl_limits span_limits;
    struct tl_limits log_limits;
    uint64_t metric_interval_ms;
    uint64_t metric_timeout_ms;
    const char *temporality; // of tl_reader_temporality
    bool is_exponential;     // histograms by default
    enum tl_exemplar_filter exemplar_filter;
    const char *prometheus_host;
    uint16_t prometheus_port;
};

// The value of a variable, or NULL; borrowed until variables_read returns.
typedef const char *variable_get(void *self, const char *name);

// Never fails: without memory a text is left out, and counted. Sets the level of what is told.
void variables_read(struct variables *out_variables, variable_get *get, void *self);
void variables_done(struct variables *variables);

// From getenv(3).
const char *variable_getenv(void *self, const char *name);

// Makes the global providers of what was read (global.h); the maker of the library.
void variables_make(void);
