// SPDX-License-Identifier: Apache-2.0
// A program may run with its standard streams closed, and still print: what we open must not be
// where that goes.

#pragma once

#include <errno.h>
#include <fcntl.h>
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
