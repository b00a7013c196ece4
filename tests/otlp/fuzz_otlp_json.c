// SPDX-License-Identifier: Apache-2.0
// Whatever is read from JSON is a request that passes the check.

#include <stdlib.h>

#include "libtrace/otlp/index.h"
#include "libtrace/otlp/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
        struct bytes wire = {.limit = 16 << 20};
        size_t records;

        if (otlp_json_to_wire((enum signal)signal, (struct str){(const char *)data, size}, &wire,
                              NULL) == 0 &&
            otlp_check((enum signal)signal, bytes_str(&wire), &records, NULL) != 0)
            abort();
        bytes_done(&wire);
    }
    return 0;
}
