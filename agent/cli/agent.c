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
#include "agent/config/config.h"
#include "agent/log.h"
#include "agent/pipeline/graph.h"

enum { DRAIN_MS = 10000 };

struct options {
    const char *file;
    const char *data_dir;
};

static int options_read(int argc, char **argv, struct options *out)
{
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},
        {"data-dir", required_argument, NULL, 'd'},
        {NULL, 0, NULL, 0},
    };
    int letter = 0;

    *out = (struct options){0};
    optind = 1;
    while (letter != -1) {
        letter = getopt_long(argc, argv, "c:", known, NULL);
        if (letter == 'c')
            out->file = optarg;
        else if (letter == 'd')
            out->data_dir = optarg;
        else if (letter != -1)
            return EXIT_USAGE;
    }
    if (optind < argc) {
        fprintf(stderr, "throughline: '%s' was not expected\n", argv[optind]);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

// EXIT_USAGE and the reason on stderr when the configuration is wrong.
static int load(int argc, char **argv, struct config **out_config)
{
    struct options options;
    struct why why = {""};

    if (options_read(argc, argv, &options) != EXIT_DONE)
        return EXIT_USAGE;
    if (config_load(options.file, str_of(options.data_dir ? options.data_dir : ""), out_config,
                    &why) != 0) {
        fprintf(stderr, "throughline: %s\n", why.text);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
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
    int result = load(argc, argv, &config);

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

int validate_command(int argc, char **argv)
{
    struct config *config = NULL;
    const int result = load(argc, argv, &config);

    if (result == EXIT_DONE)
        puts("the configuration is valid");
    config_free(config);
    return result;
}

int config_command(int argc, char **argv)
{
    struct config *config = NULL;
    int result;

    if (argc < 2 || strcmp(argv[1], "print") != 0) {
        fputs("usage: throughline config print [-c FILE]\n", stderr);
        return EXIT_USAGE;
    }
    result = load(argc - 1, argv + 1, &config);
    if (result == EXIT_DONE)
        config_print(config, stdout);
    config_free(config);
    return result;
}
