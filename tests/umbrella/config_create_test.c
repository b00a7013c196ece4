// SPDX-License-Identifier: Apache-2.0
// Create: golden files, a YAML and what must be made of it; what is refused; components of others.

#include "tests/support/check.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

#include <throughline/config.h>

#include "tests/umbrella/made.h"

#define HEAD "file_format: \"1.1\"\n"
#define FOLDER TREE "/tests/golden/umbrella/config"

static void components_write(const struct tl_components *components)
{
    const char *const *fields =
        components->propagator ? tl_propagator_fields(components->propagator) : NULL;

    bytes_format(&made, "propagator:%s", fields ? "" : " -");
    for (; fields && *fields; fields++)
        bytes_format(&made, " %s", *fields);
    bytes_format(&made, "\n");
}

static void components_free(struct tl_components *components)
{
    tl_tracer_provider_free(components->tracer_provider);
    tl_meter_provider_free(components->meter_provider);
    tl_logger_provider_free(components->logger_provider);
    tl_propagator_unref(components->propagator);
    tl_resource_unref(components->resource);
}

static int created(const char *yaml, struct tl_components *out, char why[512])
{
    struct tl_config *config = tl_config_parse(yaml, strlen(yaml), why);
    int failed;

    if (!config)
        fail_msg("%s", why);
    made_reset();
    *out = (struct tl_components){NULL};
    failed = tl_config_create(config, out, why);
    tl_config_free(config);
    return failed;
}

static char *file_text(const char *path)
{
    FILE *file = fopen(path, "r");
    struct bytes text = {0};
    size_t got = 1;

    while (file && got) {
        uint8_t *to = bytes_reserve(&text, 4096);

        got = fread(to, 1, 4096, file);
        text.len += got;
    }
    if (file)
        fclose(file);
    bytes_add_byte(&text, '\0');
    return (char *)text.at;
}

static void golden(const char *name)
{
    char path[512];
    char why[512] = "";
    struct tl_components components;
    char *yaml;
    char *expected;

    snprintf(path, sizeof path, FOLDER "/%s", name);
    yaml = file_text(path);
    snprintf(path + strlen(path) - 5, 5, ".txt");
    expected = file_text(path);
    if (created(yaml, &components, why) == 0)
        components_write(&components);
    else
        bytes_format(&made, "refused: %s\n", why);
    components_free(&components);
    if (getenv("GOLDEN_WRITE")) {
        FILE *file = fopen(path, "w");

        fwrite(made.at, 1, made.len, file);
        fclose(file);
    } else if (!str_equal(bytes_str(&made), str_of(expected))) {
        fail_msg("%s:\n%.*s\nexpected\n%s", name, (int)made.len, (const char *)made.at, expected);
    }
    free(yaml);
    free(expected);
}

static void each_file_makes_what_stands_beside_it(void **state)
{
    struct dirent **entries;
    const int count = scandir(FOLDER, &entries, NULL, alphasort);
    unsigned files = 0;

    (void)state;
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        const char *dot = strrchr(entries[i]->d_name, '.');

        if (dot && strcmp(dot, ".yaml") == 0) {
            golden(entries[i]->d_name);
            files++;
        }
        free(entries[i]);
    }
    free(entries);
    assert_true(files >= 5);
}

static void the_example_is_created(void **state)
{
    char why[512] = "";
    struct tl_components components;
    char *yaml = file_text(TREE "/examples/sdk/throughline.yaml");

    (void)state;
    if (created(yaml, &components, why) != 0)
        fail_msg("%s", why);
    assert_non_null(components.tracer_provider);
    assert_non_null(components.meter_provider);
    assert_non_null(components.logger_provider);
    assert_non_null(components.propagator);
    assert_non_null(components.resource);
    components_free(&components);
    free(yaml);
}

static void what_cannot_be_made_is_refused_with_its_place(void **state)
{
    static const char *const rows[][2] = {
        {"tracer_provider: {processors: [{simple: {exporter: {nowhere: }}}]}\n",
         "text:2:53: 'nowhere' is not a span exporter that is known"},
        {"tracer_provider: {processors: [{mine: {a: 1}}]}\n",
         "text:2:40: 'mine' is not a span processor that is known"},
        {"logger_provider: {processors: [{simple: {exporter: {console: }}}, {mine: }]}\n",
         "text:2:68: 'mine' is not a log processor that is known"},
        {"meter_provider: {readers: [{periodic: {exporter: {mine: }}}]}\n",
         "text:2:51: 'mine' is not a metric exporter that is known"},
        {"meter_provider: {readers: [{periodic: {exporter: {console: }, producers: "
         "[{opencensus: }]}}]}\n",
         "text:2:76: producers: 'opencensus' is not a producer that is known"},
        {"tracer_provider: {processors: [{simple: {exporter: {console: }}}], "
         "sampler: {parent_based: {root: {dice: }}}}\n",
         "text:2:100: 'dice' is not a sampler that is known"},
        {"tracer_provider: {processors: [{simple: {exporter: {console: }}}], "
         "id_generator: {serial: }}\n",
         "text:2:83: 'serial' is not an id generator that is known"},
        {"propagator: {composite_list: \"b3,smoke\"}\n",
         "text:2:31: 'smoke' is not a propagator that is known"},
        {"resource: {detection/development: {detectors: [{moon: }]}}\n",
         "text:2:49: 'moon' is not a detector that is known"},
        {"resource: {attributes_list: \"a=1,b\"}\n",
         "text:2:30: attributes_list: not a list of KEY=VALUE"},
        {"tracer_provider: {processors: [{simple: {exporter: {otlp_http: {tls: {ca_file: "
         "ca.pem}}}}}]}\n",
         "text:2:80: ca_file: 'ca.pem' is not an absolute path"},
        {"tracer_provider: {processors: [{simple: {exporter: {otlp_http: {compression: zip}}}}]}\n",
         "text:2:78: compression: 'zip' is neither gzip nor none"},
        {"tracer_provider: {processors: [{simple: {exporter: {otlp_file/development: "
         "{output_stream: here}}}}]}\n",
         "text:2:92: output_stream: 'here' is neither stdout nor file:///PATH"},
        {"tracer_provider: {processors: [{batch: {max_queue_size: 5, max_export_batch_size: 6, "
         "exporter: {console: }}}]}\n",
         "text:2:83: max_export_batch_size: larger than max_queue_size"},
        {"meter_provider: {readers: [{periodic: {exporter: {console: }}}], views: [{selector: {}, "
         "stream: {aggregation: {explicit_bucket_histogram: {boundaries: [2, 1]}}}}]}\n",
         "text:2:156: boundaries: 1 is not above the one before"},
    };
    struct tl_components components;
    char why[512];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char yaml[512];

        snprintf(yaml, sizeof yaml, HEAD "%s", rows[i][0]);
        assert_int_equal(created(yaml, &components, why), -EINVAL);
        assert_string_equal(why, rows[i][1]);
        assert_null(components.tracer_provider);
        assert_null(components.resource);
    }
    assert_int_equal(tl_config_create(NULL, &components, why), -EINVAL);
}

static void a_missing_module_is_refused(void **state)
{
    struct tl_components components;
    char why[512];

    (void)state;
    made_fails = "otlp_grpc";
    assert_int_equal(created(HEAD "logger_provider: {processors: [{simple: {exporter: "
                                  "{otlp_grpc: {endpoint: \"http://x:4317\"}}}}]}\n",
                             &components, why),
                     -EINVAL);
    made_fails = NULL;
    assert_string_equal(why, "text:2:65: otlp_grpc: no module otlp_grpc");
}

struct seen {
    char color[32];
    int64_t count;
    unsigned calls;
};

static int exporter_create(void *self, const struct tl_config_node *properties, void *out,
                           char why[256])
{
    struct seen *seen = self;
    const char *color = tl_config_text(tl_config_get(properties, "color"));

    seen->calls++;
    if (!color) {
        snprintf(why, 256, "color is missing");
        return -EINVAL;
    }
    snprintf(seen->color, sizeof seen->color, "%s", color);
    tl_config_int(tl_config_get(tl_config_get(properties, "nested"), "count"), &seen->count);
    *(struct tl_exporter_v1 *)out = (struct tl_exporter_v1){.size = sizeof(struct tl_exporter_v1)};
    return 0;
}

static void sample(void *self, const struct tl_sampling *sampling,
                   struct tl_sampling_result *out_result)
{
    (void)self;
    (void)sampling;
    out_result->decision = TL_DROP;
}

static int sampler_create(void *self, const struct tl_config_node *properties, void *out,
                          char why[256])
{
    const struct tl_sampler_functions functions = {.sample = sample, .description = "Dice{6}"};

    (void)self;
    (void)why;
    // Present but null: no properties.
    assert_int_equal(tl_config_kind(properties), TL_CONFIG_NULL);
    *(struct tl_sampler **)out = tl_sampler_custom(&functions);
    return 0;
}

static int detector_create(void *self, const struct tl_config_node *properties, void *out,
                           char why[256])
{
    const struct tl_attribute attributes[] = {TL_STR("moon.phase", "full"), TL_INT("moon.n", 1)};

    (void)self;
    (void)properties;
    (void)why;
    *(struct tl_resource **)out = tl_resource_new(attributes, 2, NULL);
    return 0;
}

static int processor_create(void *self, const struct tl_config_node *properties, void *out,
                            char why[256])
{
    (void)properties;
    (void)why;
    *(struct tl_span_processor *)out = (struct tl_span_processor){.self = self};
    return 0;
}

static int propagator_create(void *self, const struct tl_config_node *properties, void *out,
                             char why[256])
{
    (void)self;
    (void)properties;
    (void)why;
    *(struct tl_propagator **)out = tl_propagator_new("xray");
    return 0;
}

static void components_of_others_get_their_properties(void **state)
{
    static struct seen seen;
    const struct tl_component_provider providers[] = {
        {TL_COMPONENT_SPAN_EXPORTER, "paint", exporter_create, &seen},
        {TL_COMPONENT_SAMPLER, "dice6", sampler_create, NULL},
        {TL_COMPONENT_DETECTOR, "moon6", detector_create, NULL},
        {TL_COMPONENT_SPAN_PROCESSOR, "watch", processor_create, NULL},
        {TL_COMPONENT_PROPAGATOR, "smoke6", propagator_create, NULL},
    };
    struct tl_components components;
    char why[512];

    (void)state;
    for (size_t i = 0; i < sizeof providers / sizeof providers[0]; i++) {
        assert_int_equal(tl_component_add(&providers[i]), 0);
        assert_int_equal(tl_component_add(&providers[i]), -EEXIST);
    }
    assert_int_equal(tl_component_add(NULL), -EINVAL);
    assert_int_equal(
        created(HEAD "tracer_provider:\n"
                     "  processors:\n"
                     "    - simple: {exporter: {paint: {color: blue, nested: {count: 3}}}}\n"
                     "    - watch:\n"
                     "  sampler: {always_record: {root: {dice6: }}}\n"
                     "propagator: {composite: [{smoke6: }]}\n"
                     "resource: {detection/development: {detectors: [{moon6: }]}}\n",
                &components, why),
        0);
    components_free(&components);
    assert_string_equal(seen.color, "blue");
    assert_int_equal(seen.count, 3);
    bytes_add_byte(&made, '\0');
    assert_non_null(strstr((const char *)made.at, "sampler AlwaysRecord{root=Dice{6}}"));
    assert_non_null(strstr((const char *)made.at, "moon.phase=full moon.n=1"));
    assert_non_null(strstr((const char *)made.at, "processor of others"));
    // What it says goes to the caller.
    assert_int_equal(created(HEAD "tracer_provider:\n"
                                  "  processors: [{simple: {exporter: {paint: {c: 1}}}}]\n",
                             &components, why),
                     -EINVAL);
    assert_string_equal(why, "text:3:45: paint: color is missing");
    assert_int_equal(seen.calls, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_file_makes_what_stands_beside_it),
        cmocka_unit_test(the_example_is_created),
        cmocka_unit_test(what_cannot_be_made_is_refused_with_its_place),
        cmocka_unit_test(a_missing_module_is_refused),
        cmocka_unit_test(components_of_others_get_their_properties),
    };
    int failed;

    tl_module_add(tl_module_yaml());
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    bytes_done(&made);
    return failed;
}
