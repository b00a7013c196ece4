// SPDX-License-Identifier: Apache-2.0
// The command run: puts itself into a cgroup of its own below the one that the agent traces, then
// becomes the program. The program keeps this process id, its output and its exit code.

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cli/command.h"
#include "ebpf/probe/cgroup.h"

// As a shell says it: 127 there is no such program, 126 it cannot be run.
enum { EXIT_NOT_FOUND = 127, EXIT_NOT_RUNNABLE = 126 };

static const char usage[] = "usage: throughline run [--cgroup NAME] -- CMD [ARGUMENT...]\n";

// NAME/run-PID: each program by itself, so that it can be told from the others.
static int enter(const char *parent, struct why *why)
{
    char name[CGROUP_PATH_MAX];
    char path[CGROUP_PATH_MAX];
    const char *separator = strcmp(parent, "/") == 0 ? "" : "/";
    int failed;

    if (snprintf(name, sizeof name, "%s%srun-%d", *separator ? parent : "", separator,
                 (int)getpid()) >= (int)sizeof name)
        return why_fail(why, -ENAMETOOLONG, "the name of the cgroup is too long");
    failed = cgroup_make(str_of(name), path, why);
    if (!failed)
        failed = cgroup_enter(path, why);
    return failed;
}

int run_command(int argc, char **argv)
{
    static const struct option known[] = {
        {"cgroup", required_argument, NULL, 'g'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *parent = getenv("THROUGHLINE_CGROUP");
    struct why why = {""};
    int letter;
    int failed;

    if (!parent || !*parent)
        parent = "throughline";
    optind = 1;
    // "+": the program's own options are not ours.
    while ((letter = getopt_long(argc, argv, "+", known, NULL)) != -1) {
        if (letter == 'g') {
            parent = optarg;
        } else {
            fputs(usage, letter == 'h' ? stdout : stderr);
            return letter == 'h' ? EXIT_DONE : EXIT_USAGE;
        }
    }
    if (optind >= argc) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (enter(parent, &why) != 0) {
        fprintf(stderr, "throughline: run: %s\n", why.text);
        return EXIT_FAILED;
    }
    execvp(argv[optind], argv + optind);
    failed = errno;
    fprintf(stderr, "throughline: run: '%s': %s\n", argv[optind], strerrordesc_np(failed));
    return failed == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_RUNNABLE;
}
