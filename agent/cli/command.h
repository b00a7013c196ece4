// SPDX-License-Identifier: Apache-2.0
// The commands of the program: 0 done, 1 failed, 2 used wrongly.

#pragma once

enum exit_code { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct command {
    const char *name;
    const char *usage;
    const char *summary;
    const char *help;                  // a line for every option; NULL: the command prints its own
    int (*run)(int argc, char **argv); // argv[0] is the command's own name
};

int agent_command(int argc, char **argv);
int config_command(int argc, char **argv);
int doctor_command(int argc, char **argv);
int run_command(int argc, char **argv);
int trace_command(int argc, char **argv);
int traces_command(int argc, char **argv);
int validate_command(int argc, char **argv);
int version_command(int argc, char **argv);
