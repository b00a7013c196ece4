// SPDX-License-Identifier: Apache-2.0
// AWS X-Ray and its load balancers: X-Amzn-Trace-Id: Root=1-{8}-{24};Parent={16};Sampled={0|1}, the
// fields in any order, others among them. A Root alone (a load balancer's) is no span to be the
// child of.

#include "libtrace/base/hex.h"
#include "libtrace/model/span.h"
#include "libtrace/sdk/context/propagate.h"

enum { HEADER_MAX = 1024 };

static const char *const fields[] = {"X-Amzn-Trace-Id", NULL};

// 1-{8 hexadecimal: the second it began}-{24}.
static bool root_read(struct str text, uint8_t out_id[static 16])
{
    uint8_t id[16];

    if (text.len != 35 || !str_starts(text, STR("1-")) || text.at[10] != '-' ||
        !hex_read((struct str){text.at + 2, 8}, id, 4) ||
        !hex_read((struct str){text.at + 11, 24}, id + 4, 12))
        return false;
    memcpy(out_id, id, sizeof id);
    return true;
}

static struct tl_context *extract(struct tl_context *context, const struct tl_getter *getter,
                                  void *carrier)
{
    struct tl_span_context identity = {.is_remote = true};
    struct str text;

    if (!field_get(getter, carrier, str_of(fields[0]), &text) || text.len > HEADER_MAX)
        return tl_context_ref(context);
    while (text.len) {
        const size_t end = str_find(text, ';');
        const struct str part = str_trim((struct str){text.at, end});
        const size_t equals = str_find(part, '=');
        const struct str key = str_trim((struct str){part.at, equals});
        const struct str value = str_trim(str_from(part, equals + 1));

        text = str_from(text, end + 1);
        if (str_equal_nocase(key, STR("Root")) && !root_read(value, identity.trace_id))
            return tl_context_ref(context);
        if (str_equal_nocase(key, STR("Parent")) &&
            (value.len != 16 || !hex_read(value, identity.span_id, SPAN_ID_BYTES)))
            return tl_context_ref(context);
        if (str_equal_nocase(key, STR("Sampled")))
            identity.flags = str_equal(value, STR("1")) ? TL_FLAG_SAMPLED : 0;
    }
    return context_with_read(context, &identity, false);
}

static void inject(const struct outgoing *outgoing, tl_set_function *set, void *carrier)
{
    char text[5 + 35 + 8 + 16 + 10 + 1];

    if (!tl_span_context_is_valid(&outgoing->span))
        return;
    memcpy(text, "Root=1-", 7);
    hex_write(text + 7, outgoing->span.trace_id, 4);
    text[15] = '-';
    hex_write(text + 16, outgoing->span.trace_id + 4, 12);
    memcpy(text + 40, ";Parent=", 8);
    hex_write(text + 48, outgoing->span.span_id, SPAN_ID_BYTES);
    memcpy(text + 64, ";Sampled=", 9);
    text[73] = outgoing->span.flags & TL_FLAG_SAMPLED ? '1' : '0';
    set(carrier, fields[0], 15, text, 74);
}

const struct propagate_format xray_format = {
    .name = "xray",
    .inject = inject,
    .extract = extract,
    .fields = fields,
};
