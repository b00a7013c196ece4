// SPDX-License-Identifier: Apache-2.0
// The commands trace and traces: ask, then print as text or as the JSON it was.

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "agent/cli/command.h"
#include "agent/cli/fetch.h"
#include "agent/cli/waterfall.h"

struct options {
    struct fetch_plan fetch;
    const char *service;
    const char *limit;
    bool is_json;
    struct waterfall_style style;
};

static unsigned terminal_columns(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 80)
        return size.ws_col;
    return 100;
}

static bool color_wanted(const char *when)
{
    if (strcmp(when, "always") == 0)
        return true;
    return strcmp(when, "auto") == 0 && isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
}

static int options_read(int argc, char **argv, struct options *out)
{
    static const struct option known[] = {
        {"output", required_argument, NULL, 'o'},
        {"color", required_argument, NULL, 'C'},
        {"data-dir", required_argument, NULL, 'd'},
        {"endpoint", required_argument, NULL, 'e'},
        {"service", required_argument, NULL, 's'},
        {"limit", required_argument, NULL, 'l'},
        {NULL, 0, NULL, 0},
    };
    const char *color = "auto";
    int letter = 0;

    *out = (struct options){.fetch = {.endpoint = "http://127.0.0.1:4320"}};
    optind = 1;
    while (letter != -1) {
        letter = getopt_long(argc, argv, "o:", known, NULL);
        switch (letter) {
        case 'o':
            out->is_json = strcmp(optarg, "json") == 0;
            if (!out->is_json && strcmp(optarg, "text") != 0) {
                fprintf(stderr, "throughline: -o: '%s' is not text or json\n", optarg);
                return EXIT_USAGE;
            }
            break;
        case 'C':
            color = optarg;
            break;
        case 'd':
            out->fetch.data_dir = optarg;
            break;
        case 'e':
            out->fetch.endpoint = optarg;
            break;
        case 's':
            out->service = optarg;
            break;
        case 'l':
            out->limit = optarg;
            break;
        case -1:
            break;
        default:
            return EXIT_USAGE;
        }
    }
    out->style = (struct waterfall_style){terminal_columns(), color_wanted(color)};
    return EXIT_DONE;
}

static int fetch_parsed(const struct options *options, const char *path, json_t **out_json)
{
    struct bytes body = {.limit = 512 << 20};
    struct why why = {""};
    json_error_t error;
    int result = EXIT_DONE;

    *out_json = NULL;
    if (fetch_json(&options->fetch, path, &body, &why) != 0) {
        fprintf(stderr, "throughline: %s\n", why.text);
        result = EXIT_FAILED;
    } else if (options->is_json) {
        fwrite(body.at, 1, body.len, stdout);
        putchar('\n');
    } else {
        *out_json = json_loadb((const char *)body.at, body.len, 0, &error);
        if (!*out_json) {
            fprintf(stderr, "throughline: the answer is not JSON: %s\n", error.text);
            result = EXIT_FAILED;
        }
    }
    bytes_done(&body);
    return result;
}

int trace_command(int argc, char **argv)
{
    struct options options;
    struct why why = {""};
    json_t *trace;
    char path[256];
    int result;

    if (options_read(argc, argv, &options) != EXIT_DONE)
        return EXIT_USAGE;
    if (optind + 1 != argc ||
        snprintf(path, sizeof path, "/api/v1/traces/%s", argv[optind]) >= (int)sizeof path ||
        strspn(argv[optind], "0123456789abcdefABCDEFlatest") != strlen(argv[optind])) {
        fputs("usage: throughline trace ID|latest [-o json] [--color auto|always|never]"
              " [--data-dir DIR] [--endpoint URL]\n",
              stderr);
        return EXIT_USAGE;
    }
    result = fetch_parsed(&options, path, &trace);
    if (trace && waterfall_print(trace, &options.style, stdout, &why) != 0) {
        fprintf(stderr, "throughline: %s\n", why.text);
        result = EXIT_FAILED;
    }
    json_decref(trace);
    return result;
}

static void list_print(const json_t *traces)
{
    printf("%-32s  %-12s %10s %6s %6s  %s\n", "TRACE", "START (UTC)", "DURATION", "SPANS", "ERRORS",
           "ROOT");
    for (size_t i = 0; i < json_array_size(traces); i++) {
        const json_t *each = json_array_get(traces, i);
        const uint64_t start_ns =
            strtoull(json_string_value(json_object_get(each, "start_ns")), NULL, 10);
        const uint64_t duration_ns =
            strtoull(json_string_value(json_object_get(each, "duration_ns")), NULL, 10);
        const time_t seconds = (time_t)(start_ns / 1000000000);
        struct tm calendar;
        char clock[16] = "";

        gmtime_r(&seconds, &calendar);
        strftime(clock, sizeof clock, "%H:%M:%S", &calendar);
        printf("%-32s  %s.%03u %7.2f ms %6lld %6lld  %s  %s\n",
               json_string_value(json_object_get(each, "trace_id")), clock,
               (unsigned)(start_ns / 1000000 % 1000), (double)duration_ns / 1e6,
               json_integer_value(json_object_get(each, "spans")),
               json_integer_value(json_object_get(each, "errors")),
               json_string_value(json_object_get(each, "root_service")),
               json_string_value(json_object_get(each, "root_name")));
    }
}

int traces_command(int argc, char **argv)
{
    struct options options;
    char path[1024];
    json_t *answer;
    int result;

    if (options_read(argc, argv, &options) != EXIT_DONE || optind < argc) {
        fputs("usage: throughline traces [--service NAME] [--limit N] [-o json] [--data-dir DIR]"
              " [--endpoint URL]\n",
              stderr);
        return EXIT_USAGE;
    }
    if (snprintf(path, sizeof path, "/api/v1/traces?limit=%s&service=%s",
                 options.limit ? options.limit : "20",
                 options.service ? options.service : "") >= (int)sizeof path)
        return EXIT_USAGE;
    result = fetch_parsed(&options, path, &answer);
    if (answer)
        list_print(json_object_get(answer, "traces"));
    json_decref(answer);
    return result;
}
