// SPDX-License-Identifier: Apache-2.0
// Any text as a configuration: refused with a place and a reason, or read; then what is printed
// reads as the same.

#include <stdlib.h>

#include "agent/config/config.h"

static void print(const struct config *config, struct bytes *out)
{
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);

    if (!file)
        abort();
    config_print(config, file);
    fclose(file);
    bytes_add(out, text, len);
    free(text);
}

// libfyaml 0.7.12 keeps a buffer of one long simple key; a configuration is read once.
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfyaml.so";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct str text = {(const char *)data, size};
    struct bytes problems = {.limit = 64 << 10};
    struct config *config = NULL;
    struct config *again = NULL;
    struct bytes first = {0};
    struct bytes second = {0};

    if (config_read("x", text, STR(""), &config, &problems) != 0) {
        if (problems.len < 3 || memcmp(problems.at, "x:", 2) != 0)
            abort();
        bytes_done(&problems);
        return 0;
    }
    print(config, &first);
    if (config_read("x", bytes_str(&first), STR(""), &again, &problems) != 0) {
        fprintf(stderr, "%.*s\n%.*s", STR_ARGS(bytes_str(&problems)), STR_ARGS(bytes_str(&first)));
        abort();
    }
    print(again, &second);
    if (!str_equal(bytes_str(&first), bytes_str(&second)))
        abort();
    config_free(config);
    config_free(again);
    bytes_done(&problems);
    bytes_done(&first);
    bytes_done(&second);
    return 0;
}
