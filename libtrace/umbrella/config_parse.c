// SPDX-License-Identifier: Apache-2.0
// Parse: a file or a text into a model that the schema allows.

#include <throughline/config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libtrace/base/bytes.h"
#include "libtrace/sdk/config_node.h"
#include "libtrace/sdk/export/module.h"
#include "libtrace/sdk/stats.h"
#include "libtrace/umbrella/config_schema.h"

static void why_put(char out_why[512], const struct why *why)
{
    if (out_why && snprintf(out_why, 512, "%s", why->text) < 0)
        out_why[0] = '\0';
}

static struct tl_config *parsed(struct str text, const char *name, struct why *why)
{
    static const struct substitution by = {.get = substitute_getenv};
    const struct tl_module_v1 *yaml = module_find("yaml", why);
    struct tl_config *config;

    if (!yaml)
        return NULL;
    if (!yaml->parse) {
        why_fail(why, -ENOSYS, "the module 'yaml' reads nothing");
        return NULL;
    }
    config = config_build(text, name, yaml->parse, &by, why);
    if (config && config_check(config, why) != 0) {
        tl_config_free(config);
        config = NULL;
    }
    return config;
}

struct tl_config *tl_config_parse(const char *text, size_t len, char out_why[512])
{
    const int saved = errno;
    struct why why = {""};
    struct tl_config *config = parsed((struct str){text ? text : "", text ? len : 0}, "text", &why);

    if (!config) {
        stats_add(&sdk_stats, SDK_invalid_settings, 1);
        why_put(out_why, &why);
    }
    errno = saved;
    return config;
}

// A regular file or a pipe that a shell gives; opening one that nobody writes does not wait.
static int file_read(const char *path, struct bytes *out, struct why *why)
{
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat status;
    ssize_t got = 1;
    int failed = 0;

    if (fd < 0)
        return why_fail(why, -errno, "%s: cannot be opened: %s", path, strerrordesc_np(errno));
    if (fstat(fd, &status) != 0 || S_ISDIR(status.st_mode) || fcntl(fd, F_SETFL, 0) != 0)
        failed = why_fail(why, -EISDIR, "%s: is not a file", path);
    while (!failed && got > 0) {
        uint8_t *to = bytes_reserve(out, 4096);

        got = to ? read(fd, to, 4096) : 0;
        if (got > 0)
            out->len += (size_t)got;
    }
    if (!failed && got < 0)
        failed = why_fail(why, -errno, "%s: cannot be read (%d)", path, errno);
    if (!failed && out->is_failed)
        failed = why_fail(why, -EFBIG, "%s: larger than 1 MiB", path);
    close(fd);
    return failed;
}

struct tl_config *tl_config_parse_file(const char *path, char out_why[512])
{
    const int saved = errno;
    struct bytes text = {.limit = CONFIG_BYTES_MAX + 4096};
    struct why why = {"no path"};
    struct tl_config *config = NULL;

    if (path && file_read(path, &text, &why) == 0)
        config = parsed(bytes_str(&text), path, &why);
    bytes_done(&text);
    if (!config) {
        stats_add(&sdk_stats, SDK_invalid_settings, 1);
        why_put(out_why, &why);
    }
    errno = saved;
    return config;
}
