// SPDX-License-Identifier: Apache-2.0
// The effective configuration as YAML: what runs when nothing else is said.

#include "agent/config/config.h"

// As a double-quoted scalar (YAML 1.2, 5.7) that means the same when it is read. `dollar` is how a
// dollar sign is written.
static void print_quoted(struct str text, const char *dollar, FILE *out)
{
    fputc('"', out);
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char byte = (unsigned char)text.at[i];

        if (byte == '"' || byte == '\\')
            fprintf(out, "\\%c", byte);
        else if (byte < 0x20 || byte == 0x7f)
            fprintf(out, "\\x%02x", byte);
        else
            fputs(byte == '$' ? dollar : (const char[2]){(char)byte, '\0'}, out);
    }
    fputc('"', out);
}

// A value, in which $NAME stands for a variable.
static void print_text(struct str text, FILE *out)
{
    print_quoted(text, "$$", out);
}

// A key, in which it does not.
static void print_key(struct str text, FILE *out)
{
    print_quoted(text, "$", out);
}

// A name is quoted only when it must be.
static void print_name(struct str name, FILE *out)
{
    bool is_plain = name.len > 0;

    for (size_t i = 0; is_plain && i < name.len; i++) {
        const char c = name.at[i];

        is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/' ||
                   (i > 0 && c >= '0' && c <= '9');
    }
    if (is_plain)
        fprintf(out, "%.*s", STR_ARGS(name));
    else
        print_key(name, out);
}

static void print_lines(struct str text, bool is_map, FILE *out)
{
    fputs(is_map ? "{" : "[", out);
    for (bool is_first = true; text.len; is_first = false) {
        const size_t end = str_find(text, '\n');
        const struct str line = {text.at, end};
        const size_t tab = is_map ? str_find(line, '\t') : 0;

        fputs(is_first ? "" : ", ", out);
        if (is_map) {
            print_key((struct str){line.at, tab}, out);
            fputs(": ", out);
        }
        print_text(is_map ? str_from(line, tab + 1) : line, out);
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
        print_text(*text, out);
        fputc('\n', out);
        return;
    }
}

static void print_components(const char *title, const struct config_component *list, size_t count,
                             FILE *out)
{
    fprintf(out, "%s:\n", title);
    for (size_t i = 0; i < count; i++) {
        // The collector's shape of its OTLP receiver keeps its settings deeper.
        const bool is_deep = list[i].receiver && (str_equal(list[i].name, STR("otlp")) ||
                                                  str_starts(list[i].name, STR("otlp/")));
        const char *indent = is_deep ? "        " : "    ";

        fputs("  ", out);
        print_name(list[i].name, out);
        fputs(is_deep ? ":\n    protocols:\n      http:\n" : ":\n", out);
        for (const struct setting *row = list[i].settings; row->name; row++) {
            fprintf(out, "%s# %s\n%s%s: ", indent, row->help, indent, row->name);
            print_value(row, list[i].self, out);
        }
    }
}

static void print_list(const char *title, const struct config_component *components,
                       const struct config_list *list, FILE *out)
{
    fprintf(out, "      %s: [", title);
    for (size_t i = 0; i < list->count; i++) {
        if (i)
            fputs(", ", out);
        print_name(components[list->at[i]].name, out);
    }
    fputs("]\n", out);
}

void config_print(const struct config *config, FILE *out)
{
    print_components("receivers", config->receivers, config->receiver_count, out);
    print_components("processors", config->processors, config->processor_count, out);
    print_components("exporters", config->exporters, config->exporter_count, out);
    fputs("api:\n  endpoint: ", out);
    print_text(config->api_endpoint, out);
    fputs("\n  allowed_hosts: ", out);
    print_lines(config->api_allowed_hosts, false, out);
    fputs("service:\n  pipelines:\n", out);
    for (size_t i = 0; i < config->pipeline_count; i++) {
        const struct config_pipeline *pipeline = &config->pipelines[i];

        fputs("    ", out);
        print_name(pipeline->name, out);
        fputs(":\n", out);
        print_list("receivers", config->receivers, &pipeline->receivers, out);
        print_list("processors", config->processors, &pipeline->processors, out);
        print_list("exporters", config->exporters, &pipeline->exporters, out);
    }
}
