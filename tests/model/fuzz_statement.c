// SPDX-License-Identifier: Apache-2.0
// Whatever the text is, what comes out is short, and no quoted literal of the input is in it.

#include <stdlib.h>

#include "libtrace/model/statement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void sql_check(struct str text, enum statement_dialect dialect, struct arena *arena)
{
    struct statement statement;

    if (statement_clean_sql(text, dialect, arena, &statement) != 0)
        return;
    if (statement.text.len > 2048 || statement.summary.len > 255 || statement.operation.len > 32)
        abort();
    // What begins as one literal shows nothing of it.
    if (text.len && text.at[0] == '\'' && str_find(str_from(text, 1), '\'') == text.len - 1 &&
        !str_equal(statement.text, STR("?")))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = {(const char *)data, size};
    struct str args[4] = {text, text, text, text};
    struct statement statement;
    struct arena arena;

    arena_init(&arena, 1 << 20);
    sql_check(text, STATEMENT_SQL_POSTGRES, &arena);
    sql_check(text, STATEMENT_SQL_MYSQL, &arena);
    sql_check(text, STATEMENT_SQL_ANY, &arena);
    for (size_t i = 0; i < 4; i++)
        args[i] = str_from(text, i * size / 4);
    if (statement_clean_redis(args, 4, &arena, &statement) == 0 && statement.text.len > 2048)
        abort();
    statement_clean_url(text, &arena);
    statement_clean_query(text, &arena);
    arena_done(&arena);
    return 0;
}
