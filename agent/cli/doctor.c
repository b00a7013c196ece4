// SPDX-License-Identifier: Apache-2.0
// The command doctor: what works on this host and, for what does not, why and what to do about it.
// 0: all is usable; 1: something is missing.

#include <curl/curl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>

#include "agent/cli/command.h"
#include "agent/cli/finding.h"
#include "agent/cli/output.h"
#include "libtrace/otlp/json_text.h"

void finding_add(struct findings *findings, const char *name, enum finding_state state,
                 const char *detail, ...)
{
    struct finding *finding;
    va_list args;

    if (findings->count == FINDINGS_MAX)
        return;
    finding = &findings->at[findings->count++];
    *finding = (struct finding){.name = name, .state = state};
    va_start(args, detail);
    // What is too long is cut.
    if (vsnprintf(finding->detail, sizeof finding->detail, detail, args) < 0)
        finding->detail[0] = '\0';
    va_end(args);
}

void finding_advise(struct findings *findings, const char *advice, ...)
{
    struct finding *finding = &findings->at[findings->count - 1];
    va_list args;

    va_start(args, advice);
    if (vsnprintf(finding->advice, sizeof finding->advice, advice, args) < 0)
        finding->advice[0] = '\0';
    va_end(args);
}

struct options {
    const char *file;
    const char *data_dir;
    bool is_json;
    bool has_color;
};

static int options_read(int argc, char **argv, struct options *out)
{
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},
        {"data-dir", required_argument, NULL, 'd'},
        {"output", required_argument, NULL, 'o'},
        {"color", required_argument, NULL, 'C'},
        {NULL, 0, NULL, 0},
    };
    const char *color = "auto";
    int letter;

    *out = (struct options){0};
    optind = 1;
    while ((letter = getopt_long(argc, argv, "c:o:", known, NULL)) != -1) {
        if (letter == 'c')
            out->file = optarg;
        else if (letter == 'd')
            out->data_dir = optarg;
        else if (letter == 'C')
            color = optarg;
        else if (letter != 'o' || !output_option(optarg, &out->is_json))
            return EXIT_USAGE;
    }
    if (optind < argc) {
        fprintf(stderr, "throughline: '%s' was not expected\n", argv[optind]);
        return EXIT_USAGE;
    }
    return color_option(color, &out->has_color) ? EXIT_DONE : EXIT_USAGE;
}

static const char *const states[] = {"ok", "note", "missing"};

static void print_text(const struct findings *findings, bool has_color)
{
    static const char *const colors[] = {"\x1b[32m", "\x1b[33m", "\x1b[31m"};

    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *each = &findings->at[i];

        printf("%s%-8s%s %-18s %s\n", has_color ? colors[each->state] : "", states[each->state],
               has_color ? "\x1b[0m" : "", each->name, each->detail);
        if (each->advice[0])
            printf("%-27s -> %s\n", "", each->advice);
    }
}

static void print_json(const struct findings *findings, bool is_usable)
{
    struct bytes out = {0};

    bytes_format(&out, "{\"usable\":%s,\"checks\":[", is_usable ? "true" : "false");
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *each = &findings->at[i];

        bytes_format(&out, "%s{\"name\":", i ? "," : "");
        json_text_write(&out, str_of(each->name));
        bytes_format(&out, ",\"state\":\"%s\",\"detail\":", states[each->state]);
        json_text_write(&out, str_of(each->detail));
        bytes_add_str(&out, STR(",\"advice\":"));
        json_text_write(&out, str_of(each->advice));
        bytes_add_byte(&out, '}');
    }
    bytes_add_str(&out, STR("]}\n"));
    fwrite(out.at, 1, out.len, stdout);
    bytes_done(&out);
}

int doctor_command(int argc, char **argv)
{
    struct bytes problems = {.limit = 64 << 10};
    struct findings findings = {0};
    struct config *config = NULL;
    struct options options;
    bool is_usable = true;

    if (options_read(argc, argv, &options) != EXIT_DONE)
        return EXIT_USAGE;
    if (config_load(options.file, str_of(options.data_dir ? options.data_dir : ""), &config,
                    &problems) != 0) {
        fprintf(stderr, "throughline: %.*s", STR_ARGS(bytes_str(&problems)));
        bytes_done(&problems);
        return EXIT_USAGE;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    host_check(&findings);
    place_check(&findings, config);
    for (size_t i = 0; i < findings.count; i++)
        is_usable = is_usable && findings.at[i].state != FINDING_MISSING;
    if (options.is_json)
        print_json(&findings, is_usable);
    else
        print_text(&findings, options.has_color);
    config_free(config);
    curl_global_cleanup();
    return is_usable ? EXIT_DONE : EXIT_FAILED;
}
