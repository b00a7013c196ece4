// SPDX-License-Identifier: Apache-2.0
// A request's context out into headers, and in again on the other side. Headers are an array here;
// the two functions are all that a real carrier needs.

#include <stdio.h>
#include <strings.h>

#include <throughline/throughline.h>

enum { HEADERS_MAX = 8 };

struct headers {
    size_t count;
    char names[HEADERS_MAX][32];
    char values[HEADERS_MAX][256];
};

static void set_header(void *carrier, const char *key, size_t key_len, const char *value,
                       size_t value_len)
{
    struct headers *headers = carrier;

    if (headers->count == HEADERS_MAX || key_len >= 32 || value_len >= 256)
        return;
    memcpy(headers->names[headers->count], key, key_len);
    memcpy(headers->values[headers->count], value, value_len);
    headers->names[headers->count][key_len] = '\0';
    headers->values[headers->count][value_len] = '\0';
    headers->count++;
}

static bool get_header(void *carrier, const char *key, size_t key_len, size_t index,
                       const char **out_value, size_t *out_len)
{
    struct headers *headers = carrier;

    for (size_t i = 0; i < headers->count; i++) {
        if (strlen(headers->names[i]) != key_len ||
            strncasecmp(headers->names[i], key, key_len) != 0)
            continue;
        if (index-- > 0)
            continue;
        *out_value = headers->values[i];
        *out_len = strlen(headers->values[i]);
        return true;
    }
    return false;
}

static void client(struct headers *out_headers)
{
    const struct tl_baggage_entry customer = tl_baggage_entry_of("customer", "gold card");
    struct tl_span *span = tl_span_start("ask", TL_CLIENT, NULL);
    struct tl_context *with_span = tl_context_with_span(NULL, span);
    struct tl_context *context = tl_context_with_baggage(with_span, &customer);

    tl_inject(NULL, context, set_header, out_headers);
    tl_context_unref(context);
    tl_context_unref(with_span);
    tl_span_end(span);
}

static void server(struct headers *headers)
{
    const struct tl_getter getter = {.get = get_header};
    struct tl_context *context = tl_extract(NULL, NULL, &getter, headers);
    struct tl_span *span = tl_span_start_with(
        NULL, &(struct tl_span_options){.name = "answer", .kind = TL_SERVER, .context = context});
    const struct tl_span_context identity = tl_span_context(span);
    struct tl_baggage_entry customer;
    char traceparent[56];

    if (tl_traceparent_write(&identity, traceparent))
        printf("answer: %s\n", traceparent);
    if (tl_baggage_get(context, "customer", &customer))
        printf("customer: %.*s\n", (int)customer.value_len, customer.value);
    tl_span_end(span);
    tl_context_unref(context);
}

int main(void)
{
    struct headers headers = {0};

    client(&headers);
    for (size_t i = 0; i < headers.count; i++)
        printf("%s: %s\n", headers.names[i], headers.values[i]);
    server(&headers);
    return 0;
}
