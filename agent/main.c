// SPDX-License-Identifier: Apache-2.0
// throughline: one program, a command each. This file only chooses among them.

#include <stdio.h>
#include <string.h>

#include "agent/cli/command.h"

static int version_command(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("throughline 0.1.0");
    return EXIT_DONE;
}

static const struct command commands[] = {
    {"agent", "[-c FILE] [--data-dir DIR]", "receive, store and serve telemetry", agent_command},
#ifdef WITH_COMMAND_RUN
    {"run", "-- CMD ...", "start a program in a cgroup of its own and trace it", run_command},
#endif
    {"trace", "ID|latest [-o json]", "print one trace as a waterfall", trace_command},
    {"traces", "[--service NAME] [--limit N] [-o json]", "list traces, newest first",
     traces_command},
    {"validate", "[-c FILE]", "check a configuration and start nothing", validate_command},
    {"config", "print [-c FILE]", "print the effective configuration", config_command},
#ifdef WITH_COMMAND_DOCTOR
    {"doctor", "[-o json]", "say what works on this host and what to do about the rest",
     doctor_command},
#endif
    {"version", "", "print the version", version_command},
};

static void usage(FILE *out)
{
    fputs("usage: throughline COMMAND\n\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(out, "  %-9s %-40s %s\n", commands[i].name, commands[i].usage, commands[i].summary);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0)
        return version_command(argc - 1, argv + 1);
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0) {
        usage(stdout);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "throughline: '%s' is not a command\n\n", argv[1]);
    usage(stderr);
    return EXIT_USAGE;
}
