// SPDX-License-Identifier: Apache-2.0
// The words for units are those of the specification's table; what is not in it stays as it is.

#include "libtrace/sdk/metrics/prometheus_name.h"

#include "libtrace/base/decimal.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_allowed(char c, bool has_colon)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
           (has_colon && c == ':');
}

static void clean_write(struct bytes *out, struct str text, bool has_colon)
{
    const size_t start = out->len;
    bool was_line = false;

    if (text.len && is_digit(text.at[0])) {
        bytes_add_byte(out, '_');
        was_line = true;
    }
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.at[i];

        if (is_allowed(c, has_colon)) {
            bytes_add_byte(out, (uint8_t)c);
            was_line = false;
        } else if (!was_line) {
            bytes_add_byte(out, '_');
            was_line = true;
        }
    }
    if (out->len == start)
        bytes_add_byte(out, '_');
}

void prometheus_name_write(struct bytes *out, struct str name)
{
    clean_write(out, name, true);
}

void prometheus_label_write(struct bytes *out, struct str key)
{
    clean_write(out, key, false);
}

struct word {
    const char *ucum;
    const char *word;
};

static const struct word words[] = {
    {"d", "days"},          {"h", "hours"},         {"min", "minutes"},    {"s", "seconds"},
    {"ms", "milliseconds"}, {"us", "microseconds"}, {"ns", "nanoseconds"}, {"By", "bytes"},
    {"KiBy", "kibibytes"},  {"MiBy", "mebibytes"},  {"GiBy", "gibibytes"}, {"TiBy", "tebibytes"},
    {"kBy", "kilobytes"},   {"MBy", "megabytes"},   {"GBy", "gigabytes"},  {"TBy", "terabytes"},
    {"KBy", "kilobytes"},   {"m", "meters"},        {"V", "volts"},        {"A", "amperes"},
    {"J", "joules"},        {"W", "watts"},         {"g", "grams"},        {"Cel", "celsius"},
    {"Hz", "hertz"},        {"%", "percent"},
};

static const struct word rates[] = {
    {"s", "second"}, {"m", "minute"}, {"min", "minute"}, {"h", "hour"},
    {"d", "day"},    {"w", "week"},   {"mo", "month"},   {"y", "year"},
};

// By what `count` rows say; what they do not say is cleaned.
static void word_write(struct bytes *out, const struct word *rows, size_t count, struct str ucum)
{
    for (size_t i = 0; i < count; i++) {
        if (str_equal(str_of(rows[i].ucum), ucum)) {
            bytes_add_str(out, str_of(rows[i].word));
            return;
        }
    }
    clean_write(out, ucum, false);
}

// Without what stands in braces.
static struct str plain_unit(struct str unit, char room[static 64])
{
    size_t len = 0;
    bool is_remark = false;

    for (size_t i = 0; i < unit.len && len < 64; i++) {
        if (unit.at[i] == '{' || unit.at[i] == '}')
            is_remark = unit.at[i] == '{';
        else if (!is_remark)
            room[len++] = unit.at[i];
    }
    return (struct str){room, len};
}

void prometheus_unit_write(struct bytes *out, struct str unit, bool is_gauge)
{
    char room[64];
    const struct str plain = plain_unit(unit, room);
    const size_t slash = str_find(plain, '/');
    const struct str what = str_trim((struct str){plain.at, slash});
    const struct str per = str_trim(str_from(plain, slash + 1));

    // A plain number: a gauge of it is a ratio, a count of it has no unit.
    if (str_equal(plain, STR("1"))) {
        if (is_gauge)
            bytes_add_str(out, STR("ratio"));
        return;
    }
    if (what.len && !str_equal(what, STR("1")))
        word_write(out, words, sizeof words / sizeof words[0], what);
    if (per.len == 0)
        return;
    bytes_add_str(out, what.len ? STR("_per_") : STR("per_"));
    word_write(out, rates, sizeof rates / sizeof rates[0], per);
}

void prometheus_number_write(struct bytes *out, double value)
{
    char text[DECIMAL_TEXT_MAX];

    if (value != value) {
        bytes_add_str(out, STR("NaN"));
    } else if (value > __DBL_MAX__ || value < -__DBL_MAX__) {
        bytes_add_str(out, value > 0 ? STR("+Inf") : STR("-Inf"));
    } else if (value > -1e15 && value < 1e15 && value == (double)(int64_t)value) {
        bytes_format(out, "%lld", (long long)value);
    } else {
        decimal_write(text, value);
        bytes_add_str(out, str_of(text));
    }
}

void prometheus_boundary_write(struct bytes *out, double value, bool is_openmetrics)
{
    char text[DECIMAL_TEXT_MAX];

    if (is_openmetrics && value > -1e6 && value < 1e6 && value == (double)(int64_t)value) {
        bytes_format(out, "%lld.0", (long long)value);
    } else if (is_openmetrics && value <= __DBL_MAX__ && value >= -__DBL_MAX__) {
        decimal_write(text, value);
        bytes_add_str(out, str_of(text));
    } else {
        prometheus_number_write(out, value);
    }
}

static void escaped_write(struct bytes *out, struct str text, bool has_quotes)
{
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.at[i];

        if (c == '\n')
            bytes_add_str(out, STR("\\n"));
        else if (c == '\\')
            bytes_add_str(out, STR("\\\\"));
        else if (c == '"' && has_quotes)
            bytes_add_str(out, STR("\\\""));
        else if (c != '\0')
            bytes_add_byte(out, (uint8_t)c);
    }
}

void prometheus_text_write(struct bytes *out, struct str text)
{
    escaped_write(out, text, true);
}

void prometheus_help_write(struct bytes *out, struct str text, bool is_openmetrics)
{
    escaped_write(out, text, is_openmetrics);
}
