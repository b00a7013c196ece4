// SPDX-License-Identifier: Apache-2.0
// Arena, bytes, reader, hex, settings and reasons.

#include "tests/support/check.h"

#include <errno.h>

#include "libtrace/base/arena.h"
#include "libtrace/base/bytes.h"
#include "libtrace/base/decimal.h"
#include "libtrace/base/hex.h"
#include "libtrace/base/reader.h"
#include "libtrace/base/setting.h"

static void arena_refuses_beyond_its_limit(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 64);
    assert_non_null(arena_take(&arena, 64));
    assert_null(arena_take(&arena, 1));
    assert_null(arena_take(&arena, SIZE_MAX));
    arena_done(&arena);
}

static void arena_memory_is_zeroed_and_aligned_after_reset(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 0);
    for (int round = 0; round < 3; round++) {
        for (size_t size = 1; size < 70000; size = size * 3 + 1) {
            uint8_t *taken = arena_take(&arena, size);

            assert_int_equal((uintptr_t)taken % 16, 0);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(taken[i], 0);
            memset(taken, 0xff, size);
        }
        arena_reset(&arena);
    }
    arena_done(&arena);
}

static void arena_formats_and_copies(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 0);
    assert_str(arena_format(&arena, "%d-%s", 7, "x"), "7-x");
    assert_str(arena_copy(&arena, STR("abc")), "abc");
    assert_str(arena_copy(&arena, STR("")), "");
    arena_done(&arena);
}

static void bytes_stop_at_the_limit_and_stay_readable(void **state)
{
    struct bytes bytes = {.limit = 300};

    (void)state;
    for (int i = 0; i < 100; i++)
        bytes_add(&bytes, "abc", 3);
    assert_false(bytes.is_failed);
    bytes_add_byte(&bytes, 'x');
    assert_true(bytes.is_failed);
    assert_int_equal(bytes.len, 300);
    assert_memory_equal(bytes.at, "abcabc", 6);
    bytes_done(&bytes);
}

static void reader_fails_once_and_for_good(void **state)
{
    struct reader reader = reader_of(STR("\x01\x02\x03"));

    (void)state;
    assert_int_equal(reader_be16(&reader), 0x0102);
    assert_int_equal(reader_be32(&reader), 0);
    assert_true(reader.is_failed);
    assert_int_equal(reader_u8(&reader), 0);
}

static void hex_reads_only_whole_digits(void **state)
{
    uint8_t bytes[3] = {9, 9, 9};
    char text[7];

    (void)state;
    assert_false(hex_read(STR("00ff1"), bytes, 3));
    assert_false(hex_read(STR("00ff1g"), bytes, 3));
    assert_int_equal(bytes[0], 9);
    assert_true(hex_read(STR("00fF1a"), bytes, 3));
    hex_write(text, bytes, 3);
    assert_string_equal(text, "00ff1a");
}

struct owner {
    struct str endpoint;
    struct str compression;
    uint64_t timeout_ms;
    uint64_t max_bytes;
    bool is_on;
};

static const struct setting table[] = {
    SETTING_TEXT(struct owner, endpoint, "http://127.0.0.1:4318", "Where."),
    SETTING_CHOICE(struct owner, compression, "none", "none|gzip|zstd", "How."),
    SETTING_DURATION(struct owner, "timeout", timeout_ms, "10s", "How long."),
    SETTING_SIZE(struct owner, "max_size", max_bytes, "64MiB", "How much."),
    SETTING_BOOL(struct owner, is_on, "true", "Whether."),
    SETTING_END,
};

static void setting_defaults_are_read(void **state)
{
    struct owner owner = {0};

    (void)state;
    assert_int_equal(settings_defaults(table, &owner, NULL), 0);
    assert_str(owner.endpoint, "http://127.0.0.1:4318");
    assert_int_equal(owner.timeout_ms, 10000);
    assert_int_equal(owner.max_bytes, 64 << 20);
    assert_true(owner.is_on);
}

static void setting_says_what_was_expected(void **state)
{
    struct owner owner = {.timeout_ms = 5};
    struct why why;

    (void)state;
    assert_int_equal(
        setting_read(setting_find(table, STR("timeout")), STR("10 s"), &owner, NULL, &why),
        -EINVAL);
    assert_string_equal(why.text, "'10 s' is not a duration such as 10s, 200ms or 5m");
    assert_int_equal(owner.timeout_ms, 5);
    assert_int_equal(
        setting_read(setting_find(table, STR("compression")), STR("lz4"), &owner, NULL, &why),
        -EINVAL);
    assert_string_equal(why.text, "'lz4' is not one of none|gzip|zstd");
    assert_int_equal(why_prefix(&why, -EINVAL, "exporters.otlp_http"), -EINVAL);
    assert_string_equal(why.text, "exporters.otlp_http: 'lz4' is not one of none|gzip|zstd");
}

static void numbers_do_not_overflow(void **state)
{
    uint64_t value = 3;

    (void)state;
    assert_true(str_to_u64(STR("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    assert_false(str_to_u64(STR("18446744073709551616"), &value));
    assert_false(str_to_u64(STR("99999999999999999999"), &value));
    assert_false(str_to_u64(STR(""), &value));
}

static void decimals_read_as_they_were_written(void **state)
{
    static const double values[] = {0, 1, 0.1, 0.0001, 1.0 / 3, 1e300, -2.5, 0x1p-56};
    char text[DECIMAL_TEXT_MAX];
    double value = 7;

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        decimal_write(text, values[i]);
        assert_true(decimal_read(str_of(text), &value));
        assert_true(value == values[i]);
    }
    value = 7;
    assert_false(decimal_read(STR("0x10"), &value));
    assert_false(decimal_read(STR("nan"), &value));
    assert_false(decimal_read(STR("1e999"), &value));
    assert_false(decimal_read(STR("1.5 "), &value));
    assert_false(decimal_read(STR("."), &value));
    assert_false(decimal_read(STR("1e"), &value));
    assert_false(decimal_read(STR(""), &value));
    assert_true(value == 7);
    assert_true(decimal_read(STR("+.5E-1"), &value));
    assert_true(value == 0.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_refuses_beyond_its_limit),
        cmocka_unit_test(arena_memory_is_zeroed_and_aligned_after_reset),
        cmocka_unit_test(arena_formats_and_copies),
        cmocka_unit_test(bytes_stop_at_the_limit_and_stay_readable),
        cmocka_unit_test(reader_fails_once_and_for_good),
        cmocka_unit_test(hex_reads_only_whole_digits),
        cmocka_unit_test(setting_defaults_are_read),
        cmocka_unit_test(setting_says_what_was_expected),
        cmocka_unit_test(numbers_do_not_overflow),
        cmocka_unit_test(decimals_read_as_they_were_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
