// SPDX-License-Identifier: Apache-2.0
// Loggers and what they hand on: who records, in whose trace, through which processors.

#include "tests/support/check.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <throughline/sdk.h>
#include <unistd.h>

#include "libtrace/sdk/logs/logger.h"

static struct tl_memory_exporter *memory;

static int memory_new(void **state)
{
    (void)state;
    memory = tl_memory_exporter_new();
    return memory ? 0 : -1;
}

static int memory_free(void **state)
{
    (void)state;
    tl_memory_exporter_free(memory);
    return 0;
}

static struct tl_logger_provider *provider_new(struct tl_log_processor processor)
{
    return tl_logger_provider_new(&(struct tl_logger_provider_options){
        .resource = tl_resource_new((struct tl_attribute[]){TL_STR("service.name", "shop")}, 1,
                                    "https://example.org/resource"),
        .processors = &processor,
        .processor_count = 1,
    });
}

static struct tl_logger_provider *simple_provider(void)
{
    const struct tl_exporter_v1 exporter = tl_memory_exporter_as(memory);

    return provider_new(tl_log_processor_simple(&exporter));
}

static void says(const char *text)
{
    char *json = tl_memory_exporter_json(memory, TL_LOGS);

    assert_non_null(json);
    if (!strstr(json, text))
        fail_msg("'%s' is not in %s", text, json);
    free(json);
}

static void says_not(const char *text)
{
    char *json = tl_memory_exporter_json(memory, TL_LOGS);

    assert_non_null(json);
    if (strstr(json, text))
        fail_msg("'%s' is in %s", text, json);
    free(json);
}

static size_t exported(void)
{
    return tl_memory_exporter_records(memory, TL_LOGS);
}

static uint64_t misuses(void)
{
    struct tl_stats stats;

    tl_stats_read(&stats);
    return stats.misuses;
}

static void emit_text(struct tl_logger *logger, enum tl_severity severity, const char *text)
{
    tl_log_emit(logger, &(struct tl_log_record){.severity = severity, .body = TL_BODY(text)});
}

static void the_same_scope_gives_the_same_logger(void **state)
{
    struct tl_logger_provider *provider = simple_provider();
    const struct tl_attribute attribute = TL_STR("zone", "a");
    const struct tl_scope scope = {.name = "lib",
                                   .version = "1",
                                   .schema_url = "https://example.org/scope",
                                   .attributes = &attribute,
                                   .attribute_count = 1};
    struct tl_logger *logger = tl_logger_get(provider, &scope);

    (void)state;
    assert_non_null(logger);
    assert_ptr_equal(tl_logger_get(provider, &scope), logger);
    assert_ptr_not_equal(tl_logger_get(provider, &(struct tl_scope){.name = "lib"}), logger);
    assert_non_null(tl_logger_get(provider, NULL));
    assert_ptr_equal(tl_logger_get(provider, &(struct tl_scope){0}), tl_logger_get(provider, NULL));
    tl_logger_provider_free(provider);
}

static void scope_attributes_and_schema_urls_are_exported(void **state)
{
    struct tl_logger_provider *provider = simple_provider();
    const struct tl_attribute attribute = TL_STR("zone", "a");

    (void)state;
    emit_text(tl_logger_get(provider, &(struct tl_scope){.name = "lib",
                                                         .version = "1",
                                                         .schema_url = "https://example.org/scope",
                                                         .attributes = &attribute,
                                                         .attribute_count = 1}),
              TL_INFO, "hello");
    says("\"scope\":{\"name\":\"lib\",\"version\":\"1\",\"attributes\":[{\"key\":\"zone\"");
    says("\"schemaUrl\":\"https://example.org/scope\"");
    says("\"schemaUrl\":\"https://example.org/resource\"");
    says("\"service.name\",\"value\":{\"stringValue\":\"shop\"}");
    tl_logger_provider_free(provider);
}

static void too_many_scopes_share_the_nameless_one(void **state)
{
    struct tl_logger_provider *provider = tl_logger_provider_new(NULL);
    const uint64_t before = misuses();
    struct tl_logger *logger;

    (void)state;
    assert_non_null(tl_logger_get(provider, &(struct tl_scope){.name = "one"}));
    for (size_t i = atomic_load(&provider->logger_count); i < LOGGERS_MAX; i++)
        atomic_fetch_add(&provider->logger_count, 1);
    logger = tl_logger_get(provider, &(struct tl_scope){.name = "one too many"});
    assert_ptr_equal(logger, tl_logger_get(provider, NULL));
    assert_int_equal(misuses() - before, 1);
    tl_logger_provider_free(provider);
}

static void after_shutdown_nothing_is_recorded(void **state)
{
    struct tl_logger_provider *provider = simple_provider();
    struct tl_logger *logger = tl_logger_get(provider, NULL);
    const uint64_t before = misuses();

    (void)state;
    emit_text(logger, TL_INFO, "before");
    assert_int_equal(tl_logger_provider_shutdown(provider, 1000), 0);
    assert_int_equal(tl_logger_provider_shutdown(provider, 1000), -EALREADY);
    emit_text(logger, TL_INFO, "after");
    assert_int_equal(exported(), 1);
    assert_int_equal(misuses() - before, 1);
    assert_false(tl_log_enabled(logger, TL_INFO, NULL, NULL));
    assert_non_null(tl_logger_get(provider, &(struct tl_scope){.name = "late"}));
    assert_int_equal(tl_logger_provider_flush(provider, 1000), 0);
    tl_logger_provider_free(provider);
}

static void flush_brings_out_what_a_batch_holds(void **state)
{
    const struct tl_exporter_v1 exporter = tl_memory_exporter_as(memory);
    struct tl_logger_provider *provider = provider_new(
        tl_log_processor_batch(&exporter, &(struct tl_batch_options){.delay_ms = 60000}));
    struct tl_logger *logger = tl_logger_get(provider, NULL);

    (void)state;
    for (int i = 0; i < 700; i++)
        emit_text(logger, TL_INFO, "one");
    assert_int_equal(tl_logger_provider_flush(provider, 10000), 0);
    assert_int_equal(exported(), 700);
    tl_logger_provider_free(provider);
}

static void a_batch_leaves_when_it_is_due(void **state)
{
    const struct tl_exporter_v1 exporter = tl_memory_exporter_as(memory);
    struct tl_logger_provider *provider =
        provider_new(tl_log_processor_batch(&exporter, &(struct tl_batch_options){.delay_ms = 20}));

    (void)state;
    emit_text(tl_logger_get(provider, NULL), TL_INFO, "one");
    for (int i = 0; i < 500 && exported() == 0; i++)
        usleep(10000);
    assert_int_equal(exported(), 1);
    tl_logger_provider_free(provider);
}

static void a_full_queue_drops_and_counts(void **state)
{
    const struct tl_exporter_v1 exporter = tl_memory_exporter_as(memory);
    struct tl_logger_provider *provider = provider_new(tl_log_processor_batch(
        &exporter, &(struct tl_batch_options){
                       .delay_ms = 60000, .max_queue_records = 10, .max_batch_records = 10}));
    const uint64_t before = tl_dropped(TL_LOGS);

    (void)state;
    for (int i = 0; i < 1000; i++)
        emit_text(tl_logger_get(provider, NULL), TL_INFO, "one");
    assert_int_equal(tl_logger_provider_shutdown(provider, 10000), 0);
    assert_int_equal(exported() + tl_dropped(TL_LOGS) - before, 1000);
    tl_logger_provider_free(provider);
}

static void a_simple_processor_exports_at_once(void **state)
{
    struct tl_logger_provider *provider = simple_provider();

    (void)state;
    emit_text(tl_logger_get(provider, NULL), TL_INFO, "one");
    assert_int_equal(exported(), 1);
    emit_text(tl_logger_get(provider, NULL), TL_INFO, "two");
    assert_int_equal(exported(), 2);
    tl_logger_provider_free(provider);
}

// ---- Processors and exporters of the program's own
struct seen {
    unsigned emits, flushes, shutdowns, frees;
    bool wants;
    struct tl_log_processor inner;
};

static void seen_emit(void *self, struct tl_log_record *record, const struct tl_scope *scope)
{
    struct seen *seen = self;

    seen->emits++;
    assert_string_equal(scope->name, "lib");
    record->severity_text = "changed";
    if (seen->inner.on_emit)
        seen->inner.on_emit(seen->inner.self, record, scope);
}

static bool seen_enabled(void *self, enum tl_severity severity, const char *event_name,
                         struct tl_context *context, const struct tl_scope *scope)
{
    (void)severity, (void)event_name, (void)context, (void)scope;
    return ((struct seen *)self)->wants;
}

static int seen_flush(void *self, uint64_t timeout_ms)
{
    (void)timeout_ms;
    ((struct seen *)self)->flushes++;
    return 0;
}

static int seen_shutdown(void *self, uint64_t timeout_ms)
{
    (void)timeout_ms;
    ((struct seen *)self)->shutdowns++;
    return -EIO;
}

static void seen_free(void *self)
{
    struct seen *seen = self;

    seen->frees++;
    if (seen->inner.free)
        seen->inner.free(seen->inner.self);
}

static struct tl_log_processor seen_processor(struct seen *seen)
{
    return (struct tl_log_processor){.self = seen,
                                     .on_emit = seen_emit,
                                     .is_enabled = seen_enabled,
                                     .flush = seen_flush,
                                     .shutdown = seen_shutdown,
                                     .free = seen_free};
}

static void a_custom_processor_changes_what_later_ones_see(void **state)
{
    const struct tl_exporter_v1 exporter = tl_memory_exporter_as(memory);
    struct seen seen = {0};
    const struct tl_log_processor processors[] = {seen_processor(&seen),
                                                  tl_log_processor_simple(&exporter)};
    struct tl_logger_provider *provider = tl_logger_provider_new(
        &(struct tl_logger_provider_options){.processors = processors, .processor_count = 2});

    (void)state;
    emit_text(tl_logger_get(provider, &(struct tl_scope){.name = "lib"}), TL_INFO, "one");
    assert_int_equal(seen.emits, 1);
    says("\"severityText\":\"changed\"");
    assert_int_equal(tl_logger_provider_flush(provider, 100), 0);
    assert_int_equal(seen.flushes, 1);
    assert_int_equal(tl_logger_provider_shutdown(provider, 100), -EIO);
    assert_int_equal(seen.shutdowns, 1);
    tl_logger_provider_free(provider);
    assert_int_equal(seen.frees, 1);
}

static void a_processor_of_ours_may_stand_behind_a_custom_one(void **state)
{
    const struct tl_exporter_v1 exporter = tl_memory_exporter_as(memory);
    struct seen seen = {.inner = tl_log_processor_simple(&exporter)};
    struct tl_logger_provider *provider = provider_new(seen_processor(&seen));
    struct tl_log_record record = {.body = TL_BODY("nobody's")};
    const uint64_t before = misuses();

    (void)state;
    emit_text(tl_logger_get(provider, &(struct tl_scope){.name = "lib"}), TL_INFO, "wrapped");
    assert_int_equal(exported(), 1);
    says("\"service.name\",\"value\":{\"stringValue\":\"shop\"}");
    says("\"scope\":{\"name\":\"lib\"}");
    // Outside of tl_log_emit nobody knows whose record it is.
    seen.inner.on_emit(seen.inner.self, &record, &(struct tl_scope){.name = "lib"});
    assert_int_equal(exported(), 1);
    assert_int_equal(misuses() - before, 1);
    tl_logger_provider_free(provider);
}

static atomic_int sends;
static struct tl_logger *looping;

static void refuse(void *self, const struct tl_request *request, struct tl_answer *out_answer)
{
    (void)self;
    assert_int_equal(request->signal, TL_LOGS);
    assert_int_equal(request->records, 1);
    assert_true(request->len > 0);
    atomic_fetch_add(&sends, 1);
    // An exporter that logs: must neither wait for itself nor go round in circles.
    if (looping)
        emit_text(looping, TL_ERROR, "cannot export");
    out_answer->result = TL_RESULT_REFUSED;
}

static void a_custom_exporter_is_called_and_its_refusals_count(void **state)
{
    const struct tl_exporter_v1 exporter = {
        .size = sizeof exporter, .type = "none", .send = refuse};
    struct tl_logger_provider *provider = provider_new(tl_log_processor_simple(&exporter));
    const uint64_t before = tl_dropped(TL_LOGS);

    (void)state;
    looping = tl_logger_get(provider, NULL);
    emit_text(looping, TL_INFO, "one");
    assert_int_equal(atomic_load(&sends), 1);
    assert_int_equal(tl_dropped(TL_LOGS) - before, 2);
    looping = NULL;
    tl_logger_provider_free(provider);
}

static void enabled_asks_every_processor(void **state)
{
    struct seen no = {0}, yes = {.wants = true};
    const struct tl_log_processor processors[] = {seen_processor(&no), seen_processor(&yes)};
    struct tl_logger_provider *none = tl_logger_provider_new(NULL);
    struct tl_logger_provider *one = provider_new(seen_processor(&no));
    struct tl_logger_provider *both = tl_logger_provider_new(
        &(struct tl_logger_provider_options){.processors = processors, .processor_count = 2});

    (void)state;
    assert_false(tl_log_enabled(tl_logger_get(none, NULL), TL_FATAL, NULL, NULL));
    assert_false(tl_log_enabled(tl_logger_get(one, NULL), TL_FATAL, NULL, NULL));
    assert_true(tl_log_enabled(tl_logger_get(both, NULL), TL_FATAL, "event", NULL));
    tl_logger_provider_free(none);
    tl_logger_provider_free(one);
    tl_logger_provider_free(both);
}

static void configure(void *self, const struct tl_scope *scope, struct tl_logger_config *config)
{
    (void)self;
    config->is_disabled = strcmp(scope->name, "off") == 0;
    config->minimum_severity = strcmp(scope->name, "loud") == 0 ? TL_WARN : TL_SEVERITY_NONE;
    config->trace_based = strcmp(scope->name, "traced") == 0;
}

static void a_configured_logger_keeps_what_it_should(void **state)
{
    const struct tl_exporter_v1 exporter = tl_memory_exporter_as(memory);
    const struct tl_log_processor processor = tl_log_processor_simple(&exporter);
    struct tl_logger_provider *provider =
        tl_logger_provider_new(&(struct tl_logger_provider_options){
            .processors = &processor, .processor_count = 1, .configure = configure});
    struct tl_logger *off = tl_logger_get(provider, &(struct tl_scope){.name = "off"});
    struct tl_logger *loud = tl_logger_get(provider, &(struct tl_scope){.name = "loud"});
    struct tl_logger *traced = tl_logger_get(provider, &(struct tl_scope){.name = "traced"});
    struct tl_span_context unsampled = {.trace_id = {1}, .span_id = {2}, .flags = 2};
    struct tl_span_context sampled = {.trace_id = {1}, .span_id = {2}, .flags = 3};
    struct tl_context *context = tl_context_with_remote(NULL, &unsampled);

    (void)state;
    emit_text(off, TL_FATAL, "off");
    assert_false(tl_log_enabled(off, TL_FATAL, NULL, NULL));
    emit_text(loud, TL_INFO, "quiet");
    assert_false(tl_log_enabled(loud, TL_INFO, NULL, NULL));
    emit_text(loud, TL_WARN, "loud enough");
    emit_text(loud, TL_SEVERITY_NONE, "of no severity");
    assert_true(tl_log_enabled(loud, TL_SEVERITY_NONE, NULL, NULL));
    tl_log_emit(traced, &(struct tl_log_record){.span = &unsampled, .body = TL_BODY("unsampled")});
    assert_false(tl_log_enabled(traced, TL_INFO, NULL, context));
    tl_log_emit(traced, &(struct tl_log_record){.span = &sampled, .body = TL_BODY("sampled")});
    emit_text(traced, TL_INFO, "of no trace");
    assert_int_equal(exported(), 4);
    says_not("off");
    says_not("quiet");
    says_not("unsampled");
    tl_context_unref(context);
    tl_logger_provider_free(provider);
}

static void the_trace_is_that_of_the_span_the_context_or_the_thread(void **state)
{
    struct tl_logger_provider *provider = simple_provider();
    struct tl_logger *logger = tl_logger_get(provider, NULL);
    const struct tl_span_context given = {.trace_id = {0xaa}, .span_id = {0xab}, .flags = 1};
    const struct tl_span_context in_context = {.trace_id = {0xba}, .span_id = {0xbb}, .flags = 0};
    const struct tl_span_context current = {.trace_id = {0xca}, .span_id = {0xcb}, .flags = 1};
    struct tl_context *context = tl_context_with_remote(NULL, &in_context);
    struct tl_span *span = tl_span_wrap(&current);
    struct tl_span *former = tl_current_set(span);

    (void)state;
    tl_log_emit(logger, &(struct tl_log_record){.span = &given, .context = context});
    says("\"flags\":1,\"traceId\":\"aa000000000000000000000000000000\",\"spanId\":"
         "\"ab00000000000000\"");
    tl_log_emit(logger, &(struct tl_log_record){.context = context});
    says("\"traceId\":\"ba000000000000000000000000000000\",\"spanId\":\"bb00000000000000\"");
    emit_text(logger, TL_INFO, "current");
    says("\"traceId\":\"ca000000000000000000000000000000\",\"spanId\":\"cb00000000000000\"");
    tl_memory_exporter_reset(memory);
    tl_log_emit(logger, &(struct tl_log_record){.span = &(struct tl_span_context){.flags = 0}});
    says_not("traceId");
    tl_current_set(former);
    tl_span_end(span);
    tl_context_unref(context);
    tl_logger_provider_free(provider);
}

static void null_is_taken_everywhere(void **state)
{
    const struct tl_log_processor processor = tl_log_processor_simple(NULL);
    struct tl_logger_provider *provider = provider_new(processor);
    const uint64_t lost = tl_dropped(TL_LOGS);

    (void)state;
    tl_log_emit(NULL, NULL);
    tl_log_emit(tl_logger_get(provider, NULL), NULL);
    emit_text(tl_logger_get(provider, NULL), TL_INFO, NULL);
    assert_int_equal(tl_dropped(TL_LOGS) - lost, 1); // the processor without an exporter
    tl_log_processor_batch(NULL, NULL).on_emit(NULL, NULL, NULL);
    assert_int_equal(tl_logger_provider_flush(NULL, 0), 0);
    assert_int_equal(tl_logger_provider_shutdown(NULL, 0), 0);
    tl_logger_provider_free(NULL);
    tl_logger_provider_free(provider);
}

static struct tl_logger *endless;

static void emit_again(void *self, struct tl_log_record *record, const struct tl_scope *scope)
{
    (void)self, (void)scope;
    tl_log_emit(endless, record);
}

static void a_processor_that_emits_does_not_go_round_for_ever(void **state)
{
    struct tl_logger_provider *provider =
        provider_new((struct tl_log_processor){.on_emit = emit_again});
    const uint64_t before = misuses();

    (void)state;
    endless = tl_logger_get(provider, NULL);
    emit_text(endless, TL_INFO, "one");
    assert_int_equal(misuses() - before, 1);
    tl_logger_provider_free(provider);
}

static atomic_bool is_inside, may_leave;

static void send_slowly(void *self, const struct tl_request *request, struct tl_answer *out_answer)
{
    (void)self, (void)request;
    atomic_store(&is_inside, true);
    while (!atomic_load(&may_leave))
        usleep(1000);
    out_answer->result = TL_RESULT_DONE;
}

static void *emit_one(void *self)
{
    emit_text(self, TL_INFO, "slow");
    return NULL;
}

static void the_child_of_a_fork_does_not_wait_for_its_parents_exporter(void **state)
{
    const struct tl_exporter_v1 exporter = {
        .size = sizeof exporter, .type = "slow", .send = send_slowly};
    struct tl_logger_provider *provider = provider_new(tl_log_processor_simple(&exporter));
    struct tl_logger *logger = tl_logger_get(provider, NULL);
    pthread_t thread;
    int status = -1;
    pid_t child;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, emit_one, logger), 0);
    while (!atomic_load(&is_inside))
        usleep(1000);
    child = fork();
    if (child == 0) {
        alarm(20);
        atomic_store(&may_leave, true);
        emit_text(logger, TL_INFO, "in the child");
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    atomic_store(&may_leave, true);
    pthread_join(thread, NULL);
    assert_int_equal(status, 0);
    tl_logger_provider_free(provider);
}

#define memory_test(name) cmocka_unit_test_setup_teardown(name, memory_new, memory_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        memory_test(the_same_scope_gives_the_same_logger),
        memory_test(scope_attributes_and_schema_urls_are_exported),
        memory_test(too_many_scopes_share_the_nameless_one),
        memory_test(after_shutdown_nothing_is_recorded),
        memory_test(flush_brings_out_what_a_batch_holds),
        memory_test(a_batch_leaves_when_it_is_due),
        memory_test(a_full_queue_drops_and_counts),
        memory_test(a_simple_processor_exports_at_once),
        memory_test(a_custom_processor_changes_what_later_ones_see),
        memory_test(a_processor_of_ours_may_stand_behind_a_custom_one),
        memory_test(a_custom_exporter_is_called_and_its_refusals_count),
        memory_test(enabled_asks_every_processor),
        memory_test(a_configured_logger_keeps_what_it_should),
        memory_test(the_trace_is_that_of_the_span_the_context_or_the_thread),
        memory_test(null_is_taken_everywhere),
        memory_test(a_processor_that_emits_does_not_go_round_for_ever),
        memory_test(the_child_of_a_fork_does_not_wait_for_its_parents_exporter),
    };

    setenv("THROUGHLINE_SOCKET", "/nonexistent/agent.sock", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
