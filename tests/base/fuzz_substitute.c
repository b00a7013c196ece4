// SPDX-License-Identifier: Apache-2.0
// Any text with references: refused with a reason, or replaced; without a dollar it stays itself,
// and what a variable holds is never looked at again.

#include <stdlib.h>

#include "libtrace/base/substitute.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A value that would be a mistake if it were read again.
static const char *get(void *self, const char *name)
{
    (void)self;
    return name[0] == 'N' ? NULL : "${1}$$";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = {(const char *)data, size};
    const struct substitution by = {.get = get, .is_strict = size % 2};
    struct bytes out = {.limit = 1 << 20};
    struct why why = {""};
    const int failed = substitute(text, &by, &out, &why);

    if (failed && why.text[0] == '\0')
        abort();
    if (!failed && !str_has(text, '$') && !str_equal(bytes_str(&out), text))
        abort();
    bytes_done(&out);
    return 0;
}
