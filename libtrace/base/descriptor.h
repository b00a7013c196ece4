// SPDX-License-Identifier: Apache-2.0
// A program may run with its standard streams closed, and still print: what we open must not be
// where that goes.

#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

// The same open file above the standard streams; takes `fd`, also on failure. -1 with errno; -1 is
// handed through.
static inline int descriptor_keep(int fd)
{
    int kept;
    int failed;

    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    kept = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    failed = errno;
    close(fd);
    errno = failed;
    return kept;
}

// Which file a number stands for. A program may close every descriptor that it does not know and
// open its own under the same numbers.
struct descriptor_file {
    dev_t dev;
    ino_t ino;
};

// What it stands for now; errno stays.
static inline struct descriptor_file descriptor_file_of(int fd)
{
    const int saved = errno;
    struct stat status;
    struct descriptor_file file = {0};

    if (fd >= 0 && fstat(fd, &status) == 0)
        file = (struct descriptor_file){status.st_dev, status.st_ino};
    errno = saved;
    return file;
}

// Whether it stands for that file still.
static inline bool descriptor_is(int fd, struct descriptor_file file)
{
    const struct descriptor_file now = descriptor_file_of(fd);

    return now.ino != 0 && now.dev == file.dev && now.ino == file.ino;
}
