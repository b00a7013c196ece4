// SPDX-License-Identifier: Apache-2.0
// The one sanitiser of SQL, Redis commands and URLs: literals become '?', secrets never stay.
// Pure; memory comes from the arena given.

#pragma once

#include "libtrace/base/arena.h"

enum statement_dialect { STATEMENT_SQL_POSTGRES, STATEMENT_SQL_MYSQL, STATEMENT_SQL_ANY };

struct statement {
    struct str text;      // with literals replaced, at most 2,048 bytes
    struct str summary;   // "SELECT orders", "INSERT a, SELECT b"; at most 255 bytes
    struct str operation; // the first keyword, upper case: "SELECT"
};

// On failure (-ENOMEM) out_statement is untouched.
int statement_clean_sql(struct str sql, enum statement_dialect dialect, struct arena *arena,
                        struct statement *out_statement);

// args[0] is the command; values are replaced by '?', keys kept for commands known to have keys.
int statement_clean_redis(const struct str *args, size_t count, struct arena *arena,
                          struct statement *out_statement);

// url.full: user:password and the query values that semantic conventions name become REDACTED.
struct str statement_clean_url(struct str url, struct arena *arena);

// url.query alone, likewise.
struct str statement_clean_query(struct str query, struct arena *arena);
