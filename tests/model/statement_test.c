// SPDX-License-Identifier: Apache-2.0
// What the sanitiser shows of SQL, Redis commands and URLs, and what it never shows.

#include "tests/support/check.h"

#include "libtrace/model/statement.h"
#include "libtrace/model/traceparent.h"

static struct arena arena;

static int arena_open(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    return 0;
}

static int arena_close(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

struct sql_row {
    const char *sql;
    const char *text;
    const char *summary;
};

static void sql_check(const struct sql_row *rows, size_t count, enum statement_dialect dialect)
{
    for (size_t i = 0; i < count; i++) {
        struct statement statement;

        assert_int_equal(statement_clean_sql(str_of(rows[i].sql), dialect, &arena, &statement), 0);
        assert_str(statement.text, rows[i].text);
        assert_str(statement.summary, rows[i].summary);
    }
}

static void sql_literals_become_marks(void **state)
{
    static const struct sql_row rows[] = {
        {"SELECT 1", "SELECT ?", "SELECT"},
        {"select a.b, 'it''s' from t where x = -1.5e-3 and y in (1, 2,3)",
         "select a.b, ? from t where x = -? and y in (?)", "SELECT t"},
        {"SELECT E'a\\'b', B'01', x'ff', N'z' FROM \"my table\" WHERE p='s'",
         "SELECT ? FROM \"my table\" WHERE p=?", "SELECT \"my table\""},
        {"SELECT $$a'b$$, $t$ $$ $t$, $1 FROM t", "SELECT ?, $1 FROM t", "SELECT t"},
        {"SELECT 'never closed", "SELECT ?", "SELECT"},
        {"SELECT \"never closed 'x'", "SELECT ?", "SELECT"},
        {"SELECT * FROM \"never closed 'x'", "SELECT * FROM ?", "SELECT"},
        {"SELECT $a$never closed", "SELECT ?", "SELECT"},
        {"SELECT a -- 'secret'\nFROM t /* b /* c */ d */ WHERE e", "SELECT a FROM t WHERE e",
         "SELECT t"},
        {"SELECT a /* never closed", "SELECT a", "SELECT"},
        {"", "", ""},
        {" ;; ", "", ""},
    };

    (void)state;
    sql_check(rows, sizeof rows / sizeof rows[0], STATEMENT_SQL_POSTGRES);
}

static void sql_of_mysql_has_other_quotes_and_comments(void **state)
{
    static const struct sql_row rows[] = {
        {"SELECT \"a\\\"b\", 'c\\'d' FROM `t` # secret\nWHERE e=5--3", // 5 minus minus 3
         "SELECT ? FROM `t` WHERE e=?--?", "SELECT `t`"},
        {"SELECT a -- secret", "SELECT a", "SELECT"},
    };

    (void)state;
    sql_check(rows, sizeof rows / sizeof rows[0], STATEMENT_SQL_MYSQL);
}

static void summary_names_operations_and_tables(void **state)
{
    static const struct sql_row rows[] = {
        {"INSERT INTO s.a (b) SELECT c FROM d JOIN e ON d.f = e.f",
         "INSERT INTO s.a (b) SELECT c FROM d JOIN e ON d.f = e.f", "INSERT s.a SELECT d e"},
        {"WITH x AS (SELECT 1 FROM a) UPDATE b SET c = 2",
         "WITH x AS (SELECT ? FROM a) UPDATE b SET c = ?", "SELECT a UPDATE b"},
        {"SELECT * FROM (SELECT a FROM b) c FOR UPDATE",
         "SELECT * FROM (SELECT a FROM b) c FOR UPDATE", "SELECT SELECT b"},
        {"SELECT EXTRACT(year FROM d) FROM t", "SELECT EXTRACT(year FROM d) FROM t", "SELECT t"},
        {"SELECT a IS DISTINCT FROM b", "SELECT a IS DISTINCT FROM b", "SELECT"},
        {"BEGIN; DELETE FROM a; COMMIT", "BEGIN; DELETE FROM a; COMMIT", "BEGIN DELETE a COMMIT"},
        {"CREATE TABLE IF NOT EXISTS t (a int REFERENCES b ON DELETE CASCADE)",
         "CREATE TABLE IF NOT EXISTS t (a int REFERENCES b ON DELETE CASCADE)", "CREATE t"},
        {"TRUNCATE TABLE t", "TRUNCATE TABLE t", "TRUNCATE t"},
        {"VALUES (1)", "VALUES (?)", "VALUES"},
    };

    (void)state;
    sql_check(rows, sizeof rows / sizeof rows[0], STATEMENT_SQL_POSTGRES);
}

static void long_sql_is_cut_without_showing_a_literal(void **state)
{
    struct statement statement;
    static char sql[8000];

    (void)state;
    memset(sql, 'a', sizeof sql);
    memcpy(sql, "SELECT '", 8);
    for (size_t at = 100; at < sizeof sql; at += 100)
        sql[at] = '\'';
    assert_int_equal(statement_clean_sql((struct str){sql, sizeof sql}, STATEMENT_SQL_POSTGRES,
                                         &arena, &statement),
                     0);
    assert_true(statement.text.len <= 2048);
    assert_true(statement.summary.len <= 255);
    assert_true(str_starts(statement.text, STR("SELECT ?")));
}

static void redis_shows_keys_and_no_values(void **state)
{
    const struct str set[] = {STR("set"), STR("user:1"), STR("secret"), STR("EX"), STR("60")};
    const struct str unknown[] = {STR("MODULE.X"), STR("secret")};
    struct statement statement;

    (void)state;
    assert_int_equal(statement_clean_redis(set, 5, &arena, &statement), 0);
    assert_str(statement.text, "SET user:1 ? ? ?");
    assert_str(statement.operation, "SET");
    assert_int_equal(statement_clean_redis(unknown, 2, &arena, &statement), 0);
    assert_str(statement.text, "MODULE.X ?");
    assert_true(statement_clean_redis(set, 0, &arena, &statement) != 0);
}

static void urls_lose_passwords_and_signatures(void **state)
{
    (void)state;
    assert_str(statement_clean_url(STR("https://u:p@h:1/a@b?sig=1&Sig=2&x=3&sig#f"), &arena),
               "https://REDACTED:REDACTED@h:1/a@b?sig=REDACTED&Sig=REDACTED&x=3&sig#f");
    assert_str(statement_clean_url(STR("http://h/?sig=1#sig=2"), &arena),
               "http://h/?sig=REDACTED#sig=2");
    assert_str(statement_clean_url(STR("http://h/?a=b://c@d"), &arena), "http://h/?a=b://c@d");
    assert_str(statement_clean_url(STR(""), &arena), "");
    assert_str(statement_clean_query(STR("X-Amz-Credential=s&&=1&a"), &arena),
               "X-Amz-Credential=REDACTED&&=1&a");
}

static void traceparent_reads_what_w3c_allows(void **state)
{
    static const char *const bad[] = {
        "",
        "00-0102030405060708090a0b0c0d0e0f10-00000000000000aa-0",
        "00-0102030405060708090a0b0c0d0e0f10-00000000000000aa-01-",
        "00-0102030405060708090A0b0c0d0e0f10-00000000000000aa-01",
        "00-00000000000000000000000000000000-00000000000000aa-01",
        "00-0102030405060708090a0b0c0d0e0f10-0000000000000000-01",
        "ff-0102030405060708090a0b0c0d0e0f10-00000000000000aa-01",
        "01-0102030405060708090a0b0c0d0e0f10-00000000000000aa-01x",
        "0g-0102030405060708090a0b0c0d0e0f10-00000000000000aa-01",
    };
    struct traceparent traceparent;
    char text[TRACEPARENT_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(traceparent_read(str_of(bad[i]), &traceparent));
    assert_true(traceparent_read(STR("cc-0102030405060708090a0b0c0d0e0f10-00000000000000aa-ff-x"),
                                 &traceparent));
    assert_int_equal(traceparent.flags, 3);
    assert_true(traceparent_write(&traceparent, text));
    assert_str(str_of(text), "00-0102030405060708090a0b0c0d0e0f10-00000000000000aa-03");
    memset(traceparent.span_id, 0, SPAN_ID_BYTES);
    assert_false(traceparent_write(&traceparent, text));
    assert_str(str_of(text), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sql_literals_become_marks),
        cmocka_unit_test(sql_of_mysql_has_other_quotes_and_comments),
        cmocka_unit_test(summary_names_operations_and_tables),
        cmocka_unit_test(long_sql_is_cut_without_showing_a_literal),
        cmocka_unit_test(redis_shows_keys_and_no_values),
        cmocka_unit_test(urls_lose_passwords_and_signatures),
        cmocka_unit_test(traceparent_reads_what_w3c_allows),
    };

    return cmocka_run_group_tests(tests, arena_open, arena_close);
}
