// SPDX-License-Identifier: Apache-2.0
// Prometheus' text of what a reader collects, line by line.

#include "tests/support/check.h"

#include "libtrace/sdk/metrics/prometheus_name.h"
#include "tests/sdk/metrics_text.h"

static char *text_by(struct tl_metric_reader *reader, const struct tl_prometheus_options *options,
                     bool is_openmetrics)
{
    char *text = NULL;
    size_t len = 0;

    assert_int_equal(tl_reader_prometheus_text(reader, options, is_openmetrics, &text, &len), 0);
    assert_int_equal(strlen(text), len);
    return text;
}

// The whole text, without what differs from run to run: resource and times of creation.
static void assert_prometheus(struct tl_metric_reader *reader,
                              const struct tl_prometheus_options *options, bool is_openmetrics,
                              const char *expected)
{
    struct tl_prometheus_options own = {.without_target_info = true};
    struct bytes kept = {0};
    char *text;

    if (options)
        own = *options;
    own.without_target_info = true;
    text = text_by(reader, &own, is_openmetrics);
    for (char *line = text; *line;) {
        char *end = strchr(line, '\n');
        const size_t len = (size_t)(end - line);

        if (!memmem(line, len, "_created", 8))
            bytes_add(&kept, line, len + 1);
        line = end + 1;
    }
    bytes_add_byte(&kept, '\0');
    assert_string_equal((char *)kept.at, expected);
    bytes_done(&kept);
    free(text);
}

static const struct tl_prometheus_options plain = {.without_scope = true};

static void names_and_labels_are_made_of_what_is_allowed(void **state)
{
    static const char *const names[][2] = {
        {"http.server.request.duration", "http_server_request_duration"},
        {"a..b--c", "a_b_c"},
        {"1st", "_1st"},
        {"ns:ok", "ns:ok"},
        {"\xc3\xa4", "_"},
        {"", "_"},
        {"trail_", "trail_"},
    };
    struct bytes out = {0};

    (void)state;
    for (size_t i = 0; i < TL_COUNT(names); i++) {
        out.len = 0;
        prometheus_name_write(&out, str_of(names[i][0]));
        assert_str(bytes_str(&out), names[i][1]);
    }
    out.len = 0;
    prometheus_label_write(&out, STR("http.status:code"));
    assert_str(bytes_str(&out), "http_status_code");
    bytes_done(&out);
}

static void units_become_words(void **state)
{
    static const char *const units[][2] = {
        {"s", "seconds"},
        {"ms", "milliseconds"},
        {"us", "microseconds"},
        {"ns", "nanoseconds"},
        {"min", "minutes"},
        {"h", "hours"},
        {"d", "days"},
        {"By", "bytes"},
        {"KiBy", "kibibytes"},
        {"MiBy", "mebibytes"},
        {"GiBy", "gibibytes"},
        {"TiBy", "tebibytes"},
        {"kBy", "kilobytes"},
        {"MBy", "megabytes"},
        {"GBy", "gigabytes"},
        {"TBy", "terabytes"},
        {"m", "meters"},
        {"V", "volts"},
        {"A", "amperes"},
        {"J", "joules"},
        {"W", "watts"},
        {"g", "grams"},
        {"Cel", "celsius"},
        {"Hz", "hertz"},
        {"%", "percent"},
        {"m/s", "meters_per_second"},
        {"By/min", "bytes_per_minute"},
        {"{packet}", ""},
        {"{packet}/s", "per_second"},
        {"", ""},
        {"1", ""},
        {"furlong", "furlong"},
    };
    struct bytes out = {0};

    (void)state;
    for (size_t i = 0; i < TL_COUNT(units); i++) {
        out.len = 0;
        prometheus_unit_write(&out, str_of(units[i][0]), false);
        assert_str(bytes_str(&out), units[i][1]);
    }
    out.len = 0;
    prometheus_unit_write(&out, STR("1"), true);
    assert_str(bytes_str(&out), "ratio");
    bytes_done(&out);
}

static void counters_end_in_total_and_gauges_do_not(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    const struct tl_prometheus_options without = {.without_scope = true, .without_total = true};

    (void)state;
    tl_measure(tl_counter(rig.meter, "sent", "By", "Bytes\nsent \\ \"out\""), 7, NULL, 0);
    tl_measure(tl_counter(rig.meter, "done.total", NULL, NULL), 2, NULL, 0);
    tl_measure(tl_up_down_counter(rig.meter, "open", NULL, NULL), -2, NULL, 0);
    tl_measure_double(tl_gauge(rig.meter, "load", "1", NULL), 0.25, NULL, 0);
    tl_measure_double(tl_gauge(rig.meter, "wait_seconds", "s", NULL), 1e-9, NULL, 0);
    assert_prometheus(rig.reader, &plain, false,
                      "# HELP sent_bytes_total Bytes\\nsent \\\\ \"out\"\n"
                      "# TYPE sent_bytes_total counter\nsent_bytes_total 7\n"
                      "# TYPE done_total counter\ndone_total 2\n"
                      "# TYPE open gauge\nopen -2\n"
                      "# TYPE load_ratio gauge\nload_ratio 0.25\n"
                      "# TYPE wait_seconds gauge\nwait_seconds 1e-09\n");
    assert_prometheus(rig.reader, &plain, true,
                      "# HELP sent_bytes Bytes\\nsent \\\\ \\\"out\\\"\n# TYPE sent_bytes counter\n"
                      "# UNIT sent_bytes bytes\nsent_bytes_total 7\n"
                      "# TYPE done counter\ndone_total 2\n"
                      "# TYPE open gauge\nopen -2\n"
                      "# TYPE load_ratio gauge\n# UNIT load_ratio ratio\nload_ratio 0.25\n"
                      "# TYPE wait_seconds gauge\n# UNIT wait_seconds seconds\n"
                      "wait_seconds 1e-09\n# EOF\n");
    assert_prometheus(rig.reader, &without, false,
                      "# HELP sent_bytes Bytes\\nsent \\\\ \"out\"\n"
                      "# TYPE sent_bytes counter\nsent_bytes 7\n"
                      "# TYPE done_total counter\ndone_total 2\n"
                      "# TYPE open gauge\nopen -2\n"
                      "# TYPE load_ratio gauge\nload_ratio 0.25\n"
                      "# TYPE wait_seconds gauge\nwait_seconds 1e-09\n");
    rig_free(&rig);
}

static void unit_suffixes_can_be_left_out(void **state)
{
    struct rig rig = rig_new(NULL, NULL);

    (void)state;
    tl_measure(tl_counter(rig.meter, "sent", "By", NULL), 7, NULL, 0);
    assert_prometheus(rig.reader,
                      &(struct tl_prometheus_options){.without_scope = true, .without_units = true},
                      true, "# TYPE sent counter\nsent_total 7\n# EOF\n");
    rig_free(&rig);
}

static void scopes_are_labels_of_every_sample(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    const struct tl_attribute attributes[] = {TL_STR("team", "a\"b"), TL_STR("name", "pretender"),
                                              TL_INT("x.y", 3)};
    const struct tl_scope scope = {"lib", "1.2", "http://u", attributes, 3};

    (void)state;
    tl_measure(tl_counter(tl_meter_get(rig.provider, &scope), "c", NULL, NULL), 1, NULL, 0);
    tl_measure(tl_counter(rig.meter, "d", NULL, NULL), 1, NULL, 0);
    assert_prometheus(rig.reader, NULL, false,
                      "# TYPE d_total counter\nd_total{otel_scope_name=\"test\"} 1\n"
                      "# TYPE c_total counter\nc_total{otel_scope_name=\"lib\","
                      "otel_scope_schema_url=\"http://u\",otel_scope_team=\"a\\\"b\","
                      "otel_scope_version=\"1.2\",otel_scope_x_y=\"3\"} 1\n");
    assert_prometheus(rig.reader, &plain, false,
                      "# TYPE d_total counter\nd_total 1\n# TYPE c_total counter\nc_total 1\n");
    rig_free(&rig);
}

static void metadata_stands_once_for_one_name(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    struct tl_meter *other = tl_meter_get(rig.provider, &(struct tl_scope){.name = "other"});

    (void)state;
    said_watch();
    tl_measure(tl_counter(rig.meter, "c", NULL, "first"), 1, NULL, 0);
    tl_measure(tl_counter(other, "c", NULL, "second"), 2, NULL, 0);
    // Another type of the same name is left out whole.
    tl_measure(tl_gauge(other, "c_total", NULL, NULL), 3, NULL, 0);
    assert_prometheus(rig.reader, NULL, false,
                      "# HELP c_total first\n# TYPE c_total counter\n"
                      "c_total{otel_scope_name=\"test\"} 1\n"
                      "c_total{otel_scope_name=\"other\"} 2\n");
    assert_int_equal(said_count(), 2);
    rig_free(&rig);
}

static void colliding_labels_are_merged_in_the_order_of_their_keys(void **state)
{
    struct rig rig = rig_new(NULL, NULL);
    const struct tl_attribute attributes[] = {TL_STR("z.a", "3"),
                                              TL_STR("z-a", "1"),
                                              TL_STR("z_a", "5"),
                                              TL_BOOL("b", true),
                                              TL_DOUBLE("d", 0.5),
                                              TL_STR("text", "line\nbreak \\ \"quote\""),
                                              TL_INTS("list", ((const int64_t[]){1, 2}), 2),
                                              TL_BYTES("raw", "\1\2\3\4", 4)};

    (void)state;
    tl_measure(tl_counter(rig.meter, "c", NULL, NULL), 1, attributes, 8);
    assert_prometheus(rig.reader, &plain, false,
                      "# TYPE c_total counter\n"
                      "c_total{b=\"true\",d=\"0.5\",list=\"[1,2]\",raw=\"AQIDBA==\","
                      "text=\"line\\nbreak \\\\ \\\"quote\\\"\",z_a=\"1;3;5\"} 1\n");
    rig_free(&rig);
}

static struct tl_context *sampled_context(void)
{
    struct tl_span_context remote = {.flags = 1};

    memset(remote.trace_id, 0xab, 16);
    memset(remote.span_id, 0xcd, 8);
    return tl_context_with_remote(NULL, &remote);
}

static void histograms_have_cumulative_buckets_and_exemplars(void **state)
{
    const double boundaries[] = {1, 2.5, 100000, 1e6};
    const char *const none[] = {"kept"};
    const struct tl_view views[] = {{.instrument_name = "h",
                                     .aggregation = {.kind = TL_AGGREGATION_EXPLICIT_HISTOGRAM,
                                                     .boundaries = boundaries,
                                                     .boundary_count = 4}},
                                    {.instrument_name = "c",
                                     .attribute_keys = none,
                                     .attribute_key_count = 1,
                                     .has_attribute_keys = true}};
    struct rig rig =
        rig_new(NULL, &(struct tl_meter_provider_options){.views = views, .view_count = 2});
    struct tl_instrument *histogram = tl_histogram(rig.meter, "h", "s", NULL);
    struct tl_context *context = sampled_context();
    char long_text[100];
    const struct tl_attribute attributes[] = {TL_STR("kept", "k"), TL_STR("lost", "x"),
                                              TL_STR_N("long", long_text, 99)};
    char *text;
    char *exemplar;

    (void)state;
    memset(long_text, 'y', 99);
    long_text[99] = '\0';
    tl_measure_double(histogram, 1, NULL, 0);
    tl_measure_in(histogram, 2, NULL, 0, context);
    tl_measure_double(histogram, 5e6, NULL, 0);
    assert_prometheus(rig.reader, &plain, false,
                      "# TYPE h_seconds histogram\nh_seconds_bucket{le=\"1\"} 1\n"
                      "h_seconds_bucket{le=\"2.5\"} 2\nh_seconds_bucket{le=\"100000\"} 2\n"
                      "h_seconds_bucket{le=\"1000000\"} 2\nh_seconds_bucket{le=\"+Inf\"} 3\n"
                      "h_seconds_sum 5000003\nh_seconds_count 3\n");
    text = text_by(rig.reader, &plain, true);
    exemplar = strstr(text, "h_seconds_bucket{le=\"2.5\"} 2 # "
                            "{trace_id=\"abababababababababababababababab\","
                            "span_id=\"cdcdcdcdcdcdcdcd\"} 2 1");
    assert_non_null(exemplar);
    assert_non_null(strstr(text, "h_seconds_bucket{le=\"100000.0\"} 2\n"));
    assert_non_null(strstr(text, "h_seconds_bucket{le=\"1e+06\"} 2\n"));
    assert_non_null(strstr(text, "h_seconds_created 1"));
    free(text);
    // A counter's too; what would be too long is left out.
    tl_measure_in(tl_counter(rig.meter, "c", NULL, NULL), 1, attributes, 3, context);
    text = text_by(rig.reader, &plain, true);
    assert_non_null(strstr(text,
                           "c_total{kept=\"k\"} 1 # {trace_id=\"abababababababababababababababab"
                           "\",span_id=\"cdcdcdcdcdcdcdcd\",lost=\"x\"} 1 1"));
    assert_null(strstr(text, "yyy"));
    free(text);
    tl_context_unref(context);
    rig_free(&rig);
}

static void exponential_histograms_become_buckets(void **state)
{
    const struct tl_view views[] = {
        {.instrument_name = "h", .aggregation = {.kind = TL_AGGREGATION_EXPONENTIAL_HISTOGRAM}}};
    struct rig rig =
        rig_new(NULL, &(struct tl_meter_provider_options){.views = views, .view_count = 1});
    struct tl_instrument *histogram = tl_histogram(rig.meter, "h", NULL, NULL);
    char *text;

    (void)state;
    tl_measure_double(histogram, 0, NULL, 0);
    tl_measure_double(histogram, 1, NULL, 0);
    tl_measure_double(histogram, 2, NULL, 0);
    tl_measure_double(histogram, 1024, NULL, 0);
    text = text_by(rig.reader, &plain, false);
    assert_non_null(strstr(text, "h_bucket{le=\"0\"} 1\nh_bucket{le=\"1\"} 2\n"));
    assert_non_null(strstr(text, "h_bucket{le=\"2\"} 3\n"));
    assert_non_null(strstr(text, "h_bucket{le=\"1024\"} 4\nh_bucket{le=\"+Inf\"} 4\n"));
    free(text);
    rig_free(&rig);
}

static void the_resource_is_one_info_metric(void **state)
{
    const struct tl_attribute service[] = {TL_STR("service.name", "shop"), TL_INT("pid", 7)};
    struct rig rig = rig_new(
        NULL, &(struct tl_meter_provider_options){.resource = tl_resource_new(service, 2, NULL)});
    char *text;

    (void)state;
    tl_measure(tl_counter(rig.meter, "c", NULL, NULL), 1, NULL, 0);
    text = text_by(rig.reader, &plain, false);
    assert_string_equal(text, "# HELP target_info Target metadata\n# TYPE target_info gauge\n"
                              "target_info{pid=\"7\",service_name=\"shop\"} 1\n"
                              "# TYPE c_total counter\nc_total 1\n");
    free(text);
    text = text_by(rig.reader, NULL, true);
    assert_non_null(strstr(text, "# HELP target Target metadata\n# TYPE target info\n"
                                 "target_info{pid=\"7\",service_name=\"shop\"} 1\n"));
    free(text);
    text = text_by(rig.reader, &(struct tl_prometheus_options){.without_target_info = true}, true);
    assert_null(strstr(text, "target"));
    free(text);
    rig_free(&rig);
}

static void deltas_are_summed_up(void **state)
{
    struct tl_reader_options options = {0};
    struct rig rig;
    struct tl_instrument *counter;
    struct tl_instrument *up_down;
    struct tl_instrument *histogram;
    const double boundaries[] = {1};

    (void)state;
    for (int kind = 0; kind < 8; kind++)
        options.temporality[kind] = TL_DELTA;
    rig = rig_new(&options, NULL);
    counter = tl_counter(rig.meter, "c", NULL, NULL);
    up_down = tl_up_down_counter(rig.meter, "u", NULL, NULL);
    histogram =
        tl_instrument_get(rig.meter, &(struct tl_instrument_options){.kind = TL_HISTOGRAM,
                                                                     .name = "h",
                                                                     .boundaries = boundaries,
                                                                     .boundary_count = 1,
                                                                     .has_boundaries = true});
    for (int i = 1; i <= 3; i++) {
        char expected[512];

        tl_measure(counter, 5, NULL, 0);
        tl_measure(up_down, -2, NULL, 0);
        tl_measure(histogram, 1, NULL, 0);
        tl_measure(histogram, 7, NULL, 0);
        assert_true(snprintf(expected, sizeof expected,
                             "# TYPE c_total counter\nc_total %d\n# TYPE u gauge\nu %d\n"
                             "# TYPE h histogram\nh_bucket{le=\"1\"} %d\nh_bucket{le=\"+Inf\"} %d\n"
                             "h_sum %d\nh_count %d\n",
                             5 * i, -2 * i, i, 2 * i, 8 * i, 2 * i) > 0);
        assert_prometheus(rig.reader, &plain, false, expected);
    }
    rig_free(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_labels_are_made_of_what_is_allowed),
        cmocka_unit_test(units_become_words),
        cmocka_unit_test(counters_end_in_total_and_gauges_do_not),
        cmocka_unit_test(unit_suffixes_can_be_left_out),
        cmocka_unit_test(scopes_are_labels_of_every_sample),
        cmocka_unit_test(metadata_stands_once_for_one_name),
        cmocka_unit_test(colliding_labels_are_merged_in_the_order_of_their_keys),
        cmocka_unit_test(histograms_have_cumulative_buckets_and_exemplars),
        cmocka_unit_test(exponential_histograms_become_buckets),
        cmocka_unit_test(the_resource_is_one_info_metric),
        cmocka_unit_test(deltas_are_summed_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
