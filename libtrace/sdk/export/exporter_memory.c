// SPDX-License-Identifier: Apache-2.0
// Keeps requests in a row, one row for each signal: repeated fields concatenate, so a row is one
// request again. Any thread.

#include <throughline/exporter.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "libtrace/otlp/index.h"
#include "libtrace/otlp/json.h"

enum { ROW_BYTES_MAX = 512 << 20 };

struct tl_memory_exporter {
    pthread_mutex_t lock;
    struct bytes rows[SIGNAL_COUNT];
    size_t records[SIGNAL_COUNT];
};

struct tl_memory_exporter *tl_memory_exporter_new(void)
{
    struct tl_memory_exporter *memory = calloc(1, sizeof *memory);

    if (!memory)
        return NULL;
    pthread_mutex_init(&memory->lock, NULL);
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        memory->rows[signal].limit = ROW_BYTES_MAX;
    return memory;
}

void tl_memory_exporter_free(struct tl_memory_exporter *memory)
{
    if (!memory)
        return;
    pthread_mutex_destroy(&memory->lock);
    for (int signal = 0; signal < SIGNAL_COUNT; signal++)
        bytes_done(&memory->rows[signal]);
    free(memory);
}

static int keep(struct tl_memory_exporter *memory, enum signal signal, struct str wire,
                size_t records)
{
    struct bytes *row = &memory->rows[signal];
    int failed;

    pthread_mutex_lock(&memory->lock);
    bytes_add_str(row, wire);
    failed = row->is_failed ? -ENOMEM : 0;
    // What is there stays, and what fits later is welcome.
    row->is_failed = false;
    if (!failed)
        memory->records[signal] += records;
    pthread_mutex_unlock(&memory->lock);
    return failed;
}

static void memory_send(void *self, const struct tl_request *request, struct tl_answer *out_answer)
{
    const struct str wire = {request->len ? (const char *)request->bytes : "", request->len};
    struct why why = {""};
    size_t records = 0;
    int failed = -EINVAL;

    *out_answer = (struct tl_answer){.result = TL_RESULT_DONE};
    if (self && (unsigned)request->signal < SIGNAL_COUNT)
        failed = otlp_check((enum signal)request->signal, wire, &records, &why);
    if (!failed)
        failed = keep(self, (enum signal)request->signal, wire, records);
    if (!failed)
        return;
    out_answer->result = TL_RESULT_REFUSED;
    if (snprintf(out_answer->message, sizeof out_answer->message, "%.255s",
                 why.text[0] ? why.text : "no room") < 0)
        out_answer->message[0] = '\0';
}

static int memory_flush(void *self, uint64_t timeout_ms)
{
    // Nothing is held back: what was sent can be read.
    (void)self;
    (void)timeout_ms;
    return 0;
}

struct tl_exporter_v1 tl_memory_exporter_as(struct tl_memory_exporter *memory)
{
    return (struct tl_exporter_v1){
        .size = sizeof(struct tl_exporter_v1),
        .type = "in_memory_exporter",
        .self = memory,
        .send = memory_send,
        .flush = memory_flush,
    };
}

size_t tl_memory_exporter_records(struct tl_memory_exporter *memory, enum tl_signal signal)
{
    size_t records;

    if (!memory || (unsigned)signal >= SIGNAL_COUNT)
        return 0;
    pthread_mutex_lock(&memory->lock);
    records = memory->records[signal];
    pthread_mutex_unlock(&memory->lock);
    return records;
}

char *tl_memory_exporter_json(struct tl_memory_exporter *memory, enum tl_signal signal)
{
    struct bytes json = {0};
    int failed;

    if (!memory || (unsigned)signal >= SIGNAL_COUNT)
        return NULL;
    pthread_mutex_lock(&memory->lock);
    failed = otlp_wire_to_json((enum signal)signal, bytes_str(&memory->rows[signal]), &json, NULL);
    pthread_mutex_unlock(&memory->lock);
    bytes_add_byte(&json, '\0');
    if (!failed && !json.is_failed)
        return (char *)json.at;
    bytes_done(&json);
    return NULL;
}

void tl_memory_exporter_reset(struct tl_memory_exporter *memory)
{
    if (!memory)
        return;
    pthread_mutex_lock(&memory->lock);
    for (int signal = 0; signal < SIGNAL_COUNT; signal++) {
        memory->rows[signal].len = 0;
        memory->records[signal] = 0;
    }
    pthread_mutex_unlock(&memory->lock);
}
