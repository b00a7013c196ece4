// SPDX-License-Identifier: Apache-2.0
// The SDK about itself: each metric of the semantic conventions with its name, type and unit.

#include "tests/support/check.h"

#include "libtrace/sdk/metrics/observe.h"
#include "tests/sdk/metrics_text.h"

// Exporters that take everything.
static void take(void *self, const struct tl_request *request, struct tl_answer *out_answer)
{
    (void)self;
    (void)request;
    *out_answer = (struct tl_answer){.result = TL_RESULT_DONE, .status = 200};
}

static void refuse(void *self, const struct tl_request *request, struct tl_answer *out_answer)
{
    (void)self;
    (void)request;
    *out_answer = (struct tl_answer){.result = TL_RESULT_REFUSED, .status = 404, .message = "no"};
}

static struct tl_exporter_v1 exporter_of(const char *type, bool takes)
{
    return (struct tl_exporter_v1){.size = sizeof(struct tl_exporter_v1),
                                   .type = type,
                                   .send = takes ? take : refuse,
                                   .server_address = "collector",
                                   .server_port = 4318};
}

static void assert_has(const struct seen *seen, const char *part)
{
    if (!strstr(seen->text, part))
        fail_msg("no '%s' in\n%s", part, seen->text);
}

static void spans_are_told_by_origin_decision_and_component(void **state)
{
    const struct tl_exporter_v1 exporter = exporter_of("otlp_http_exporter", true);
    struct tl_span_processor processor = tl_span_processor_batch(&exporter, NULL);
    struct tl_tracer_provider *tracers = tl_tracer_provider_new(
        &(struct tl_tracer_provider_options){.processors = &processor, .processor_count = 1});
    struct tl_tracer *tracer = tl_tracer_get(tracers, &(struct tl_scope){.name = "t"});
    struct rig rig = rig_new(NULL, NULL);
    struct tl_span *open =
        tl_span_start_with(tracer, &(struct tl_span_options){.name = "open", .is_root = true});
    const struct tl_span_context parent = tl_span_context(open);
    struct seen *seen;

    (void)state;
    tl_self_observe(rig.provider);
    tl_span_end(
        tl_span_start_with(tracer, &(struct tl_span_options){.name = "child", .parent = &parent}));
    assert_int_equal(tl_tracer_provider_flush(tracers, 5000), 0);
    seen = seen_by(rig.reader);
    assert_has(seen, "metric otel.sdk.span.live [{span}] \"");
    assert_has(seen, "metric otel.sdk.span.started [{span}] \"");
    assert_has(seen, "sum cumulative monotonic\npoint {otel.span.parent.origin=");
    assert_has(seen,
               "{otel.span.parent.origin=none otel.span.sampling_result=RECORD_AND_SAMPLE} 1\n");
    assert_has(seen, "metric otel.sdk.processor.span.queue.size [{span}] \"");
    assert_has(seen, "metric otel.sdk.processor.span.queue.capacity [{span}] \"");
    assert_has(seen, "metric otel.sdk.processor.span.processed [{span}] \"");
    assert_has(seen, "{otel.component.name=batching_span_processor/");
    assert_has(seen, "otel.component.type=batching_span_processor} 1\n");
    assert_has(seen, "metric otel.sdk.exporter.span.inflight [{span}] \"");
    assert_has(seen, "metric otel.sdk.exporter.span.exported [{span}] \"");
    assert_has(seen, "otel.component.type=otlp_http_span_exporter server.address=collector "
                     "server.port=4318} 1\n");
    // How long its exports took, from the same place.
    assert_has(seen, "otel.component.type=otlp_http_span_exporter server.address=collector "
                     "server.port=4318 http.response.status_code=200} count 1 sum ");
    seen_free(seen);
    tl_span_end(open);
    tl_self_observe(NULL);
    seen = seen_by(rig.reader);
    assert_null(strstr(seen->text, "otel.sdk.span"));
    seen_free(seen);
    rig_free(&rig);
    tl_tracer_provider_free(tracers);
}

static void logs_are_told_of_too(void **state)
{
    const struct tl_exporter_v1 exporter = exporter_of("otlp_http_exporter", true);
    struct tl_log_processor processor = tl_log_processor_batch(&exporter, NULL);
    struct tl_logger_provider *loggers = tl_logger_provider_new(
        &(struct tl_logger_provider_options){.processors = &processor, .processor_count = 1});
    struct rig rig = rig_new(NULL, NULL);
    struct seen *seen;

    (void)state;
    tl_self_observe(rig.provider);
    seen = seen_by(rig.reader);
    assert_has(seen, "metric otel.sdk.log.created [{log_record}] \"");
    assert_has(seen, "metric otel.sdk.processor.log.queue.size [{log_record}] \"");
    assert_has(seen, "metric otel.sdk.processor.log.queue.capacity [{log_record}] \"");
    assert_has(seen, "metric otel.sdk.processor.log.processed [{log_record}] \"");
    assert_has(seen, "{otel.component.name=batching_log_processor/");
    assert_has(seen, "metric otel.sdk.exporter.log.inflight [{log_record}] \"");
    assert_has(seen, "metric otel.sdk.exporter.log.exported [{log_record}] \"");
    seen_free(seen);
    rig_free(&rig);
    tl_logger_provider_free(loggers);
}

static void points_and_durations_are_told_by_exporter_and_reader(void **state)
{
    const struct tl_exporter_v1 good = exporter_of("good_exporter", true);
    const struct tl_exporter_v1 bad = exporter_of("bad_exporter", false);
    struct tl_metric_reader *readers[] = {tl_reader_periodic(&good, NULL),
                                          tl_reader_periodic(&bad, NULL)};
    struct tl_meter_provider *watched = tl_meter_provider_new(
        &(struct tl_meter_provider_options){.readers = readers, .reader_count = 2});
    struct rig rig = rig_new(NULL, NULL);
    struct seen *seen;

    (void)state;
    tl_self_observe(rig.provider);
    tl_measure(tl_counter(tl_meter_get(watched, NULL), "c", NULL, NULL), 1, NULL, 0);
    tl_meter_provider_flush(watched, 5000);
    seen = seen_by(rig.reader);
    assert_has(seen, "metric otel.sdk.exporter.metric_data_point.inflight [{data_point}] \"");
    assert_has(seen, "metric otel.sdk.exporter.metric_data_point.exported [{data_point}] \"");
    assert_has(seen, "point {otel.component.name=good_exporter/0 otel.component.type=good_exporter "
                     "server.address=collector server.port=4318} 1\n");
    assert_has(seen, "point {otel.component.name=bad_exporter/0 otel.component.type=bad_exporter "
                     "server.address=collector server.port=4318 error.type=404} 1\n");
    assert_has(seen, "metric otel.sdk.metric_reader.collection.duration [s] \"");
    assert_has(seen, "histogram cumulative\npoint {otel.component.name=periodic_metric_reader/");
    assert_has(seen, "otel.component.type=periodic_metric_reader} count 1 sum ");
    assert_has(seen, "metric otel.sdk.exporter.operation.duration [s] \"");
    assert_has(seen, "point {otel.component.name=good_exporter/0 otel.component.type=good_exporter "
                     "server.address=collector server.port=4318 http.response.status_code=200} "
                     "count 1 sum ");
    assert_has(seen, "server.port=4318 http.response.status_code=404 error.type=404} count 1 sum ");
    // One bucket and no boundary.
    assert_has(seen, " buckets 1 min ");
    seen_free(seen);
    tl_self_observe(NULL);
    rig_free(&rig);
    tl_meter_provider_free(watched);
}

static void an_operation_over_grpc_has_its_code_by_name(void **state)
{
    const struct tl_answer answer = {.result = TL_RESULT_REFUSED, .status = 4};
    struct rig rig = rig_new(NULL, NULL);
    struct seen *seen;

    (void)state;
    tl_self_observe(rig.provider);
    observe_operation(&(struct observed_operation){
        .type = "otlp_grpc_span_exporter", .lost = 3, .answer = &answer, .took_ns = 1500000000});
    seen = seen_by(rig.reader);
    assert_has(seen, "point {otel.component.name=otlp_grpc_span_exporter/0 "
                     "otel.component.type=otlp_grpc_span_exporter "
                     "rpc.status_code=DEADLINE_EXCEEDED error.type=4} count 1 sum 1.5 ");
    seen_free(seen);
    // The provider goes and takes the observation with it.
    rig_free(&rig);
    observe_operation(&(struct observed_operation){.type = "x", .answer = &answer});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_told_by_origin_decision_and_component),
        cmocka_unit_test(logs_are_told_of_too),
        cmocka_unit_test(points_and_durations_are_told_by_exporter_and_reader),
        cmocka_unit_test(an_operation_over_grpc_has_its_code_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
