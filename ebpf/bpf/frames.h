// SPDX-License-Identifier: Apache-2.0
// Where HTTP/1 messages begin and end (RFC 9112 2.1, 3, 6), as far as it must be known before
// anything may be written or concluded: a whole method and version, one length or none.

#pragma once

#include "ebpf/bpf/trace_context.h"

enum { HTTP1_VERSION_BYTES = 11, HTTP1_LENGTH_BYTES = 24, HTTP1_STATUS_SWITCHING = 101 };

// More than an interim response alone has, as servers send it: the final one is behind it.
enum { HTTP1_INTERIM_BYTES = 64 };

// A message's first bytes.
struct head {
    __u32 word[3];
};

static __always_inline __u32 word_at(const __u8 *bytes)
{
    return (__u32)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3];
}

static __always_inline void head_set(struct head *head, const __u8 *bytes)
{
    head->word[0] = word_at(bytes);
    head->word[1] = word_at(bytes + 4);
    head->word[2] = word_at(bytes + 8);
}

// Begins with a method and its blank.
static __always_inline bool is_http1_request(const struct head *head)
{
    const __u32 next = head->word[1];

    switch (head->word[0]) {
    case 0x47455420: // GET
    case 0x50555420: // PUT
        return true;
    case 0x504f5354: // POST
    case 0x48454144: // HEAD
        return next >> 24 == ' ';
    case 0x44454c45: // DELETE
        return next >> 8 == 0x544520;
    case 0x50415443: // PATCH
        return next >> 16 == 0x4820;
    case 0x4f505449: // OPTIONS
        return next == 0x4f4e5320;
    default:
        return false;
    }
}

// "HTTP/1.1 200": the status, or 0.
static __always_inline __u32 http1_status(const struct head *head)
{
    const __u32 digits = head->word[2];

    if (head->word[0] != 0x48545450 || head->word[1] >> 8 != 0x2f312e)
        return 0;
    return ((digits >> 16 & 0xff) - '0') * 100 + ((digits >> 8 & 0xff) - '0') * 10 +
           ((digits & 0xff) - '0');
}

// Whether the first line ends like a request's: " HTTP/1.1" and CRLF.
static __noinline bool is_http1_line(const struct tap_data *record, __u32 line_end)
{
    __u8 end[HTTP1_VERSION_BYTES] = {};

    if (line_end < sizeof end ||
        bpf_probe_read_kernel(end, sizeof end, record->data + (line_end - sizeof end)) != 0)
        return false;
    return end[0] == ' ' && end[1] == 'H' && end[2] == 'T' && end[3] == 'T' && end[4] == 'P' &&
           end[5] == '/' && end[6] == '1' && end[7] == '.' && end[9] == '\r';
}

// The length of the body behind a whole head. Negative: not known (chunked, or not to be trusted).
static __noinline __s64 http1_body_bytes(const struct tap_data *record, const struct scan *scan)
{
    __u8 text[HTTP1_LENGTH_BYTES] = {};
    __s64 bytes = 0;
    __u32 digits = 0;

    if (scan->codings || scan->lengths > 1)
        return -1;
    if (!scan->lengths)
        return 0;
    if (bpf_probe_read_kernel(text, sizeof text, record->data + scan->length_end) != 0 ||
        text[0] != ':')
        return -1;
    for (__u32 i = 1; i < sizeof text; i++) {
        const __u8 byte = text[i];

        if ((byte == ' ' || byte == '\t') && !digits)
            continue;
        if (byte == '\r' && digits)
            return bytes;
        if (byte < '0' || byte > '9' || digits++ > 15)
            return -1;
        bytes = bytes * 10 + (byte - '0');
    }
    return -1;
}
