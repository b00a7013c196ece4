// SPDX-License-Identifier: Apache-2.0
// The effective configuration as YAML: what runs when nothing else is said.

#include "agent/config/config.h"

static void print_lines(struct str text, bool is_map, FILE *out)
{
    fputs(is_map ? "{" : "[", out);
    for (bool is_first = true; text.len; is_first = false) {
        const size_t end = str_find(text, '\n');
        const struct str line = {text.at, end};
        const size_t tab = is_map ? str_find(line, '\t') : 0;

        fputs(is_first ? "" : ", ", out);
        if (is_map)
            fprintf(out, "%.*s: \"%.*s\"", (int)tab, line.at, STR_ARGS(str_from(line, tab + 1)));
        else
            fprintf(out, "\"%.*s\"", STR_ARGS(line));
        text = str_from(text, end + 1);
    }
    fputs(is_map ? "}\n" : "]\n", out);
}

static void print_value(const struct setting *row, const void *owner, FILE *out)
{
    const void *field = (const char *)owner + row->offset;
    const struct str *text = field;
    const uint64_t *number = field;

    switch (row->type) {
    case SETTING_TYPE_BOOL:
        fprintf(out, "%s\n", *(const bool *)field ? "true" : "false");
        return;
    case SETTING_TYPE_DURATION:
        fprintf(out, "%llums\n", (unsigned long long)*number);
        return;
    case SETTING_TYPE_NUMBER:
    case SETTING_TYPE_SIZE:
        fprintf(out, "%llu\n", (unsigned long long)*number);
        return;
    case SETTING_TYPE_LIST:
    case SETTING_TYPE_MAP:
        print_lines(*text, row->type == SETTING_TYPE_MAP, out);
        return;
    case SETTING_TYPE_TEXT:
    case SETTING_TYPE_ENDPOINT:
    case SETTING_TYPE_URL:
    case SETTING_TYPE_CHOICE:
        fprintf(out, "\"%.*s\"\n", STR_ARGS(*text));
        return;
    }
}

static void print_components(const char *title, const struct config_component *list, size_t count,
                             FILE *out)
{
    fprintf(out, "%s:\n", title);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "  %.*s:\n", STR_ARGS(list[i].name));
        for (const struct setting *row = list[i].settings; row->name; row++) {
            fprintf(out, "    # %s\n    %s: ", row->help, row->name);
            print_value(row, list[i].self, out);
        }
    }
}

static void print_list(const char *title, const struct config_component *components,
                       const struct config_list *list, FILE *out)
{
    fprintf(out, "      %s: [", title);
    for (size_t i = 0; i < list->count; i++)
        fprintf(out, "%s%.*s", i ? ", " : "", STR_ARGS(components[list->at[i]].name));
    fputs("]\n", out);
}

void config_print(const struct config *config, FILE *out)
{
    print_components("receivers", config->receivers, config->receiver_count, out);
    print_components("processors", config->processors, config->processor_count, out);
    print_components("exporters", config->exporters, config->exporter_count, out);
    fprintf(out, "api:\n  endpoint: \"%.*s\"\n  allowed_hosts: ", STR_ARGS(config->api_endpoint));
    print_lines(config->api_allowed_hosts, false, out);
    fputs("service:\n  pipelines:\n", out);
    for (size_t i = 0; i < config->pipeline_count; i++) {
        const struct config_pipeline *pipeline = &config->pipelines[i];

        fprintf(out, "    %.*s:\n", STR_ARGS(pipeline->name));
        print_list("receivers", config->receivers, &pipeline->receivers, out);
        print_list("processors", config->processors, &pipeline->processors, out);
        print_list("exporters", config->exporters, &pipeline->exporters, out);
    }
}
