// SPDX-License-Identifier: Apache-2.0
// The command version: ours, the compiler's and those of the libraries that run now.

#include <curl/curl.h>
#include <getopt.h>
#include <jansson.h>
#include <libdeflate.h>
#include <libfyaml.h>
#include <microhttpd.h>
#include <sqlite3.h>
#include <stdio.h>
#include <zlib.h>
#include <zstd.h>

#include "agent/cli/command.h"
#include "agent/cli/output.h"

struct part {
    const char *name;
    const char *version;
};

int version_command(int argc, char **argv)
{
    static const struct option known[] = {
        {"output", required_argument, NULL, 'o'},
        {NULL, 0, NULL, 0},
    };
    const struct part parts[] = {
        {"compiler", __VERSION__},
        {"build", THROUGHLINE_BUILD},
        {"libcurl", curl_version_info(CURLVERSION_NOW)->version},
        {"libdeflate", LIBDEFLATE_VERSION_STRING},
        {"libfyaml", fy_library_version()},
        {"libmicrohttpd", MHD_get_version()},
        {"jansson", JANSSON_VERSION},
        {"sqlite", sqlite3_libversion()},
        {"zlib", zlibVersion()},
        {"zstd", ZSTD_versionString()},
    };
    const size_t count = sizeof parts / sizeof parts[0];
    bool is_json = false;
    int letter;

    optind = 1;
    while ((letter = getopt_long(argc, argv, "o:", known, NULL)) != -1) {
        if (letter != 'o' || !output_option(optarg, &is_json))
            return EXIT_USAGE;
    }
    if (optind < argc) {
        fprintf(stderr, "throughline: '%s' was not expected\n", argv[optind]);
        return EXIT_USAGE;
    }
    if (!is_json) {
        puts("throughline " THROUGHLINE_VERSION);
        for (size_t i = 0; i < count; i++)
            printf("  %-14s %s\n", parts[i].name, parts[i].version);
        return EXIT_DONE;
    }
    printf("{\"version\":\"%s\",\"built_with\":{", THROUGHLINE_VERSION);
    for (size_t i = 0; i < count; i++)
        printf("%s\"%s\":\"%s\"", i ? "," : "", parts[i].name, parts[i].version);
    puts("}}");
    return EXIT_DONE;
}
