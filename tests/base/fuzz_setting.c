// SPDX-License-Identifier: Apache-2.0
// Any text as any kind of setting: it is read whole or refused with a reason that names it, and
// what was there before stays.

#include <stdlib.h>

#include "libtrace/base/setting.h"

struct owner {
    struct str text;
    struct str endpoint;
    struct str url;
    bool flag;
    uint64_t number;
    uint64_t duration_ms;
    uint64_t size_bytes;
    struct str choice;
    struct str list;
    struct str map;
};

static const struct setting table[] = {
    SETTING_TEXT(struct owner, text, "x", "Text."),
    SETTING_ENDPOINT(struct owner, endpoint, "127.0.0.1:1", "An endpoint."),
    SETTING_URL(struct owner, url, "http://x", "A URL."),
    SETTING_BOOL(struct owner, flag, "true", "A flag."),
    SETTING_NUMBER(struct owner, number, "7", "A number."),
    SETTING_DURATION(struct owner, "duration", duration_ms, "7s", "A duration."),
    SETTING_SIZE(struct owner, "size", size_bytes, "7KiB", "A size."),
    SETTING_CHOICE(struct owner, choice, "a", "a|b|c", "A choice."),
    SETTING_LIST(struct owner, list, "", "A list."),
    SETTING_MAP(struct owner, map, "", "A map."),
    SETTING_END,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str value = {(const char *)data, size};
    struct owner owner = {0};
    struct arena arena;

    arena_init(&arena, 1 << 20);
    if (settings_defaults(table, &owner, NULL) != 0)
        abort();
    for (const struct setting *row = table; row->name; row++) {
        const struct owner before = owner;
        struct why why = {""};

        if (setting_read(row, value, &owner, &arena, &why) == 0)
            continue;
        if (memcmp(&before, &owner, sizeof owner) != 0 || !why.text[0])
            abort();
    }
    arena_done(&arena);
    return 0;
}
