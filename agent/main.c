// SPDX-License-Identifier: Apache-2.0
// throughline: one program, a command each. This file only chooses among them.

#include <stdio.h>
#include <string.h>

#include "agent/cli/command.h"

#define HELP_CONFIG                                                                                \
    "  -c, --config FILE       the configuration; without it everything is on, stored locally\n"   \
    "      --data-dir DIR      where the store is; wins over the configuration\n"
#define HELP_OUTPUT "  -o, --output FORMAT     text or json\n"
#define HELP_ASK                                                                                   \
    HELP_OUTPUT                                                                                    \
    "      --color WHEN        auto, always or never\n"                                            \
    "      --endpoint URL      the agent to ask: http://127.0.0.1:4320\n"                          \
    "      --data-dir DIR      read this store instead, no agent needed\n"

static const struct command commands[] = {
    {"agent", "[-c FILE] [--data-dir DIR]", "receive, store and serve telemetry", HELP_CONFIG,
     agent_command},
#ifdef WITH_COMMAND_RUN
    {"run", "-- CMD ...", "start a program in a cgroup of its own and trace it", NULL, run_command},
#endif
    {"trace", "ID|latest [-o json]", "print one trace as a waterfall", HELP_ASK, trace_command},
    {"traces", "[--service NAME] [--limit N] [-o json]", "list traces, newest first",
     "      --service NAME      only traces that this service is in\n"
     "      --limit N           at most that many: 20\n" HELP_ASK,
     traces_command},
    {"validate", "[-c FILE] [-o json]", "check a configuration and start nothing",
     HELP_CONFIG HELP_OUTPUT, validate_command},
    {"config", "print [-c FILE]", "print the effective configuration", HELP_CONFIG, config_command},
#ifdef WITH_COMMAND_DOCTOR
    {"doctor", "[-o json]", "say what works on this host and what to do about the rest",
     HELP_CONFIG HELP_OUTPUT "      --color WHEN        auto, always or never\n", doctor_command},
#endif
    {"version", "[-o json]", "print the version and what it was built with", HELP_OUTPUT,
     version_command},
};

static void usage(FILE *out)
{
    fputs("usage: throughline COMMAND\n\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        fprintf(out, "  %-9s %-40s %s\n", commands[i].name, commands[i].usage, commands[i].summary);
    fputs("\nthroughline COMMAND --help says more. Exit codes: 0 done, 1 failed, 2 used wrongly.\n",
          out);
}

// Asked for anywhere among the options. A command without a text of its own answers by itself.
static int run(const struct command *command, int argc, char **argv)
{
    for (int i = 1; command->help && i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            printf("usage: throughline %s %s\n\n%s\n\n%s", command->name, command->usage,
                   command->summary, command->help);
            return EXIT_DONE;
        }
    }
    return command->run(argc, argv);
}

static int choose(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0)
        return version_command(1, argv + 1);
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0) {
        usage(stdout);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return run(&commands[i], argc - 1, argv + 1);
    }
    fprintf(stderr, "throughline: '%s' is not a command\n\n", argv[1]);
    usage(stderr);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    const int result = choose(argc, argv);

    // A full disk or a closed pipe: what was asked for was not printed.
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("throughline: the output could not be written\n", stderr);
        return result == EXIT_DONE ? EXIT_FAILED : result;
    }
    return result;
}
