// SPDX-License-Identifier: Apache-2.0
// A pipeline without processors of its own has no thread: receivers push straight into the queues
// of its exporters. The batch processor is three numbers of those queues.

#include "agent/pipeline/graph.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/log.h"
#include "agent/memory.h"
#include "agent/stats.h"
#include "agent/store/store_exporter.h"
#include "libtrace/flow/peers.h"
#include "libtrace/flow/sender.h"

enum { QUEUE_BYTES = 64 << 20 };

struct destination {
    const struct config_component *component;
    struct queue *queue;
    struct sender *sender;
    bool is_open;
};

struct source {
    const struct config_component *component;
    struct outlet outlet;
    struct queue *queues[SIGNAL_COUNT][CONFIG_COMPONENTS_MAX];
    size_t queue_counts[SIGNAL_COUNT];
    bool is_open;
};

struct graph {
    struct config *config;
    struct peers *peers;
    struct destination destinations[CONFIG_COMPONENTS_MAX];
    struct source sources[CONFIG_COMPONENTS_MAX];
};

static int push(void *self, struct batch *batch, uint32_t *out_wait_ms)
{
    struct source *source = self;
    const enum signal signal = batch_signal(batch);
    const size_t count = source->queue_counts[signal];
    const size_t bytes = batch_bytes(batch);
    size_t reserved = 0;
    int failed = 0;

    if (count == 0) {
        stats_add(&agent_stats, AGENT_pipeline_unrouted, batch_records(batch));
        batch_mark_dropped(batch);
        batch_unref(batch);
        return -EOPNOTSUPP;
    }
    // Into every queue or into none: who is refused sends it again, to all.
    while (reserved < count && !failed) {
        failed = queue_reserve(source->queues[signal][reserved], bytes);
        reserved += !failed;
    }
    for (size_t i = 0; i < reserved; i++) {
        if (failed)
            queue_release(source->queues[signal][i], bytes);
        else
            queue_push_reserved(source->queues[signal][i], batch_ref(batch));
    }
    batch_unref(batch);
    if (failed == -EAGAIN)
        *out_wait_ms = 1000;
    return failed;
}

static int await_room(void *self, enum signal signal, size_t bytes, uint64_t deadline_mono_ns)
{
    const struct source *source = self;
    int failed = 0;

    for (size_t i = 0; i < source->queue_counts[signal] && !failed; i++)
        failed = queue_await_room(source->queues[signal][i], bytes, deadline_mono_ns);
    return failed;
}

static void tell(void *self, const char *event, const struct batch *batch, uint32_t wait_ms,
                 const struct why *why)
{
    const struct destination *destination = self;

    if (wait_ms)
        log_warn("exporter.retry", "exporter=%.*s records=%zu wait_ms=%u error=\"%s\"",
                 STR_ARGS(destination->component->name), batch_records(batch), wait_ms, why->text);
    else
        log_error("exporter.drop", "exporter=%.*s records=%zu reason=%s error=\"%s\"",
                  STR_ARGS(destination->component->name), batch_records(batch), event, why->text);
}

// The limits of the first batch processor of a pipeline that ends in this exporter.
static struct take_limits take_limits_for(const struct config *config, size_t exporter)
{
    struct take_limits limits = {.max_records = 8192, .max_bytes = 4 << 20, .max_age_ms = 0};

    for (size_t i = 0; i < config->pipeline_count; i++) {
        const struct config_pipeline *pipeline = &config->pipelines[i];

        for (size_t j = 0; j < pipeline->exporters.count; j++) {
            const struct batch_settings *batch;

            if (pipeline->exporters.at[j] != exporter || pipeline->processors.count == 0)
                continue;
            batch = config->processors[pipeline->processors.at[0]].self;
            return (struct take_limits){batch->max_records, batch->max_bytes, batch->max_age_ms};
        }
    }
    return limits;
}

static int destination_open(struct graph *graph, size_t index, struct why *why)
{
    struct destination *destination = &graph->destinations[index];
    struct config_component *component = &graph->config->exporters[index];
    const struct queue_limits limits = {.max_bytes = QUEUE_BYTES};
    const struct sender_plan plan = {
        .queue = destination->queue = queue_new(&limits),
        .exporter = component->exporter,
        .exporter_self = component->self,
        .take = take_limits_for(graph->config, index),
        .retry = {.first_ms = 500, .max_ms = 30000, .max_elapsed_ms = 300000},
        .tell = tell,
        .tell_self = destination,
    };
    int failed;

    destination->component = component;
    if (!plan.queue)
        return why_fail(why, -ENOMEM, "out of memory");
    failed = component->exporter->open(component->self, why);
    if (failed)
        return why_prefix(why, failed, "exporters.%.*s", STR_ARGS(component->name));
    destination->is_open = true;
    if (component->exporter == &store_exporter &&
        ((const struct store_exporter *)component->self)->was_moved_aside)
        log_warn("store.damaged", "the damaged store was kept aside and a new one was begun");
    destination->sender = sender_start(&plan, why);
    return destination->sender ? 0 : -EAGAIN;
}

// One reference per exporter queue, also where two pipelines lead to the same exporter.
static void source_connect(struct source *source, enum signal signal, struct queue *queue)
{
    size_t *count = &source->queue_counts[signal];

    for (size_t i = 0; i < *count; i++) {
        if (source->queues[signal][i] == queue)
            return;
    }
    source->queues[signal][(*count)++] = queue;
}

static void source_route(struct graph *graph, struct source *source, size_t index)
{
    for (size_t i = 0; i < graph->config->pipeline_count; i++) {
        const struct config_pipeline *pipeline = &graph->config->pipelines[i];

        for (size_t j = 0; j < pipeline->receivers.count; j++) {
            if (pipeline->receivers.at[j] != index)
                continue;
            for (size_t k = 0; k < pipeline->exporters.count; k++)
                source_connect(source, pipeline->signal,
                               graph->destinations[pipeline->exporters.at[k]].queue);
        }
    }
}

// A host that cannot trace by eBPF still has an agent; a taken port is always a mistake to tell.
static bool may_go_without(const struct config *config, int failed)
{
    if (failed == -EPERM || failed == -EOPNOTSUPP)
        return true;
    return config->is_default && failed != -EADDRINUSE;
}

static int source_open(struct graph *graph, size_t index, struct why *why)
{
    struct source *source = &graph->sources[index];
    struct config_component *component = &graph->config->receivers[index];
    int failed;

    source->component = component;
    source->outlet = (struct outlet){
        .self = source, .peers = graph->peers, .push = push, .await_room = await_room};
    source_route(graph, source, index);
    failed = component->receiver->open(component->self, &source->outlet, why);
    if (failed && may_go_without(graph->config, failed)) {
        log_warn("receiver.left_out", "receiver=%.*s reason=\"%s\"", STR_ARGS(component->name),
                 why->text);
        return 0;
    }
    if (failed)
        return why_prefix(why, failed, "receivers.%.*s", STR_ARGS(component->name));
    source->is_open = true;
    log_info("receiver.open", "receiver=%.*s", STR_ARGS(component->name));
    return 0;
}

int graph_start(struct config *config, struct graph **out_graph, struct why *why)
{
    struct graph *graph = calloc(1, sizeof *graph);
    int failed = 0;

    if (!graph)
        return why_fail(why, -ENOMEM, "out of memory");
    memory_keep();
    graph->config = config;
    graph->peers = peers_new();
    if (!graph->peers)
        failed = why_fail(why, -ENOMEM, "out of memory");
    for (size_t i = 0; !failed && i < config->exporter_count; i++) {
        if (config->exporters[i].is_used)
            failed = destination_open(graph, i, why);
    }
    for (size_t i = 0; !failed && i < config->receiver_count; i++) {
        if (config->receivers[i].is_used)
            failed = source_open(graph, i, why);
    }
    if (failed) {
        graph_stop(graph, 0);
        return failed;
    }
    *out_graph = graph;
    return 0;
}

void graph_stop(struct graph *graph, uint64_t drain_ms)
{
    const uint64_t deadline_ns = clock_mono_ns() + drain_ms * NS_PER_MS;

    if (!graph)
        return;
    for (size_t i = 0; i < CONFIG_COMPONENTS_MAX; i++) {
        struct source *source = &graph->sources[i];

        if (source->is_open)
            source->component->receiver->close(source->component->self);
    }
    for (size_t i = 0; i < CONFIG_COMPONENTS_MAX; i++) {
        struct destination *destination = &graph->destinations[i];

        sender_stop(destination->sender, deadline_ns);
        if (destination->is_open)
            destination->component->exporter->close(destination->component->self);
        queue_free(destination->queue);
    }
    peers_free(graph->peers);
    free(graph);
}
