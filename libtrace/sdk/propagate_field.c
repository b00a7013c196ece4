// SPDX-License-Identifier: Apache-2.0
// What the older formats have in common: ids without their leading zeros, and baggage that has a
// header for each entry.

#include "libtrace/base/hex.h"
#include "libtrace/model/span.h"
#include "libtrace/sdk/propagate.h"

enum { PREFIX_MAX = 16, KEY_MAX = 256 };

bool id_read_padded(struct str text, uint8_t *out_id, size_t len)
{
    char digits[32];
    uint8_t id[16];

    if (text.len == 0 || text.len > 2 * len || 2 * len > sizeof digits)
        return false;
    memset(digits, '0', sizeof digits);
    memcpy(digits + 2 * len - text.len, text.at, text.len);
    if (!hex_read((struct str){digits, 2 * len}, id, len) || !id_is_valid(id, len))
        return false;
    memcpy(out_id, id, len);
    return true;
}

struct tl_context *context_with_read(struct tl_context *context,
                                     const struct tl_span_context *identity, bool is_debug)
{
    struct tl_context *made = tl_span_context_is_valid(identity) ? context_derive(context) : NULL;

    if (!made)
        return tl_context_ref(context);
    made->identity = *identity;
    made->is_debug = is_debug;
    return made;
}

struct prefix_reading {
    const struct tl_getter *getter;
    void *carrier;
    struct str prefix;
    bool is_encoded;
    struct baggage *baggage;
};

static void key_visit(void *self, const char *key, size_t key_len)
{
    struct prefix_reading *reading = self;
    const struct str name = str_from((struct str){key, key_len}, reading->prefix.len);
    char decoded[BAGGAGE_BYTES_MAX / 4];
    struct str value;
    struct baggage *made;

    if (key_len <= reading->prefix.len ||
        !str_equal_nocase((struct str){key, reading->prefix.len}, reading->prefix) ||
        !field_get(reading->getter, reading->carrier, (struct str){key, key_len}, &value))
        return;
    if (reading->is_encoded && value.len <= sizeof decoded)
        value = (struct str){decoded, percent_decode(decoded, value)};
    made = baggage_with(reading->baggage, &(struct tl_baggage_entry){name.at, name.len, value.at,
                                                                     value.len, NULL, 0});
    if (!made)
        return;
    baggage_unref(reading->baggage);
    reading->baggage = made;
}

struct tl_context *baggage_by_prefix(struct tl_context *context, const struct tl_getter *getter,
                                     void *carrier, struct str prefix, bool is_encoded)
{
    struct prefix_reading reading = {getter, carrier, prefix, is_encoded, NULL};
    struct tl_context *made;

    if (!getter->keys)
        return context;
    reading.baggage = baggage_ref(context ? context->baggage : NULL);
    getter->keys(carrier, key_visit, &reading);
    if (reading.baggage == (context ? context->baggage : NULL)) {
        baggage_unref(reading.baggage);
        return context;
    }
    made = context_copy(context);
    if (!made) {
        baggage_unref(reading.baggage);
        return context;
    }
    baggage_unref(made->baggage);
    made->baggage = reading.baggage;
    tl_context_unref(context);
    return made;
}

// RFC 9110 5.5: what a field's value may hold.
static bool may_be_value(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < ' ' || text.at[i] > '~')
            return false;
    }
    return true;
}

void baggage_set_prefixed(const struct baggage *baggage, struct str prefix, bool is_encoded,
                          tl_set_function *set, void *carrier)
{
    for (uint32_t i = 0; baggage && i < baggage->count; i++) {
        struct tl_baggage_entry entry = baggage->entries[i];
        char key[PREFIX_MAX + KEY_MAX];
        char encoded[BAGGAGE_BYTES_MAX / 4];
        struct str value = {entry.value, entry.value_len};

        entry.metadata_len = 0;
        if (!token_is_valid((struct str){entry.name, entry.name_len}) || entry.name_len > KEY_MAX ||
            prefix.len > PREFIX_MAX)
            continue;
        if (is_encoded) {
            const size_t len = baggage_entry_write(&entry, NULL);

            if (len > sizeof encoded)
                continue;
            // The name and its equals sign stand before the value.
            value = str_from((struct str){encoded, baggage_entry_write(&entry, encoded)},
                             entry.name_len + 1);
        }
        if (!may_be_value(value))
            continue;
        memcpy(key, prefix.at, prefix.len);
        memcpy(key + prefix.len, entry.name, entry.name_len);
        set(carrier, key, prefix.len + entry.name_len, value.at, value.len);
    }
}
