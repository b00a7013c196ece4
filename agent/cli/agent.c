// SPDX-License-Identifier: Apache-2.0
// The agent command: load, start, wait for a signal, stop in order. Also validate and config print,
// which stop after loading.

#include <curl/curl.h>
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/api/api.h"
#include "agent/cli/command.h"
#include "agent/cli/output.h"
#include "agent/config/config.h"
#include "agent/log.h"
#include "agent/pipeline/graph.h"
#include "libtrace/otlp/json_text.h"

enum { DRAIN_MS = 10000, PROBLEM_BYTES = 64 << 10 };

struct options {
    const char *file;
    const char *data_dir;
    bool is_json;
};

// -o is for validate alone; the others ignore it.
static int options_read(int argc, char **argv, struct options *out)
{
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},
        {"data-dir", required_argument, NULL, 'd'},
        {"output", required_argument, NULL, 'o'},
        {NULL, 0, NULL, 0},
    };
    int letter = 0;

    *out = (struct options){0};
    optind = 1;
    while (letter != -1) {
        letter = getopt_long(argc, argv, "c:o:", known, NULL);
        if (letter == 'c')
            out->file = optarg;
        else if (letter == 'd')
            out->data_dir = optarg;
        else if (letter != -1 && (letter != 'o' || !output_option(optarg, &out->is_json)))
            return EXIT_USAGE;
    }
    if (optind < argc) {
        fprintf(stderr, "throughline: '%s' was not expected\n", argv[optind]);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

// EXIT_USAGE and every mistake, a line each, when the configuration is wrong.
static int load(const struct options *options, struct config **out_config,
                struct bytes *out_problems)
{
    const char *data_dir = options->data_dir ? options->data_dir : "";

    return config_load(options->file, str_of(data_dir), out_config, out_problems) == 0 ? EXIT_DONE
                                                                                       : EXIT_USAGE;
}

static void problems_print(struct str problems)
{
    while (problems.len) {
        const size_t end = str_find(problems, '\n');

        fprintf(stderr, "throughline: %.*s\n", (int)end, problems.at);
        problems = str_from(problems, end + 1);
    }
}

// Reads the options and the configuration, and says on stderr what is wrong with either.
static int begin(int argc, char **argv, struct config **out_config)
{
    struct bytes problems = {.limit = PROBLEM_BYTES};
    struct options options;
    int result = options_read(argc, argv, &options);

    if (result == EXIT_DONE)
        result = load(&options, out_config, &problems);
    problems_print(bytes_str(&problems));
    bytes_done(&problems);
    return result;
}

static int wait_for_signal(const sigset_t *signals)
{
    int number = 0;

    while (sigwait(signals, &number) != 0) {
    }
    log_info("agent.stop", "signal=%s", number == SIGINT ? "INT" : "TERM");
    return EXIT_DONE;
}

static int run_agent(struct config *config, const sigset_t *signals)
{
    const struct api_plan plan = {
        .endpoint = config->api_endpoint,
        .allowed_hosts = config->api_allowed_hosts,
        .data_dir = config->data_dir,
        .stats = all_stats,
        .stats_count = all_stats_count,
    };
    struct graph *graph = NULL;
    struct api *api = NULL;
    struct why why = {""};
    int result = EXIT_FAILED;

    if (config->wants_grpc)
        log_warn("receiver.left_out", "receiver=otlp.grpc reason=\"only http is served yet\"");
    if (graph_start(config, &graph, &why) == 0 && api_start(&plan, &api, &why) == 0) {
        log_info("agent.ready", "api=http://%.*s data_dir=%.*s", STR_ARGS(config->api_endpoint),
                 STR_ARGS(config->data_dir));
        result = wait_for_signal(signals);
    } else {
        fprintf(stderr, "throughline: %s\n", why.text);
    }
    api_stop(api);
    graph_stop(graph, DRAIN_MS);
    return result;
}

int agent_command(int argc, char **argv)
{
    struct config *config = NULL;
    sigset_t signals;
    int result = begin(argc, argv, &config);

    if (result != EXIT_DONE)
        return result;
    // Blocked before any thread begins, so that only main takes them.
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    result = run_agent(config, &signals);
    config_free(config);
    curl_global_cleanup();
    return result;
}

static void problems_print_json(struct str problems)
{
    struct bytes out = {0};

    bytes_format(&out, "{\"valid\":%s,\"problems\":[", problems.len ? "false" : "true");
    for (bool is_first = true; problems.len; is_first = false) {
        const size_t end = str_find(problems, '\n');

        if (!is_first)
            bytes_add_byte(&out, ',');
        json_text_write(&out, (struct str){problems.at, end});
        problems = str_from(problems, end + 1);
    }
    bytes_add_str(&out, STR("]}\n"));
    fwrite(out.at, 1, out.len, stdout);
    bytes_done(&out);
}

int validate_command(int argc, char **argv)
{
    struct bytes problems = {.limit = PROBLEM_BYTES};
    struct config *config = NULL;
    struct options options;
    int result = options_read(argc, argv, &options);

    if (result != EXIT_DONE)
        return result;
    result = load(&options, &config, &problems);
    if (options.is_json)
        problems_print_json(bytes_str(&problems));
    else if (result == EXIT_DONE)
        puts("the configuration is valid");
    else
        problems_print(bytes_str(&problems));
    bytes_done(&problems);
    config_free(config);
    return result;
}

int config_command(int argc, char **argv)
{
    struct config *config = NULL;
    int result;

    if (argc < 2 || strcmp(argv[1], "print") != 0) {
        fputs("usage: throughline config print [-c FILE] [--data-dir DIR]\n", stderr);
        return EXIT_USAGE;
    }
    result = begin(argc - 1, argv + 1, &config);
    if (result == EXIT_DONE)
        config_print(config, stdout);
    config_free(config);
    return result;
}
