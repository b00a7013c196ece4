// SPDX-License-Identifier: Apache-2.0
// Resources: made, merged, read; what OTEL_* puts into them.

#include "tests/support/check.h"

#include <sys/wait.h>
#include <unistd.h>

#include "libtrace/otlp/span.h"
#include "libtrace/sdk/resource/detect.h"
#include "libtrace/sdk/stats.h"
#include "tests/sdk/resources.h"

static uint64_t counted(enum sdk_stat row)
{
    return stats_get(&sdk_stats, row);
}

// ---- Made and merged

static void a_resource_has_what_it_was_made_of(void **state)
{
    const char *const list[] = {"a", NULL, "b\xff"};
    const struct tl_value mixed[] = {{TL_TYPE_INT, 0, {.integer = 7}}, {TL_TYPE_EMPTY, 0, {NULL}}};
    struct tl_attribute attributes[] = {
        TL_STR("text", "one"),
        TL_STR("text", "two"),
        TL_INT("number", -1),
        TL_STRS("list", list, 3),
        TL_BOOL("", true),
        TL_DOUBLE("share", 0.5),
        {"mixed", 5, {TL_TYPE_ARRAY, 2, {.values = mixed}}},
    };
    const uint64_t before = counted(SDK_invalid_values);
    struct tl_resource *resource =
        tl_resource_new(attributes, TL_COUNT(attributes), "https://example.com/schema");
    struct tl_attribute got;

    (void)state;
    memset(attributes, 0, sizeof attributes);
    assert_int_equal(count_of(resource), 5);
    assert_str(text_at(resource, "text"), "two");
    assert_string_equal(tl_resource_schema_url(resource), "https://example.com/schema");
    assert_int_equal(counted(SDK_invalid_values) - before, 1);
    assert_true(tl_resource_at(resource, 2, &got));
    assert_string_equal(got.value.as.strings[2], "b\xef\xbf\xbd");
    assert_string_equal(got.value.as.strings[1], "");
    tl_resource_unref(resource);
}

static void an_empty_resource_is_one(void **state)
{
    struct tl_resource *resource = tl_resource_new(NULL, 0, NULL);

    (void)state;
    assert_non_null(resource);
    assert_int_equal(count_of(resource), 0);
    assert_string_equal(tl_resource_schema_url(resource), "");
    assert_int_equal(resource_encoded(resource).len, 0);
    assert_int_equal(count_of(NULL), 0);
    assert_string_equal(tl_resource_schema_url(NULL), "");
    tl_resource_unref(tl_resource_ref(resource));
    tl_resource_unref(resource);
    tl_resource_unref(NULL);
}

static void merge_both(struct tl_resource *old, struct tl_resource *updating,
                       struct tl_resource **out_merged)
{
    *out_merged = tl_resource_merge(old, updating);
    tl_resource_unref(old);
    tl_resource_unref(updating);
}

static void the_updating_resource_wins_even_with_nothing(void **state)
{
    struct tl_resource *merged;

    (void)state;
    merge_both(resource_of("a", "old", NULL), resource_of("a", "", NULL), &merged);
    assert_int_equal(count_of(merged), 1);
    assert_str(text_at(merged, "a"), "");
    tl_resource_unref(merged);
    merge_both(resource_of("a", "1", NULL), resource_of("b", "2", NULL), &merged);
    assert_str(text_at(merged, "a"), "1");
    assert_str(text_at(merged, "b"), "2");
    tl_resource_unref(merged);
    merge_both(NULL, NULL, &merged);
    assert_int_equal(count_of(merged), 0);
    tl_resource_unref(merged);
}

static void schema_urls_are_merged_by_the_rules(void **state)
{
    static const struct {
        const char *old, *updating, *merged;
        int conflicts;
    } cases[] = {
        {NULL, NULL, "", 0},      {"a:1", NULL, "a:1", 0}, {NULL, "a:1", "a:1", 0},
        {"a:1", "a:1", "a:1", 0}, {"a:1", "a:2", "", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint64_t before = counted(SDK_schema_conflicts);
        struct tl_resource *merged;

        merge_both(resource_of("a", "1", cases[i].old), resource_of("a", "2", cases[i].updating),
                   &merged);
        assert_string_equal(tl_resource_schema_url(merged), cases[i].merged);
        assert_str(text_at(merged, "a"), "2");
        assert_int_equal(counted(SDK_schema_conflicts) - before, cases[i].conflicts);
        tl_resource_unref(merged);
    }
}

static void the_bytes_say_the_same(void **state)
{
    struct tl_resource *resource = resource_of("service.name", "shop", NULL);
    struct resource read;
    struct arena arena;

    (void)state;
    arena_init(&arena, 0);
    assert_int_equal(resource_read(resource_encoded(resource), &arena, &read, NULL), 0);
    assert_int_equal(read.attributes.count, 1);
    assert_str(read.attributes.at[0].key, "service.name");
    assert_str(read.attributes.at[0].value.string, "shop");
    arena_done(&arena);
    tl_resource_unref(resource);
}

// ---- OTEL_RESOURCE_ATTRIBUTES

static void attributes_of_the_environment_are_decoded(void **state)
{
    struct tl_resource *resource = NULL;

    (void)state;
    assert_true(resource_attributes_read(STR(" a = 1 ,b=%2C%3d%C3%A4,c=,,a=2"), &resource));
    assert_int_equal(count_of(resource), 3);
    assert_str(text_at(resource, "a"), "2");
    assert_str(text_at(resource, "b"), ",=\xc3\xa4");
    assert_string_equal(tl_resource_schema_url(resource), "");
    tl_resource_unref(resource);
    assert_true(resource_attributes_read(STR(""), &resource));
    assert_int_equal(count_of(resource), 0);
    tl_resource_unref(resource);
}

static void one_error_discards_all_of_the_environments_attributes(void **state)
{
    static const char *const wrong[] = {"a=1,b",   "a=1,=2", "a=%",    "a=%4",    "a=%zz",
                                        "a=1,%=1", "a=%FF",  "a=\xff", "nothing", "a=1,b=%C3"};
    struct tl_resource *resource = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (resource_attributes_read(str_of(wrong[i]), &resource))
            fail_msg("'%s' was read", wrong[i]);
    }
    assert_null(resource);
}

static int said;

static void count_said(void *self, enum tl_severity severity, const char *text)
{
    (void)self;
    (void)severity;
    said += strstr(text, "OTEL_RESOURCE_ATTRIBUTES") != NULL;
}

static void a_discarded_variable_is_told_and_counted(void **state)
{
    const struct environment environment = {.resource_attributes = "a=1,oops"};
    const uint64_t before = counted(SDK_invalid_settings);
    struct tl_resource *resource;

    (void)state;
    tl_log_hook_set(count_said, NULL);
    resource = detect_environment(&environment);
    tl_log_hook_set(NULL, NULL);
    assert_int_equal(count_of(resource), 0);
    assert_int_equal(said, 1);
    assert_int_equal(counted(SDK_invalid_settings) - before, 1);
    tl_resource_unref(resource);
}

// ---- OTEL_ENTITIES

static void entities_of_the_environment_are_read(void **state)
{
    static const char text[] =
        "; service{service.name=my%2Capp,service.instance.id=1}[service.version=1.0]"
        "@https://opentelemetry.io/schemas/1.21.0;;host{host.id=h1}[host.name=web%5B1%5D];";
    struct tl_resource *resource = entities_read(str_of(text));
    const struct entity *list;

    (void)state;
    assert_int_equal(resource_entities(resource, &list), 2);
    assert_str(list[0].type, "service");
    assert_str(list[0].schema_url, "https://opentelemetry.io/schemas/1.21.0");
    assert_int_equal(list[0].id_count, 2);
    assert_str(list[0].id_keys[1], "service.instance.id");
    assert_str(list[0].description_keys[0], "service.version");
    assert_str(text_at(resource, "service.name"), "my,app");
    assert_str(text_at(resource, "host.name"), "web[1]");
    tl_resource_unref(resource);
}

static void malformed_entities_are_left_out_and_counted(void **state)
{
    static const struct {
        const char *text;
        size_t entities, attributes, counted;
    } cases[] = {
        {"a{x=1};invalid{syntax;b{y=2}", 2, 2, 1},
        {"service{};host{host.id=1}", 1, 1, 1},
        {"a{x=1}[]", 1, 1, 0},
        {"a{x=1}@nonsense", 1, 1, 1},
        {"1a{x=1}", 0, 0, 1},
        {"a{x=1", 0, 0, 1},
        {"a}x=1{", 0, 0, 1},
        {"a{x}", 0, 0, 1},
        {"a{=1}", 0, 0, 1},
        {"a{x=1=2}", 0, 0, 1},
        {"a{x=%zz}", 0, 0, 1},
        {"a{x=1}[y", 0, 0, 1},
        {"a{x=1}rest", 0, 0, 1},
        {"s{n=1}[v=1];s{n=1}[v=2]", 1, 2, 1},
        {"s{n=1};s{n=2}", 1, 1, 1},
        {"s{n=1}[v=1];t{m=1}[v=2]", 2, 3, 0},
        {"s{n=1}[v=1];t{n=2}", 1, 1, 1},
        {"", 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint64_t before = counted(SDK_invalid_settings);
        struct tl_resource *resource = entities_read(str_of(cases[i].text));
        const struct entity *list;

        if (resource_entities(resource, &list) != cases[i].entities ||
            count_of(resource) != cases[i].attributes ||
            counted(SDK_invalid_settings) - before != cases[i].counted)
            fail_msg("'%s'", cases[i].text);
        tl_resource_unref(resource);
    }
}

static void a_loose_attribute_parts_an_entity_from_its_resource(void **state)
{
    struct tl_resource *merged;
    const struct entity *list;

    (void)state;
    merge_both(entities_read(STR("host{host.id=H1}[host.name=x];process{p=1}")),
               resource_of("host.id", "h2", NULL), &merged);
    assert_int_equal(resource_entities(merged, &list), 1);
    assert_str(list[0].type, "process");
    assert_str(text_at(merged, "host.id"), "h2");
    tl_resource_unref(merged);
    merge_both(entities_read(STR("host{host.id=H1}[env=prod]")),
               entities_read(STR("host{host.id=H2};service{service.name=S}[env=dev]")), &merged);
    assert_int_equal(resource_entities(merged, &list), 1);
    assert_int_equal(count_of(merged), 2);
    assert_str(text_at(merged, "host.id"), "H1");
    assert_str(text_at(merged, "env"), "prod");
    tl_resource_unref(merged);
}

static void entities_are_in_the_bytes(void **state)
{
    struct tl_resource *resource = entities_read(STR("a{x=1}[y=2]"));
    // Attribute x (field 1), attribute y, then field 3: type 2, id_keys 3, description_keys 4.
    static const char expected[] = "\x1a\x09\x12\x01\x61\x1a\x01\x78\x22\x01\x79";
    const struct str bytes = resource_encoded(resource);

    (void)state;
    assert_true(bytes.len > sizeof expected - 1);
    assert_memory_equal(bytes.at + bytes.len - (sizeof expected - 1), expected,
                        sizeof expected - 1);
    tl_resource_unref(resource);
}

// ---- The default one

static void the_default_resource_names_the_sdk_and_the_service(void **state)
{
    struct tl_resource *resource = tl_resource_default();

    (void)state;
    assert_str(text_at(resource, "telemetry.sdk.name"), "opentelemetry");
    assert_str(text_at(resource, "telemetry.sdk.language"), "c");
    assert_str(text_at(resource, "telemetry.sdk.version"), "0.1.0");
    assert_str(text_at(resource, "telemetry.distro.name"), "throughline");
    assert_str(text_at(resource, "deployment.environment.name"), "test bed");
    assert_str(text_at(resource, "service.name"), "unknown_service:resource_test");
    assert_int_equal(text_at(resource, "service.instance.id").len, 36);
    assert_string_equal(tl_resource_schema_url(resource), RESOURCE_SCHEMA_URL);
    tl_resource_unref(resource);
}

static void otel_service_name_wins(void **state)
{
    const struct environment environment = {.service_name = "shop"};
    struct tl_resource *resource = detect_service(&environment);
    pid_t child;
    int status;

    (void)state;
    assert_str(text_at(resource, "service.name"), "shop");
    assert_string_equal(tl_resource_schema_url(resource), RESOURCE_SCHEMA_URL);
    tl_resource_unref(resource);
    // The environment is read once: a process of its own for another one.
    child = fork();
    if (child == 0) {
        setenv("OTEL_SERVICE_NAME", "shop", 1);
        setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,service.version=2", 1);
        execl("/proc/self/exe", "resource_test", "print", (char *)NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

// In a process of its own: 0 when the default resource is as the test above wants it.
static int check_default(void)
{
    struct tl_resource *resource = tl_resource_default();
    const bool is_right = str_equal(text_at(resource, "service.name"), STR("shop")) &&
                          str_equal(text_at(resource, "service.version"), STR("2"));

    tl_resource_unref(resource);
    return !is_right;
}

static void a_forked_child_is_another_instance(void **state)
{
    char mine[UUID_TEXT];
    struct tl_resource *resource = tl_resource_default();
    pid_t child;
    int status;

    (void)state;
    service_instance_id(mine);
    assert_int_equal(mine[14], '4');
    assert_str(text_at(resource, "service.instance.id"), mine);
    tl_resource_unref(resource);
    child = fork();
    if (child == 0) {
        resource = tl_resource_default();
        status = str_equal(text_at(resource, "service.instance.id"), str_of(mine));
        tl_resource_unref(resource);
        _exit(status);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void the_room_above_decides_what_is_default(void **state)
{
    struct tl_resource *resource;

    (void)state;
    resource_default_set(resource_of("service.name", "file", NULL));
    resource = tl_resource_default();
    assert_str(text_at(resource, "service.name"), "file");
    tl_resource_unref(resource);
    resource_default_set(NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resource_has_what_it_was_made_of),
        cmocka_unit_test(an_empty_resource_is_one),
        cmocka_unit_test(the_updating_resource_wins_even_with_nothing),
        cmocka_unit_test(schema_urls_are_merged_by_the_rules),
        cmocka_unit_test(the_bytes_say_the_same),
        cmocka_unit_test(attributes_of_the_environment_are_decoded),
        cmocka_unit_test(one_error_discards_all_of_the_environments_attributes),
        cmocka_unit_test(a_discarded_variable_is_told_and_counted),
        cmocka_unit_test(entities_of_the_environment_are_read),
        cmocka_unit_test(malformed_entities_are_left_out_and_counted),
        cmocka_unit_test(a_loose_attribute_parts_an_entity_from_its_resource),
        cmocka_unit_test(entities_are_in_the_bytes),
        cmocka_unit_test(the_default_resource_names_the_sdk_and_the_service),
        cmocka_unit_test(otel_service_name_wins),
        cmocka_unit_test(a_forked_child_is_another_instance),
        cmocka_unit_test(the_room_above_decides_what_is_default),
    };

    (void)argv;
    if (argc > 1)
        return check_default();
    setenv("THROUGHLINE_SOCKET", "/nonexistent/agent.sock", 1);
    setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test%20bed", 1);
    unsetenv("OTEL_SERVICE_NAME");
    unsetenv("OTEL_ENTITIES");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
