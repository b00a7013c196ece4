// SPDX-License-Identifier: Apache-2.0
// The one include of a test program: cmocka with what it needs before it.

#pragma once

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libtrace/base/str.h"

#define assert_str(actual, expected)                                                               \
    do {                                                                                           \
        const struct str actual_ = (actual);                                                       \
        const struct str expected_ = str_of(expected);                                             \
                                                                                                   \
        if (!str_equal(actual_, expected_))                                                        \
            fail_msg("got '%.*s', expected '%.*s'", STR_ARGS(actual_), STR_ARGS(expected_));       \
    } while (0)

// Ends the whole program as skipped; CTest prints the reason.
#define skip_program(reason)                                                                       \
    do {                                                                                           \
        printf("SKIPPED: %s\n", reason);                                                           \
        exit(77);                                                                                  \
    } while (0)
