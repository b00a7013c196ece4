// SPDX-License-Identifier: Apache-2.0
// Jaeger's own headers: uber-trace-id: {trace}:{span}:{parent}:{flags}, and uberctx-NAME for
// baggage. Deprecated by the specification, still spoken by old clients.

#include "libtrace/base/hex.h"
#include "libtrace/model/span.h"
#include "libtrace/sdk/context/propagate.h"

enum { FLAG_SAMPLED = 1, FLAG_DEBUG = 2, HEADER_MAX = 128 };

static const char *const fields[] = {"uber-trace-id", NULL};
static const struct str baggage_prefix = {"uberctx-", 8};

static bool header_read(struct str text, struct tl_span_context *out_identity, bool *out_is_debug)
{
    char decoded[HEADER_MAX];
    struct str parts[4];
    uint8_t flags = 0;

    // Some clients escape the colons.
    if (text.len > sizeof decoded)
        return false;
    text = (struct str){decoded, percent_decode(decoded, text)};
    for (size_t i = 0; i < 4; i++) {
        const size_t end = str_find(text, ':');

        if ((end == text.len) != (i == 3))
            return false;
        parts[i] = (struct str){text.at, end};
        text = str_from(text, end + 1);
    }
    // Zero is no id, but a fine flag.
    if (!id_read_padded(parts[0], out_identity->trace_id, TRACE_ID_BYTES) ||
        !id_read_padded(parts[1], out_identity->span_id, SPAN_ID_BYTES) || parts[3].len == 0 ||
        parts[3].len > 2)
        return false;
    id_read_padded(parts[3], &flags, 1);
    out_identity->flags = flags & FLAG_SAMPLED ? TL_FLAG_SAMPLED : 0;
    *out_is_debug = (flags & FLAG_SAMPLED) && (flags & FLAG_DEBUG);
    return true;
}

static struct tl_context *extract(struct tl_context *context, const struct tl_getter *getter,
                                  void *carrier)
{
    struct tl_span_context identity = {.is_remote = true};
    bool is_debug = false;
    struct tl_context *made;
    struct str text;

    made = field_get(getter, carrier, str_of(fields[0]), &text) &&
                   header_read(text, &identity, &is_debug)
               ? context_with_read(context, &identity, is_debug)
               : tl_context_ref(context);
    return baggage_by_prefix(made, getter, carrier, baggage_prefix, true);
}

static void inject(const struct outgoing *outgoing, tl_set_function *set, void *carrier)
{
    char text[32 + 1 + 16 + 4 + 1];

    if (tl_span_context_is_valid(&outgoing->span)) {
        hex_write(text, outgoing->span.trace_id, TRACE_ID_BYTES);
        text[32] = ':';
        hex_write(text + 33, outgoing->span.span_id, SPAN_ID_BYTES);
        memcpy(text + 49, ":0:0", 4);
        if (outgoing->span.flags & TL_FLAG_SAMPLED)
            text[52] = outgoing->is_debug ? '3' : '1';
        set(carrier, fields[0], 13, text, 53);
    }
    baggage_set_prefixed(outgoing->baggage, baggage_prefix, true, set, carrier);
}

const struct propagate_format jaeger_format = {
    .name = "jaeger",
    .inject = inject,
    .extract = extract,
    .fields = fields,
};
