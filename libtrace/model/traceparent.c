// SPDX-License-Identifier: Apache-2.0
// traceparent where speed is nothing.

#include "libtrace/model/traceparent.h"

bool traceparent_read(struct str text, struct traceparent *out_traceparent)
{
    return traceparent_ids_read(text, out_traceparent->trace_id, out_traceparent->span_id,
                                &out_traceparent->flags);
}

bool traceparent_write(const struct traceparent *traceparent, char out_text[TRACEPARENT_TEXT])
{
    return traceparent_ids_write(traceparent->trace_id, traceparent->span_id, traceparent->flags,
                                 out_text);
}
