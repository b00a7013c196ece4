// SPDX-License-Identifier: Apache-2.0
// A capture, or any bytes cut into segments by bytes of their own: nothing is read out of bounds,
// every message is accounted for, and spans end after they begin.

#include <stdlib.h>

#include "libtrace/base/reader.h"
#include "libtrace/conversation/stats.h"
#include "tests/support/capture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct capture capture;

static uint64_t get(enum conversation_stat row)
{
    return stats_get(&conversation_stats, row);
}

static void check_all(const struct capture *checked, size_t cut, bool is_doubled, size_t room)
{
    struct replay replay = {.cut_bytes = cut,
                            .is_doubled = is_doubled,
                            .spans = {.limit = 1 << 22},
                            .max_bytes_each = room};

    capture_replay(checked, &replay);
    if (replay.bad_spans ||
        get(CONVERSATION_messages) !=
            get(CONVERSATION_spans) + get(CONVERSATION_messages_untold) +
                get(CONVERSATION_messages_repeated) + get(CONVERSATION_messages_crowded) +
                get(CONVERSATION_messages_no_memory) + get(CONVERSATION_messages_abandoned))
        abort();
    bytes_done(&replay.spans);
}

// Any bytes: a byte says the direction and how long the segment is; the next, if it is said, what
// is lost behind it, or how far its offset is from where it should be.
static void raw_read(struct str bytes, struct capture *out)
{
    struct reader reader = reader_of(bytes);
    uint64_t offsets[2] = {1000, 1000};

    *out = (struct capture){.bytes = {.limit = 1 << 20}};
    while (reader_left(&reader) && out->count < CAPTURE_EVENTS_MAX) {
        struct capture_event *event = &out->events[out->count++];
        struct segment *segment = &event->segment;
        const uint8_t how = reader_u8(&reader);
        const uint8_t odd = how & 0x40 && reader_left(&reader) ? reader_u8(&reader) : 0;
        size_t len = how & 0x3f;

        if (len == 0x3f || len > reader_left(&reader))
            len = reader_left(&reader);
        *event = (struct capture_event){.act = CAPTURE_SEGMENT, .bytes_at = out->bytes.len};
        segment->conn = 1;
        segment->direction = how & 0x80 ? DIRECTION_IN : DIRECTION_OUT;
        segment->time_ns = out->count * 1000;
        segment->bytes.len = len;
        event->is_offset_given = true;
        segment->offset = offsets[segment->direction];
        if (odd & 1)
            segment->lost_bytes = odd >> 1;
        else
            segment->offset += odd / 2u - 64u * (odd != 0);
        offsets[segment->direction] = segment->offset + len + segment->lost_bytes;
        bytes_add_str(&out->bytes, reader_take(&reader, len));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = {(const char *)data, size};

    // Long inputs in pieces of one byte take long and show nothing new.
    if (size > 1 << 16)
        return 0;
    if (!capture_read(text, &capture)) {
        capture_done(&capture);
        raw_read(text, &capture);
    }
    check_all(&capture, 0, false, 0);
    if (capture.bytes.len < 1 << 14) {
        check_all(&capture, 1, false, 0);
        check_all(&capture, 7, true, 8192);
    }
    capture_done(&capture);
    return 0;
}
