// SPDX-License-Identifier: Apache-2.0
// Exporters of metrics as the self-observation counts them. One lock for all: an export is rare.

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libtrace/sdk/metrics/observe.h"
#include "libtrace/sdk/metrics/observe_cause.h"

enum { TYPES_MAX = 32, TEXT_MAX = OBSERVE_TYPE_MAX };

struct observed {
    char type[TEXT_MAX];
    char server_address[TEXT_MAX];
    struct observed_figures figures;
    struct observed *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct observed *all;
static struct {
    char name[TEXT_MAX];
    unsigned next;
} types[TYPES_MAX];

static void text_keep(char *to, size_t room, const char *text)
{
    const size_t len = strlen(text);
    const size_t kept = len < room ? len : room - 1;

    memcpy(to, text, kept);
    to[kept] = '\0';
}

unsigned observe_number(const char *type)
{
    unsigned number = 0;

    pthread_mutex_lock(&lock);
    for (size_t i = 0; type && i < TYPES_MAX; i++) {
        if (types[i].name[0] && strncmp(types[i].name, type, TEXT_MAX - 1) != 0)
            continue;
        if (!types[i].name[0])
            text_keep(types[i].name, sizeof types[i].name, type);
        number = types[i].next++;
        break;
    }
    pthread_mutex_unlock(&lock);
    return number;
}

void observe_type_write(char *out_text, const char *type, enum tl_signal signal)
{
    static const char *const words[] = {"span", "metric", "log"};
    static const char end[] = "_exporter";
    const size_t len = strlen(type);
    const size_t head = len > sizeof end - 1 ? len - (sizeof end - 1) : 0;

    text_keep(out_text, TEXT_MAX, type);
    if (strncmp(type, "otlp_", 5) != 0 || len + 8 >= TEXT_MAX || !head ||
        strcmp(type + head, end) != 0)
        return;
    for (size_t i = 0; i < 3; i++) {
        const size_t word = strlen(words[i]);

        // It says its signal already.
        if (head > word && memcmp(type + head - word, words[i], word) == 0)
            return;
    }
    if (snprintf(out_text + head, TEXT_MAX - head, "_%s%s", words[signal], end) < 0)
        out_text[0] = '\0';
}

struct observed *observed_exporter(const struct tl_exporter_v1 *exporter, enum tl_signal signal)
{
    const int saved = errno;
    struct observed *made = calloc(1, sizeof *made);

    errno = saved;
    if (!made)
        return NULL;
    observe_type_write(made->type, exporter->type ? exporter->type : "custom_metric_exporter",
                       signal);
    made->figures.type = made->type;
    made->figures.number = observe_number(made->type);
    made->figures.signal = signal;
    // A struct of before those fields were added is shorter.
    if (exporter->size >= sizeof *exporter && exporter->server_address) {
        text_keep(made->server_address, sizeof made->server_address, exporter->server_address);
        made->figures.server_address = made->server_address;
        made->figures.server_port = exporter->server_port;
    }
    pthread_mutex_lock(&lock);
    made->next = all;
    all = made;
    pthread_mutex_unlock(&lock);
    return made;
}

void observed_free(struct observed *observed)
{
    if (!observed)
        return;
    pthread_mutex_lock(&lock);
    for (struct observed **at = &all; *at; at = &(*at)->next) {
        if (*at == observed) {
            *at = observed->next;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    free(observed);
}

void observe_in_flight(struct observed *observed, uint64_t records)
{
    if (!observed)
        return;
    pthread_mutex_lock(&lock);
    observed->figures.in_flight += records;
    pthread_mutex_unlock(&lock);
}

static void cause_add(struct observed_figures *figures, const char *text, uint64_t records)
{
    const size_t most = sizeof figures->causes / sizeof figures->causes[0];
    size_t i = 0;

    while (i < figures->cause_count && strcmp(figures->causes[i].text, text) != 0)
        i++;
    // More kinds than anybody has seen: they are told together.
    if (i == most)
        i = most - 1;
    if (i == figures->cause_count) {
        figures->cause_count++;
        text_keep(figures->causes[i].text, sizeof figures->causes[i].text, text);
    }
    figures->causes[i].records += records;
}

void observe_exported(struct observed *observed, uint64_t records, uint64_t lost,
                      const struct tl_answer *answer, uint64_t took_ns)
{
    struct observed_operation operation;
    char cause[24];

    if (!observed)
        return;
    pthread_mutex_lock(&lock);
    observed->figures.in_flight -= records;
    observed->figures.exported += records - lost;
    if (lost)
        cause_add(&observed->figures, answer_cause(answer, cause), lost);
    pthread_mutex_unlock(&lock);
    operation = (struct observed_operation){.type = observed->type,
                                            .signal = observed->figures.signal,
                                            .number = observed->figures.number,
                                            .server_address = observed->figures.server_address,
                                            .server_port = observed->figures.server_port,
                                            .lost = lost,
                                            .answer = answer,
                                            .took_ns = took_ns};
    observe_operation(&operation);
}

void observed_forked(void)
{
    pthread_mutex_init(&lock, NULL);
    for (struct observed *each = all; each; each = each->next)
        each->figures.in_flight = 0;
}

void observed_each(void (*visit)(void *self, const struct observed_figures *figures), void *self)
{
    pthread_mutex_lock(&lock);
    for (struct observed *each = all; each; each = each->next)
        visit(self, &each->figures);
    pthread_mutex_unlock(&lock);
}

const char *answer_cause(const struct tl_answer *answer, char out_text[static 24])
{
    if (answer->result == TL_RESULT_DONE)
        return "rejected"; // of a partial success
    if (answer->status == 0 || snprintf(out_text, 24, "%d", (int)answer->status) < 0)
        return "_OTHER";
    return out_text;
}
