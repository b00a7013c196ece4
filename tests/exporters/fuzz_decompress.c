// SPDX-License-Identifier: Apache-2.0
// Bytes from a network as gzip and zstd: refused or decompressed within the limit. Bytes that we
// compressed come back as they were.

#include <errno.h>
#include <stdlib.h>

#include "exporters/compress.h"

enum { LIMIT_BYTES = 256 << 10 };

static void decompress(enum compression compression, struct str input)
{
    struct bytes out = {.limit = LIMIT_BYTES};
    struct why why = {""};
    const int failed = decompress_add(compression, input, &out, &why);

    if (out.len > LIMIT_BYTES || (failed && !why.text[0]) ||
        (failed && failed != -EBADMSG && failed != -E2BIG && failed != -ENOMEM))
        abort();
    bytes_done(&out);
}

static void there_and_back(enum compression compression, struct str input)
{
    struct compressor *compressor = compressor_new(compression);
    struct bytes small = {0};
    struct bytes back = {0};

    if (!compressor || compress_add(compressor, input, &small, NULL) != 0 ||
        decompress_add(compression, bytes_str(&small), &back, NULL) != 0 ||
        !str_equal(bytes_str(&back), input))
        abort();
    compressor_free(compressor);
    bytes_done(&small);
    bytes_done(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str input = {(const char *)data, size};

    decompress(COMPRESSION_GZIP, input);
    decompress(COMPRESSION_ZSTD, input);
    decompress(COMPRESSION_NONE, input);
    if (size && data[0] % 16 == 0) {
        there_and_back(COMPRESSION_GZIP, input);
        there_and_back(COMPRESSION_ZSTD, input);
    }
    return 0;
}
