// SPDX-License-Identifier: Apache-2.0
// libdeflate and zstd do the work; zlib inflates piecewise, so that a bomb stops at the limit.

#include "exporters/compress.h"

#include <errno.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

enum { GZIP_LEVEL = 5, ZSTD_LEVEL = 1, STEP_BYTES = 64 * 1024 };

struct compressor {
    enum compression compression;
    struct libdeflate_compressor *gzip;
    ZSTD_CCtx *zstd;
};

struct compressor *compressor_new(enum compression compression)
{
    struct compressor *compressor = calloc(1, sizeof *compressor);

    if (!compressor)
        return NULL;
    compressor->compression = compression;
    if (compression == COMPRESSION_GZIP)
        compressor->gzip = libdeflate_alloc_compressor(GZIP_LEVEL);
    if (compression == COMPRESSION_ZSTD)
        compressor->zstd = ZSTD_createCCtx();
    if ((compression == COMPRESSION_GZIP && !compressor->gzip) ||
        (compression == COMPRESSION_ZSTD && !compressor->zstd)) {
        free(compressor);
        return NULL;
    }
    return compressor;
}

void compressor_free(struct compressor *compressor)
{
    if (!compressor)
        return;
    libdeflate_free_compressor(compressor->gzip);
    ZSTD_freeCCtx(compressor->zstd);
    free(compressor);
}

int compress_add(struct compressor *compressor, struct str input, struct bytes *out,
                 struct why *why)
{
    size_t bound = input.len;
    size_t len;
    uint8_t *to;

    if (compressor->compression == COMPRESSION_GZIP)
        bound = libdeflate_gzip_compress_bound(compressor->gzip, input.len);
    if (compressor->compression == COMPRESSION_ZSTD)
        bound = ZSTD_compressBound(input.len);
    to = bytes_reserve(out, bound);
    if (!to)
        return why_fail(why, -ENOMEM, "out of memory");
    switch (compressor->compression) {
    case COMPRESSION_GZIP:
        len = libdeflate_gzip_compress(compressor->gzip, input.at, input.len, to, bound);
        if (len == 0)
            return why_fail(why, -ENOMEM, "gzip failed");
        break;
    case COMPRESSION_ZSTD:
        len = ZSTD_compressCCtx(compressor->zstd, to, bound, input.at, input.len, ZSTD_LEVEL);
        if (ZSTD_isError(len))
            return why_fail(why, -ENOMEM, "zstd: %s", ZSTD_getErrorName(len));
        break;
    default:
        memcpy(to, input.at, input.len);
        len = input.len;
    }
    out->len += len;
    return 0;
}

// Room for the next step within the limit; NULL when there is none.
static uint8_t *step_room(struct bytes *out, size_t *out_room)
{
    size_t room = STEP_BYTES;

    if (out->limit && out->limit - out->len < room)
        room = out->limit - out->len;
    *out_room = room;
    return room ? bytes_reserve(out, room) : NULL;
}

static int inflate_gzip(struct str input, struct bytes *out, struct why *why)
{
    z_stream stream = {0};
    int result = Z_OK;
    int failed = 0;

    if (inflateInit2(&stream, 15 + 16) != Z_OK)
        return why_fail(why, -ENOMEM, "out of memory");
    stream.next_in = (Bytef *)input.at;
    stream.avail_in = (uInt)input.len;
    while (result != Z_STREAM_END && !failed) {
        size_t room;
        uint8_t probe;
        uint8_t *to = step_room(out, &room);
        const bool is_at_limit = !to;

        stream.next_out = to ? to : &probe;
        stream.avail_out = to ? (uInt)room : 1;
        result = inflate(&stream, Z_NO_FLUSH);
        if (is_at_limit && stream.avail_out == 0)
            failed = why_fail(why, -E2BIG, "the body is too large");
        else if (!is_at_limit)
            out->len += room - stream.avail_out;
        // RFC 1952 2.2: members may follow one another.
        if (!failed && result == Z_STREAM_END && stream.avail_in && inflateReset(&stream) == Z_OK)
            result = Z_OK;
        else if (!failed && result != Z_OK && result != Z_STREAM_END)
            failed = why_fail(why, -EBADMSG, "the gzip body is damaged or cut short");
    }
    inflateEnd(&stream);
    return failed;
}

static int inflate_zstd(struct str input, struct bytes *out, struct why *why)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    ZSTD_inBuffer in = {input.at, input.len, 0};
    size_t left = 1;
    int failed = 0;

    if (!context)
        return why_fail(why, -ENOMEM, "out of memory");
    // RFC 8878 3.1.1.1.2: a window this large serves every encoder's default.
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 27);
    while (!failed && (in.pos < in.size || left)) {
        size_t room;
        uint8_t probe;
        uint8_t *to = step_room(out, &room);
        ZSTD_outBuffer piece = {to ? to : &probe, to ? room : 1, 0};
        const size_t before = in.pos;

        left = ZSTD_decompressStream(context, &piece, &in);
        if (ZSTD_isError(left))
            failed = why_fail(why, -EBADMSG, "the zstd body is damaged");
        else if (!to && piece.pos)
            failed = why_fail(why, -E2BIG, "the body is too large");
        else if (left && in.pos == before && piece.pos == 0)
            failed = why_fail(why, -EBADMSG, "the zstd body is cut short");
        if (to)
            out->len += piece.pos;
        if (!failed && in.pos == in.size && left == 0)
            break;
    }
    ZSTD_freeDCtx(context);
    return failed;
}

int decompress_add(enum compression compression, struct str input, struct bytes *out,
                   struct why *why)
{
    if (input.len > UINT32_MAX)
        return why_fail(why, -E2BIG, "the body is too large");
    switch (compression) {
    case COMPRESSION_GZIP:
        return inflate_gzip(input, out, why);
    case COMPRESSION_ZSTD:
        return inflate_zstd(input, out, why);
    default:
        bytes_add_str(out, input);
        return out->is_failed ? why_fail(why, -E2BIG, "the body is too large") : 0;
    }
}
