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
#include "agent/cli/output.h"
#include "agent/cli/waterfall.h"

enum { LIMIT_MAX = 1000 };

struct options {
    struct fetch_plan fetch;
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

static bool limit_option(const char *value, unsigned *out_limit)
{
    uint64_t limit = 0;

    if (!str_to_u64(str_of(value), &limit) || limit == 0 || limit > LIMIT_MAX) {
        fprintf(stderr, "throughline: --limit: '%s' is not a number from 1 to %d\n", value,
                LIMIT_MAX);
        return false;
    }
    *out_limit = (unsigned)limit;
    return true;
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

    *out = (struct options){.fetch = {.endpoint = "http://127.0.0.1:4320", .limit = 20}};
    optind = 1;
    while (letter != -1) {
        letter = getopt_long(argc, argv, "o:", known, NULL);
        switch (letter) {
        case 'o':
            if (!output_option(optarg, &out->is_json))
                return EXIT_USAGE;
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
            out->fetch.service = str_of(optarg);
            break;
        case 'l':
            if (!limit_option(optarg, &out->fetch.limit))
                return EXIT_USAGE;
            break;
        case -1:
            break;
        default:
            return EXIT_USAGE;
        }
    }
    out->style.columns = terminal_columns();
    return color_option(color, &out->style.has_color) ? EXIT_DONE : EXIT_USAGE;
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

// Some first digits of an id, or the word latest.
static bool is_trace(const char *text)
{
    const size_t len = strlen(text);

    return strcmp(text, "latest") == 0 ||
           (len > 0 && len <= 32 && strspn(text, "0123456789abcdefABCDEF") == len);
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
    if (optind + 1 != argc || !is_trace(argv[optind]) ||
        snprintf(path, sizeof path, "/api/v1/traces/%s", argv[optind]) >= (int)sizeof path) {
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

// RFC 3986 2.1: all but unreserved characters.
static void percent_write(struct bytes *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.at[i];

        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            (c != '\0' && strchr("-._~", c)))
            bytes_add_byte(out, (uint8_t)c);
        else
            bytes_format(out, "%%%02X", (unsigned)(uint8_t)c);
    }
}

int traces_command(int argc, char **argv)
{
    struct bytes path = {.limit = 4096};
    struct options options;
    json_t *answer;
    int result;

    if (options_read(argc, argv, &options) != EXIT_DONE || optind < argc) {
        fputs("usage: throughline traces [--service NAME] [--limit N] [-o json] [--data-dir DIR]"
              " [--endpoint URL]\n",
              stderr);
        return EXIT_USAGE;
    }
    bytes_format(&path, "/api/v1/traces?limit=%u&service=", options.fetch.limit);
    percent_write(&path, options.fetch.service);
    bytes_add_byte(&path, '\0');
    if (path.is_failed) {
        bytes_done(&path);
        fputs("throughline: --service: the name is too long\n", stderr);
        return EXIT_USAGE;
    }
    result = fetch_parsed(&options, (const char *)path.at, &answer);
    bytes_done(&path);
    if (answer)
        list_print(json_object_get(answer, "traces"));
    json_decref(answer);
    return result;
}
