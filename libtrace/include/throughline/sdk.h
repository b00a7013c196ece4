// SPDX-License-Identifier: Apache-2.0
// The SDK (specification 1.60, "Resource SDK", "Tracing SDK", "Metrics SDK", "Logs SDK"):
// providers, processors, exporters, samplers, views. Only the program that sets telemetry up by
// hand needs it; OTEL_* and OTEL_CONFIG_FILE make the same calls.
//
// Ownership: what is put into a provider's options (resource, sampler, processors, readers) is the
// provider's from then on, also when making it fails. Free a provider when nobody records with what
// came from it any more.

#pragma once

#include <throughline/exporter.h>
#include <throughline/throughline.h>

TL_BEGIN

// ---- Resource: what produces telemetry. Immutable, counted. NULL: the default one.
struct tl_resource;
TL_API struct tl_resource *tl_resource_new(const struct tl_attribute *attributes, size_t count,
                                           const char *schema_url);
TL_API struct tl_resource *tl_resource_ref(struct tl_resource *resource);
TL_API void tl_resource_unref(struct tl_resource *resource);
// A new one: `updating` wins. Two different schema URLs: none is kept and tl_stats counts it.
TL_API struct tl_resource *tl_resource_merge(const struct tl_resource *old,
                                             const struct tl_resource *updating);
// telemetry.sdk.*, telemetry.distro.*, service.name, service.instance.id, process.pid and what
// OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME and OTEL_ENTITIES say. A reference, to give back.
TL_API struct tl_resource *tl_resource_default(void);
// By name: "service", "host" (host.* and os.*), "process", "process_command_args" (there may be
// secrets in them), "container", "k8s", "env", or one made known with tl_detector_add. Unknown
// names give an empty resource and are counted. A new one, to give back.
TL_API struct tl_resource *tl_resource_detect(const char *name);
TL_API void tl_detector_add(const char *name, struct tl_resource *(*detect)(void *self),
                            void *self);
// In order; index past the end: false. Text and lists live as long as the resource.
TL_API bool tl_resource_at(const struct tl_resource *resource, size_t index,
                           struct tl_attribute *out_attribute);
TL_API const char *tl_resource_schema_url(const struct tl_resource *resource);

// ---- Samplers. Counted objects; the functions that take one take the reference.
struct tl_sampler;

enum tl_decision { TL_DROP, TL_RECORD_ONLY, TL_RECORD_AND_SAMPLE };

struct tl_sampling {
    struct tl_context *context;           // the parent's; NULL when only an identity was given
    const struct tl_span_context *parent; // ids zero: none
    const uint8_t *trace_id;              // of the span to be
    const char *name;
    size_t name_len;
    enum tl_kind kind;
    const struct tl_attribute *attributes;
    size_t attribute_count;
    const struct tl_link *links;
    size_t link_count;
    const struct tl_scope *scope;
};

struct tl_sampling_result {
    enum tl_decision decision;
    // Added to the span; copied right after the call.
    const struct tl_attribute *attributes;
    size_t attribute_count;
    // The tracestate of the span; the parent's stands here when the sampler is asked. May point to
    // `trace_state_room`.
    const char *trace_state;
    size_t trace_state_len;
    char trace_state_room[512];
    struct tl_attribute attribute_room[16]; // where `attributes` may point to
};

struct tl_sampler_functions {
    void *self;
    // Any thread, several at once; no lock of ours is held.
    void (*sample)(void *self, const struct tl_sampling *sampling,
                   struct tl_sampling_result *out_result);
    const char *description;
    void (*free)(void *self);
};
// A sampler of the caller's. NULL without memory.
TL_API struct tl_sampler *tl_sampler_custom(const struct tl_sampler_functions *functions);
TL_API void tl_sampler_unref(struct tl_sampler *sampler);
TL_API struct tl_sampler *tl_sampler_ref(struct tl_sampler *sampler);
// "ParentBased{root=AlwaysOn,...}" as the specification asks; lives as long as the sampler.
TL_API const char *tl_sampler_description(const struct tl_sampler *sampler);
TL_API void tl_sampler_ask(struct tl_sampler *sampler, const struct tl_sampling *sampling,
                           struct tl_sampling_result *out_result);

// Every span, and none.
TL_API struct tl_sampler *tl_sampler_always_on(void);
TL_API struct tl_sampler *tl_sampler_always_off(void);
// 0 to 1, by the 56 random bits of the trace id (or tracestate's rv); writes ot=th.
TL_API struct tl_sampler *tl_sampler_ratio(double ratio);
// NULL for one of the four: always on for sampled parents, always off for the others.
TL_API struct tl_sampler *tl_sampler_parent_based(struct tl_sampler *root,
                                                  struct tl_sampler *remote_sampled,
                                                  struct tl_sampler *remote_not_sampled,
                                                  struct tl_sampler *local_sampled,
                                                  struct tl_sampler *local_not_sampled);
// What the other one would drop is recorded, not sampled: processors see every span.
TL_API struct tl_sampler *tl_sampler_always_record(struct tl_sampler *root);
// Asks `endpoint` (http://host:5778/sampling?service=) for its strategy every poll_ms (60000), on
// the sender's thread; `initial` until an answer came.
TL_API struct tl_sampler *tl_sampler_jaeger_remote(const char *endpoint, const char *service,
                                                   uint64_t poll_ms, struct tl_sampler *initial);

// Composable samplers (development): one composite sampler made of them writes th and rv.
struct tl_composable;
TL_API struct tl_sampler *tl_sampler_composite(struct tl_composable *composable);
TL_API struct tl_composable *tl_composable_always_on(void);
TL_API struct tl_composable *tl_composable_always_off(void);
TL_API struct tl_composable *tl_composable_probability(double ratio);
TL_API struct tl_composable *tl_composable_parent_threshold(struct tl_composable *root);
struct tl_composable_rule {
    bool (*matches)(void *self, const struct tl_sampling *sampling);
    void *self;
    struct tl_composable *then;
};
// The first rule that matches decides; none: dropped.
TL_API struct tl_composable *tl_composable_rules(const struct tl_composable_rule *rules,
                                                 size_t count);
TL_API struct tl_composable *tl_composable_annotating(struct tl_composable *inner,
                                                      const struct tl_attribute *attributes,
                                                      size_t count);
TL_API void tl_composable_unref(struct tl_composable *composable);

// ---- Reading a span, inside a processor. Text lives until the processor's function returns.
struct tl_span_view {
    struct tl_span_context context;
    struct tl_span_context parent; // ids zero: none
    const char *name;
    size_t name_len;
    enum tl_kind kind;
    enum tl_status status;
    const char *status_message;
    size_t status_message_len;
    uint64_t start_ns;
    uint64_t end_ns; // 0: not ended
    uint32_t attribute_count;
    uint32_t event_count;
    uint32_t link_count;
    uint32_t dropped_attributes;
    uint32_t dropped_events;
    uint32_t dropped_links;
    const struct tl_scope *scope;
    const struct tl_resource *resource;
};
TL_API bool tl_span_view(const struct tl_span *span, struct tl_span_view *out_view);
// The attribute of that key; false: none. Scalars and bytes only; lists come as TL_TYPE_EMPTY.
TL_API bool tl_span_attribute(const struct tl_span *span, const char *key,
                              struct tl_value *out_value);
// The whole span as one OTLP Span message; the length, whatever the room is.
TL_API size_t tl_span_encode(const struct tl_span *span, uint8_t *out_bytes, size_t room);

// ---- Span processors. Called in the order of the list, on the thread that starts or ends the
// span.
struct tl_span_processor {
    void *self;
    void (*on_start)(void *self, struct tl_span *span, struct tl_context *parent);
    void (*on_ending)(void *self, struct tl_span *span); // may still change the span
    void (*on_end)(void *self, const struct tl_span *span);
    int (*flush)(void *self, uint64_t timeout_ms);
    int (*shutdown)(void *self, uint64_t timeout_ms);
    void (*free)(void *self);
    // For the SDK's own metrics; may be NULL.
    const char *type;
};

// Zero: the default.
struct tl_batch_options {
    uint64_t delay_ms;          // 5000, for logs 1000
    uint64_t export_timeout_ms; // 30000
    size_t max_queue_records;   // 0: bytes alone bound the queue
    size_t max_batch_records;   // 512
    size_t max_queue_bytes;     // 1 MiB: some 4000 spans of five attributes
};

// Takes the exporter. When memory is short, the processor does nothing but count what it loses.
TL_API struct tl_span_processor tl_span_processor_batch(const struct tl_exporter_v1 *exporter,
                                                        const struct tl_batch_options *options);
TL_API struct tl_span_processor tl_span_processor_simple(const struct tl_exporter_v1 *exporter);
// Into the ring that the node agent drains.
TL_API struct tl_span_processor tl_span_processor_ring(void);

struct tl_id_generator {
    void *self;
    // Never all zero. `is_random` is true when the right 56 bits of the trace id are random.
    void (*trace_id)(void *self, uint8_t out_id[16], bool *out_is_random);
    void (*span_id)(void *self, uint8_t out_id[8]);
    void (*free)(void *self);
};

// TL_UNLIMITED for none; 0 is the default given behind.
#define TL_UNLIMITED UINT32_MAX
#define TL_NONE (UINT32_MAX - 1) // a limit of zero
struct tl_limits {
    uint32_t attribute_count;        // 128
    uint32_t attribute_value_length; // unlimited; in characters (code points)
    uint32_t event_count;            // 128
    uint32_t link_count;             // 128
    uint32_t event_attribute_count;  // 128
    uint32_t link_attribute_count;   // 128
};

struct tl_tracer_provider_options {
    struct tl_resource *resource;
    struct tl_sampler *sampler; // NULL: parent-based, always on
    const struct tl_span_processor *processors;
    size_t processor_count;
    const struct tl_id_generator *id_generator;
    struct tl_limits limits;
    // False switches a scope's tracer off (tracer configurator); may be NULL.
    bool (*is_enabled)(void *self, const struct tl_scope *scope);
    void *is_enabled_self;
};
// A provider of those parts. NULL without memory.
TL_API struct tl_tracer_provider *
tl_tracer_provider_new(const struct tl_tracer_provider_options *options);
// 0, -ETIMEDOUT or -EIO. After shutdown spans record nothing; a second shutdown is -EALREADY.
TL_API int tl_tracer_provider_flush(struct tl_tracer_provider *provider, uint64_t timeout_ms);
TL_API int tl_tracer_provider_shutdown(struct tl_tracer_provider *provider, uint64_t timeout_ms);
TL_API void tl_tracer_provider_free(struct tl_tracer_provider *provider);

// ---- Metrics
enum tl_temporality { TL_CUMULATIVE = 1, TL_DELTA };

enum tl_aggregation_kind {
    TL_AGGREGATION_DEFAULT,
    TL_AGGREGATION_DROP,
    TL_AGGREGATION_SUM,
    TL_AGGREGATION_LAST_VALUE,
    TL_AGGREGATION_EXPLICIT_HISTOGRAM,
    TL_AGGREGATION_EXPONENTIAL_HISTOGRAM,
};

struct tl_aggregation {
    enum tl_aggregation_kind kind;
    const double *boundaries; // explicit
    size_t boundary_count;
    bool has_boundaries;
    uint32_t max_size; // exponential, 160
    int32_t max_scale; // exponential, 20
    bool has_max_scale;
    bool no_min_max;
};

// One measurement offered to a reservoir; text lives for the call.
struct tl_measurement {
    double value;
    int64_t integer; // when the instrument has integers
    bool is_double;
    uint64_t time_ns;
    const struct tl_attribute *attributes; // all of them, also those a view leaves out
    size_t attribute_count;
    struct tl_span_context span;
    const struct tl_context *context;
};

// An exemplar reservoir of the caller's: one per time series. `offer` is called under the series'
// lock and says in which of `size` places the measurement is kept, or -1.
struct tl_reservoir {
    size_t size;
    void *(*make)(void *self);
    int (*offer)(void *series, const struct tl_measurement *measurement);
    void (*reset)(void *series); // after a collection
    void (*drop)(void *series);
    void *self;
};

struct tl_view {
    // Selector: what is set must match. Names may hold '*' and '?'; "*" is all.
    const char *instrument_name;
    enum tl_instrument_kind instrument_kind; // 0: any
    const char *instrument_unit;
    const char *meter_name;
    const char *meter_version;
    const char *meter_schema_url;
    // Stream: NULL or zero keeps the instrument's own.
    const char *name;
    const char *description;
    // Measurements keep only these, or lose these. What a view leaves out may still stand on
    // exemplars.
    const char *const *attribute_keys;
    size_t attribute_key_count;
    bool has_attribute_keys;
    const char *const *excluded_keys;
    size_t excluded_key_count;
    struct tl_aggregation aggregation;
    uint32_t cardinality_limit; // 2000
    const struct tl_reservoir *reservoir;
};

enum tl_exemplar_filter {
    TL_EXEMPLARS_TRACE_BASED,
    TL_EXEMPLARS_ALWAYS_ON,
    TL_EXEMPLARS_ALWAYS_OFF
};

// View matching (development): one stream a view, or all matching views make one stream together.
enum tl_view_matching { TL_VIEWS_SEPARATE, TL_VIEWS_COMPOSED };

struct tl_metric_reader;

// A metric filter of a producer (specification, "MetricFilter"); may be NULL. It must not measure.
enum tl_metric_filter_result { TL_METRIC_ACCEPT, TL_METRIC_DROP, TL_METRIC_ACCEPT_PARTIAL };
struct tl_metric_filter {
    void *self;
    enum tl_metric_filter_result (*test_metric)(void *self, const struct tl_scope *scope,
                                                const char *name, enum tl_instrument_kind kind,
                                                const char *unit);
    bool (*test_attributes)(void *self, const struct tl_scope *scope, const char *name,
                            enum tl_instrument_kind kind, const char *unit,
                            const struct tl_attribute *attributes, size_t count);
};

// A source of metrics beside the SDK's: appends ScopeMetrics fields (number 2 of ResourceMetrics)
// to what is collected, through `add`. It should use the filter.
struct tl_metric_producer {
    void *self;
    int (*produce)(void *self, const struct tl_metric_filter *filter,
                   void (*add)(void *to, const uint8_t *bytes, size_t len), void *to);
};

struct tl_reader_options {
    uint64_t interval_ms;       // periodic: 60000
    uint64_t export_timeout_ms; // 30000
    size_t max_export_records;  // periodic: data points a request; 0: no limit
    // By instrument kind (index kind); 0 and DEFAULT: cumulative and the specification's default.
    enum tl_temporality temporality[8];
    struct tl_aggregation aggregation[8];
    uint32_t cardinality_limit[8]; // 0: 2000
    const struct tl_metric_filter *filter;
    const struct tl_metric_producer *producers;
    size_t producer_count;
};
// "cumulative", "delta", "lowmemory" of OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE.
TL_API void tl_reader_temporality(struct tl_reader_options *options, const char *preference);

// Takes the exporter.
TL_API struct tl_metric_reader *tl_reader_periodic(const struct tl_exporter_v1 *exporter,
                                                   const struct tl_reader_options *options);
// Into the ring that the node agent drains.
TL_API struct tl_metric_reader *tl_reader_ring(const struct tl_reader_options *options);
TL_API struct tl_metric_reader *tl_reader_pull(const struct tl_reader_options *options);
// Collects now: one Export...ServiceRequest, to free with free(3). -EAGAIN: no provider yet.
TL_API int tl_reader_collect(struct tl_metric_reader *reader, uint64_t timeout_ms,
                             uint8_t **out_bytes, size_t *out_len);
struct tl_prometheus_options {
    const char *host; // localhost
    uint16_t port;    // 9464
    bool any_port;    // the kernel chooses
    bool without_scope;
    bool without_total; // no _total
    bool without_units; // no unit suffix
    bool without_target_info;
};
// Serves /metrics with the module libthroughline-prometheus.so.1; NULL with a reason.
TL_API struct tl_metric_reader *tl_reader_prometheus(const struct tl_prometheus_options *options,
                                                     uint16_t *out_port, char out_why[256]);
// The text that it serves, to free with free(3).
TL_API int tl_reader_prometheus_text(struct tl_metric_reader *reader,
                                     const struct tl_prometheus_options *options,
                                     bool is_openmetrics, char **out_text, size_t *out_len);

struct tl_meter_provider_options {
    struct tl_resource *resource;
    struct tl_metric_reader *const *readers;
    size_t reader_count;
    const struct tl_view *views; // copied
    size_t view_count;
    enum tl_view_matching view_matching;
    enum tl_exemplar_filter exemplar_filter;
    bool (*is_enabled)(void *self, const struct tl_scope *scope);
    void *is_enabled_self;
};
// A provider of those parts. NULL without memory.
TL_API struct tl_meter_provider *
tl_meter_provider_new(const struct tl_meter_provider_options *options);
// New views for every meter, also those handed out; series made so far stay as they are.
TL_API int tl_meter_provider_views(struct tl_meter_provider *provider, const struct tl_view *views,
                                   size_t count);
TL_API int tl_meter_provider_flush(struct tl_meter_provider *provider, uint64_t timeout_ms);
TL_API int tl_meter_provider_shutdown(struct tl_meter_provider *provider, uint64_t timeout_ms);
TL_API void tl_meter_provider_free(struct tl_meter_provider *provider);

// ---- Logs
struct tl_log_processor {
    void *self;
    // May change the record: what it points to must then live until the call of the last processor
    // returned.
    void (*on_emit)(void *self, struct tl_log_record *record, const struct tl_scope *scope);
    // False: this processor would drop such a record. May be NULL.
    bool (*is_enabled)(void *self, enum tl_severity severity, const char *event_name,
                       struct tl_context *context, const struct tl_scope *scope);
    int (*flush)(void *self, uint64_t timeout_ms);
    int (*shutdown)(void *self, uint64_t timeout_ms);
    void (*free)(void *self);
    const char *type;
};
TL_API struct tl_log_processor tl_log_processor_batch(const struct tl_exporter_v1 *exporter,
                                                      const struct tl_batch_options *options);
TL_API struct tl_log_processor tl_log_processor_simple(const struct tl_exporter_v1 *exporter);
TL_API struct tl_log_processor tl_log_processor_ring(void);

struct tl_logger_config {
    bool is_disabled;
    enum tl_severity minimum_severity;
    bool trace_based; // records of spans that are not sampled are dropped
};
struct tl_logger_provider_options {
    struct tl_resource *resource;
    const struct tl_log_processor *processors;
    size_t processor_count;
    struct tl_limits limits; // attribute_count, attribute_value_length
    void (*configure)(void *self, const struct tl_scope *scope, struct tl_logger_config *config);
    void *configure_self;
};
// A provider of those parts. NULL without memory.
TL_API struct tl_logger_provider *
tl_logger_provider_new(const struct tl_logger_provider_options *options);
TL_API int tl_logger_provider_flush(struct tl_logger_provider *provider, uint64_t timeout_ms);
TL_API int tl_logger_provider_shutdown(struct tl_logger_provider *provider, uint64_t timeout_ms);
TL_API void tl_logger_provider_free(struct tl_logger_provider *provider);

// ---- The SDK about itself
struct tl_stats {
    uint64_t dropped[3]; // by signal: no room, no memory, not delivered
    uint64_t dropped_queue_full[3];
    uint64_t dropped_no_memory[3];
    uint64_t dropped_export[3];   // refused, or given up
    uint64_t exported[3];         // taken by an exporter; what the agent took, it counts itself
    uint64_t misuses;             // ended spans used, tokens out of order, NULs where text was due
    uint64_t invalid_text;        // bytes replaced that were not UTF-8
    uint64_t invalid_values;      // measurements and attributes that cannot be
    uint64_t invalid_instruments; // names outside the syntax, conflicting registrations
    uint64_t invalid_settings;    // of the environment or a file
    uint64_t schema_conflicts;
    uint64_t baggage_dropped; // entries that are malformed, have no name or find no room
};
TL_API void tl_stats_read(struct tl_stats *out_stats);

// What the SDK would say, at OTEL_LOG_LEVEL or more; it never prints by itself. Called on whatever
// thread it happens on, with no lock held; must not call back.
typedef void tl_log_hook(void *self, enum tl_severity severity, const char *text);
TL_API void tl_log_hook_set(tl_log_hook *hook, void *self);

// The SDK's own metrics (semantic conventions, "OTel SDK metrics") are recorded with this provider;
// NULL switches them off. The global one unless OTEL_* says otherwise.
TL_API void tl_self_observe(struct tl_meter_provider *provider);

// ---- Without a thread of ours. Called before anything else: no thread is started (but gRPC's and
// the Prometheus page's own), and the program's loop polls tl_loop_fd for reading and calls
// tl_loop_run when it is readable, and at the latest after the milliseconds that the last call
// returned. tl_loop_run does not wait. tl_loop_begin: 0 or -errno; tl_loop_fd: -1 before it.
TL_API int tl_loop_begin(void);
TL_API int tl_loop_fd(void);
TL_API uint64_t tl_loop_run(void);

TL_END
