// SPDX-License-Identifier: Apache-2.0
// JSON text (RFC 8259) token by token, as the caller asks for it: no tree of values, so that a
// request takes no more memory than its text. Failure sticks: read on, then ask once. One thread.

#pragma once

#include "libtrace/base/bytes.h"
#include "libtrace/base/why.h"

struct json_tokens {
    const char *start;
    const char *at;
    const char *end;
    const char *problem;    // NULL: none; else what was wrong at `at`
    struct bytes unescaped; // the last string that had an escape
};

enum json_kind { JSON_OBJECT, JSON_LIST, JSON_STRING, JSON_NUMBER, JSON_WORD, JSON_END };

struct json_tokens json_tokens_of(struct str text);
void json_tokens_done(struct json_tokens *tokens);

// What comes next, by its first character. A word is true, false or null.
enum json_kind json_peek(struct json_tokens *tokens);

// Steps through `{...}` or `[...]`: false at its end or on failure. `is_first` must be true before
// the first step. For an object it reads the key and the colon; the key is valid until the next
// call.
bool json_next(struct json_tokens *tokens, bool *is_first, struct str *out_key);
bool json_next_item(struct json_tokens *tokens, bool *is_first);

// The text of a string without quotes and escapes; valid until the next call.
struct str json_string_take(struct json_tokens *tokens);

// A number or a word as written.
struct str json_plain_take(struct json_tokens *tokens);

// Passes over a whole value of any kind, nested `depth_max` deep at most.
void json_skip(struct json_tokens *tokens, unsigned depth_max);

// -EBADMSG with line, column and the problem.
int json_tokens_why(const struct json_tokens *tokens, struct why *why);
