// SPDX-License-Identifier: Apache-2.0
// The store as an exporter: the sender's thread is the one writer.

#include "agent/store/store_exporter.h"

#include "agent/store/store.h"

static const struct setting settings[] = {
    SETTING_TEXT(struct store_exporter, directory, "/var/lib/throughline",
                 "The folder that holds the store."),
    SETTING_SIZE(struct store_exporter, "max_size", max_bytes, "1GiB",
                 "The oldest blocks make room beyond this."),
    SETTING_DURATION(struct store_exporter, "max_age", max_age_ms, "72h",
                     "Blocks older than this are removed."),
    SETTING_END,
};

static int store_exporter_open(void *self_, struct why *why)
{
    struct store_exporter *self = self_;
    const struct store_limits limits = {self->max_bytes, self->max_age_ms};

    return store_open(self->directory, &limits, &self->store, &self->was_moved_aside, why);
}

static enum send_result store_exporter_send(void *self_, const struct batch *batch,
                                            uint32_t *out_wait_ms, struct why *why)
{
    struct store_exporter *self = self_;

    (void)out_wait_ms;
    return store_write(self->store, batch, why) == 0 ? SEND_DONE : SEND_RETRY;
}

static void store_exporter_close(void *self_)
{
    struct store_exporter *self = self_;

    store_close(self->store);
    self->store = NULL;
}

const struct exporter store_exporter = {
    .name = "store",
    .settings = settings,
    .size = sizeof(struct store_exporter),
    .open = store_exporter_open,
    .send = store_exporter_send,
    .close = store_exporter_close,
};
