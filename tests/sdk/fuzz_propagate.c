// SPDX-License-Identifier: Apache-2.0
// Any headers through every format and back: lines "Name: value" (the last line may be the bytes of
// OpenCensus' format). What was read must be readable again once it is written, and no header
// that is written may hold a control character.

#include <stdlib.h>

#include <throughline/sdk.h>

#include "tests/sdk/headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct headers in;
static struct headers out;

static void written_is_clean(const struct headers *headers)
{
    for (size_t i = 0; i < headers->count; i++) {
        for (size_t k = 0; k < headers->list[i].value_len; k++) {
            const unsigned char c = (unsigned char)headers->list[i].value[k];

            if ((c < ' ' && c != '\t') || c > '~')
                abort();
        }
    }
}

static void lines_split(struct str text)
{
    in.count = 0;
    while (text.len) {
        const size_t end = str_find(text, '\n');
        const struct str line = {text.at, end};
        const size_t colon = str_find(line, ':');
        const struct str value = str_from(line, colon + 1);

        headers_set(&in, line.at, colon, value.at, value.len);
        text = str_from(text, end + 1);
    }
}

static void format_run(const char *name)
{
    struct tl_propagator *propagator = tl_propagator_new(name);
    struct tl_context *context = tl_extract(propagator, NULL, &headers_getter, &in);
    const struct tl_span_context identity = tl_context_span_context(context);
    struct tl_span_context again;
    struct tl_context *read;
    char **environment;

    out.count = 0;
    tl_inject(propagator, context, headers_set, &out);
    written_is_clean(&out);
    read = tl_extract(propagator, NULL, &headers_getter, &out);
    again = tl_context_span_context(read);
    if (tl_span_context_is_valid(&identity) &&
        (memcmp(again.span_id, identity.span_id, 8) != 0 ||
         memcmp(again.trace_id + 8, identity.trace_id + 8, 8) != 0 ||
         ((again.flags ^ identity.flags) & TL_FLAG_SAMPLED) ||
         again.trace_state_len != identity.trace_state_len))
        abort();
    environment = tl_environment_new(propagator, context, NULL);
    tl_environment_free(environment);
    tl_context_unref(read);
    tl_context_unref(context);
    tl_propagator_unref(propagator);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {
        "tracecontext", "baggage", "b3",   "b3multi",
        "jaeger",       "ottrace", "xray", "xray,ottrace,jaeger,b3multi,b3,baggage,tracecontext",
    };
    struct tl_span_context identity;
    uint8_t bytes[29];

    lines_split((struct str){(const char *)data, size});
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        format_run(names[i]);
    if (tl_binary_read(data, size, &identity) && tl_binary_write(&identity, bytes) != sizeof bytes)
        abort();
    return 0;
}
