// SPDX-License-Identifier: Apache-2.0
// Every capture in tests/golden/protocols becomes the spans that stand beside it: as it is, cut
// into pieces of 1, 3 and 7 bytes, and with every segment twice. With GOLDEN_WRITE set the expected
// spans are written anew, to be read before they are committed.

#include "tests/support/check.h"

#include <dirent.h>

#include "libtrace/conversation/stats.h"
#include "libtrace/protocols/protocol.h"
#include "tests/support/capture.h"

enum { PATH_BYTES = 1024, CAPTURES_MIN = 5 };

static struct capture capture;
static unsigned failures;

static bool file_read(const char *path, struct bytes *out)
{
    FILE *file = fopen(path, "rb");
    char block[4096];
    size_t got;

    if (!file)
        return false;
    do {
        got = fread(block, 1, sizeof block, file);
        bytes_add(out, block, got);
    } while (got == sizeof block);
    fclose(file);
    return true;
}

static void file_write(const char *path, struct str text)
{
    FILE *file = fopen(path, "wb");

    if (!file || (text.len && fwrite(text.at, 1, text.len, file) != text.len))
        fail_msg("%s: cannot be written", path);
    fclose(file);
}

// messages = spans + dropped by reason, whatever happened.
static uint64_t unaccounted(void)
{
    const struct stats *stats = &conversation_stats;

    return stats_get(stats, CONVERSATION_messages) - stats_get(stats, CONVERSATION_spans) -
           stats_get(stats, CONVERSATION_messages_untold) -
           stats_get(stats, CONVERSATION_messages_repeated) -
           stats_get(stats, CONVERSATION_messages_crowded) -
           stats_get(stats, CONVERSATION_messages_no_memory) -
           stats_get(stats, CONVERSATION_messages_abandoned);
}

static void replay_check(const char *path, struct str expected, size_t cut_bytes, bool is_doubled)
{
    struct replay replay = {.cut_bytes = cut_bytes, .is_doubled = is_doubled};

    capture_replay(&capture, &replay);
    if (!str_equal(bytes_str(&replay.spans), expected)) {
        failures++;
        print_error("%s, cut into %zu%s:\n%.*s\n", path, cut_bytes, is_doubled ? ", doubled" : "",
                    STR_ARGS(bytes_str(&replay.spans)));
    }
    assert_int_equal(replay.bad_spans, 0);
    assert_int_equal(unaccounted(), 0);
    bytes_done(&replay.spans);
}

static void golden_check(const char *path)
{
    static const size_t cuts[] = {0, 1, 3, 7};
    struct bytes text = {.limit = 1 << 20};
    struct bytes expected = {.limit = 1 << 20};
    char spans[PATH_BYTES];

    assert_true(snprintf(spans, sizeof spans, "%.*sspans", (int)strlen(path) - 7, path) <
                (int)sizeof spans);
    assert_true(file_read(path, &text));
    if (!capture_read(bytes_str(&text), &capture))
        fail_msg("%s:%u: cannot be read", path, capture.bad_line);
    if (getenv("GOLDEN_WRITE")) {
        struct replay replay = {.cut_bytes = 0};

        capture_replay(&capture, &replay);
        file_write(spans, bytes_str(&replay.spans));
        bytes_done(&replay.spans);
    }
    if (!file_read(spans, &expected))
        fail_msg("%s: no such file", spans);
    for (size_t i = 0; i < (capture.is_whole ? 1 : sizeof cuts / sizeof cuts[0]); i++)
        replay_check(path, bytes_str(&expected), cuts[i], false);
    if (!capture.is_whole)
        replay_check(path, bytes_str(&expected), 0, true);
    capture_done(&capture);
    bytes_done(&text);
    bytes_done(&expected);
}

static int is_capture(const struct dirent *entry)
{
    const struct str name = str_of(entry->d_name);

    return name.len > 8 && str_equal(str_from(name, name.len - 8), STR(".capture"));
}

static void folder_check(const char *protocol)
{
    struct dirent **names;
    char folder[PATH_BYTES];
    char path[PATH_BYTES * 2];
    int count;

    snprintf(folder, sizeof folder, "%s/tests/golden/protocols/%s", TREE, protocol);
    count = scandir(folder, &names, is_capture, alphasort);
    if (count < CAPTURES_MIN)
        fail_msg("%s: %d captures are too few", folder, count);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        free(names[i]);
        golden_check(path);
    }
    free(names);
}

static void captures_become_their_spans(void **state)
{
    (void)state;
    for (size_t i = 0; protocols[i]; i++)
        folder_check(protocols[i]->name);
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(captures_become_their_spans),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
