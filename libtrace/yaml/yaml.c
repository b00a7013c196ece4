// SPDX-License-Identifier: Apache-2.0
// Opening a document, and what goes wrong with it.

#include "libtrace/yaml/yaml.h"

#include <errno.h>
#include <libfyaml.h>
#include <stdarg.h>
#include <stdio.h>

#include "libtrace/otlp/json_text.h"

__attribute__((format(printf, 4, 5))) static int problem(struct yaml_problem *out_problem,
                                                         struct yaml_place place, int code,
                                                         const char *format, ...)
{
    va_list args;

    out_problem->place = place;
    va_start(args, format);
    if (vsnprintf(out_problem->text, sizeof out_problem->text, format, args) < 0)
        out_problem->text[0] = '\0';
    va_end(args);
    return code;
}

// YAML 1.2, 5.1: printable characters in UTF-8. libfyaml does not come back from some that are not.
static int text_check(struct str text, struct yaml_problem *out_problem)
{
    struct yaml_place place = {1, 1};

    for (size_t at = 0; at < text.len;) {
        const uint8_t byte = (uint8_t)text.at[at];
        const size_t len = utf8_sequence_len(str_from(text, at));

        if (len == 0 || byte == 0x7f ||
            (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r'))
            return problem(out_problem, place, -EINVAL, "byte 0x%02x is not text in UTF-8", byte);
        place.column = byte == '\n' ? 1 : place.column + 1;
        place.line += byte == '\n';
        at += len;
    }
    return 0;
}

// What libfyaml found. It gives no reason for an empty file.
static int stream_problem(struct yaml *yaml, struct yaml_problem *out_problem)
{
    void *walk = NULL;
    const struct fy_diag_error *error = fy_diag_errors_iterate(yaml->diag, &walk);

    if (!error)
        return problem(out_problem, (struct yaml_place){1, 1}, -EINVAL,
                       "no YAML document is in it");
    return problem(out_problem, (struct yaml_place){(unsigned)error->line, (unsigned)error->column},
                   -EINVAL, "%s", error->msg);
}

static int document_load(struct yaml *yaml, struct yaml_problem *out_problem)
{
    struct fy_document *second;
    int failed = 0;

    yaml->document = fy_parse_load_document(yaml->parser);
    if (!yaml->document)
        return stream_problem(yaml, out_problem);
    second = fy_parse_load_document(yaml->parser);
    if (second)
        failed = problem(out_problem, yaml_place(fy_document_root(second)), -EINVAL,
                         "a second document: a configuration is one");
    else if (fy_parser_get_stream_error(yaml->parser))
        failed = stream_problem(yaml, out_problem);
    fy_parse_document_destroy(yaml->parser, second);
    return failed;
}

int yaml_open(struct yaml *yaml, struct str text, struct yaml_problem *out_problem)
{
    const struct fy_diag_cfg quiet = {.level = FYET_MAX};
    struct fy_parse_cfg parse = {.flags = FYPCF_QUIET | FYPCF_DEFAULT_PARSE};
    int failed = text_check(text, out_problem);

    *yaml = (struct yaml){NULL, NULL, NULL};
    if (failed)
        return failed;
    yaml->diag = fy_diag_create(&quiet);
    parse.diag = yaml->diag;
    if (yaml->diag) {
        fy_diag_set_collect_errors(yaml->diag, true);
        yaml->parser = fy_parser_create(&parse);
    }
    if (!yaml->parser || fy_parser_set_string(yaml->parser, text.at, text.len) != 0)
        failed = problem(out_problem, (struct yaml_place){1, 1}, -ENOMEM, "out of memory");
    else
        failed = document_load(yaml, out_problem);
    if (failed)
        yaml_close(yaml);
    return failed;
}

void yaml_close(struct yaml *yaml)
{
    if (yaml->parser) {
        fy_parse_document_destroy(yaml->parser, yaml->document);
        fy_parser_destroy(yaml->parser);
    }
    if (yaml->diag)
        fy_diag_destroy(yaml->diag);
    *yaml = (struct yaml){NULL, NULL, NULL};
}

struct fy_node *yaml_root(const struct yaml *yaml)
{
    return yaml->document ? fy_document_root(yaml->document) : NULL;
}

struct str yaml_scalar(struct fy_node *node)
{
    size_t len = 0;
    const char *at = node ? fy_node_get_scalar(node, &len) : NULL;

    return at ? (struct str){at, len} : (struct str){"", 0};
}

struct yaml_place yaml_place(struct fy_node *node)
{
    const struct fy_mark *mark;
    struct fy_token *token;
    void *walk = NULL;

    // The depth of a document is limited by the parser.
    while (node && !fy_node_is_scalar(node) && !fy_node_is_alias(node)) {
        walk = NULL;
        if (fy_node_is_mapping(node)) {
            struct fy_node_pair *pair = fy_node_mapping_iterate(node, &walk);

            node = pair ? fy_node_pair_key(pair) : NULL;
        } else {
            node = fy_node_sequence_iterate(node, &walk);
        }
    }
    token = node ? fy_node_get_scalar_token(node) : NULL;
    mark = token ? fy_token_start_mark(token) : NULL;
    return mark ? (struct yaml_place){(unsigned)mark->line + 1, (unsigned)mark->column + 1}
                : (struct yaml_place){1, 1};
}
