// SPDX-License-Identifier: Apache-2.0
// Whole-buffer gzip and zstd with a limit on what comes out. A compressor belongs to one thread.

#pragma once

#include "libtrace/base/bytes.h"
#include "libtrace/base/why.h"

enum compression { COMPRESSION_NONE, COMPRESSION_GZIP, COMPRESSION_ZSTD };

struct compressor;

struct compressor *compressor_new(enum compression compression);
void compressor_free(struct compressor *compressor);

// Appends the compressed input. 0 or -ENOMEM.
int compress_add(struct compressor *compressor, struct str input, struct bytes *out,
                 struct why *why);

// Appends the decompressed input, at most out->limit bytes in all: -E2BIG beyond, -EBADMSG when the
// input is damaged. Any thread.
int decompress_add(enum compression compression, struct str input, struct bytes *out,
                   struct why *why);
