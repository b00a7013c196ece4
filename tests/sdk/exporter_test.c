// SPDX-License-Identifier: Apache-2.0
// The exporters that the library has without a module: lines in a file, lines for people, memory.

#include "tests/support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <throughline/exporter.h>
#include <unistd.h>

#include "libtrace/base/clock.h"
#include "libtrace/otlp/json.h"
#include "libtrace/sdk/export/module.h"

static const char traces_json[] =
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{"
    "\"stringValue\":\"shop\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"lib\",\"version\":\"1.0\"}"
    ","
    "\"spans\":[{\"traceId\":\"000102030405060708090a0b0c0d0e0f\",\"spanId\":\"0001020304050607\","
    "\"parentSpanId\":\"ffffffffffffffff\",\"name\":\"GET /x\",\"kind\":2,\"startTimeUnixNano\":"
    "\"1700000000000000001\",\"endTimeUnixNano\":\"1700000000001500001\",\"attributes\":[{\"key\":"
    "\"http.method\",\"value\":{\"stringValue\":\"GET\\n\"}},{\"key\":\"n\",\"value\":{"
    "\"arrayValue\":{\"values\":[{\"intValue\":\"-1\"},{\"doubleValue\":0.10000000000000001},{"
    "\"boolValue\":true}]"
    "}}}],\"events\":[{\"timeUnixNano\":\"1700000000000500001\",\"name\":\"miss\"}],\"links\":[{"
    "\"traceId\":\"11111111111111111111111111111111\",\"spanId\":\"2222222222222222\"}],\"status\":"
    "{\"message\":\"no\",\"code\":2}}]}],\"schemaUrl\":\"https://x/1\"}]}";

static const char traces_line[] =
    "resource service.name=\"shop\"\n"
    "2023-11-14T22:13:20.000000001Z span server \"GET /x\" 1.5ms "
    "trace=000102030405060708090a0b0c0d0e0f span=0001020304050607 parent=ffffffffffffffff "
    "status=error:\"no\" scope=\"lib\" version=\"1.0\" http.method=\"GET\\n\" n=[-1 0.1 true] "
    "event=\"miss\"+500us{} link={ trace=11111111111111111111111111111111 "
    "span=2222222222222222}\n";

static const char metrics_json[] =
    "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"orders\",\"unit\":"
    "\"{order}\",\"sum\":{\"dataPoints\":[{\"attributes\":[{\"key\":\"a\",\"value\":{\"intValue\":"
    "\"1\"}}],\"timeUnixNano\":\"1700000000000000000\",\"asInt\":\"12\"},{\"timeUnixNano\":"
    "\"1700000000000000000\",\"asDouble\":0.5}],\"aggregationTemporality\":2,\"isMonotonic\":true}"
    "},{\"name\":\"duration\",\"histogram\":{\"dataPoints\":[{\"timeUnixNano\":"
    "\"1700000000000000000\",\"count\":\"3\",\"sum\":0.375,\"bucketCounts\":[\"1\",\"2\"],"
    "\"explicitBounds\":[0.125],\"min\":0.0625,\"max\":0.25}],\"aggregationTemporality\":1}},{"
    "\"name\":"
    "\"size\",\"exponentialHistogram\":{\"dataPoints\":[{\"attributes\":[{\"key\":\"b\",\"value\":{"
    "\"boolValue\":false}}],\"timeUnixNano\":\"1700000000000000000\",\"count\":\"3\",\"scale\":-1,"
    "\"zeroCount\":\"1\",\"positive\":{\"offset\":-2,\"bucketCounts\":[\"1\",\"1\"]}}],"
    "\"aggregationTemporality\":2}},{\"name\":\"load\",\"gauge\":{\"dataPoints\":[{\"timeUnixNano\""
    ":\"1700000000000000000\",\"asDouble\":1}]}}]}]}]}";

static const char metrics_lines[] =
    "2023-11-14T22:13:20.000000000Z metric sum \"orders\" 12 unit=\"{order}\" cumulative "
    "monotonic a=1\n"
    "2023-11-14T22:13:20.000000000Z metric sum \"orders\" 0.5 unit=\"{order}\" cumulative "
    "monotonic\n"
    "2023-11-14T22:13:20.000000000Z metric histogram \"duration\" count=3 sum=0.375 min=0.0625 "
    "max=0.25 buckets=[0.125:1 inf:2] delta\n"
    "2023-11-14T22:13:20.000000000Z metric exponential_histogram \"size\" count=3 scale=-1 "
    "zero=1 positive=-2:[1 1] cumulative b=false\n"
    "2023-11-14T22:13:20.000000000Z metric gauge \"load\" 1\n";

static const char logs_json[] =
    "{\"resourceLogs\":[{\"scopeLogs\":[{\"scope\":{\"name\":\"lib\"},\"logRecords\":[{"
    "\"timeUnixNano\":\"1700000000000000000\",\"severityNumber\":9,\"body\":{\"stringValue\":"
    "\"placed\"},\"attributes\":[{\"key\":\"order\",\"value\":{\"kvlistValue\":{\"values\":[{"
    "\"key\":\"id\",\"value\":{\"bytesValue\":\"AP8=\"}}]}}}],\"traceId\":"
    "\"000102030405060708090a0b0c0d0e0f\",\"spanId\":\"0001020304050607\",\"eventName\":\"e\"}]}]}]"
    "}";

static const char logs_line[] =
    "2023-11-14T22:13:20.000000000Z log INFO \"placed\" event=\"e\" "
    "trace=000102030405060708090a0b0c0d0e0f span=0001020304050607 scope=\"lib\" "
    "order={id=0x00ff}\n";

static const struct {
    const char *json;
    const char *lines;
    size_t records;
} samples[] = {
    [TL_TRACES] = {traces_json, traces_line, 1},
    [TL_METRICS] = {metrics_json, metrics_lines, 5},
    [TL_LOGS] = {logs_json, logs_line, 1},
};

static struct bytes wire_of(enum tl_signal signal)
{
    struct bytes wire = {0};
    struct why why = {""};

    if (otlp_json_to_wire((enum signal)signal, str_of(samples[signal].json), &wire, &why) != 0)
        fail_msg("%s", why.text);
    return wire;
}

static struct tl_answer send_wire(const struct tl_exporter_v1 *exporter, enum tl_signal signal,
                                  struct str wire)
{
    const struct tl_request request = {
        .signal = signal,
        .bytes = (const uint8_t *)wire.at,
        .len = wire.len,
        .records = samples[signal].records,
        .deadline_ns = clock_mono_ns() + 5 * NS_PER_SECOND,
    };
    struct tl_answer answer;

    errno = 77;
    exporter->send(exporter->self, &request, &answer);
    assert_int_equal(errno, 77);
    return answer;
}

static struct tl_answer send_sample(const struct tl_exporter_v1 *exporter, enum tl_signal signal)
{
    struct bytes wire = wire_of(signal);
    const struct tl_answer answer = send_wire(exporter, signal, bytes_str(&wire));

    bytes_done(&wire);
    return answer;
}

// What is in a file so far.
static struct bytes file_text(const char *path)
{
    struct bytes text = {0};
    const int fd = open(path, O_RDONLY);
    uint8_t *room;
    ssize_t got = 1;

    assert_true(fd >= 0);
    while (got > 0) {
        room = bytes_reserve(&text, 65536);
        got = read(fd, room, 65536);
        assert_true(got >= 0);
        text.len += (size_t)got;
    }
    close(fd);
    return text;
}

static void a_file_gets_a_line_of_json_for_each_request(void **state)
{
    char path[] = "/tmp/throughline-exporter-XXXXXX";
    struct tl_exporter_v1 exporter;
    struct bytes expected = {0};
    struct bytes text;
    char why[256];

    (void)state;
    close(mkstemp(path));
    for (int again = 0; again < 2; again++) {
        assert_int_equal(tl_exporter_otlp_file(path, &exporter, why), 0);
        for (int signal = TL_TRACES; signal <= TL_LOGS; signal++) {
            assert_int_equal(send_sample(&exporter, (enum tl_signal)signal).result, TL_RESULT_DONE);
            bytes_format(&expected, "%s\n", samples[signal].json);
        }
        assert_int_equal(exporter.flush(exporter.self, 1000), 0);
        assert_int_equal(exporter.shutdown(exporter.self, 1000), 0);
        assert_int_equal(send_sample(&exporter, TL_TRACES).result, TL_RESULT_REFUSED);
        exporter.free(exporter.self);
    }
    text = file_text(path);
    bytes_add_byte(&expected, '\0');
    assert_str(bytes_str(&text), (const char *)expected.at);
    bytes_done(&text);
    bytes_done(&expected);
    unlink(path);
}

static void a_file_that_cannot_be_opened_has_a_reason(void **state)
{
    struct tl_exporter_v1 exporter;
    char why[256] = "";

    (void)state;
    errno = 77;
    assert_int_equal(tl_exporter_otlp_file("/no/such/folder/x", &exporter, why), -ENOENT);
    assert_int_equal(errno, 77);
    assert_string_equal(why, "/no/such/folder/x: No such file or directory");
    assert_int_equal(tl_exporter_otlp_file("/no/such/folder/x", &exporter, NULL), -ENOENT);
    assert_int_equal(tl_exporter_otlp_file(NULL, NULL, NULL), -EINVAL);
}

static void a_console_gets_a_line_for_each_record(void **state)
{
    struct tl_exporter_v1 exporter;
    char path[] = "/tmp/throughline-exporter-XXXXXX";
    const int fd = mkstemp(path);
    struct bytes expected = {0};
    struct bytes text;

    (void)state;
    assert_int_equal(tl_exporter_console(fd, &exporter, NULL), 0);
    for (int signal = TL_TRACES; signal <= TL_LOGS; signal++) {
        assert_int_equal(send_sample(&exporter, (enum tl_signal)signal).result, TL_RESULT_DONE);
        bytes_format(&expected, "%s", samples[signal].lines);
    }
    // The resource is told again only when it is another one.
    assert_int_equal(send_sample(&exporter, TL_TRACES).result, TL_RESULT_DONE);
    bytes_format(&expected, "%s", strchr(traces_line, '\n') + 1);
    bytes_add_byte(&expected, '\0');
    text = file_text(path);
    assert_str(bytes_str(&text), (const char *)expected.at);
    assert_int_equal(exporter.flush(exporter.self, 1000), 0);
    assert_int_equal(exporter.shutdown(exporter.self, 1000), 0);
    assert_int_equal(send_sample(&exporter, TL_LOGS).result, TL_RESULT_REFUSED);
    exporter.free(exporter.self);
    bytes_done(&text);
    bytes_done(&expected);
    close(fd);
    unlink(path);
}

// A locale whose decimal point is a comma; false where the host has no sources of locales.
static bool comma_begin(const char *folder)
{
    char path[128];
    int status = -1;
    pid_t child;

    if (snprintf(path, sizeof path, "%s/comma", folder) >= (int)sizeof path)
        return false;
    child = fork();
    if (child == 0) {
        execlp("localedef", "localedef", "-i", "de_DE", "-f", "UTF-8", path, (char *)NULL);
        _exit(1);
    }
    waitpid(child, &status, 0);
    setenv("LOCPATH", folder, 1);
    return status == 0 && setlocale(LC_ALL, "comma");
}

static int entry_remove(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status, (void)kind, (void)place;
    return remove(path);
}

static void the_programs_locale_changes_no_number(void **state)
{
    char folder[] = "/tmp/throughline-locale-XXXXXX";
    bool has_comma;

    assert_non_null(mkdtemp(folder));
    has_comma = comma_begin(folder);
    nftw(folder, entry_remove, 8, FTW_DEPTH | FTW_PHYS);
    if (!has_comma) {
        print_message("no localedef, or no sources of locales\n");
        skip();
    }
    a_console_gets_a_line_for_each_record(state);
    a_file_gets_a_line_of_json_for_each_request(state);
    setlocale(LC_ALL, "C");
}

static void what_is_malformed_is_refused(void **state)
{
    struct tl_memory_exporter *memory = tl_memory_exporter_new();
    struct tl_exporter_v1 exporters[3] = {tl_memory_exporter_as(memory)};
    char why[256];

    (void)state;
    assert_int_equal(tl_exporter_otlp_file("/dev/null", &exporters[1], why), 0);
    assert_int_equal(tl_exporter_console(open("/dev/null", O_WRONLY), &exporters[2], why), 0);
    for (size_t i = 0; i < 3; i++) {
        const struct tl_answer answer =
            send_wire(&exporters[i], TL_TRACES, STR("\x0a\x7f not a request"));

        assert_int_equal(answer.result, TL_RESULT_REFUSED);
        assert_true(answer.message[0]);
        if (exporters[i].free)
            exporters[i].free(exporters[i].self);
    }
    tl_memory_exporter_free(memory);
}

static void *drain(void *fd)
{
    char room[1000];
    ssize_t got = 1;
    size_t total = 0;

    while (got > 0) {
        got = read((int)(intptr_t)fd, room, sizeof room);
        total += got > 0 ? (size_t)got : 0;
    }
    return (void *)total;
}

// Far more than the pipe holds, and a descriptor that does not block.
static void a_slow_reader_gets_all_of_it(void **state)
{
    struct tl_exporter_v1 exporter;
    size_t expected = 0;
    pthread_t reader;
    void *total;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, 0), 0);
    assert_int_equal(pthread_create(&reader, NULL, drain, (void *)(intptr_t)ends[0]), 0);
    assert_int_equal(tl_exporter_console(ends[1], &exporter, NULL), 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(send_sample(&exporter, TL_METRICS).result, TL_RESULT_DONE);
        expected += strlen(metrics_lines);
    }
    exporter.free(exporter.self);
    close(ends[1]);
    pthread_join(reader, &total);
    assert_int_equal((size_t)total, expected);
    close(ends[0]);
}

static void a_full_pipe_costs_no_more_than_the_deadline(void **state)
{
    struct bytes wire = wire_of(TL_METRICS);
    struct tl_exporter_v1 exporter;
    const uint64_t started_ns = clock_mono_ns();
    struct tl_answer answer = {0};
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(tl_exporter_console(ends[1], &exporter, NULL), 0);
    for (int i = 0; i < 1000 && answer.result == TL_RESULT_DONE; i++) {
        const struct tl_request request = {
            .signal = TL_METRICS,
            .bytes = wire.at,
            .len = wire.len,
            .deadline_ns = clock_mono_ns() + 50 * NS_PER_MS,
        };

        exporter.send(exporter.self, &request, &answer);
    }
    assert_int_equal(answer.result, TL_RESULT_REFUSED);
    assert_true(clock_mono_ns() - started_ns < 20 * NS_PER_SECOND);
    exporter.free(exporter.self);
    close(ends[0]);
    close(ends[1]);
    bytes_done(&wire);
}

// With SIGPIPE as it is in a program that never thought of it.
static void a_reader_that_is_gone_does_not_end_the_program(void **state)
{
    const pid_t child = fork();
    int status = 0;

    (void)state;
    if (child == 0) {
        struct tl_exporter_v1 exporter;
        sigset_t pending;
        int ends[2];
        int bad = 0;

        if (pipe(ends) != 0 || tl_exporter_console(ends[1], &exporter, NULL) != 0)
            _exit(1);
        close(ends[0]);
        bad |= send_sample(&exporter, TL_LOGS).result != TL_RESULT_REFUSED;
        bad |= sigpending(&pending) != 0 || sigismember(&pending, SIGPIPE) != 0;
        _exit(bad);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void memory_keeps_all_until_it_is_reset(void **state)
{
    struct tl_memory_exporter *memory = tl_memory_exporter_new();
    struct tl_exporter_v1 exporter = tl_memory_exporter_as(memory);
    char *json;

    (void)state;
    for (int signal = TL_TRACES; signal <= TL_LOGS; signal++) {
        assert_int_equal(send_sample(&exporter, (enum tl_signal)signal).result, TL_RESULT_DONE);
        assert_int_equal(tl_memory_exporter_records(memory, (enum tl_signal)signal),
                         samples[signal].records);
        json = tl_memory_exporter_json(memory, (enum tl_signal)signal);
        assert_string_equal(json, samples[signal].json);
        free(json);
    }
    assert_int_equal(exporter.flush(exporter.self, 1000), 0);
    send_sample(&exporter, TL_METRICS);
    assert_int_equal(tl_memory_exporter_records(memory, TL_METRICS), 10);
    tl_memory_exporter_reset(memory);
    assert_int_equal(tl_memory_exporter_records(memory, TL_METRICS), 0);
    json = tl_memory_exporter_json(memory, TL_METRICS);
    assert_string_equal(json, "{}");
    free(json);
    tl_memory_exporter_free(memory);
}

static void null_is_taken(void **state)
{
    struct tl_exporter_v1 exporter = tl_memory_exporter_as(NULL);

    (void)state;
    assert_int_equal(send_sample(&exporter, TL_LOGS).result, TL_RESULT_REFUSED);
    assert_null(tl_memory_exporter_json(NULL, TL_LOGS));
    assert_int_equal(tl_memory_exporter_records(NULL, TL_LOGS), 0);
    tl_memory_exporter_reset(NULL);
    tl_memory_exporter_free(NULL);
    tl_module_add(NULL);
    assert_int_equal(tl_exporter_console(-1, &exporter, NULL), -EBADF);
    assert_int_equal(tl_exporter_otlp_http(NULL, NULL, NULL), -EINVAL);
}

static int added_exporter(const struct tl_otlp_options *options,
                          struct tl_exporter_v1 *out_exporter, char out_why[256])
{
    (void)options;
    *out_exporter = (struct tl_exporter_v1){.size = sizeof *out_exporter, .type = "added"};
    out_why[0] = '\0';
    return 0;
}

static void a_module_that_was_added_is_found_first(void **state)
{
    static const struct tl_module_v1 module = {
        .size = sizeof module, .name = "http", .otlp_exporter = added_exporter};
    struct tl_exporter_v1 exporter;
    struct why why = {""};
    char text[256] = "";

    (void)state;
    assert_null(module_find("of_no_kind", &why));
    assert_non_null(strstr(why.text, "libthroughline-of_no_kind.so.1"));
    tl_module_add(&module);
    tl_module_add(&module);
    assert_ptr_equal(module_find("http", NULL), &module);
    assert_int_equal(tl_exporter_otlp_http(NULL, &exporter, NULL), 0);
    assert_string_equal(exporter.type, "added");
    assert_int_equal(tl_exporter_otlp_http(NULL, &exporter, text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_gets_a_line_of_json_for_each_request),
        cmocka_unit_test(a_file_that_cannot_be_opened_has_a_reason),
        cmocka_unit_test(a_console_gets_a_line_for_each_record),
        cmocka_unit_test(the_programs_locale_changes_no_number),
        cmocka_unit_test(what_is_malformed_is_refused),
        cmocka_unit_test(a_slow_reader_gets_all_of_it),
        cmocka_unit_test(a_full_pipe_costs_no_more_than_the_deadline),
        cmocka_unit_test(a_reader_that_is_gone_does_not_end_the_program),
        cmocka_unit_test(memory_keeps_all_until_it_is_reset),
        cmocka_unit_test(null_is_taken),
        cmocka_unit_test(a_module_that_was_added_is_found_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
