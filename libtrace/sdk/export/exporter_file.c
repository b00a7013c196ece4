// SPDX-License-Identifier: Apache-2.0
// OTLP/JSON lines (specification, "OpenTelemetry Protocol File Exporter"): a request, a line. The
// thread that sends owns it.

#include <throughline/exporter.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "libtrace/base/descriptor.h"
#include "libtrace/base/output.h"
#include "libtrace/otlp/json.h"

enum { LINE_BYTES_MAX = 256 << 20 };

struct file_exporter {
    int fd;
    bool is_own;  // to be closed
    bool is_torn; // the last line was not finished
    bool is_shut;
    struct bytes line;
};

static void refuse(struct tl_answer *out, const char *what, const char *why)
{
    out->result = TL_RESULT_REFUSED;
    if (snprintf(out->message, sizeof out->message, "%s%.200s", what, why) < 0)
        out->message[0] = '\0';
}

static void file_send(void *self_, const struct tl_request *request, struct tl_answer *out_answer)
{
    struct file_exporter *self = self_;
    const struct str wire = {(const char *)request->bytes, request->len};
    struct why why = {""};
    size_t written;
    int failed;

    *out_answer = (struct tl_answer){.result = TL_RESULT_DONE};
    if (self->is_shut || (unsigned)request->signal >= SIGNAL_COUNT) {
        refuse(out_answer, "the exporter was shut down", "");
        return;
    }
    self->line.len = 0;
    self->line.is_failed = false;
    if (self->is_torn)
        bytes_add_byte(&self->line, '\n');
    failed = otlp_wire_to_json((enum signal)request->signal, wire, &self->line, &why);
    bytes_add_byte(&self->line, '\n');
    if (failed || self->line.is_failed) {
        refuse(out_answer, "as JSON: ",
               self->line.is_failed ? "larger than the limit, or no memory" : why.text);
        return;
    }
    // A failed write may have left half a line: it is given up, not repeated.
    failed = output_write(self->fd, bytes_str(&self->line), request->deadline_ns, &written);
    if (written)
        self->is_torn = failed != 0;
    if (failed)
        refuse(out_answer, "write: ", strerrordesc_np(-failed));
}

static int file_flush(void *self, uint64_t timeout_ms)
{
    // Nothing is held back: each line was written when it was sent.
    (void)self;
    (void)timeout_ms;
    return 0;
}

static int file_shutdown(void *self_, uint64_t timeout_ms)
{
    struct file_exporter *self = self_;

    (void)timeout_ms;
    self->is_shut = true;
    return 0;
}

static void file_free(void *self_)
{
    const int saved = errno;
    struct file_exporter *self = self_;

    if (self->is_own)
        close(self->fd);
    bytes_done(&self->line);
    free(self);
    errno = saved;
}

static int fail(char out_why[256], int code, const char *path)
{
    if (out_why && snprintf(out_why, 256, "%.200s: %s", path, strerrordesc_np(-code)) < 0)
        out_why[0] = '\0';
    return code;
}

int tl_exporter_otlp_file(const char *path, struct tl_exporter_v1 *out_exporter, char out_why[256])
{
    const int saved = errno;
    const bool is_stdout = !path || strcmp(path, "-") == 0;
    struct file_exporter *self;
    int failed = 0;

    if (!out_exporter)
        return -EINVAL;
    self = calloc(1, sizeof *self);
    if (self) {
        self->line.limit = LINE_BYTES_MAX;
        self->is_own = !is_stdout;
        self->fd =
            is_stdout
                ? STDOUT_FILENO
                : descriptor_keep(open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644));
        failed = self->fd < 0 ? -errno : 0;
    }
    if (!self || failed) {
        free(self);
        errno = saved;
        return fail(out_why, failed ? failed : -ENOMEM, path ? path : "-");
    }
    *out_exporter = (struct tl_exporter_v1){
        .size = sizeof *out_exporter,
        .type = "otlp_file_exporter",
        .self = self,
        .send = file_send,
        .flush = file_flush,
        .shutdown = file_shutdown,
        .free = file_free,
    };
    errno = saved;
    return 0;
}
