// SPDX-License-Identifier: Apache-2.0
// No thread of the library: the program's own loop drives it. OTEL_TRACES_EXPORTER=console
// OTEL_BSP_SCHEDULE_DELAY=100.

#include <poll.h>
#include <stdio.h>

#include <throughline/sdk.h>

int main(void)
{
    uint64_t wait_ms;

    if (tl_loop_begin())
        return 1;
    tl_span_end(tl_span_start("from a loop", TL_INTERNAL, NULL));
    wait_ms = tl_loop_run();
    for (int round = 0; round < 10; round++) {
        struct pollfd ready = {.fd = tl_loop_fd(), .events = POLLIN};

        // A real loop has its sockets here too.
        if (poll(&ready, 1, wait_ms > 100 ? 100 : (int)wait_ms) < 0)
            return 1;
        wait_ms = tl_loop_run();
    }
    return 0;
}
