// SPDX-License-Identifier: Apache-2.0
// Records inside a span carry its ids; a line of the program's own gets them as text:
// OTEL_LOGS_EXPORTER=console OTEL_TRACES_EXPORTER=none.

#include <stdio.h>
#include <syslog.h>

#include <throughline/throughline.h>

int main(void)
{
    const struct tl_attribute order[] = {TL_INT("shop.order", 17)};
    struct tl_span *span = tl_span_start("order", TL_INTERNAL, NULL);
    struct tl_span *former = tl_current_set(span);
    char ids[TL_LINE_MAX];

    tl_log(TL_INFO, "order taken", order, TL_COUNT(order));
    tl_logf(TL_WARN, "%d items left", 3);
    tl_event("shop.order.paid", order, TL_COUNT(order));
    tl_syslog(LOG_USER | LOG_ERR, "disk %s is full", "sda");
    tl_log_line_ids(ids);
    printf("own line%s\n", ids);
    tl_current_set(former);
    tl_span_end(span);
    return 0;
}
