// SPDX-License-Identifier: Apache-2.0
// Samples are gathered by the name of their family, because its metadata may stand there once only
// and all of its samples must follow: several scopes, and several instruments, may have one name.

#include "libtrace/sdk/metrics/prometheus.h"

#include <errno.h>
#include <stdlib.h>

#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/metrics/prometheus_exemplar.h"
#include "libtrace/sdk/metrics/prometheus_name.h"
#include "libtrace/sdk/say.h"
#include "libtrace/sdk/stats.h"

enum family_type { FAMILY_GAUGE, FAMILY_COUNTER, FAMILY_UNKNOWN, FAMILY_HISTOGRAM, FAMILY_INFO };

struct family {
    struct str name;  // of its samples, with _total
    struct str plain; // without
    struct str unit;  // in words, when the name ends with it
    struct str help;
    enum family_type type;
    struct bytes samples;
    struct family *next;
};

struct writing {
    const struct tl_prometheus_options *options;
    bool is_openmetrics;
    bool is_failed;
    struct point_sums *sums;
    struct arena arena;       // families
    struct arena point_arena; // one point at a time
    struct family *first;
    struct family **last;
    struct str scope; // InstrumentationScope
    struct str scope_url;
    struct point point;
    struct labels labels;
    struct bytes text; // the labels of the point as they are written
};

// A Metric's own fields.
struct metric {
    struct str name;
    struct str description;
    struct str unit;
    struct str data;
    uint64_t data_number; // gauge 5, sum 7, histogram 9, exponential_histogram 10
    bool is_delta;
    bool is_monotonic;
};

static bool ends_with(struct str text, struct str end)
{
    return text.len >= end.len &&
           str_equal((struct str){text.at + text.len - end.len, end.len}, end);
}

static enum family_type type_of(const struct writing *to, const struct metric *metric)
{
    if (metric->data_number == 9 || metric->data_number == 10)
        return FAMILY_HISTOGRAM;
    if (metric->data_number != 7 || !metric->is_monotonic)
        return FAMILY_GAUGE;
    // OpenMetrics has no counter whose sample does not end in _total.
    return to->is_openmetrics && to->options->without_total ? FAMILY_UNKNOWN : FAMILY_COUNTER;
}

// Name, with unit and _total, of the family that the metric belongs to.
static void names_make(struct writing *to, const struct metric *metric, enum family_type type,
                       struct family *out)
{
    const bool is_count = type == FAMILY_COUNTER || type == FAMILY_UNKNOWN;
    struct bytes name = {0};
    struct bytes unit = {0};
    struct str plain;

    prometheus_name_write(&name, metric->name);
    // The suffix of the type stands behind the unit.
    if (is_count && !to->options->without_total && ends_with(bytes_str(&name), STR("_total")))
        name.len -= 6;
    prometheus_unit_write(&unit, metric->unit, type == FAMILY_GAUGE);
    if (unit.len && !to->options->without_units && !ends_with(bytes_str(&name), bytes_str(&unit))) {
        bytes_add_byte(&name, '_');
        bytes_add(&name, unit.at, unit.len);
    }
    plain = bytes_str(&name);
    out->plain = arena_copy(&to->arena, plain);
    if (unit.len && ends_with(plain, bytes_str(&unit)))
        out->unit = arena_copy(&to->arena, bytes_str(&unit));
    if (is_count && !to->options->without_total)
        bytes_add_str(&name, STR("_total"));
    out->name = arena_copy(&to->arena, bytes_str(&name));
    to->is_failed |= name.is_failed || unit.is_failed || !out->name.at || !out->plain.at;
    bytes_done(&name);
    bytes_done(&unit);
}

// The family of the metric, made when there is none; NULL when one of another type has the name.
static struct family *family_of(struct writing *to, const struct metric *metric)
{
    const enum family_type type = type_of(to, metric);
    struct family made = {.type = type};
    struct family *family;

    names_make(to, metric, type, &made);
    for (family = to->first; family; family = family->next) {
        if (!str_equal(family->name, made.name) && !str_equal(family->plain, made.plain))
            continue;
        if (family->type != type) {
            say(TL_WARN,
                "prometheus: %.*s is left out: another metric of that name has another type",
                STR_ARGS(made.name));
            return NULL;
        }
        if (metric->description.len && !str_equal(family->help, metric->description))
            say(TL_WARN, "prometheus: %.*s: one of two descriptions is left out",
                STR_ARGS(made.name));
        return family;
    }
    made.help = arena_copy(&to->arena, metric->description);
    family = arena_take(&to->arena, sizeof *family);
    if (to->is_failed || !family || !made.help.at) {
        to->is_failed = true;
        return NULL;
    }
    *family = made;
    *to->last = family;
    to->last = &family->next;
    return family;
}

static void scope_labels(struct writing *to)
{
    struct reader reader = reader_of(to->scope);
    struct wire_field field;

    if (to->options->without_scope)
        return;
    // InstrumentationScope: name 1, version 2, attributes 3.
    while (wire_next(&reader, &field)) {
        if (field.number == 1 && field.body.len)
            labels_add(&to->labels, "", STR("otel_scope_name"), field.body);
        else if (field.number == 2 && field.body.len)
            labels_add(&to->labels, "", STR("otel_scope_version"), field.body);
    }
    if (to->scope_url.len)
        labels_add(&to->labels, "", STR("otel_scope_schema_url"), to->scope_url);
    reader = reader_of(to->scope);
    while (wire_next(&reader, &field)) {
        const size_t before = to->labels.count;

        if (field.number != 3 || !field.body.at)
            continue;
        labels_add_pair(&to->labels, "otel_scope_", field.body);
        // An attribute must not pass for the scope's own.
        if (to->labels.count > before &&
            (str_equal(to->labels.list[before].key, STR("otel_scope_name")) ||
             str_equal(to->labels.list[before].key, STR("otel_scope_version")) ||
             str_equal(to->labels.list[before].key, STR("otel_scope_schema_url"))))
            to->labels.count = before;
    }
}

static void labels_make(struct writing *to, const struct point *point)
{
    struct reader reader = reader_of(point->wire);
    struct wire_field field;

    to->labels.arena = &to->point_arena;
    to->labels.count = 0;
    scope_labels(to);
    while (wire_next(&reader, &field)) {
        if (field.number == point->attributes_number && field.body.at)
            labels_add_pair(&to->labels, "", field.body);
    }
    labels_end(&to->labels);
    to->text.len = 0;
    labels_write(&to->text, &to->labels);
}

// Name and labels; `extra` is one more label, written as it stands.
static void head_write(struct writing *to, struct family *family, struct str suffix,
                       struct str extra)
{
    struct bytes *out = &family->samples;
    const struct str base =
        family->type == FAMILY_COUNTER && suffix.len ? family->plain : family->name;

    bytes_add_str(out, base);
    bytes_add_str(out, suffix);
    if (to->text.len || extra.len) {
        bytes_add_byte(out, '{');
        bytes_add(out, to->text.at, to->text.len);
        if (to->text.len && extra.len)
            bytes_add_byte(out, ',');
        bytes_add_str(out, extra);
        bytes_add_byte(out, '}');
    }
    bytes_add_byte(out, ' ');
}

// The latest exemplar in (above, most], behind the sample on its line.
static void exemplar_write(struct writing *to, struct family *family, double above, double most)
{
    const struct point_exemplar *latest = NULL;
    struct bytes *out = &family->samples;

    for (size_t i = 0; to->is_openmetrics && i < to->point.exemplar_count; i++) {
        const struct point_exemplar *each = &to->point.exemplars[i];

        if (each->value > above && each->value <= most &&
            (!latest || each->time_ns >= latest->time_ns))
            latest = each;
    }
    if (!latest)
        return;
    prometheus_exemplar_write(out, latest, &to->labels);
}

static void created_write(struct writing *to, struct family *family)
{
    if (!to->is_openmetrics || !to->point.start_ns)
        return;
    head_write(to, family, STR("_created"), STR(""));
    prometheus_seconds_write(&family->samples, to->point.start_ns);
    bytes_add_byte(&family->samples, '\n');
}

static void number_write(struct writing *to, struct family *family)
{
    head_write(to, family, STR(""), STR(""));
    prometheus_number_write(&family->samples, to->point.value);
    if (family->type == FAMILY_COUNTER)
        exemplar_write(to, family, -__builtin_inf(), __builtin_inf());
    bytes_add_byte(&family->samples, '\n');
    if (family->type == FAMILY_COUNTER)
        created_write(to, family);
}

static void histogram_write(struct writing *to, struct family *family)
{
    const struct point *point = &to->point;
    double above = -__builtin_inf();
    uint64_t count = 0;

    for (size_t i = 0; i < point->bucket_count; i++) {
        const bool is_last = i + 1 == point->bucket_count;
        const double boundary = is_last ? __builtin_inf() : point->boundaries[i];
        struct bytes extra = {0};

        count += point->buckets[i];
        bytes_add_str(&extra, STR("le=\""));
        prometheus_boundary_write(&extra, boundary, to->is_openmetrics);
        bytes_add_byte(&extra, '"');
        head_write(to, family, STR("_bucket"), bytes_str(&extra));
        bytes_format(&family->samples, "%llu", (unsigned long long)count);
        exemplar_write(to, family, above, boundary);
        bytes_add_byte(&family->samples, '\n');
        bytes_done(&extra);
        above = boundary;
    }
    if (point->has_sum) {
        head_write(to, family, STR("_sum"), STR(""));
        prometheus_number_write(&family->samples, point->sum);
        bytes_add_byte(&family->samples, '\n');
    }
    head_write(to, family, STR("_count"), STR(""));
    bytes_format(&family->samples, "%llu\n", (unsigned long long)count);
    created_write(to, family);
}

static void point_write(struct writing *to, struct family *family, const struct metric *metric,
                        struct str wire)
{
    const enum point_kind kind = metric->data_number == 9    ? POINT_HISTOGRAM
                                 : metric->data_number == 10 ? POINT_EXPONENTIAL
                                                             : POINT_NUMBER;
    struct bytes series = {0};
    bool is_known = true;

    arena_reset(&to->point_arena);
    if (!point_read(&to->point, kind, wire, &to->point_arena)) {
        stats_add(&sdk_stats, SDK_invalid_values, 1);
        return;
    }
    if (to->point.has_no_value)
        return;
    labels_make(to, &to->point);
    if (metric->is_delta) {
        bytes_add_str(&series, family->name);
        bytes_add_byte(&series, '{');
        bytes_add(&series, to->text.at, to->text.len);
        is_known = !series.is_failed && point_sum(to->sums, bytes_str(&series), &to->point);
        bytes_done(&series);
    }
    if (!is_known)
        signal_add(TL_METRICS, LOSS_NO_MEMORY, 1);
    else if (kind == POINT_NUMBER)
        number_write(to, family);
    else
        histogram_write(to, family);
}

// Sum: aggregation_temporality 2, is_monotonic 3; histograms have the temporality there too.
static void data_read(struct metric *metric)
{
    struct reader reader = reader_of(metric->data);
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        if (field.number == 2 && field.type == WIRE_VARINT)
            metric->is_delta = field.value == 1;
        else if (field.number == 3 && field.type == WIRE_VARINT)
            metric->is_monotonic = field.value != 0;
    }
}

static void metric_write(struct writing *to, struct str wire)
{
    struct reader reader = reader_of(wire);
    struct metric metric = {{"", 0}, {"", 0}, {"", 0}, {"", 0}, 0, false, false};
    struct family *family;
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        if (field.number == 1)
            metric.name = field.body;
        else if (field.number == 2)
            metric.description = field.body;
        else if (field.number == 3)
            metric.unit = field.body;
        else if (field.body.at && (field.number == 5 || field.number == 7 || field.number == 9 ||
                                   field.number == 10)) {
            metric.data = field.body;
            metric.data_number = field.number;
        }
    }
    if (!metric.data_number)
        return;
    if (metric.data_number != 5)
        data_read(&metric);
    family = family_of(to, &metric);
    reader = reader_of(metric.data);
    while (family && wire_next(&reader, &field)) {
        if (field.number == 1 && field.body.at)
            point_write(to, family, &metric, field.body);
    }
}

static void scope_metrics_write(struct writing *to, struct str wire)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;

    to->scope = to->scope_url = (struct str){"", 0};
    while (wire_next(&reader, &field)) {
        if (field.number == 1 && field.body.at)
            to->scope = field.body;
        else if (field.number == 3 && field.body.at)
            to->scope_url = field.body;
    }
    reader = reader_of(wire);
    while (wire_next(&reader, &field)) {
        if (field.number == 2 && field.body.at)
            metric_write(to, field.body);
    }
}

// The resource as an info metric, once.
static void target_write(struct writing *to, struct bytes *out, struct str resource)
{
    struct reader reader = reader_of(resource);
    struct wire_field field;

    if (to->options->without_target_info)
        return;
    arena_reset(&to->point_arena);
    to->labels.arena = &to->point_arena;
    to->labels.count = 0;
    while (wire_next(&reader, &field)) {
        if (field.number == 1 && field.body.at)
            labels_add_pair(&to->labels, "", field.body);
    }
    if (to->labels.count == 0)
        return;
    labels_end(&to->labels);
    bytes_add_str(out, to->is_openmetrics
                           ? STR("# HELP target Target metadata\n# TYPE target info\n")
                           : STR("# HELP target_info Target metadata\n"
                                 "# TYPE target_info gauge\n"));
    bytes_add_str(out, STR("target_info{"));
    labels_write(out, &to->labels);
    bytes_add_str(out, STR("} 1\n"));
}

static void family_write(struct bytes *out, const struct family *family, bool is_openmetrics)
{
    static const char *const types[] = {"gauge", "counter", "unknown", "histogram", "info"};
    // OpenMetrics names a family of counters without _total.
    const struct str name = is_openmetrics ? family->plain : family->name;

    if (family->samples.len == 0)
        return;
    if (family->help.len) {
        bytes_add_str(out, STR("# HELP "));
        bytes_add_str(out, name);
        bytes_add_byte(out, ' ');
        prometheus_help_write(out, family->help, is_openmetrics);
        bytes_add_byte(out, '\n');
    }
    bytes_format(out, "# TYPE %.*s %s\n", STR_ARGS(name), types[family->type]);
    // OpenMetrics: the name must end with the unit. 0.0.4 has no such line.
    if (is_openmetrics && family->unit.len)
        bytes_format(out, "# UNIT %.*s %.*s\n", STR_ARGS(name), STR_ARGS(family->unit));
    bytes_add(out, family->samples.at, family->samples.len);
}

static void resource_metrics_write(struct writing *to, struct bytes *out, struct str wire)
{
    struct reader reader = reader_of(wire);
    struct wire_field field;

    while (wire_next(&reader, &field)) {
        if (field.number == 1 && field.body.at)
            target_write(to, out, field.body);
        else if (field.number == 2 && field.body.at)
            scope_metrics_write(to, field.body);
    }
}

int prometheus_write(struct bytes *out, const struct tl_prometheus_options *options,
                     bool is_openmetrics, struct point_sums *sums, struct str request)
{
    struct writing *to = calloc(1, sizeof *to);
    struct reader reader = reader_of(request);
    struct wire_field field;
    bool is_failed;

    if (!to)
        return -ENOMEM;
    to->options = options;
    to->is_openmetrics = is_openmetrics;
    to->sums = sums;
    to->last = &to->first;
    while (wire_next(&reader, &field)) {
        if (field.number == 1 && field.body.at)
            resource_metrics_write(to, out, field.body);
    }
    for (struct family *family = to->first; family; family = family->next) {
        family_write(out, family, is_openmetrics);
        to->is_failed |= family->samples.is_failed;
        bytes_done(&family->samples);
    }
    if (is_openmetrics)
        bytes_add_str(out, STR("# EOF\n"));
    is_failed = to->is_failed || to->text.is_failed || out->is_failed;
    bytes_done(&to->text);
    arena_done(&to->arena);
    arena_done(&to->point_arena);
    free(to);
    return is_failed ? -ENOMEM : 0;
}
