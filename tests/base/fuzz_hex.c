// SPDX-License-Identifier: Apache-2.0
// Bytes as hexadecimal and back; any text as hexadecimal, which is refused or means what it says.

#include <stdlib.h>

#include "libtrace/base/hex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = {(const char *)data, size};
    uint8_t *bytes = calloc(1, size + 1);
    char *written = malloc(2 * size + 1);

    if (hex_read(text, bytes, size / 2)) {
        hex_write(written, bytes, size / 2);
        if (!str_equal_nocase(str_of(written), text))
            abort();
    }
    hex_write(written, data, size);
    if (!hex_read(str_of(written), bytes, size) || (size && memcmp(bytes, data, size) != 0))
        abort();
    free(bytes);
    free(written);
    return 0;
}
