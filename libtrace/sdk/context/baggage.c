// SPDX-License-Identifier: Apache-2.0
// Baggage: entries and their text in one block, never changed. W3C Baggage decides how an entry is
// written, and so how much of the 8192 bytes it takes.

#include <errno.h>
#include <stdlib.h>

#include "libtrace/sdk/context/context.h"
#include "libtrace/sdk/encode.h"
#include "libtrace/sdk/stats.h"

static struct baggage *baggage_new(size_t entries, size_t text_bytes)
{
    const int saved = errno;
    struct baggage *baggage =
        malloc(sizeof *baggage + entries * sizeof baggage->entries[0] + text_bytes);

    errno = saved;
    if (!baggage)
        return NULL;
    atomic_init(&baggage->references, 1);
    baggage->count = 0;
    baggage->encoded_bytes = 0;
    return baggage;
}

struct baggage *baggage_ref(struct baggage *baggage)
{
    if (baggage)
        atomic_fetch_add_explicit(&baggage->references, 1, memory_order_relaxed);
    return baggage;
}

void baggage_unref(struct baggage *baggage)
{
    if (baggage && atomic_fetch_sub_explicit(&baggage->references, 1, memory_order_acq_rel) == 1)
        free(baggage);
}

// ---- Characters

bool token_is_valid(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.at[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c && strchr("!#$%&'*+-.^_`|~", c))))
            return false;
    }
    return text.len != 0;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

size_t percent_decode(char *to, struct str text)
{
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] == '%' && i + 2 < text.len && digit_of(text.at[i + 1]) >= 0 &&
            digit_of(text.at[i + 2]) >= 0) {
            to[len++] = (char)(digit_of(text.at[i + 1]) << 4 | digit_of(text.at[i + 2]));
            i += 2;
        } else {
            to[len++] = text.at[i];
        }
    }
    return len;
}

// W3C Baggage 3.2.1.3: baggage-octet; the percent sign itself is escaped.
static bool is_octet(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\' && c != '%';
}

// Anything visible that does not end the member: what properties are made of.
static bool is_metadata(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.at[i];

        if (c != '\t' && (c < ' ' || c > 0x7e || c == ','))
            return false;
    }
    return true;
}

size_t baggage_entry_write(const struct tl_baggage_entry *entry, char *to)
{
    static const char digits[] = "0123456789ABCDEF";
    const struct str name = {entry->name, entry->name_len};
    size_t len = name.len;

    if (!token_is_valid(name))
        return 0;
    if (to) {
        memcpy(to, name.at, name.len);
        to[len] = '=';
    }
    len++;
    for (size_t i = 0; i < entry->value_len; i++) {
        const unsigned char c = (unsigned char)entry->value[i];
        const bool is_plain = is_octet(c);

        if (to && is_plain)
            to[len] = (char)c;
        if (to && !is_plain) {
            to[len] = '%';
            to[len + 1] = digits[c >> 4];
            to[len + 2] = digits[c & 15];
        }
        len += is_plain ? 1 : 3;
    }
    if (entry->metadata_len == 0)
        return len;
    if (to) {
        to[len] = ';';
        memcpy(to + len + 1, entry->metadata, entry->metadata_len);
    }
    return len + 1 + entry->metadata_len;
}

// What an entry takes of the limit, without a comma. A name that is no token stays in this process,
// where it takes room all the same.
static size_t entry_bytes(const struct tl_baggage_entry *entry)
{
    const size_t written = baggage_entry_write(entry, NULL);

    return written ? written : entry->name_len + 1 + entry->value_len;
}

// ---- Making

// Room for an entry that may still have to be made UTF-8.
static size_t text_room(const struct tl_baggage_entry *entry)
{
    return 3 * (entry->name_len + entry->value_len) + entry->metadata_len;
}

static char *text_behind(struct baggage *baggage, size_t entries)
{
    return (char *)&baggage->entries[entries];
}

// Adds an entry, its text at *inout_text. False: it does not fit, and nothing has changed.
static bool entry_add(struct baggage *baggage, const struct tl_baggage_entry *entry,
                      char **inout_text)
{
    struct tl_baggage_entry *to = &baggage->entries[baggage->count];
    struct tl_baggage_entry made = {.name = *inout_text};
    char *at = *inout_text;
    size_t bytes;

    made.name_len = text_copy((uint8_t *)at, entry->name, entry->name_len);
    at += made.name_len;
    made.value = at;
    made.value_len = text_copy((uint8_t *)at, entry->value, entry->value_len);
    at += made.value_len;
    if (entry->metadata_len) {
        memcpy(at, entry->metadata, entry->metadata_len);
        made.metadata = at;
        made.metadata_len = entry->metadata_len;
        at += made.metadata_len;
    }
    bytes = entry_bytes(&made) + (baggage->count != 0);
    if (baggage->count >= BAGGAGE_ENTRIES_MAX || baggage->encoded_bytes + bytes > BAGGAGE_BYTES_MAX)
        return false;
    baggage->encoded_bytes += (uint32_t)bytes;
    baggage->count++;
    *to = made;
    *inout_text = at;
    return true;
}

static bool has_name(const struct tl_baggage_entry *entry, struct str name)
{
    return str_equal((struct str){entry->name, entry->name_len}, name);
}

// The entries of `old` but the one of that name, and then `entry` (may be NULL).
static struct baggage *baggage_remake(const struct baggage *old, struct str but,
                                      const struct tl_baggage_entry *entry)
{
    const uint32_t count = old ? old->count : 0;
    size_t bytes = entry ? text_room(entry) : 0;
    struct baggage *baggage;
    char *text;
    bool fits = true;

    for (uint32_t i = 0; i < count; i++)
        bytes += text_room(&old->entries[i]);
    baggage = baggage_new(count + 1, bytes);
    if (!baggage)
        return NULL;
    text = text_behind(baggage, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        if (!has_name(&old->entries[i], but))
            fits &= entry_add(baggage, &old->entries[i], &text);
    }
    if (entry)
        fits &= entry_add(baggage, entry, &text);
    if (fits)
        return baggage;
    baggage_unref(baggage);
    return NULL;
}

struct baggage *baggage_with(const struct baggage *old, const struct tl_baggage_entry *entry)
{
    const struct str name = {entry->name, entry->name_len};
    struct baggage *baggage = NULL;

    // Longer ones cannot fit; the sum below cannot overflow.
    if (name.at && name.len && name.len <= BAGGAGE_BYTES_MAX &&
        entry->value_len <= BAGGAGE_BYTES_MAX && entry->metadata_len <= BAGGAGE_BYTES_MAX &&
        (entry->value || !entry->value_len) && (entry->metadata || !entry->metadata_len) &&
        is_metadata((struct str){entry->metadata, entry->metadata_len}))
        baggage = baggage_remake(old, name, entry);
    if (!baggage)
        stats_add(&sdk_stats, SDK_baggage_dropped, 1);
    return baggage;
}

// ---- Reading

// One member: name, value still encoded, properties. False when it is malformed.
static bool member_read(struct str member, struct tl_baggage_entry *out_entry)
{
    const size_t semicolon = str_find(member, ';');
    const struct str pair = {member.at, semicolon};
    const size_t equals = str_find(pair, '=');
    const struct str name = str_trim((struct str){pair.at, equals});
    const struct str value = str_trim(str_from(pair, equals + 1));
    const struct str metadata = str_trim(str_from(member, semicolon + 1));

    if (equals == pair.len || !token_is_valid(name) || !is_metadata(metadata))
        return false;
    for (size_t i = 0; i < value.len; i++) {
        const unsigned char c = (unsigned char)value.at[i];

        if (c != '%' && c != ' ' && c != '"' && c != '\\' && !is_octet(c))
            return false;
    }
    *out_entry = (struct tl_baggage_entry){name.at,   name.len,    value.at,
                                           value.len, metadata.at, metadata.len};
    return true;
}

// Decodes the value in place of its text: `room` holds it.
static void value_decode(struct tl_baggage_entry *inout_entry, char *room)
{
    inout_entry->value_len =
        percent_decode(room, (struct str){inout_entry->value, inout_entry->value_len});
    inout_entry->value = room;
}

// An entry that was there under that name makes way.
static void entry_remove(struct baggage *baggage, struct str name)
{
    for (uint32_t i = 0; i < baggage->count; i++) {
        if (!has_name(&baggage->entries[i], name))
            continue;
        baggage->encoded_bytes -=
            (uint32_t)entry_bytes(&baggage->entries[i]) + (baggage->count > 1);
        baggage->count--;
        memmove(&baggage->entries[i], &baggage->entries[i + 1],
                (baggage->count - i) * sizeof baggage->entries[0]);
        return;
    }
}

struct baggage *baggage_read(struct baggage *baggage, struct str line)
{
    const uint32_t before = baggage ? baggage->count : 0;
    size_t bytes = 3 * line.len;
    size_t members = before + 1;
    uint64_t dropped = 0;
    struct baggage *made;
    char *decoded;
    char *text;

    for (size_t i = 0; i < line.len; i++)
        members += line.at[i] == ',';
    for (uint32_t i = 0; i < before; i++)
        bytes += text_room(&baggage->entries[i]);
    if (members > 4 * BAGGAGE_ENTRIES_MAX || line.len > 8 * BAGGAGE_BYTES_MAX) {
        stats_add(&sdk_stats, SDK_baggage_dropped, members - before);
        return baggage;
    }
    made = baggage_new(members, bytes + line.len);
    if (!made) {
        stats_add(&sdk_stats, SDK_baggage_dropped, members - before);
        return baggage;
    }
    text = text_behind(made, members);
    decoded = text + bytes;
    for (uint32_t i = 0; i < before; i++)
        entry_add(made, &baggage->entries[i], &text);
    baggage_unref(baggage);
    while (line.len) {
        const size_t end = str_find(line, ',');
        const struct str member = str_trim((struct str){line.at, end});
        struct tl_baggage_entry entry;

        line = str_from(line, end + 1);
        if (member.len == 0)
            continue;
        if (!member_read(member, &entry)) {
            dropped++;
            continue;
        }
        value_decode(&entry, decoded);
        entry_remove(made, (struct str){entry.name, entry.name_len});
        dropped += !entry_add(made, &entry, &text);
    }
    if (dropped)
        stats_add(&sdk_stats, SDK_baggage_dropped, dropped);
    return made;
}

// ---- The public functions

static struct tl_context *baggage_replaced(struct tl_context *context, struct baggage *baggage)
{
    struct tl_context *made = context_copy(context);

    if (!made) {
        baggage_unref(baggage);
        return NULL;
    }
    baggage_unref(made->baggage);
    made->baggage = baggage;
    return made;
}

struct tl_context *tl_context_with_baggage(struct tl_context *context,
                                           const struct tl_baggage_entry *entry)
{
    struct baggage *baggage = entry ? baggage_with(context ? context->baggage : NULL, entry) : NULL;

    return baggage ? baggage_replaced(context, baggage) : tl_context_ref(context);
}

struct tl_context *tl_context_without_baggage(struct tl_context *context, const char *name)
{
    struct tl_baggage_entry entry;
    struct baggage *baggage;

    if (!name || !tl_baggage_get(context, name, &entry))
        return tl_context_ref(context);
    baggage = baggage_remake(context->baggage, str_of(name), NULL);
    return baggage ? baggage_replaced(context, baggage) : NULL;
}

struct tl_context *tl_context_clear_baggage(struct tl_context *context)
{
    return context && context->baggage ? baggage_replaced(context, NULL) : tl_context_ref(context);
}

bool tl_baggage_get(const struct tl_context *context, const char *name,
                    struct tl_baggage_entry *out_entry)
{
    const struct baggage *baggage = context ? context->baggage : NULL;

    for (uint32_t i = 0; baggage && name && i < baggage->count; i++) {
        if (!has_name(&baggage->entries[i], str_of(name)))
            continue;
        if (out_entry)
            *out_entry = baggage->entries[i];
        return true;
    }
    return false;
}

bool tl_baggage_at(const struct tl_context *context, size_t index,
                   struct tl_baggage_entry *out_entry)
{
    const struct baggage *baggage = context ? context->baggage : NULL;

    if (!baggage || index >= baggage->count || !out_entry)
        return false;
    *out_entry = baggage->entries[index];
    return true;
}
