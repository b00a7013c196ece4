// SPDX-License-Identifier: Apache-2.0
// W3C Baggage: one header out, one or several in. Pure, but for memory.

#include <errno.h>
#include <stdlib.h>

#include "libtrace/sdk/context/propagate.h"
#include "libtrace/sdk/stats.h"

// More lines than this nobody sends.
enum { LINES_MAX = 64, STACK_BYTES = 1024 };

static const char *const fields[] = {"baggage", NULL};

// `text` has room for all of it.
static size_t baggage_write(const struct baggage *baggage, char *text)
{
    size_t len = 0;

    for (uint32_t i = 0; i < baggage->count; i++) {
        const size_t comma = len != 0;
        const size_t written = baggage_entry_write(&baggage->entries[i], text + len + comma);

        if (written == 0)
            continue;
        if (comma)
            text[len] = ',';
        len += comma + written;
    }
    return len;
}

static void inject(const struct outgoing *outgoing, tl_set_function *set, void *carrier)
{
    const struct baggage *baggage = outgoing->baggage;
    char room[STACK_BYTES];
    char *text = room;
    size_t len;

    if (!baggage || baggage->count == 0)
        return;
    if (baggage->encoded_bytes > sizeof room) {
        const int saved = errno;

        text = malloc(baggage->encoded_bytes);
        errno = saved;
        if (!text) {
            stats_add(&sdk_stats, SDK_baggage_dropped, baggage->count);
            return;
        }
    }
    len = baggage_write(baggage, text);
    if (len)
        set(carrier, fields[0], 7, text, len);
    if (text != room)
        free(text);
}

static struct tl_context *extract(struct tl_context *context, const struct tl_getter *getter,
                                  void *carrier)
{
    struct baggage *baggage = NULL;
    struct tl_context *made;

    for (size_t i = 0; i < LINES_MAX; i++) {
        const char *line = NULL;
        size_t len = 0;

        if (!getter->get(carrier, fields[0], 7, i, &line, &len))
            break;
        if (line)
            baggage = baggage_read(baggage, (struct str){line, len});
    }
    made = baggage && baggage->count ? context_copy(context) : NULL;
    if (!made) {
        baggage_unref(baggage);
        return tl_context_ref(context);
    }
    baggage_unref(made->baggage);
    made->baggage = baggage;
    return made;
}

const struct propagate_format baggage_format = {
    .name = "baggage",
    .inject = inject,
    .extract = extract,
    .fields = fields,
};
