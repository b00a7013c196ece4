// SPDX-License-Identifier: Apache-2.0
// A collection: callbacks first, then the streams meter by meter, then the producers. One at a
// time for each reader; readers do not see each other.

#include "libtrace/sdk/metrics/reader.h"

#include <errno.h>
#include <stdlib.h>

#include "libtrace/base/clock.h"
#include "libtrace/otlp/index.h"
#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/metrics/instrument.h"
#include "libtrace/sdk/metrics/observe.h"
#include "libtrace/sdk/metrics/prometheus_point.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"

static bool boundaries_copy(struct tl_metric_reader *reader, unsigned kind,
                            const struct tl_aggregation *from)
{
    struct tl_aggregation *to = &reader->defaults[kind].aggregation;

    *to = *from;
    if (!boundaries_are_valid(from->boundaries, from->boundary_count)) {
        stats_add(&sdk_stats, SDK_invalid_settings, 1);
        say(TL_WARN,
            "metrics: the boundaries of a reader do not ascend: the default ones are used");
        to->has_boundaries = false;
        to->boundary_count = 0;
        return true;
    }
    to->has_boundaries |= from->boundary_count > 0;
    if (from->boundary_count == 0)
        return true;
    reader->boundaries[kind] = malloc(from->boundary_count * sizeof(double));
    if (!reader->boundaries[kind])
        return false;
    memcpy(reader->boundaries[kind], from->boundaries, from->boundary_count * sizeof(double));
    to->boundaries = reader->boundaries[kind];
    return true;
}

static bool options_copy(struct tl_metric_reader *reader, const struct tl_reader_options *options)
{
    for (unsigned kind = 0; kind < 8; kind++) {
        struct reader_defaults *defaults = &reader->defaults[kind];

        defaults->temporality = options->temporality[kind] == TL_DELTA ? TL_DELTA : TL_CUMULATIVE;
        defaults->limit = options->cardinality_limit[kind];
        if (!boundaries_copy(reader, kind, &options->aggregation[kind]))
            return false;
    }
    if (options->filter) {
        reader->filter_copy = *options->filter;
        reader->filter = &reader->filter_copy;
    }
    if (options->producer_count == 0 || !options->producers)
        return true;
    reader->producers = calloc(options->producer_count, sizeof reader->producers[0]);
    if (!reader->producers)
        return false;
    memcpy(reader->producers, options->producers,
           options->producer_count * sizeof reader->producers[0]);
    reader->producer_count = options->producer_count;
    return true;
}

static void memory_free(struct tl_metric_reader *reader)
{
    for (unsigned kind = 0; kind < 8; kind++)
        free(reader->boundaries[kind]);
    free(reader->producers);
    point_sums_free(reader->sums);
    turn_done(&reader->turn);
    pthread_mutex_destroy(&reader->streams_lock);
    free(reader);
}

struct tl_metric_reader *reader_new(const char *type, const struct tl_reader_options *options,
                                    const struct reader_functions *functions, void *self)
{
    static const struct tl_reader_options none;
    struct tl_metric_reader *reader = calloc(1, sizeof *reader);

    if (!reader)
        return NULL;
    turn_init(&reader->turn);
    pthread_mutex_init(&reader->streams_lock, NULL);
    if (!options_copy(reader, options ? options : &none)) {
        memory_free(reader);
        return NULL;
    }
    reader->type = type;
    reader->number = observe_number(type);
    reader->functions = functions;
    reader->self = self;
    return reader;
}

void reader_free(struct tl_metric_reader *reader)
{
    if (!reader)
        return;
    if (reader->functions && reader->functions->free)
        reader->functions->free(reader->self);
    memory_free(reader);
}

bool reader_attach(struct tl_metric_reader *reader, struct tl_meter_provider *provider)
{
    struct tl_meter_provider *none = NULL;

    return atomic_compare_exchange_strong(&reader->provider, &none, provider);
}

const struct reader_defaults *reader_defaults_of(const struct tl_metric_reader *reader,
                                                 enum tl_instrument_kind kind)
{
    return &reader->defaults[kind];
}

int reader_resource(struct tl_metric_reader *reader, struct bytes *out)
{
    const struct tl_meter_provider *provider = atomic_load(&reader->provider);

    if (!provider)
        return -EAGAIN;
    resource_group_write(out, provider->resource);
    return out->is_failed ? -ENOMEM : 0;
}

struct round {
    struct tl_metric_reader *reader;
    struct metric_sink *sink;
    struct metric_writer writer;
    uint64_t now_ns;
};

static void stream_prepare(void *self, const struct tl_meter *meter, struct stream *stream)
{
    (void)self;
    (void)meter;
    if (stream->is_observed)
        stream_observe_begin(stream);
}

static void stream_visit(void *self, const struct tl_meter *meter, struct stream *stream)
{
    struct round *round = self;
    const bool is_last = atomic_load(&stream->is_settled);

    round->writer.scope = meter->scope_copy.encoded;
    stream_collect(stream, round->reader->filter, round->now_ns, &round->writer);
    stream->is_over = is_last;
}

// ScopeMetrics fields of a producer: checked as a whole request before they are believed.
static void produced_add(void *to, const uint8_t *bytes, size_t len)
{
    struct round *round = to;
    struct bytes request = {0};
    struct wire_field field;
    struct reader reader;
    size_t points = 0;
    size_t mark = message_begin(&request, 1);

    bytes_add(&request, bytes, len);
    message_end(&request, mark);
    if (request.is_failed || otlp_check(SIGNAL_METRICS, bytes_str(&request), &points, NULL) != 0) {
        stats_add(&sdk_stats, SDK_invalid_values, 1);
        bytes_done(&request);
        return;
    }
    bytes_done(&request);
    reader = reader_of((struct str){(const char *)bytes, len});
    while (wire_next(&reader, &field)) {
        if (field.number == 2 && field.type == WIRE_BYTES)
            scope_metrics_split(round->sink, field.body);
    }
}

static int producers_run(struct round *round)
{
    const struct tl_metric_reader *reader = round->reader;
    int result = 0;

    for (size_t i = 0; i < reader->producer_count; i++) {
        const struct tl_metric_producer *producer = &reader->producers[i];

        if (producer->produce &&
            producer->produce(producer->self, reader->filter, produced_add, round) != 0)
            result = -EIO;
    }
    return result;
}

static int collect_in_turn(struct tl_metric_reader *reader, struct metric_sink *sink,
                           uint64_t deadline_ns)
{
    struct tl_meter_provider *provider = atomic_load(&reader->provider);
    struct round round = {.reader = reader, .sink = sink, .writer = {.sink = sink}};
    bool is_all;
    int result;

    provider_streams(provider, reader, stream_prepare, NULL);
    is_all = callbacks_run(provider, reader, deadline_ns);
    round.now_ns = clock_unix_ns();
    provider_streams(provider, reader, stream_visit, &round);
    metric_writer_done(&round.writer);
    result = producers_run(&round);
    return is_all ? result : -ETIMEDOUT;
}

int reader_collect(struct tl_metric_reader *reader, struct metric_sink *sink, uint64_t deadline_ns)
{
    const uint64_t start_ns = clock_mono_ns();
    int result;

    if (!atomic_load(&reader->provider))
        return -EAGAIN;
    result = turn_take(&reader->turn, deadline_ns);
    if (result != 0)
        return result;
    if (atomic_load(&reader->is_shut))
        result = -ESHUTDOWN;
    else
        result = collect_in_turn(reader, sink, deadline_ns);
    turn_end(&reader->turn);
    if (result != -ESHUTDOWN)
        observe_collection(reader, clock_mono_ns() - start_ns, result);
    return result;
}

int reader_flush(struct tl_metric_reader *reader, uint64_t timeout_ms)
{
    if (atomic_load(&reader->is_shut))
        return -ESHUTDOWN;
    if (!reader->functions || !reader->functions->flush)
        return 0;
    return reader->functions->flush(reader->self, timeout_ms);
}

int reader_shutdown(struct tl_metric_reader *reader, uint64_t timeout_ms)
{
    int result = 0;

    if (atomic_load(&reader->is_shut))
        return -EALREADY;
    if (reader->functions && reader->functions->shutdown)
        result = reader->functions->shutdown(reader->self, timeout_ms);
    atomic_store(&reader->is_shut, true);
    return result;
}

void reader_forked(struct tl_metric_reader *reader)
{
    const bool is_ours = reader->turn.is_taken && pthread_equal(reader->turn.owner, pthread_self());

    // Another thread's collection is not going on here.
    turn_init(&reader->turn);
    reader->turn.is_taken = is_ours;
    reader->turn.owner = pthread_self();
    atomic_store(&reader->is_asleep, true);
    if (reader->functions && reader->functions->forked)
        reader->functions->forked(reader->self);
}

void reader_start(struct tl_metric_reader *reader)
{
    atomic_store(&reader->is_asleep, false);
    if (reader->functions && reader->functions->start && !atomic_load(&reader->is_shut))
        reader->functions->start(reader->self);
}

void tl_reader_temporality(struct tl_reader_options *options, const char *preference)
{
    const struct str text = str_of(preference);
    const bool is_delta = str_equal_nocase(text, STR("delta"));
    const bool is_low = str_equal_nocase(text, STR("lowmemory"));

    if (!options)
        return;
    if (!is_delta && !is_low && !str_equal_nocase(text, STR("cumulative"))) {
        stats_add(&sdk_stats, SDK_invalid_settings, 1);
        say(TL_WARN, "metrics: '%s' is not a temporality preference", preference ? preference : "");
        return;
    }
    for (unsigned kind = 0; kind < 8; kind++)
        options->temporality[kind] = TL_CUMULATIVE;
    if (is_delta || is_low)
        options->temporality[TL_COUNTER] = options->temporality[TL_HISTOGRAM] = TL_DELTA;
    if (is_delta)
        options->temporality[TL_OBSERVABLE_COUNTER] = TL_DELTA;
}

struct tl_metric_reader *tl_reader_pull(const struct tl_reader_options *options)
{
    return reader_new("pull_metric_reader", options, NULL, NULL);
}

int tl_reader_collect(struct tl_metric_reader *reader, uint64_t timeout_ms, uint8_t **out_bytes,
                      size_t *out_len)
{
    const uint64_t deadline_ns = clock_after_ms(clock_mono_ns(), timeout_ms);
    const int saved = errno;
    struct request_builder builder;
    struct bytes resource = {0};
    int result;

    if (!reader || !out_bytes || !out_len)
        return -EINVAL;
    result = reader_resource(reader, &resource);
    if (result == 0) {
        request_builder_init(&builder, bytes_str(&resource), 0);
        result = reader_collect(reader, &builder.sink, deadline_ns);
        if (result == 0 || result == -EIO || result == -ETIMEDOUT)
            request_builder_end(&builder, true);
        if (builder.count && (result == 0 || result == -EIO)) {
            *out_bytes = builder.requests[0].bytes.at;
            *out_len = builder.requests[0].bytes.len;
            builder.requests[0].bytes = (struct bytes){0};
        } else if (result == 0) {
            result = -ENOMEM;
        }
        request_builder_done(&builder);
    }
    bytes_done(&resource);
    errno = saved;
    return result;
}
