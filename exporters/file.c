// SPDX-License-Identifier: Apache-2.0
// Appends each piece of a batch as one line of OTLP/JSON to a file, or to standard output when the
// path is "-". For looking and for tests; the one thread that calls send owns the file.

#include "exporters/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "libtrace/base/bytes.h"
#include "libtrace/otlp/json.h"

enum { LINE_BYTES_MAX = 512 << 20 };

struct file_exporter {
    struct str path;
    FILE *file;
};

static const struct setting settings[] = {
    SETTING_TEXT(struct file_exporter, path, "-", "File to append to; - is standard output."),
    SETTING_END,
};

static int file_open(void *self_, struct why *why)
{
    struct file_exporter *self = self_;
    char path[4096];

    if (str_equal(self->path, STR("-"))) {
        self->file = stdout;
        return 0;
    }
    if (self->path.len == 0 || self->path.len >= sizeof path)
        return why_fail(why, -EINVAL, "path: '%.*s' is not a path", STR_ARGS(self->path));
    memcpy(path, self->path.at, self->path.len);
    path[self->path.len] = '\0';
    self->file = fopen(path, "ae");
    if (!self->file)
        return why_fail(why, -errno, "path: %s: %s", path, strerrordesc_np(errno));
    return 0;
}

static enum send_result file_send(void *self_, const struct batch *batch, uint32_t *out_wait_ms,
                                  struct why *why)
{
    struct file_exporter *self = self_;
    struct bytes lines = {.limit = LINE_BYTES_MAX};
    enum send_result result = SEND_DONE;

    (void)out_wait_ms;
    for (size_t i = 0; i < batch_pieces(batch) && result == SEND_DONE; i++) {
        if (otlp_wire_to_json(batch_signal(batch), batch_piece(batch, i), &lines, why) != 0)
            result = SEND_REFUSED;
        bytes_add_byte(&lines, '\n');
    }
    // A failed write may have left half a line: it is given up and counted, not repeated.
    if (result == SEND_DONE && lines.is_failed) {
        why_fail(why, -ENOMEM, "the lines are larger than the limit");
        result = SEND_REFUSED;
    }
    if (result == SEND_DONE &&
        (fwrite(lines.at, 1, lines.len, self->file) != lines.len || fflush(self->file) != 0)) {
        why_fail(why, -errno, "write: %s", strerrordesc_np(errno));
        result = SEND_REFUSED;
    }
    bytes_done(&lines);
    return result;
}

static void file_close(void *self_)
{
    struct file_exporter *self = self_;

    if (self->file && self->file != stdout)
        fclose(self->file);
    self->file = NULL;
}

const struct exporter file_exporter = {
    .name = "file",
    .settings = settings,
    .size = sizeof(struct file_exporter),
    .open = file_open,
    .send = file_send,
    .close = file_close,
};
