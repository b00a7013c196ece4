// SPDX-License-Identifier: Apache-2.0
// For people: a line a record, and one for a resource when it is another than before. The thread
// that sends owns it; the descriptor is the caller's.

#include <throughline/exporter.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "libtrace/base/output.h"
#include "libtrace/sdk/export/console_record.h"
#include "libtrace/sdk/export/console_text.h"

enum { TEXT_BYTES_MAX = 256 << 20 };

struct console {
    int fd;
    bool is_shut;
    struct bytes resource; // the last that was written
    struct bytes text;
    enum signal signal; // of the request that is being written
};

static void resource_line_write(struct console *console, struct str resource)
{
    if (!resource.len || str_equal(resource, bytes_str(&console->resource)))
        return;
    console->resource.len = 0;
    console->resource.is_failed = false;
    bytes_add_str(&console->resource, resource);
    bytes_add_str(&console->text, STR("resource"));
    console_attributes_write(&console->text, resource, 1);
    bytes_add_byte(&console->text, '\n');
}

static bool record_write(void *self, const struct otlp_record *record)
{
    struct console *console = self;

    resource_line_write(console, record->resource);
    if (console->signal == SIGNAL_TRACES)
        console_span_write(&console->text, record);
    else if (console->signal == SIGNAL_METRICS)
        console_metric_write(&console->text, record);
    else
        console_log_write(&console->text, record);
    return !console->text.is_failed;
}

static void refuse(struct tl_answer *out, const char *message)
{
    out->result = TL_RESULT_REFUSED;
    if (snprintf(out->message, sizeof out->message, "%.255s", message) < 0)
        out->message[0] = '\0';
}

static void console_send(void *self_, const struct tl_request *request,
                         struct tl_answer *out_answer)
{
    struct console *self = self_;
    const struct str wire = {request->len ? (const char *)request->bytes : "", request->len};
    struct why why = {""};
    size_t records;
    size_t written;
    int failed;

    *out_answer = (struct tl_answer){.result = TL_RESULT_DONE};
    if (self->is_shut || (unsigned)request->signal >= SIGNAL_COUNT) {
        refuse(out_answer, "the exporter was shut down");
        return;
    }
    self->signal = (enum signal)request->signal;
    if (otlp_check(self->signal, wire, &records, &why) != 0) {
        refuse(out_answer, why.text);
        return;
    }
    self->text.len = 0;
    self->text.is_failed = false;
    otlp_each(self->signal, wire, record_write, self);
    if (self->text.is_failed) {
        refuse(out_answer, "the text is larger than the limit, or there is no memory");
        return;
    }
    failed = output_write(self->fd, bytes_str(&self->text), request->deadline_ns, &written);
    if (failed)
        refuse(out_answer, strerrordesc_np(-failed));
}

static int console_flush(void *self, uint64_t timeout_ms)
{
    // Nothing is held back: each line was written when it was sent.
    (void)self;
    (void)timeout_ms;
    return 0;
}

static int console_shutdown(void *self_, uint64_t timeout_ms)
{
    struct console *self = self_;

    (void)timeout_ms;
    self->is_shut = true;
    return 0;
}

static void console_free(void *self_)
{
    struct console *self = self_;

    bytes_done(&self->resource);
    bytes_done(&self->text);
    free(self);
}

int tl_exporter_console(int fd, struct tl_exporter_v1 *out_exporter, char out_why[256])
{
    const int saved = errno;
    struct console *self = NULL;
    int failed = 0;

    if (!out_exporter)
        return -EINVAL;
    if (fcntl(fd, F_GETFD) < 0)
        failed = -EBADF;
    else
        self = calloc(1, sizeof *self);
    errno = saved;
    if (!self) {
        failed = failed ? failed : -ENOMEM;
        if (out_why &&
            snprintf(out_why, 256, "descriptor %d: %s", fd, strerrordesc_np(-failed)) < 0)
            out_why[0] = '\0';
        return failed;
    }
    self->fd = fd;
    self->text.limit = TEXT_BYTES_MAX;
    *out_exporter = (struct tl_exporter_v1){
        .size = sizeof *out_exporter,
        .type = "console_exporter",
        .self = self,
        .send = console_send,
        .flush = console_flush,
        .shutdown = console_shutdown,
        .free = console_free,
    };
    return 0;
}
