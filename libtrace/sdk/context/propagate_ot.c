// SPDX-License-Identifier: Apache-2.0
// The headers of the OpenTracing basic tracers ("ottrace"): 64-bit ids, and ot-baggage-NAME.
// Deprecated by the specification.

#include "libtrace/base/hex.h"
#include "libtrace/model/span.h"
#include "libtrace/sdk/context/propagate.h"

static const char *const fields[] = {"ot-tracer-traceid", "ot-tracer-spanid", "ot-tracer-sampled",
                                     NULL};
static const struct str baggage_prefix = {"ot-baggage-", 11};

static struct tl_context *extract(struct tl_context *context, const struct tl_getter *getter,
                                  void *carrier)
{
    struct tl_span_context identity = {.is_remote = true};
    struct tl_context *made;
    struct str trace_id;
    struct str span_id;
    struct str text;

    if (!field_get(getter, carrier, str_of(fields[0]), &trace_id) ||
        !field_get(getter, carrier, str_of(fields[1]), &span_id) ||
        !id_read_padded(trace_id, identity.trace_id, TRACE_ID_BYTES) ||
        !id_read_padded(span_id, identity.span_id, SPAN_ID_BYTES))
        return tl_context_ref(context);
    if (field_get(getter, carrier, str_of(fields[2]), &text) &&
        (str_equal(text, STR("1")) || str_equal_nocase(text, STR("true"))))
        identity.flags = TL_FLAG_SAMPLED;
    made = context_with_read(context, &identity, false);
    return baggage_by_prefix(made, getter, carrier, baggage_prefix, false);
}

static void inject(const struct outgoing *outgoing, tl_set_function *set, void *carrier)
{
    const bool is_sampled = (outgoing->span.flags & TL_FLAG_SAMPLED) != 0;
    char text[17];

    // Its baggage goes with a trace or not at all.
    if (!tl_span_context_is_valid(&outgoing->span))
        return;
    hex_write(text, outgoing->span.trace_id + 8, 8);
    set(carrier, fields[0], 17, text, 16);
    hex_write(text, outgoing->span.span_id, SPAN_ID_BYTES);
    set(carrier, fields[1], 16, text, 16);
    set(carrier, fields[2], 17, is_sampled ? "true" : "false", is_sampled ? 4 : 5);
    baggage_set_prefixed(outgoing->baggage, baggage_prefix, false, set, carrier);
}

const struct propagate_format ot_format = {
    .name = "ottrace",
    .inject = inject,
    .extract = extract,
    .fields = fields,
};
