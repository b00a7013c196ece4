// SPDX-License-Identifier: Apache-2.0
// A conversation written down as text, and its replay through an assembler. A line each:
//
//   # anything
//   connection role=client peer=10.0.0.2:80 local=10.0.0.1:4000 pid=7 peer_traced
//   > 1.5 "GET / HTTP/1.1\r\n" "\r\n"   written at 1.5 ms; "a"*100 repeats; \r \n \t \\ \" \xHH \0
//   < 2   lost=10 at=300 "..."          read; bytes lost behind; the offset when it is not the next
//   > 3   trace=HEX span=HEX parent=HEX flags=1 written inferred "..."
//   close 9
//   tick 1000 [idle_ms]
//   whole                               the order of spans or ids depends on how it is cut

#pragma once

#include "libtrace/base/bytes.h"
#include "libtrace/conversation/assembler.h"

enum capture_act { CAPTURE_OPEN, CAPTURE_SEGMENT, CAPTURE_CLOSE, CAPTURE_TICK };

struct capture_event {
    enum capture_act act;
    struct connection connection;
    struct segment segment;
    bool is_offset_given;
    uint64_t time_ns;
    uint64_t idle_ns;
    size_t bytes_at; // of the segment, in capture.bytes
};

enum { CAPTURE_EVENTS_MAX = 512 };

struct capture {
    struct capture_event events[CAPTURE_EVENTS_MAX];
    size_t count;
    bool is_whole;
    struct bytes bytes;
    unsigned bad_line; // 0: none
};

// Texts point into `text`. False with bad_line set when a line cannot be read.
bool capture_read(struct str text, struct capture *out_capture);
void capture_done(struct capture *capture);

struct replay {
    size_t cut_bytes;   // segments are cut into so many bytes each; 0: not at all
    bool is_doubled;    // every segment comes twice
    struct bytes spans; // as text, see capture.c
    size_t span_count;
    unsigned bad_spans; // that end before they begin or have no trace
    size_t max_bytes_each;
};

// Replays all and frees the assembler; spans are written as text.
void capture_replay(const struct capture *capture, struct replay *replay);
