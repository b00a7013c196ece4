// SPDX-License-Identifier: Apache-2.0
// Attributes of any bytes: what is written fits the room that was asked for, is read back, and is
// UTF-8.

#include <stdlib.h>

#include "libtrace/base/arena.h"
#include "libtrace/base/reader.h"
#include "libtrace/otlp/span.h"
#include "libtrace/sdk/encode.h"

enum { LIST_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tl_attribute attribute_of(struct reader *input)
{
    const uint8_t type = reader_u8(input);
    const struct str key = reader_take(input, reader_u8(input) % 40);
    const struct str text = reader_take(input, reader_be16(input) % 300);
    struct tl_attribute attribute = TL_STR_N("k", text.at, text.len);

    attribute.key = key.at;
    attribute.key_len = key.len;
    switch (type % 4) {
    case 0:
        attribute.value.type = TL_TYPE_INT;
        attribute.value.as.integer = (int64_t)reader_be64(input);
        break;
    case 1:
        attribute.value.type = TL_TYPE_BYTES;
        break;
    default:
        break;
    }
    return attribute;
}

// What is UTF-8 stays as it is.
static void check_text(struct str text)
{
    uint8_t *copy = malloc(3 * text.len + 1);

    if (copy && text_copy(copy, text.at, text.len) != text.len)
        abort();
    if (copy && text.len && memcmp(copy, text.at, text.len) != 0)
        abort();
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader input = reader_of((struct str){(const char *)data, size});
    struct tl_attribute list[LIST_MAX + 1];
    struct bytes out = {.limit = 1 << 20};
    struct resource read = {0};
    struct arena arena;
    size_t count = 0;
    int64_t most;

    most = reader_u8(&input);
    most = most < 128 ? ENCODE_UNLIMITED : most - 128;
    while (reader_left(&input) && !input.is_failed && count < LIST_MAX)
        list[count++] = attribute_of(&input);
    // A map of all of them, too.
    list[count] = TL_STR("map", NULL);
    list[count].value = (struct tl_value){TL_TYPE_MAP, count, {.attributes = list}};
    const uint32_t left_out = attributes_write(&out, 1, list, count + 1, UINT32_MAX, most);

    arena_init(&arena, 0);
    if (out.is_failed || resource_read(bytes_str(&out), &arena, &read, NULL) != 0 ||
        read.attributes.count + left_out != count + 1)
        abort();
    for (size_t i = 0; i < read.attributes.count; i++) {
        check_text(read.attributes.at[i].key);
        if (read.attributes.at[i].value.type == VALUE_STRING)
            check_text(read.attributes.at[i].value.string);
    }
    arena_done(&arena);
    bytes_done(&out);
    return 0;
}
