// SPDX-License-Identifier: Apache-2.0
// W3C traceparent in the kernel: found in bytes, read, made, written. Loops are bounded and hex is
// without branches, so that the verifier follows few paths.

#pragma once

#include "ebpf/bpf/record.h"

enum { TRACEPARENT_BYTES = 55, SCAN_CHUNK_BYTES = 256, SCAN_CASE = 0x20 };

// Eight bytes in lower case, first one highest.
#define SCAN_LENGTH_TAIL 0x742d6c656e677468ULL // "t-length"
#define SCAN_LENGTH_HEAD 0x2a636f6e74656eULL   // line feed (as 0x2a), "conten"
#define SCAN_CODING_TAIL 0x656e636f64696e67ULL // "encoding"
#define SCAN_CODING_HEAD 0x72616e736665722dULL // "ransfer-"
#define SCAN_NAME_TAIL 0x6365706172656e74ULL   // "ceparent"

struct traceparent {
    char text[TRACEPARENT_BYTES + 1];
};

struct scan_chunk {
    __u8 bytes[SCAN_CHUNK_BYTES];
};

// A search for the name "traceparent" (any case) behind one given byte, and for the ends of an
// HTTP head. Goes on over any number of chunks; a name cut by the end of a message is not found.
struct scan {
    __u64 last;       // the last eight bytes, in lower case
    __u64 before;     // the eight before these
    __u32 raw;        // the last four as they are
    __u32 at;         // bytes seen
    __u32 line_end;   // offset after the first line; 0: none yet
    __u32 head_end;   // offset after the empty line; 0: none yet
    __u32 name_end;   // offset after the first name; 0: not found
    __u32 names;      // found
    __u32 lengths;    // Content-Length lines
    __u32 length_end; // offset after the first one's name
    __u32 codings;    // Transfer-Encoding lines
    __u32 hash;       // FNV-1a of what came before the next byte, in the first line
    __u32 line_hash;  // of what came before the first line's last blank
    __u8 mark;        // the byte before the name: a line feed, or the length in AMQP
    __u8 is_text;     // stop at the end of an HTTP head
    __u8 pad_[2];
};

// Verified once, as a global function, whatever calls it. `len` above the chunk's size is cut.
__noinline int scan_step(const struct scan_chunk *chunk, struct scan *scan, __u32 len)
{
    __u64 name_head;

    if (!chunk || !scan)
        return -1;
    name_head = (__u64)(scan->mark | SCAN_CASE) << 24 | 0x747261; // mark, "tra"
    for (__u32 i = 0; i < SCAN_CHUNK_BYTES; i++) {
        __u8 byte;

        if (i >= len || scan->head_end)
            break;
        byte = chunk->bytes[i];
        scan->before = scan->before << 8 | scan->last >> 56;
        scan->last = scan->last << 8 | byte | SCAN_CASE;
        scan->raw = scan->raw << 8 | byte;
        scan->at++;
        if (scan->last == SCAN_NAME_TAIL && (__u32)scan->before == name_head && scan->names++ == 0)
            scan->name_end = scan->at;
        if (!scan->is_text)
            continue;
        if (!scan->line_end) {
            if (byte == ' ')
                scan->line_hash = scan->hash;
            scan->hash = (scan->hash ^ byte) * 16777619;
        }
        if (scan->last == SCAN_LENGTH_TAIL && scan->before << 8 >> 8 == SCAN_LENGTH_HEAD &&
            scan->lengths++ == 0)
            scan->length_end = scan->at;
        if (scan->last == SCAN_CODING_TAIL && scan->before == SCAN_CODING_HEAD)
            scan->codings++;
        if (byte != '\n')
            continue;
        if (!scan->line_end)
            scan->line_end = scan->at;
        if (scan->raw == 0x0d0a0d0a)
            scan->head_end = scan->at;
    }
    return 0;
}

// Scans what the record has, up to `limit` (a constant: what it can hold).
static __always_inline void scan_record(const struct tap_data *record, struct scan *scan,
                                        const __u32 limit)
{
    for (__u32 chunk = 0; chunk < limit / SCAN_CHUNK_BYTES; chunk++) {
        const __u32 from = chunk * SCAN_CHUNK_BYTES;

        if (from >= record->copied || scan->head_end)
            break;
        scan_step((const struct scan_chunk *)(record->data + from), scan, record->copied - from);
    }
}

static __always_inline char hex_digit(__u32 value)
{
    __u32 over = (9 - (int)value) >> 31; // all ones from ten on

    asm volatile("" : "+r"(over)); // or clang makes a branch of it
    return '0' + value + (over & 39);
}

static __always_inline void hex_write(char *to, const __u8 *from, const __u32 bytes)
{
    for (__u32 i = 0; i < bytes; i++) {
        to[2 * i] = hex_digit(from[i] >> 4);
        to[2 * i + 1] = hex_digit(from[i] & 15);
    }
}

// Bit 8 is set when it is no lower-case hex digit. Masks instead of branches.
static __always_inline __u32 hex_value(__u8 c)
{
    const int digit = (int)c - '0';
    const int letter = (int)c - 'a';
    const int is_digit = (digit - 10) >> 31 & ~(digit >> 31);
    const int is_letter = (letter - 6) >> 31 & ~(letter >> 31);

    return (digit & is_digit) | ((letter + 10) & is_letter) | (~(is_digit | is_letter) & 0x100);
}

static __always_inline __u32 hex_read(__u8 *to, const char *from, const __u32 bytes)
{
    __u32 bad = 0;

    for (__u32 i = 0; i < bytes; i++) {
        const __u32 high = hex_value(from[2 * i]);
        const __u32 low = hex_value(from[2 * i + 1]);

        bad |= (high | low) & 0x100;
        to[i] = high << 4 | low;
    }
    return bad;
}

// W3C Trace Context 3.2. On failure `out` is untouched. Global, so verified once.
__noinline int traceparent_read(const struct traceparent *from, struct inbound_key *out)
{
    struct inbound_key made = {};
    __u8 version = 0;
    __u32 bad = 0;

    if (!from || !out)
        return -1;
    bad |= hex_read(&version, from->text, 1);
    bad |= hex_read(made.trace_id, from->text + 3, 16);
    bad |= hex_read(made.parent_id, from->text + 36, 8);
    bad |= hex_read(&made.flags, from->text + 53, 1);
    if (bad || version == 0xff || from->text[2] != '-' || from->text[35] != '-' ||
        from->text[52] != '-')
        return -1;
    if (!(*(__u64 *)made.trace_id | *(__u64 *)(made.trace_id + 8)) || !*(__u64 *)made.parent_id)
        return -1;
    *out = made;
    return 0;
}

// The ids of one outgoing message.
struct span_context {
    __u8 trace_id[16];
    __u8 span_id[8];
    __u8 parent_id[8];
    __u8 flags;
    __u8 pad_[7];
};

// Global, so verified once.
__noinline int traceparent_make(struct traceparent *to, const struct span_context *context)
{
    if (!to || !context)
        return -1;
    to->text[0] = '0';
    to->text[1] = '0';
    to->text[2] = '-';
    hex_write(to->text + 3, context->trace_id, 16);
    to->text[35] = '-';
    hex_write(to->text + 36, context->span_id, 8);
    to->text[52] = '-';
    hex_write(to->text + 53, &context->flags, 1);
    to->text[55] = 0;
    return 0;
}

static __always_inline void span_id_make(__u8 *id)
{
    const __u64 high = bpf_get_prandom_u32();

    *(__u64 *)id = high << 32 | bpf_get_prandom_u32() | 1;
}

static __always_inline void trace_id_make(__u8 *id)
{
    span_id_make(id);
    span_id_make(id + 8);
}

// A new span below the request's, or the root of a new trace.
static __always_inline void context_make(struct span_context *context,
                                         const struct request *request)
{
    __builtin_memset(context, 0, sizeof *context);
    if (request->is_valid) {
        __builtin_memcpy(context->trace_id, request->trace_id, 16);
        __builtin_memcpy(context->parent_id, request->span_id, 8);
        context->flags = request->flags;
    } else {
        trace_id_make(context->trace_id);
        context->flags = 1;
    }
    span_id_make(context->span_id);
}

static __always_inline void context_to_record(struct tap_data *record,
                                              const struct span_context *context)
{
    __builtin_memcpy(record->trace_id, context->trace_id, 16);
    __builtin_memcpy(record->span_id, context->span_id, 8);
    __builtin_memcpy(record->parent_id, context->parent_id, 8);
    record->flags = context->flags;
    record->head.context |= TAP_CONTEXT_KNOWN;
}
