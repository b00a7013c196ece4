// SPDX-License-Identifier: Apache-2.0
// Numbers as text by way of the C library in its "C" locale, which glibc has without allocating.

#include "libtrace/base/decimal.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { WRITTEN_MAX = 128, PRECISION_MAX = 17 };

static locale_t plain;
static pthread_once_t plain_once = PTHREAD_ONCE_INIT;

static void plain_make(void)
{
    plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

double decimal_parse(const char *text)
{
    pthread_once(&plain_once, plain_make);
    return plain ? strtod_l(text, NULL, plain) : strtod(text, NULL);
}

void decimal_write(char out_text[static DECIMAL_TEXT_MAX], double value)
{
    const int saved = errno;
    locale_t former;

    pthread_once(&plain_once, plain_make);
    former = plain ? uselocale(plain) : (locale_t)0;
    // 17 digits tell any two doubles apart; most need fewer.
    for (int precision = 1; precision <= PRECISION_MAX; precision++) {
        const int len = snprintf(out_text, DECIMAL_TEXT_MAX, "%.*g", precision, value);

        if (len < 0 || len >= DECIMAL_TEXT_MAX)
            out_text[0] = '\0';
        if (!isfinite(value) || decimal_parse(out_text) == value)
            break;
    }
    if (former)
        uselocale(former);
    errno = saved;
}

static size_t digits_of(struct str text)
{
    size_t len = 0;

    while (len < text.len && text.at[len] >= '0' && text.at[len] <= '9')
        len++;
    return len;
}

// [+-] digits [. digits] [e [+-] digits], with a digit before or after the point.
static bool is_decimal(struct str text)
{
    size_t before;
    size_t after = 0;

    if (text.len && (text.at[0] == '+' || text.at[0] == '-'))
        text = str_from(text, 1);
    before = digits_of(text);
    text = str_from(text, before);
    if (text.len && text.at[0] == '.') {
        text = str_from(text, 1);
        after = digits_of(text);
        text = str_from(text, after);
    }
    if (before + after == 0)
        return false;
    if (text.len == 0)
        return true;
    if (text.at[0] != 'e' && text.at[0] != 'E')
        return false;
    text = str_from(text, 1);
    if (text.len && (text.at[0] == '+' || text.at[0] == '-'))
        text = str_from(text, 1);
    return text.len && digits_of(text) == text.len;
}

bool decimal_read(struct str text, double *out_value)
{
    const int saved = errno;
    char written[WRITTEN_MAX];
    double value;

    if (text.len >= sizeof written || !is_decimal(text))
        return false;
    memcpy(written, text.at, text.len);
    written[text.len] = '\0';
    value = decimal_parse(written);
    errno = saved;
    if (!isfinite(value))
        return false;
    *out_value = value;
    return true;
}
