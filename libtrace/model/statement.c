// SPDX-License-Identifier: Apache-2.0
// One pass over the text: literals become '?', comments go, blanks shrink; on the way the words
// that name an operation and its tables are gathered for the summary.

#include "libtrace/model/statement.h"

#include <errno.h>

enum { TEXT_MAX = 2048, SUMMARY_MAX = 255, OPERATION_MAX = 32, REDIS_ARG_MAX = 128 };

struct sql {
    struct str left;
    enum statement_dialect dialect;
    char text[TEXT_MAX];
    size_t text_len;
    char summary[SUMMARY_MAX];
    size_t summary_len;
    char operation[OPERATION_MAX];
    size_t operation_len;
    struct str word;   // the last one
    unsigned depth;    // of parentheses
    uint64_t queries;  // a bit for each depth whose FROM names a table
    bool is_start;     // no operation of this statement was seen yet
    bool wants_target; // the next word is a table
    bool has_blank;    // one is due before the next token
};

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (c & 0x80);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static void emit(struct sql *sql, struct str token)
{
    if (sql->has_blank && sql->text_len && sql->text_len < TEXT_MAX)
        sql->text[sql->text_len++] = ' ';
    sql->has_blank = false;
    if (token.len > TEXT_MAX - sql->text_len)
        token.len = TEXT_MAX - sql->text_len;
    if (token.len)
        memcpy(sql->text + sql->text_len, token.at, token.len);
    sql->text_len += token.len;
}

// "?, ?, ?" says no more than "?": a list of literals stays one.
static void emit_literal(struct sql *sql)
{
    size_t at = sql->text_len;

    while (at && sql->text[at - 1] == ' ')
        at--;
    if (at && sql->text[at - 1] == ',') {
        at--;
        while (at && sql->text[at - 1] == ' ')
            at--;
        if (at && sql->text[at - 1] == '?') {
            sql->text_len = at;
            sql->has_blank = false;
            return;
        }
    }
    emit(sql, STR("?"));
}

static void summary_add(struct sql *sql, struct str word)
{
    const size_t blank = sql->summary_len ? 1 : 0;

    if (sql->summary_len + blank + word.len > SUMMARY_MAX)
        return;
    if (blank)
        sql->summary[sql->summary_len++] = ' ';
    memcpy(sql->summary + sql->summary_len, word.at, word.len);
    sql->summary_len += word.len;
}

// Words that begin a statement or a part of one that does something of its own.
static bool is_operation(struct str word)
{
    static const char *const words[] = {
        "SELECT", "INSERT",  "UPDATE", "DELETE",    "CREATE",   "DROP",    "ALTER",   "TRUNCATE",
        "MERGE",  "REPLACE", "BEGIN",  "COMMIT",    "ROLLBACK", "SET",     "SHOW",    "EXPLAIN",
        "COPY",   "CALL",    "LOCK",   "VACUUM",    "ANALYZE",  "PREPARE", "EXECUTE", "DEALLOCATE",
        "LISTEN", "NOTIFY",  "FETCH",  "SAVEPOINT", "RELEASE",  "DISCARD", "USE",     "GRANT",
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (str_equal_nocase(word, str_of(words[i])))
            return true;
    }
    return false;
}

static bool is_one_of(struct str word, const char *const *words)
{
    for (; *words; words++) {
        if (str_equal_nocase(word, str_of(*words)))
            return true;
    }
    return false;
}

static uint64_t depth_bit(const struct sql *sql)
{
    return sql->depth < 64 ? UINT64_C(1) << sql->depth : 0;
}

// The next word is a table: not so for EXTRACT(year FROM t) and IS DISTINCT FROM.
static bool marks_target(const struct sql *sql, struct str word, bool does)
{
    static const char *const marks[] = {"INTO", "JOIN", "TABLE", NULL};
    static const char *const doers[] = {"UPDATE", "COPY", "CALL", "TRUNCATE", NULL};

    if (str_equal_nocase(word, STR("FROM")))
        return (sql->queries & depth_bit(sql)) && !str_equal_nocase(sql->word, STR("DISTINCT"));
    return is_one_of(word, marks) || (does && is_one_of(word, doers));
}

static bool is_between(struct str word)
{
    static const char *const words[] = {"IF", "NOT", "EXISTS", "ONLY", "LATERAL", "TABLE", NULL};

    return is_one_of(word, words);
}

// SET inside UPDATE, FOR UPDATE and ON DELETE are no operations of their own.
static bool is_doing(const struct sql *sql, struct str word, bool is_after_paren)
{
    static const char *const anywhere[] = {"SELECT", "INSERT", "DELETE", NULL};

    if (!is_operation(word))
        return false;
    if (sql->is_start)
        return true;
    if (str_equal_nocase(word, STR("UPDATE")))
        return is_after_paren && sql->depth == 0;
    return is_one_of(word, anywhere) && !str_equal_nocase(sql->word, STR("ON"));
}

static void operation_add(struct sql *sql, struct str word)
{
    char upper[OPERATION_MAX];
    size_t len = 0;

    for (; len < word.len && len < sizeof upper; len++)
        upper[len] =
            word.at[len] >= 'a' && word.at[len] <= 'z' ? (char)(word.at[len] - 32) : word.at[len];
    if (sql->operation_len == 0) {
        memcpy(sql->operation, upper, len);
        sql->operation_len = len;
    }
    summary_add(sql, (struct str){upper, len});
}

// To the end of a quoted literal or name; a quote written twice stays inside.
static size_t quoted_len(struct str text, char quote, bool has_backslash)
{
    size_t at = 1;

    while (at < text.len) {
        if (text.at[at] == '\\' && has_backslash)
            at++;
        else if (text.at[at] == quote) {
            if (at + 1 >= text.len || text.at[at + 1] != quote)
                return at + 1;
            at++;
        }
        at++;
    }
    return text.len;
}

static bool is_closed(struct str quoted)
{
    return quoted.len > 1 && quoted.at[quoted.len - 1] == quoted.at[0];
}

// A word; where a table is due, with the schema in front and the quotes around.
static size_t word_len(const struct sql *sql)
{
    const struct str left = sql->left;
    size_t len = 0;

    while (len < left.len) {
        const char c = left.at[len];
        struct str quoted = str_from(left, len);

        if (sql->wants_target && (c == '"' || c == '`')) {
            quoted.len = quoted_len(quoted, c, false);
            if (!is_closed(quoted))
                break;
            len += quoted.len;
        } else if (is_word_byte(c) || (sql->wants_target && c == '.')) {
            len++;
        } else {
            break;
        }
    }
    return len;
}

static void word_take(struct sql *sql)
{
    const bool is_after_paren = sql->text_len && sql->text[sql->text_len - 1] == ')';
    const struct str word = {sql->left.at, word_len(sql)};
    bool does;

    sql->left = str_from(sql->left, word.len);
    emit(sql, word);
    if (sql->wants_target && is_between(word))
        return;
    does = is_doing(sql, word, is_after_paren) ||
           (sql->is_start && !sql->wants_target && !str_equal_nocase(word, STR("WITH")) &&
            !is_after_paren && sql->depth == 0 && !str_equal_nocase(sql->word, STR("WITH")) &&
            !str_equal_nocase(word, STR("AS")) && !str_equal_nocase(word, STR("RECURSIVE")) &&
            !str_equal_nocase(sql->word, STR("RECURSIVE")));
    if (does)
        operation_add(sql, word);
    else if (sql->wants_target)
        summary_add(sql, word);
    sql->is_start = sql->is_start && !does;
    if (does && (str_equal_nocase(word, STR("SELECT")) || str_equal_nocase(word, STR("DELETE"))))
        sql->queries |= depth_bit(sql);
    sql->wants_target = marks_target(sql, word, does);
    sql->word = word;
}

// PostgreSQL: $$ text $$ and $tag$ text $tag$; 0 when this is not one.
static size_t dollar_len(struct str text)
{
    size_t tag = 1;
    const char *end;

    while (tag < text.len && is_word_byte(text.at[tag]) && text.at[tag] != '$')
        tag++;
    if (tag >= text.len || text.at[tag] != '$' || is_digit(text.at[1]))
        return 0;
    tag++;
    end = memmem(text.at + tag, text.len - tag, text.at, tag);
    return end ? (size_t)(end - text.at) + tag : text.len;
}

// PostgreSQL's comments nest; an open one reaches to the end.
static size_t block_len(struct str text, bool does_nest)
{
    unsigned depth = 1;
    size_t at = 2;

    while (at < text.len && depth) {
        const struct str left = str_from(text, at);
        const bool is_end = str_starts(left, STR("*/"));
        const bool is_begin = does_nest && str_starts(left, STR("/*"));

        depth += is_begin;
        depth -= is_end;
        at += is_end || is_begin ? 2 : 1;
    }
    return at;
}

static size_t comment_len(const struct sql *sql)
{
    const struct str text = sql->left;
    const bool is_mysql = sql->dialect == STATEMENT_SQL_MYSQL;

    if (str_starts(text, STR("/*")))
        return block_len(text, !is_mysql);
    if (is_mysql ? text.at[0] == '#' : str_starts(text, STR("--")))
        return str_find(text, '\n');
    // MySQL: 5--3 is a sum.
    if (str_starts(text, STR("--")) && (text.len == 2 || is_blank(text.at[2])))
        return str_find(text, '\n');
    return 0;
}

static size_t number_len(struct str text)
{
    size_t len = 0;

    while (len < text.len && (is_word_byte(text.at[len]) || text.at[len] == '.' ||
                              ((text.at[len] == '+' || text.at[len] == '-') && len &&
                               (text.at[len - 1] | 32) == 'e')))
        len++;
    return len;
}

// The length of a literal that begins here, 0 when none does.
static size_t literal_len(const struct sql *sql)
{
    const struct str left = sql->left;
    const bool is_mysql = sql->dialect == STATEMENT_SQL_MYSQL;
    const char c = left.at[0];
    const char next = left.len > 1 ? left.at[1] : '\0';

    if (c == '\'')
        return quoted_len(left, '\'', is_mysql);
    if (c == '"' && is_mysql)
        return quoted_len(left, '"', true);
    // E'..', B'..', X'..', N'..': in E a backslash escapes.
    if (next == '\'' && str_has(STR("eEbBxXnN"), c))
        return 1 + quoted_len(str_from(left, 1), '\'', (c | 32) == 'e' || is_mysql);
    if (c == '$' && !is_mysql)
        return dollar_len(left);
    if (is_digit(c) || (c == '.' && is_digit(next)))
        return number_len(left);
    return 0;
}

// A byte that is no word: parentheses and semicolons say where in the statement we are.
static void mark_take(struct sql *sql)
{
    const char mark = sql->left.at[0];

    if (mark == '(') {
        sql->wants_target = false; // FROM (SELECT ...
        sql->depth++;
        sql->queries &= ~depth_bit(sql);
    } else if (mark == ')' && sql->depth) {
        sql->depth--;
    } else if (mark == ';') {
        sql->is_start = true;
        sql->wants_target = false;
        sql->depth = 0;
        sql->queries = 0;
    }
    emit(sql, (struct str){sql->left.at, 1});
    sql->left = str_from(sql->left, 1);
}

static void token_take(struct sql *sql)
{
    const struct str left = sql->left;
    const char first = left.at[0];
    size_t len;

    if (is_blank(first)) {
        sql->has_blank = true;
        sql->left = str_from(left, 1);
        return;
    }
    len = comment_len(sql);
    if (len) {
        sql->has_blank = true;
        sql->left = str_from(left, len);
        return;
    }
    len = literal_len(sql);
    if (len) {
        emit_literal(sql);
        sql->wants_target = false;
        sql->left = str_from(left, len);
        return;
    }
    if (word_len(sql)) {
        word_take(sql);
        return;
    }
    if (first != '"' && first != '`') {
        mark_take(sql);
        return;
    }
    // A quoted name is kept whole, so that what is in it is not read as SQL.
    len = quoted_len(left, first, false);
    emit(sql, is_closed((struct str){left.at, len}) ? (struct str){left.at, len} : STR("?"));
    sql->left = str_from(left, len);
}

int statement_clean_sql(struct str sql_text, enum statement_dialect dialect, struct arena *arena,
                        struct statement *out_statement)
{
    struct sql sql = {.left = sql_text, .dialect = dialect, .is_start = true};
    struct statement made;

    while (sql.left.len && sql.text_len < TEXT_MAX)
        token_take(&sql);
    while (sql.text_len && (sql.text[sql.text_len - 1] == ';' || sql.text[sql.text_len - 1] == ' '))
        sql.text_len--;
    made.text = arena_copy(arena, (struct str){sql.text, sql.text_len});
    made.summary = arena_copy(arena, (struct str){sql.summary, sql.summary_len});
    made.operation = arena_copy(arena, (struct str){sql.operation, sql.operation_len});
    if (!made.text.at || !made.summary.at || !made.operation.at)
        return -ENOMEM;
    *out_statement = made;
    return 0;
}

// How many arguments behind the command are keys or fields, and may be shown.
static size_t redis_shown(struct str command)
{
    static const struct {
        const char *name;
        size_t shown;
    } commands[] = {
        {"GET", 1},     {"SET", 1},     {"SETEX", 1},    {"SETNX", 1},      {"GETSET", 1},
        {"GETDEL", 1},  {"GETEX", 1},   {"APPEND", 1},   {"STRLEN", 1},     {"INCR", 1},
        {"INCRBY", 1},  {"DECR", 1},    {"DECRBY", 1},   {"MGET", 15},      {"MSET", 1},
        {"DEL", 15},    {"UNLINK", 15}, {"EXISTS", 15},  {"EXPIRE", 1},     {"PEXPIRE", 1},
        {"TTL", 1},     {"PTTL", 1},    {"TYPE", 1},     {"HGET", 2},       {"HSET", 2},
        {"HDEL", 15},   {"HGETALL", 1}, {"HMGET", 15},   {"HMSET", 2},      {"HINCRBY", 2},
        {"HEXISTS", 2}, {"HLEN", 1},    {"LPUSH", 1},    {"RPUSH", 1},      {"LPOP", 1},
        {"RPOP", 1},    {"BLPOP", 1},   {"BRPOP", 1},    {"LRANGE", 1},     {"LLEN", 1},
        {"SADD", 1},    {"SREM", 1},    {"SMEMBERS", 1}, {"SISMEMBER", 1},  {"SCARD", 1},
        {"ZADD", 1},    {"ZREM", 1},    {"ZRANGE", 1},   {"ZSCORE", 1},     {"ZINCRBY", 1},
        {"XADD", 1},    {"XLEN", 1},    {"PUBLISH", 1},  {"SUBSCRIBE", 15}, {"PSUBSCRIBE", 15},
        {"SELECT", 1},  {"CLIENT", 1},  {"CONFIG", 2},   {"INFO", 1},       {"SENTINEL", 2},
    };

    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (str_equal_nocase(command, str_of(commands[i].name)))
            return commands[i].shown;
    }
    return 0;
}

int statement_clean_redis(const struct str *args, size_t count, struct arena *arena,
                          struct statement *out_statement)
{
    struct statement made;
    char text[TEXT_MAX];
    size_t shown;
    size_t len;

    if (count == 0)
        return -EINVAL;
    len = args[0].len < OPERATION_MAX ? args[0].len : OPERATION_MAX;
    for (size_t i = 0; i < len; i++) {
        const char c = args[0].at[i];

        text[i] = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
    }
    made.operation = arena_copy(arena, (struct str){text, len});
    if (!made.operation.at)
        return -ENOMEM;
    shown = redis_shown(made.operation);
    for (size_t i = 1; i < count; i++) {
        const bool is_shown = i <= shown && args[i].len && args[i].len <= REDIS_ARG_MAX;
        const struct str arg = is_shown ? args[i] : STR("?");

        if (len + 1 + arg.len > sizeof text)
            break;
        text[len++] = ' ';
        memcpy(text + len, arg.at, arg.len);
        len += arg.len;
    }
    made.summary = made.operation;
    made.text = arena_copy(arena, (struct str){text, len});
    if (!made.text.at)
        return -ENOMEM;
    *out_statement = made;
    return 0;
}
