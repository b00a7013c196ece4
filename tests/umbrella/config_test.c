// SPDX-License-Identifier: Apache-2.0
// Declarative configuration: what is parsed into which model, what is refused and where.

#include "tests/support/check.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include <throughline/config.h>

#include "libtrace/base/bytes.h"
#include "libtrace/sdk/stats.h"

#define HEAD "file_format: \"1.1\"\n"

static struct tl_config *parsed(const char *text)
{
    char why[512] = "";
    struct tl_config *config = tl_config_parse(text, strlen(text), why);

    if (!config)
        fail_msg("%s", why);
    return config;
}

static const struct tl_config_node *distribution(const struct tl_config *config, const char *key)
{
    return tl_config_get(tl_config_get(tl_config_get(tl_config_root(config), "distribution"), "x"),
                         key);
}

struct row {
    const char *yaml;
    enum tl_config_kind kind;
    const char *text;
};

// Our own cases of the specification's rules; the variables are set in main.
static const struct row substitutions[] = {
    {"${TXT}", TL_CONFIG_STRING, "rain"},
    {"${env:TXT}", TL_CONFIG_STRING, "rain"},
    {"${YES}", TL_CONFIG_BOOL, "true"},
    {"${NUMBER}", TL_CONFIG_INT, "42"},
    {"${FRACTION}", TL_CONFIG_DOUBLE, "0.5"},
    {"${HEX}", TL_CONFIG_INT, "0xff"},
    {"\"${YES}\"", TL_CONFIG_STRING, "true"},
    {"'${NUMBER}'", TL_CONFIG_STRING, "42"},
    {"${NOT_SET}", TL_CONFIG_NULL, NULL},
    {"${EMPTY}", TL_CONFIG_NULL, NULL},
    {"\"${NOT_SET}\"", TL_CONFIG_STRING, ""},
    {"${NOT_SET:-sun}", TL_CONFIG_STRING, "sun"},
    {"${EMPTY:-7}", TL_CONFIG_INT, "7"},
    {"${TXT:-sun}", TL_CONFIG_STRING, "rain"},
    {"${NOT_SET:-}", TL_CONFIG_NULL, NULL},
    {"${NOT_SET:-a b:c}", TL_CONFIG_STRING, "a b:c"},
    {"${env:NOT_SET:-sun}", TL_CONFIG_STRING, "sun"},
    {"x${NUMBER}y${TXT}", TL_CONFIG_STRING, "x42yrain"},
    {"${NUMBER}${NUMBER}", TL_CONFIG_INT, "4242"},
    {"${MAP}", TL_CONFIG_STRING, "a: b\nc: d"},
    {"${NESTED}", TL_CONFIG_STRING, "${TXT}"},
    {"${NOT_SET:-${TXT}}", TL_CONFIG_STRING, "${TXT}"},
    {"$${TXT}", TL_CONFIG_STRING, "${TXT}"},
    {"$$${TXT}", TL_CONFIG_STRING, "$rain"},
    {"$$$${TXT}", TL_CONFIG_STRING, "$${TXT}"},
    {"$${TXT:-${TXT}}", TL_CONFIG_STRING, "${TXT:-rain}"},
    {"${NOT_SET:-$${TXT}}", TL_CONFIG_STRING, "${NOT_SET:-${TXT}}"},
    {"${DOLLARS}", TL_CONFIG_STRING, "a$$b"},
    {"a $$ b", TL_CONFIG_STRING, "a $ b"},
    {"a $ b", TL_CONFIG_STRING, "a $ b"},
    {"a$", TL_CONFIG_STRING, "a$"},
    {"\"${TXT\"", TL_CONFIG_STRING, "${TXT"},
    {"\"${}\"", TL_CONFIG_STRING, "${}"},
};

static void variables_are_put_in_by_the_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof substitutions / sizeof substitutions[0]; i++) {
        const struct row *row = &substitutions[i];
        struct tl_config *config;
        const struct tl_config_node *node;
        char yaml[256];

        snprintf(yaml, sizeof yaml, HEAD "distribution:\n  x:\n    key: %s\n", row->yaml);
        config = parsed(yaml);
        node = distribution(config, "key");
        assert_non_null(node);
        if (tl_config_kind(node) != row->kind)
            fail_msg("%s is of kind %d", row->yaml, tl_config_kind(node));
        if (row->text)
            assert_string_equal(tl_config_text(node), row->text);
        else
            assert_null(tl_config_text(node));
        tl_config_free(config);
    }
}

static void keys_are_not_substituted(void **state)
{
    struct tl_config *config = parsed(HEAD "distribution: {x: {\"${TXT}\": 1}}\n");

    (void)state;
    assert_non_null(distribution(config, "${TXT}"));
    assert_null(distribution(config, "rain"));
    tl_config_free(config);
}

static void bad_references_fail_the_whole_file(void **state)
{
    static const char *const references[] = {"${1TXT}",        "${TXT-x}", "${A$B}",  "${TXT:?e}",
                                             "${sys:os.name}", "${env:}",  "${ TXT}", "${TXT:=x}"};
    char why[512];

    (void)state;
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
        char yaml[256];
        char expected[256];

        snprintf(yaml, sizeof yaml, HEAD "distribution:\n  x: {key: \"%s\"}\n", references[i]);
        snprintf(expected, sizeof expected,
                 "text:3:13: '%s' is not a reference such as ${env:NAME}", references[i]);
        assert_null(tl_config_parse(yaml, strlen(yaml), why));
        assert_string_equal(why, expected);
    }
}

static void scalars_have_the_types_of_the_core_schema(void **state)
{
    static const struct row rows[] = {
        {"~", TL_CONFIG_NULL, NULL},
        {"Null", TL_CONFIG_NULL, NULL},
        {"", TL_CONFIG_NULL, NULL},
        {"TRUE", TL_CONFIG_BOOL, "TRUE"},
        {"tRUE", TL_CONFIG_STRING, "tRUE"},
        {"yes", TL_CONFIG_STRING, "yes"},
        {"+12", TL_CONFIG_INT, "+12"},
        {"-0", TL_CONFIG_INT, "-0"},
        {"0o17", TL_CONFIG_INT, "0o17"},
        {"017", TL_CONFIG_INT, "017"},
        {"0xGG", TL_CONFIG_STRING, "0xGG"},
        {"1e3", TL_CONFIG_DOUBLE, "1e3"},
        {".5", TL_CONFIG_DOUBLE, ".5"},
        {"1.", TL_CONFIG_DOUBLE, "1."},
        {"-.inf", TL_CONFIG_DOUBLE, "-.inf"},
        {".nan", TL_CONFIG_DOUBLE, ".nan"},
        {"-.nan", TL_CONFIG_STRING, "-.nan"},
        {"1_000", TL_CONFIG_STRING, "1_000"},
        {"-", TL_CONFIG_STRING, "-"},
        {"+", TL_CONFIG_STRING, "+"},
        {"!!str 5", TL_CONFIG_STRING, "5"},
        {"!!int \"5\"", TL_CONFIG_INT, "5"},
        {"!!float 5", TL_CONFIG_DOUBLE, "5"},
        {"99999999999999999999", TL_CONFIG_DOUBLE, "99999999999999999999"},
    };
    int64_t integer = 0;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct tl_config *config;
        char yaml[256];

        if (strcmp(rows[i].yaml, "-") == 0)
            continue; // a list by itself
        snprintf(yaml, sizeof yaml, HEAD "distribution:\n  x:\n    key: %s\n", rows[i].yaml);
        config = parsed(yaml);
        if (tl_config_kind(distribution(config, "key")) != rows[i].kind)
            fail_msg("%s is of kind %d", rows[i].yaml, tl_config_kind(distribution(config, "key")));
        if (strcmp(rows[i].yaml, "0o17") == 0) {
            assert_true(tl_config_int(distribution(config, "key"), &integer));
            assert_int_equal(integer, 15);
        }
        tl_config_free(config);
    }
}

static void the_model_is_walked_by_key_and_by_index(void **state)
{
    struct tl_config *config =
        parsed(HEAD "distribution:\n  x: {a: [1, 2.5, true], b: {c: text}}\n");
    const struct tl_config_node *list = distribution(config, "a");
    int64_t integer;
    double number;
    bool boolean;

    (void)state;
    assert_int_equal(tl_config_kind(list), TL_CONFIG_LIST);
    assert_int_equal(tl_config_count(list), 3);
    assert_true(tl_config_int(tl_config_at(list, 0), &integer));
    assert_int_equal(integer, 1);
    assert_true(tl_config_double(tl_config_at(list, 0), &number));
    assert_true(tl_config_double(tl_config_at(list, 1), &number));
    assert_true(number == 2.5);
    assert_false(tl_config_int(tl_config_at(list, 1), &integer));
    assert_true(tl_config_bool(tl_config_at(list, 2), &boolean));
    assert_null(tl_config_at(list, 3));
    assert_string_equal(tl_config_key(distribution(config, "b"), 0), "c");
    assert_string_equal(tl_config_text(tl_config_at(distribution(config, "b"), 0)), "text");
    assert_null(tl_config_text(list));
    // NULL answers nothing.
    assert_int_equal(tl_config_kind(NULL), TL_CONFIG_NULL);
    assert_int_equal(tl_config_count(NULL), 0);
    assert_null(tl_config_at(NULL, 0));
    assert_null(tl_config_get(NULL, "a"));
    assert_null(tl_config_key(NULL, 0));
    assert_null(tl_config_root(NULL));
    assert_false(tl_config_bool(NULL, &boolean));
    tl_config_free(config);
    tl_config_free(NULL);
}

static void mistakes_are_told_with_their_place(void **state)
{
    static const char *const rows[][2] = {
        {"", "text:1:1: no YAML document is in it"},
        {"a: b\n", "text:1:1: 'file_format' is missing"},
        {"file_format: \"0.4\"\n", "text:1:15: file_format: '0.4' is not a version of 1.x"},
        {"file_format: \"1.x\"\n", "text:1:15: file_format: '1.x' is not a version of 1.x"},
        {"file_format: [1]\n", "text:1:15: file_format: a text was expected, not a list"},
        {HEAD "disabled: 5\n", "text:2:11: disabled: true or false was expected, not a whole "
                               "number"},
        {HEAD "log_level: loud\n", "text:2:12: log_level: 'loud' is not one of its words"},
        {HEAD "tracer_provider:\n", "text:2:1: tracer_provider: a map was expected, not null"},
        {HEAD "tracer_provider: {}\n", "text:2:1: tracer_provider: 'processors' is missing"},
        {HEAD "tracer_provider: {processors: []}\n",
         "text:2:19: tracer_provider.processors: an empty list"},
        {HEAD "tracer_provider:\n  processors:\n    - batch:\n        exporter: {console: }\n"
              "        delay: 5\n",
         "text:6:16: tracer_provider.processors[0].batch: 'delay' is not a property"},
        {HEAD "tracer_provider:\n  processors: [{simple: {exporter: {console: }}}]\n"
              "  sampler: {trace_id_ratio_based: {ratio: 1.5}}\n",
         "text:4:43: tracer_provider.sampler.trace_id_ratio_based.ratio: 1.5 is not from 0 to 1"},
        {HEAD "attribute_limits: {attribute_count_limit: -1}\n",
         "text:2:43: attribute_limits.attribute_count_limit: -1 is not from 0 to "
         "9223372036854775807"},
        {HEAD "propagator: {composite: [{b3: , baggage: }]}\n",
         "text:2:27: propagator.composite[0]: a map of one component was expected"},
        {HEAD "resource: {attributes: [{name: a}]}\n",
         "text:2:26: resource.attributes[0]: 'value' is missing"},
        {HEAD "resource: {attributes: [{name: a, value: [1, x]}]}\n",
         "text:2:46: resource.attributes[0]: value: items of more than one type"},
        {HEAD "a: *nowhere\n", NULL},
        {HEAD "a: 1\na: 2\n", NULL},
        {HEAD "a: [1\n", NULL},
        {HEAD "a: \"x\\0y\"\n", "text:2:5: text with a NUL"},
        {HEAD "a: !mine 5\n", "text:2:10: '!mine' is not a tag of the core schema"},
    };
    char why[512];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const uint64_t before = stats_get(&sdk_stats, SDK_invalid_settings);

        why[0] = '\0';
        assert_null(tl_config_parse(rows[i][0], strlen(rows[i][0]), why));
        if (rows[i][1])
            assert_string_equal(why, rows[i][1]);
        assert_memory_equal(why, "text:", 5);
        assert_true(stats_get(&sdk_stats, SDK_invalid_settings) > before);
    }
    assert_null(tl_config_parse(NULL, 5, NULL));
    assert_null(tl_config_parse_file(NULL, why));
    assert_null(tl_config_parse_file("/nonexistent/x.yaml", why));
    assert_non_null(strstr(why, "/nonexistent/x.yaml: cannot be opened"));
    assert_null(tl_config_parse_file("/", why));
    assert_string_equal(why, "/: is not a file");
}

static void refused(const struct bytes *yaml, const char *expected)
{
    char why[512];

    assert_null(tl_config_parse((const char *)yaml->at, yaml->len, why));
    if (!strstr(why, expected))
        fail_msg("%s", why);
}

static void sizes_are_limited(void **state)
{
    struct bytes yaml = {0};

    (void)state;
    bytes_format(&yaml, HEAD "a: [");
    for (int i = 0; i < 20001; i++)
        bytes_format(&yaml, "1,");
    bytes_format(&yaml, "]\n");
    refused(&yaml, "more than 20000 values");
    yaml.len = 0;
    for (int i = 0; i < 80; i++)
        bytes_format(&yaml, "%*sa:\n", i, "");
    refused(&yaml, "text:");
    yaml.len = 0;
    // Each line names the one before ten times.
    bytes_format(&yaml, HEAD "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 10; i++)
        bytes_format(&yaml, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1,
                     i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    refused(&yaml, "more than 20000 values");
    yaml.len = 0;
    bytes_format(&yaml, HEAD "a: &a {b: *a}\n");
    refused(&yaml, "text:");
    yaml.len = 0;
    bytes_format(&yaml, HEAD "a: \"");
    for (int i = 0; i < 1100; i++)
        bytes_format(&yaml, "%01000d", i);
    bytes_format(&yaml, "\"\n");
    refused(&yaml, "text: larger than 1 MiB");
    bytes_done(&yaml);
}

static void an_alias_is_what_it_names(void **state)
{
    struct tl_config *config = parsed(HEAD "distribution: {x: {a: &one {k: v}, b: *one}}\n");

    (void)state;
    assert_string_equal(tl_config_text(tl_config_get(distribution(config, "b"), "k")), "v");
    tl_config_free(config);
}

static void null_and_absent_differ(void **state)
{
    struct tl_config *config = parsed(
        HEAD "tracer_provider:\n  processors: [{simple: {exporter: {console: }}}]\n  sampler:\n"
             "    always_on:\n");
    const struct tl_config_node *sampler =
        tl_config_get(tl_config_get(tl_config_root(config), "tracer_provider"), "sampler");

    (void)state;
    assert_non_null(tl_config_get(sampler, "always_on"));
    assert_int_equal(tl_config_kind(tl_config_get(sampler, "always_on")), TL_CONFIG_NULL);
    assert_null(tl_config_get(sampler, "always_off"));
    tl_config_free(config);
}

static void a_file_is_read(void **state)
{
    char path[] = "/tmp/throughline-config-XXXXXX";
    const int fd = mkstemp(path);
    char why[512] = "";
    struct tl_config *config;

    (void)state;
    assert_true(fd >= 0);
    assert_true(write(fd, HEAD "disabled: true\n", sizeof HEAD "disabled: true\n" - 1) > 0);
    close(fd);
    config = tl_config_parse_file(path, why);
    unlink(path);
    assert_string_equal(why, "");
    assert_non_null(config);
    tl_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_are_put_in_by_the_rules),
        cmocka_unit_test(keys_are_not_substituted),
        cmocka_unit_test(bad_references_fail_the_whole_file),
        cmocka_unit_test(scalars_have_the_types_of_the_core_schema),
        cmocka_unit_test(the_model_is_walked_by_key_and_by_index),
        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(sizes_are_limited),
        cmocka_unit_test(an_alias_is_what_it_names),
        cmocka_unit_test(null_and_absent_differ),
        cmocka_unit_test(a_file_is_read),
    };

    tl_module_add(tl_module_yaml());
    setenv("TXT", "rain", 1);
    setenv("YES", "true", 1);
    setenv("NUMBER", "42", 1);
    setenv("FRACTION", "0.5", 1);
    setenv("HEX", "0xff", 1);
    setenv("EMPTY", "", 1);
    setenv("MAP", "a: b\nc: d", 1);
    setenv("NESTED", "${TXT}", 1);
    setenv("DOLLARS", "a$$b", 1);
    unsetenv("NOT_SET");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
