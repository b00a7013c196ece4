// SPDX-License-Identifier: Apache-2.0
// Children stand below their parent in the order they began. A span whose parent is not in the
// trace stands under a line that says so: a gap is shown, never hidden.

#include "agent/cli/waterfall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct row {
    const char *id;
    const char *parent;
    const char *service;
    const char *name;
    const char *kind;
    bool is_error;
    uint64_t start_ns;
    uint64_t duration_ns;
    bool is_printed;
};

struct waterfall {
    struct row *rows; // by start
    size_t count;
    uint64_t start_ns;
    uint64_t duration_ns;
    struct waterfall_style style;
    FILE *out;
};

enum { NAME_COLUMNS = 58, BAR_COLUMNS_MIN = 16, DEPTH_MAX = 64 };

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static uint64_t number_of(const json_t *object, const char *key)
{
    return strtoull(text_of(object, key), NULL, 10);
}

static int by_start(const void *a_, const void *b_)
{
    const struct row *a = a_;
    const struct row *b = b_;

    return a->start_ns < b->start_ns ? -1 : a->start_ns > b->start_ns;
}

static const char *color(const struct waterfall *waterfall, const char *code)
{
    return waterfall->style.has_color ? code : "";
}

static void duration_format(uint64_t ns, char out_text[static 16])
{
    int len;

    if (ns < 1000000)
        len = snprintf(out_text, 16, "%.0f us", (double)ns / 1e3);
    else if (ns < 1000000000)
        len = snprintf(out_text, 16, "%.2f ms", (double)ns / 1e6);
    else
        len = snprintf(out_text, 16, "%.2f s", (double)ns / 1e9);
    if (len < 0)
        out_text[0] = '\0';
}

static void bar_print(const struct waterfall *waterfall, const struct row *row)
{
    const unsigned width = waterfall->style.columns > NAME_COLUMNS + 22 + BAR_COLUMNS_MIN
                               ? waterfall->style.columns - NAME_COLUMNS - 22
                               : BAR_COLUMNS_MIN;
    const double scale =
        waterfall->duration_ns ? (double)width / (double)waterfall->duration_ns : 0;
    unsigned from = (unsigned)((double)(row->start_ns - waterfall->start_ns) * scale);
    unsigned len = (unsigned)((double)row->duration_ns * scale + 0.5);

    if (len == 0)
        len = 1;
    if (from >= width)
        from = width - 1;
    if (from + len > width)
        len = width - from;
    fprintf(waterfall->out, "%*s%s", (int)from, "",
            color(waterfall, row->is_error ? "\033[31m" : "\033[36m"));
    while (len--)
        fputs("\xe2\x96\x88", waterfall->out); // U+2588
    fputs(color(waterfall, "\033[0m"), waterfall->out);
}

// The branch lines in front of a name: `last` says of each level whether it was the last child.
static int indent_print(const struct waterfall *waterfall, const bool *last, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++) {
        const bool is_own = i + 1 == depth;

        fputs(is_own ? (last[i] ? "\xe2\x94\x94\xe2\x94\x80" : "\xe2\x94\x9c\xe2\x94\x80")
                     : (last[i] ? "  " : "\xe2\x94\x82 "),
              waterfall->out);
    }
    return (int)depth * 2;
}

static void row_print(const struct waterfall *waterfall, const struct row *row, const bool *last,
                      unsigned depth)
{
    const int used = indent_print(waterfall, last, depth);
    const int room = NAME_COLUMNS - used > 12 ? NAME_COLUMNS - used : 12;
    char line[512];
    char start[16];
    char duration[16];
    int len = snprintf(line, sizeof line, "%s  %s [%s]%s", row->service, row->name, row->kind,
                       row->is_error ? " ERROR" : "");

    if (len > room)
        len = room;
    if (len < 0)
        len = 0;
    duration_format(row->start_ns - waterfall->start_ns, start);
    duration_format(row->duration_ns, duration);
    fprintf(waterfall->out, "%s%-*.*s%s %10s %10s ",
            color(waterfall, row->is_error ? "\033[31m" : ""), room, len, line,
            color(waterfall, "\033[0m"), start, duration);
    bar_print(waterfall, row);
    fputc('\n', waterfall->out);
}

static const struct row *parent_of(const struct waterfall *waterfall, const struct row *row)
{
    for (size_t i = 0; row->parent[0] && i < waterfall->count; i++) {
        if (&waterfall->rows[i] != row && strcmp(waterfall->rows[i].id, row->parent) == 0)
            return &waterfall->rows[i];
    }
    return NULL;
}

static void tree_print(struct waterfall *waterfall, struct row *row, bool *last, unsigned depth)
{
    size_t left = 0;

    if (row->is_printed || depth >= DEPTH_MAX)
        return;
    row->is_printed = true;
    row_print(waterfall, row, last, depth);
    for (size_t i = 0; i < waterfall->count; i++)
        left += !waterfall->rows[i].is_printed && parent_of(waterfall, &waterfall->rows[i]) == row;
    for (size_t i = 0; left && i < waterfall->count; i++) {
        if (waterfall->rows[i].is_printed || parent_of(waterfall, &waterfall->rows[i]) != row)
            continue;
        last[depth] = --left == 0;
        tree_print(waterfall, &waterfall->rows[i], last, depth + 1);
    }
}

static void rows_read(struct waterfall *waterfall, const json_t *spans)
{
    for (size_t i = 0; i < waterfall->count; i++) {
        const json_t *span = json_array_get(spans, i);

        waterfall->rows[i] = (struct row){
            .id = text_of(span, "span_id"),
            .parent = text_of(span, "parent_id"),
            .service = text_of(span, "service"),
            .name = text_of(span, "name"),
            .kind = text_of(span, "kind"),
            .is_error = strcmp(text_of(span, "status"), "error") == 0,
            .start_ns = number_of(span, "start_ns"),
            .duration_ns = number_of(span, "duration_ns"),
        };
    }
    qsort(waterfall->rows, waterfall->count, sizeof waterfall->rows[0], by_start);
}

int waterfall_print(const json_t *trace, const struct waterfall_style *style, FILE *out,
                    struct why *why)
{
    const json_t *spans = json_object_get(trace, "spans");
    struct waterfall waterfall = {
        .count = json_array_size(spans),
        .start_ns = number_of(trace, "start_ns"),
        .duration_ns = number_of(trace, "duration_ns"),
        .style = *style,
        .out = out,
    };
    bool last[DEPTH_MAX + 1] = {false};
    char duration[16];
    bool has_orphans = false;

    if (waterfall.count == 0)
        return why_fail(why, -EBADMSG, "the trace has no spans");
    waterfall.rows = calloc(waterfall.count, sizeof waterfall.rows[0]);
    if (!waterfall.rows)
        return why_fail(why, -ENOMEM, "out of memory");
    rows_read(&waterfall, spans);
    duration_format(waterfall.duration_ns, duration);
    fprintf(out, "trace %s  %zu spans  %s\n\n", text_of(trace, "trace_id"), waterfall.count,
            duration);
    for (size_t i = 0; i < waterfall.count; i++) {
        if (!waterfall.rows[i].parent[0])
            tree_print(&waterfall, &waterfall.rows[i], last, 0);
    }
    for (size_t i = 0; i < waterfall.count; i++) {
        if (waterfall.rows[i].is_printed || parent_of(&waterfall, &waterfall.rows[i]))
            continue;
        if (!has_orphans)
            fputs("(parent not seen)\n", out);
        has_orphans = true;
        tree_print(&waterfall, &waterfall.rows[i], last, 0);
    }
    // What is left hangs in a ring of parents, which only broken ids can make.
    for (size_t i = 0; i < waterfall.count; i++)
        tree_print(&waterfall, &waterfall.rows[i], last, 0);
    free(waterfall.rows);
    return 0;
}
