// SPDX-License-Identifier: Apache-2.0
// What the older formats have in common: ids without their leading zeros, and baggage that has a
// header for each entry.

#include <errno.h>

#include "libtrace/base/bytes.h"
#include "libtrace/base/hex.h"
#include "libtrace/model/span.h"
#include "libtrace/sdk/context/propagate.h"
#include "libtrace/sdk/stats.h"

enum { PREFIX_MAX = 16, KEY_MAX = 256, LINE_BYTES_MAX = 4 * BAGGAGE_BYTES_MAX };

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

// The entries are written one behind the other as W3C's header, and read from there at once:
// adding each to a baggage that is never changed would copy all of it each time.
struct prefix_reading {
    const struct tl_getter *getter;
    void *carrier;
    struct str prefix;
    bool is_encoded;
    struct bytes line;
    uint64_t dropped;
};

static void entry_write(struct prefix_reading *reading, const struct tl_baggage_entry *entry)
{
    const size_t len = baggage_entry_write(entry, NULL);
    uint8_t *to = len ? bytes_reserve(&reading->line, len + 1) : NULL;

    if (!to) {
        reading->line.is_failed = false;
        reading->dropped++;
        return;
    }
    baggage_entry_write(entry, (char *)to);
    to[len] = ',';
    reading->line.len += len + 1;
}

static void key_visit(void *self, const char *key, size_t key_len)
{
    struct prefix_reading *reading = self;
    const struct str name = str_from((struct str){key, key_len}, reading->prefix.len);
    char decoded[BAGGAGE_BYTES_MAX / 4];
    struct str value;

    if (key_len <= reading->prefix.len ||
        !str_equal_nocase((struct str){key, reading->prefix.len}, reading->prefix) ||
        !field_get(reading->getter, reading->carrier, (struct str){key, key_len}, &value))
        return;
    if (reading->is_encoded && value.len <= sizeof decoded)
        value = (struct str){decoded, percent_decode(decoded, value)};
    entry_write(reading,
                &(struct tl_baggage_entry){name.at, name.len, value.at, value.len, NULL, 0});
}

struct tl_context *baggage_by_prefix(struct tl_context *context, const struct tl_getter *getter,
                                     void *carrier, struct str prefix, bool is_encoded)
{
    struct prefix_reading reading = {getter, carrier, prefix, is_encoded,
                                     .line = {.limit = LINE_BYTES_MAX}};
    const int saved = errno;
    struct tl_context *made = NULL;
    struct baggage *baggage;

    if (!getter->keys)
        return context;
    getter->keys(carrier, key_visit, &reading);
    if (reading.dropped)
        stats_add(&sdk_stats, SDK_baggage_dropped, reading.dropped);
    if (reading.line.len) {
        baggage =
            baggage_read(baggage_ref(context ? context->baggage : NULL), bytes_str(&reading.line));
        made = context_copy(context);
        if (made) {
            baggage_unref(made->baggage);
            made->baggage = baggage;
        } else {
            baggage_unref(baggage);
        }
    }
    bytes_done(&reading.line);
    errno = saved;
    if (!made)
        return context;
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
