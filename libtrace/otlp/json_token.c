// SPDX-License-Identifier: Apache-2.0
// RFC 8259, strictly: UTF-8 only, no lone surrogate, no number that JSON has not.

#include "libtrace/otlp/json_token.h"

#include <errno.h>

#include "libtrace/otlp/json_text.h"

struct json_tokens json_tokens_of(struct str text)
{
    return (struct json_tokens){.start = text.at, .at = text.at, .end = text.at + text.len};
}

void json_tokens_done(struct json_tokens *tokens)
{
    bytes_done(&tokens->unescaped);
}

static bool wrong(struct json_tokens *tokens, const char *problem)
{
    if (!tokens->problem)
        tokens->problem = problem;
    return false;
}

static void blanks_pass(struct json_tokens *tokens)
{
    while (tokens->at < tokens->end && (*tokens->at == ' ' || *tokens->at == '\n' ||
                                        *tokens->at == '\r' || *tokens->at == '\t'))
        tokens->at++;
}

// The next character that is no blank; '\0' at the end and after a failure.
static char look(struct json_tokens *tokens)
{
    blanks_pass(tokens);
    return tokens->problem || tokens->at == tokens->end ? '\0' : *tokens->at;
}

static bool take(struct json_tokens *tokens, char expected, const char *problem)
{
    if (look(tokens) != expected)
        return wrong(tokens, problem);
    tokens->at++;
    return true;
}

enum json_kind json_peek(struct json_tokens *tokens)
{
    const char next = look(tokens);

    switch (next) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_LIST;
    case '"':
        return JSON_STRING;
    case 't':
    case 'f':
    case 'n':
        return JSON_WORD;
    default:
        return next == '-' || (next >= '0' && next <= '9') ? JSON_NUMBER : JSON_END;
    }
}

// True when there is one more after the opening bracket or a comma.
static bool step(struct json_tokens *tokens, bool *is_first, char open, char close)
{
    if (*is_first) {
        *is_first = false;
        if (!take(tokens, open, open == '{' ? "'{' was expected" : "'[' was expected"))
            return false;
        if (look(tokens) != close)
            return !tokens->problem;
        tokens->at++;
        return false;
    }
    if (look(tokens) == close) {
        tokens->at++;
        return false;
    }
    return take(tokens, ',', close == '}' ? "',' or '}' was expected" : "',' or ']' was expected");
}

bool json_next(struct json_tokens *tokens, bool *is_first, struct str *out_key)
{
    if (!step(tokens, is_first, '{', '}'))
        return false;
    if (look(tokens) != '"')
        return wrong(tokens, "a key was expected");
    *out_key = json_string_take(tokens);
    return take(tokens, ':', "':' was expected");
}

bool json_next_item(struct json_tokens *tokens, bool *is_first)
{
    return step(tokens, is_first, '[', ']');
}

// Four hexadecimal digits behind a \u; -1: not that.
static int code_unit(struct json_tokens *tokens)
{
    int unit = 0;

    if (tokens->end - tokens->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        const char c = *tokens->at++;
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;

        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

static void utf8_write(struct bytes *out, uint32_t code)
{
    if (code < 0x80) {
        bytes_add_byte(out, (uint8_t)code);
        return;
    }
    if (code < 0x800) {
        bytes_add_byte(out, (uint8_t)(0xc0 | code >> 6));
    } else {
        if (code < 0x10000) {
            bytes_add_byte(out, (uint8_t)(0xe0 | code >> 12));
        } else {
            bytes_add_byte(out, (uint8_t)(0xf0 | code >> 18));
            bytes_add_byte(out, (uint8_t)(0x80 | (code >> 12 & 0x3f)));
        }
        bytes_add_byte(out, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
    }
    bytes_add_byte(out, (uint8_t)(0x80 | (code & 0x3f)));
}

// RFC 8259 7: characters beyond the first plane are two \u, high surrogate first.
static bool unicode_take(struct json_tokens *tokens)
{
    const int first = code_unit(tokens);
    int second;

    if (first < 0 || (first >= 0xdc00 && first <= 0xdfff))
        return wrong(tokens, "an escape that is none");
    if (first < 0xd800 || first > 0xdbff) {
        utf8_write(&tokens->unescaped, (uint32_t)first);
        return true;
    }
    if (tokens->end - tokens->at < 2 || tokens->at[0] != '\\' || tokens->at[1] != 'u')
        return wrong(tokens, "half of a surrogate pair");
    tokens->at += 2;
    second = code_unit(tokens);
    if (second < 0xdc00 || second > 0xdfff)
        return wrong(tokens, "half of a surrogate pair");
    utf8_write(&tokens->unescaped,
               0x10000 + ((uint32_t)(first - 0xd800) << 10 | (uint32_t)(second - 0xdc00)));
    return true;
}

// At the character behind a backslash.
static bool escape_take(struct json_tokens *tokens)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meant[] = "\"\\/\b\f\n\r\t";
    const char letter = tokens->at < tokens->end ? *tokens->at++ : '\0';
    const char *found = letter ? memchr(letters, letter, sizeof letters - 1) : NULL;

    if (letter == 'u')
        return unicode_take(tokens);
    if (!found)
        return wrong(tokens, "an escape that is none");
    bytes_add_byte(&tokens->unescaped, (uint8_t)meant[found - letters]);
    return true;
}

// Passes over characters that mean themselves; false on what may not stand in a string.
static bool plain_pass(struct json_tokens *tokens)
{
    while (tokens->at < tokens->end && *tokens->at != '"' && *tokens->at != '\\') {
        size_t len = 1;

        if ((uint8_t)*tokens->at < 0x20)
            return wrong(tokens, "a control character in a string");
        if ((uint8_t)*tokens->at >= 0x80)
            len = utf8_sequence_len((struct str){tokens->at, (size_t)(tokens->end - tokens->at)});
        if (len == 0)
            return wrong(tokens, "text that is not UTF-8");
        tokens->at += len;
    }
    return tokens->at < tokens->end ? true : wrong(tokens, "a string without an end");
}

struct str json_string_take(struct json_tokens *tokens)
{
    const struct str none = {"", 0};
    const char *from;
    bool has_escape = false;

    if (!take(tokens, '"', "a string was expected"))
        return none;
    from = tokens->at;
    tokens->unescaped.len = 0;
    for (;;) {
        if (!plain_pass(tokens))
            return none;
        if (*tokens->at == '"' && !has_escape)
            return (struct str){from, (size_t)(tokens->at++ - from)};
        bytes_add(&tokens->unescaped, from, (size_t)(tokens->at - from));
        if (*tokens->at++ == '"')
            break;
        has_escape = true;
        if (!escape_take(tokens))
            return none;
        from = tokens->at;
    }
    if (tokens->unescaped.is_failed) {
        wrong(tokens, "more text than there is memory");
        return none;
    }
    return tokens->unescaped.len ? bytes_str(&tokens->unescaped) : none;
}

static size_t digits_pass(struct json_tokens *tokens)
{
    const char *from = tokens->at;

    while (tokens->at < tokens->end && *tokens->at >= '0' && *tokens->at <= '9')
        tokens->at++;
    return (size_t)(tokens->at - from);
}

static bool is_at(const struct json_tokens *tokens, char a, char b)
{
    return tokens->at < tokens->end && (*tokens->at == a || *tokens->at == b);
}

static bool number_pass(struct json_tokens *tokens)
{
    const char *from;

    if (is_at(tokens, '-', '-'))
        tokens->at++;
    from = tokens->at;
    if (digits_pass(tokens) == 0 || (*from == '0' && tokens->at - from > 1))
        return false;
    if (is_at(tokens, '.', '.')) {
        tokens->at++;
        if (digits_pass(tokens) == 0)
            return false;
    }
    if (is_at(tokens, 'e', 'E')) {
        tokens->at++;
        if (is_at(tokens, '+', '-'))
            tokens->at++;
        if (digits_pass(tokens) == 0)
            return false;
    }
    return true;
}

struct str json_plain_take(struct json_tokens *tokens)
{
    static const struct str words[] = {STR("true"), STR("false"), STR("null")};
    const struct str none = {"", 0};
    const enum json_kind kind = json_peek(tokens);
    const char *from = tokens->at;
    const struct str left = {from, (size_t)(tokens->end - from)};

    if (kind == JSON_NUMBER) {
        if (number_pass(tokens))
            return (struct str){from, (size_t)(tokens->at - from)};
        wrong(tokens, "a number that JSON has not");
        return none;
    }
    for (size_t i = 0; kind == JSON_WORD && i < sizeof words / sizeof words[0]; i++) {
        if (str_starts(left, words[i])) {
            tokens->at += words[i].len;
            return words[i];
        }
    }
    wrong(tokens, "a value was expected");
    return none;
}

void json_skip(struct json_tokens *tokens, unsigned depth_max)
{
    const enum json_kind kind = json_peek(tokens);
    bool is_first = true;
    struct str key;

    if ((kind == JSON_OBJECT || kind == JSON_LIST) && depth_max == 0) {
        wrong(tokens, "values nested too deep");
        return;
    }
    if (kind == JSON_OBJECT) {
        while (json_next(tokens, &is_first, &key))
            json_skip(tokens, depth_max - 1);
    } else if (kind == JSON_LIST) {
        while (json_next_item(tokens, &is_first))
            json_skip(tokens, depth_max - 1);
    } else if (kind == JSON_STRING) {
        json_string_take(tokens);
    } else {
        json_plain_take(tokens);
    }
}

int json_tokens_why(const struct json_tokens *tokens, struct why *why)
{
    unsigned line = 1;
    unsigned column = 1;

    for (const char *at = tokens->start; at < tokens->at; at++) {
        column = *at == '\n' ? 1 : column + 1;
        line += *at == '\n';
    }
    return why_fail(why, -EBADMSG, "JSON line %u column %u: %s", line, column, tokens->problem);
}
