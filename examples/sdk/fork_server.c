// SPDX-License-Identifier: Apache-2.0
// A server that forks its workers after start-up: nothing needs calling, before or after. Each
// process sends its own. OTEL_TRACES_EXPORTER=console.

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <throughline/throughline.h>

enum { WORKERS = 2 };

static int work(int worker)
{
    struct tl_span *span = tl_span_start("work", TL_SERVER, NULL);

    TL_SET(span, TL_INT("worker", worker));
    tl_span_end(span);
    return 0; // leaving main flushes
}

int main(void)
{
    struct tl_span *span = tl_span_start("start up", TL_INTERNAL, NULL);
    int failed = 0;

    tl_span_end(span);
    for (int worker = 0; worker < WORKERS; worker++) {
        const pid_t child = fork();

        if (child < 0)
            return 1;
        if (child == 0)
            return work(worker);
    }
    for (int worker = 0; worker < WORKERS; worker++) {
        int status;

        if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            failed = 1;
    }
    return failed;
}
