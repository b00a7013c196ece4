// SPDX-License-Identifier: Apache-2.0
// The core schema's words and numbers.

#include "libtrace/sdk/config_scalar.h"

#include "libtrace/base/decimal.h"

static bool is_one_of(struct str text, const char *const *words)
{
    for (; *words; words++) {
        if (str_equal(text, str_of(*words)))
            return true;
    }
    return false;
}

// Digits of a base of 8, 10 or 16; false when they are none. Too many: the double alone is right.
static bool digits_read(struct str text, unsigned base, uint64_t *out_value, double *out_number,
                        bool *out_fits)
{
    uint64_t value = 0;

    *out_number = 0;
    *out_fits = true;
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.at[i];
        const unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                               : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                               : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                      : 16;

        if (digit >= base)
            return false;
        if (value > (UINT64_MAX - digit) / base)
            *out_fits = false;
        value = value * base + digit;
        *out_number = *out_number * base + digit;
    }
    *out_value = value;
    return text.len > 0;
}

static bool integer_read(struct str text, int64_t *out_integer, double *out_number, bool *out_fits)
{
    const bool is_negative = text.len && text.at[0] == '-';
    uint64_t value = 0;
    bool is_integer;

    if (str_starts(text, STR("0x"))) {
        is_integer = digits_read(str_from(text, 2), 16, &value, out_number, out_fits);
    } else if (str_starts(text, STR("0o"))) {
        is_integer = digits_read(str_from(text, 2), 8, &value, out_number, out_fits);
    } else {
        if (text.len && (text.at[0] == '-' || text.at[0] == '+'))
            text = str_from(text, 1);
        is_integer = digits_read(text, 10, &value, out_number, out_fits);
    }
    if (!is_integer)
        return false;
    if (is_negative)
        *out_number = -*out_number;
    if (value > (uint64_t)INT64_MAX + is_negative)
        *out_fits = false;
    *out_integer = is_negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

enum tl_config_kind config_scalar_kind(struct str text, int64_t *out_integer, double *out_number)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", NULL};
    static const char *const infinities[] = {".inf", ".Inf", ".INF", NULL};
    static const char *const nans[] = {".nan", ".NaN", ".NAN", NULL};
    struct str bare = text;
    int64_t integer = 0;
    double number = 0;
    bool fits = true;

    if (is_one_of(text, nulls))
        return TL_CONFIG_NULL;
    if (is_one_of(text, trues) || is_one_of(text, falses)) {
        *out_integer = is_one_of(text, trues);
        return TL_CONFIG_BOOL;
    }
    if (integer_read(text, &integer, &number, &fits)) {
        if (fits)
            *out_integer = integer;
        *out_number = number;
        return fits ? TL_CONFIG_INT : TL_CONFIG_DOUBLE;
    }
    if (decimal_read(text, out_number))
        return TL_CONFIG_DOUBLE;
    if (bare.at[0] == '-' || bare.at[0] == '+')
        bare = str_from(bare, 1);
    if (is_one_of(bare, infinities)) {
        *out_number = text.at[0] == '-' ? -__builtin_inf() : __builtin_inf();
        return TL_CONFIG_DOUBLE;
    }
    if (is_one_of(text, nans)) {
        *out_number = __builtin_nan("");
        return TL_CONFIG_DOUBLE;
    }
    return TL_CONFIG_STRING;
}
