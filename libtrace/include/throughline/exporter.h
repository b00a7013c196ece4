// SPDX-License-Identifier: Apache-2.0
// What an exporter is: OTLP bytes in, a result out. The one struct that crosses between the library
// and the modules that it loads, and what a program implements for a destination of its own.
// (specification 1.60, SDK: "Span exporter", "MetricExporter", "LogRecordExporter")

#pragma once

#include <throughline/base.h>

TL_BEGIN

// One Export...ServiceRequest in protobuf. Only borrowed: for `send` until it returns, for `begin`
// until `next` gave its ticket back.
struct tl_request {
    enum tl_signal signal;
    const uint8_t *bytes;
    size_t len;
    size_t records;       // spans, data points or log records
    uint64_t deadline_ns; // CLOCK_MONOTONIC: an answer later than that is too late
};

enum tl_result {
    TL_RESULT_DONE,
    TL_RESULT_RETRY,   // not delivered, worth another attempt
    TL_RESULT_REFUSED, // not delivered, and never will be
};

struct tl_answer {
    enum tl_result result;
    uint32_t wait_ms;  // with RETRY: the destination asked for that; 0: the caller's own back-off
    uint64_t rejected; // with DONE: records of a partial success that were not taken
    int32_t status;    // the protocol's own status (HTTP or gRPC code); 0: none came
    char message[256]; // why, for a person; the message of a partial success
};

struct tl_exporter_v1 {
    size_t size; // sizeof(struct tl_exporter_v1): what the caller of the struct may look at
    const char
        *type; // otel.component.type: "otlp_http_exporter", ... (semantic conventions, OTel SDK)
    void *self;

    // Sends one request and waits for the answer, at most until its deadline. Never called from two
    // threads at once, nor while something that `begin` started has not come back.
    void (*send)(void *self, const struct tl_request *request, struct tl_answer *out_answer);

    // For those who can have several requests under way at once; may be NULL, all three together.
    // `begin` starts one: 0, -EAGAIN when as many as may be are under way, -ESHUTDOWN after
    // shutdown. `next` gives an ended one back, waiting at most that long; false: none. `fd` is
    // readable when `next` has something to do, and never changes. None of them is called from two
    // threads at once. In a child of fork what the parent began does not come back: it is the
    // parent's.
    int (*begin)(void *self, const struct tl_request *request, void *ticket);
    bool (*next)(void *self, uint32_t wait_ms, void **out_ticket, struct tl_answer *out_answer);
    int (*fd)(void *self);

    // Hands on what the exporter itself holds back. 0, -ETIMEDOUT or another -errno. May be NULL.
    int (*flush)(void *self, uint64_t timeout_ms);
    // No more sends follow. May be NULL.
    int (*shutdown)(void *self, uint64_t timeout_ms);
    void (*free)(void *self); // may be NULL

    // Where it sends to, for the SDK's own metrics; NULL and 0: nowhere in particular.
    const char *server_address;
    uint16_t server_port;
};

// What the exporters for OTLP can be told; zero or NULL: the default. (specification,
// "OpenTelemetry Protocol Exporter"; the environment's variables are read elsewhere and end up
// here)
struct tl_otlp_options {
    // http(s)://host:port/path, used as it is. NULL: http://localhost:4318/v1/SIGNAL, for gRPC
    // http://localhost:4317.
    const char *traces_endpoint;
    const char *metrics_endpoint;
    const char *logs_endpoint;
    bool is_json;               // HTTP only
    bool is_insecure;           // gRPC, for an endpoint without a scheme
    const char *compression;    // "gzip", "none"
    const char *const *headers; // name, value, name, value, NULL
    uint64_t timeout_ms;        // of one request, 10000
    const char *ca_file;        // PEM files
    const char *client_key_file;
    const char *client_certificate_file;
    uint64_t max_request_bytes;  // 64 MiB: larger ones are refused without sending
    uint64_t max_response_bytes; // 4 MiB: a larger answer is not retried
    uint32_t max_in_flight;      // requests under way at once, 4
};

// A module: libthroughline-http.so.1 and its like, looked for in the folder of libthroughline.so.1
// and then where the dynamic linker looks. It exports `const struct tl_module_v1
// *throughline_module_v1(void)` and nothing else. Those who link it statically hand
// it over with tl_module_add.
struct tl_module_v1 {
    size_t size;
    const char *name; // "http", "grpc", "yaml", "prometheus"
    // 0 or -errno with a reason; the exporter is the caller's then, to free with its own function.
    int (*otlp_exporter)(const struct tl_otlp_options *options, struct tl_exporter_v1 *out_exporter,
                         char out_why[256]);
    // "http": GETs a URL, for the jaeger-remote sampler; the body is the caller's, to free(3).
    int (*fetch)(const char *url, uint64_t timeout_ms, char **out_body, size_t *out_len,
                 char out_why[256]);
    // "yaml": reads a configuration file into nodes (throughline/config.h).
    int (*parse)(const char *text, size_t len, const char *name, void *builder, char out_why[256]);
    // "prometheus": serves `text` over HTTP. See libtrace/sdk/export/module.h.
    int (*serve)(const char *host, uint16_t port,
                 size_t (*text)(void *self, bool is_openmetrics, char **out_text), void *text_self,
                 void **out_server, uint16_t *out_port, char out_why[256]);
    void (*stop)(void *server);
};

// For static linking: makes a module known, once, before tl_init.
TL_API void tl_module_add(const struct tl_module_v1 *module);
// What the archives libthroughline-http.a, -grpc.a, -yaml.a and -prometheus.a have for it; not in
// libthroughline.
TL_API const struct tl_module_v1 *tl_module_http(void);
TL_API const struct tl_module_v1 *tl_module_grpc(void);
TL_API const struct tl_module_v1 *tl_module_yaml(void);
TL_API const struct tl_module_v1 *tl_module_prometheus(void);

// Ready-made ones. Each fills *out_exporter: 0 or -errno with a reason (NULL allowed). What they
// hold goes with the exporter's own free.
TL_API int tl_exporter_otlp_http(const struct tl_otlp_options *options,
                                 struct tl_exporter_v1 *out_exporter, char out_why[256]);
TL_API int tl_exporter_otlp_grpc(const struct tl_otlp_options *options,
                                 struct tl_exporter_v1 *out_exporter, char out_why[256]);
// JSON lines (specification, "OpenTelemetry Protocol File Exporter"). NULL or "-": standard output.
// The file is appended to.
TL_API int tl_exporter_otlp_file(const char *path, struct tl_exporter_v1 *out_exporter,
                                 char out_why[256]);
// For people: one readable line a record. The descriptor stays the caller's.
TL_API int tl_exporter_console(int fd, struct tl_exporter_v1 *out_exporter, char out_why[256]);

// Keeps what it is given, for tests.
struct tl_memory_exporter;
TL_API struct tl_memory_exporter *tl_memory_exporter_new(void);
TL_API void tl_memory_exporter_free(struct tl_memory_exporter *memory);
// An exporter that adds to it. The memory must outlive it.
TL_API struct tl_exporter_v1 tl_memory_exporter_as(struct tl_memory_exporter *memory);
TL_API size_t tl_memory_exporter_records(struct tl_memory_exporter *memory, enum tl_signal signal);
// Everything of that signal so far as one request of OTLP/JSON, with a NUL at its end; NULL without
// memory. The caller frees it with free(3).
TL_API char *tl_memory_exporter_json(struct tl_memory_exporter *memory, enum tl_signal signal);
TL_API void tl_memory_exporter_reset(struct tl_memory_exporter *memory);

TL_END
