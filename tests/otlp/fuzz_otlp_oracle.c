// SPDX-License-Identifier: Apache-2.0
// Any bytes: our codec and protobuf-c agree about them.

#include <stdio.h>
#include <stdlib.h>

#include "tests/otlp/oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const enum signal signal = size ? (enum signal)(data[0] % SIGNAL_COUNT) : SIGNAL_TRACES;
    const struct str wire = {(const char *)data + (size ? 1 : 0), size ? size - 1 : 0};
    const char *difference = NULL;

    if (!oracle_agrees(signal, wire, &difference)) {
        fprintf(stderr, "%s\n", difference);
        abort();
    }
    return 0;
}
