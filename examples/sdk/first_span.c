// SPDX-License-Identifier: Apache-2.0
// The whole of a first span. Where it goes is for OTEL_* to say: OTEL_TRACES_EXPORTER=console.

#include <throughline/throughline.h>

int main(void)
{
    struct tl_span *span = tl_span_start("hello", TL_INTERNAL, NULL);

    TL_SET(span, TL_STR("greeted", "world"));
    tl_span_end(span);
    return 0;
}
