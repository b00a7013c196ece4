// SPDX-License-Identifier: Apache-2.0
// Words for the numbers of a span.

#include "libtrace/model/span.h"

const char *span_kind_text(enum span_kind kind)
{
    switch (kind) {
    case SPAN_KIND_INTERNAL:
        return "internal";
    case SPAN_KIND_SERVER:
        return "server";
    case SPAN_KIND_CLIENT:
        return "client";
    case SPAN_KIND_PRODUCER:
        return "producer";
    case SPAN_KIND_CONSUMER:
        return "consumer";
    case SPAN_KIND_UNSPECIFIED:
        break;
    }
    return "unspecified";
}
