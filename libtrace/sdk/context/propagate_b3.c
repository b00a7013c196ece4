// SPDX-License-Identifier: Apache-2.0
// B3 of Zipkin: one header or several. Both are read, the single one first; which is written is the
// choice between the two formats. The parent's span id is never sent on.

#include "libtrace/base/hex.h"
#include "libtrace/model/span.h"
#include "libtrace/sdk/context/propagate.h"

static const char *const single_fields[] = {"b3", NULL};
static const char *const multi_fields[] = {"X-B3-TraceId", "X-B3-SpanId", "X-B3-Sampled",
                                           "X-B3-Flags", NULL};

static bool is_sampled(struct str text)
{
    return str_equal(text, STR("1")) || str_equal(text, STR("d")) ||
           str_equal_nocase(text, STR("true"));
}

// Trace ids have 16 or 32 digits, span ids 16.
static bool ids_read(struct str trace_id, struct str span_id, struct tl_span_context *out_identity)
{
    return (trace_id.len == 16 || trace_id.len == 32) && span_id.len == 16 &&
           id_read_padded(trace_id, out_identity->trace_id, TRACE_ID_BYTES) &&
           id_read_padded(span_id, out_identity->span_id, SPAN_ID_BYTES);
}

// {trace id}-{span id}[-{sampled}[-{parent}]]. False: a decision alone, or no B3.
static bool single_read(struct str text, struct tl_span_context *out_identity, bool *out_is_debug)
{
    struct str parts[4] = {{NULL, 0}};
    size_t count = 0;

    while (count < 4) {
        const size_t end = str_find(text, '-');

        parts[count++] = (struct str){text.at, end};
        if (end == text.len)
            break;
        text = str_from(text, end + 1);
    }
    if (count < 2 || !ids_read(parts[0], parts[1], out_identity))
        return false;
    *out_is_debug = str_equal(parts[2], STR("d"));
    out_identity->flags = is_sampled(parts[2]) ? TL_FLAG_SAMPLED : 0;
    return true;
}

static bool multi_read(const struct tl_getter *getter, void *carrier,
                       struct tl_span_context *out_identity, bool *out_is_debug)
{
    struct str trace_id;
    struct str span_id;
    struct str text;

    if (!field_get(getter, carrier, str_of(multi_fields[0]), &trace_id) ||
        !field_get(getter, carrier, str_of(multi_fields[1]), &span_id) ||
        !ids_read(trace_id, span_id, out_identity))
        return false;
    *out_is_debug =
        field_get(getter, carrier, str_of(multi_fields[3]), &text) && str_equal(text, STR("1"));
    if (*out_is_debug ||
        (field_get(getter, carrier, str_of(multi_fields[2]), &text) && is_sampled(text)))
        out_identity->flags = TL_FLAG_SAMPLED;
    return true;
}

static struct tl_context *extract(struct tl_context *context, const struct tl_getter *getter,
                                  void *carrier)
{
    struct tl_span_context identity = {.is_remote = true};
    bool is_debug = false;
    struct str text;

    if ((field_get(getter, carrier, STR("b3"), &text) && single_read(text, &identity, &is_debug)) ||
        multi_read(getter, carrier, &identity, &is_debug))
        return context_with_read(context, &identity, is_debug);
    return tl_context_ref(context);
}

static void single_inject(const struct outgoing *outgoing, tl_set_function *set, void *carrier)
{
    char text[32 + 1 + 16 + 1 + 1 + 1];

    if (!tl_span_context_is_valid(&outgoing->span))
        return;
    hex_write(text, outgoing->span.trace_id, TRACE_ID_BYTES);
    text[32] = '-';
    hex_write(text + 33, outgoing->span.span_id, SPAN_ID_BYTES);
    text[49] = '-';
    text[50] = outgoing->span.flags & TL_FLAG_SAMPLED ? '1' : '0';
    if (outgoing->is_debug)
        text[50] = 'd';
    set(carrier, single_fields[0], 2, text, 51);
}

static void multi_inject(const struct outgoing *outgoing, tl_set_function *set, void *carrier)
{
    char text[33];

    if (!tl_span_context_is_valid(&outgoing->span))
        return;
    hex_write(text, outgoing->span.trace_id, TRACE_ID_BYTES);
    set(carrier, multi_fields[0], 12, text, 32);
    hex_write(text, outgoing->span.span_id, SPAN_ID_BYTES);
    set(carrier, multi_fields[1], 11, text, 16);
    // Debug says it all: a decision beside it is not sent.
    if (outgoing->is_debug)
        set(carrier, multi_fields[3], 10, "1", 1);
    else
        set(carrier, multi_fields[2], 12, outgoing->span.flags & TL_FLAG_SAMPLED ? "1" : "0", 1);
}

const struct propagate_format b3_format = {
    .name = "b3",
    .inject = single_inject,
    .extract = extract,
    .fields = single_fields,
};

const struct propagate_format b3_multi_format = {
    .name = "b3multi",
    .inject = multi_inject,
    .extract = extract,
    .fields = multi_fields,
};
