// SPDX-License-Identifier: Apache-2.0
// The ids come first and win; attributes follow while all of it has at most 128 characters.

#include "libtrace/sdk/metrics/prometheus_exemplar.h"

#include "libtrace/otlp/varint.h"
#include "libtrace/sdk/metrics/prometheus_name.h"

enum { EXEMPLAR_LABELS_MAX = 128 }; // characters, OpenMetrics 1.0

void prometheus_seconds_write(struct bytes *out, uint64_t ns)
{
    bytes_format(out, "%llu.%03u", (unsigned long long)(ns / 1000000000),
                 (unsigned)(ns % 1000000000 / 1000000));
}

// Labels of an exemplar: the ids first, then attributes while they fit.
static void labels_fit_write(struct bytes *out, const struct point_exemplar *exemplar,
                             struct labels *labels)
{
    struct reader reader = reader_of(exemplar->whole);
    struct wire_field field;
    size_t characters = 0;
    bool is_first = true;

    labels->count = 0;
    while (wire_next(&reader, &field)) {
        if (field.number == 7 && field.body.at)
            labels_add_pair(labels, "", field.body);
    }
    labels_end(labels);
    for (int id = 0; id < 2; id++) {
        const struct str raw = id ? exemplar->span_id : exemplar->trace_id;

        if (raw.len == 0)
            continue;
        bytes_add_str(out, id ? (is_first ? STR("span_id=\"") : STR(",span_id=\""))
                              : STR("trace_id=\""));
        for (size_t i = 0; i < raw.len; i++)
            bytes_format(out, "%02x", (unsigned)(uint8_t)raw.at[i]);
        bytes_add_byte(out, '"');
        characters += (id ? 7 : 8) + 2 * raw.len;
        is_first = false;
    }
    for (size_t i = 0; i < labels->count; i++) {
        const struct label *each = &labels->list[i];

        // Bytes are never fewer than characters.
        if (str_equal(each->key, STR("trace_id")) || str_equal(each->key, STR("span_id")) ||
            characters + each->key.len + each->value.len > EXEMPLAR_LABELS_MAX)
            continue;
        characters += each->key.len + each->value.len;
        bytes_add_str(out, is_first ? STR("") : STR(","));
        bytes_add_str(out, each->key);
        bytes_add_str(out, STR("=\""));
        prometheus_text_write(out, each->value);
        bytes_add_byte(out, '"');
        is_first = false;
    }
}

void prometheus_exemplar_write(struct bytes *out, const struct point_exemplar *exemplar,
                               struct labels *labels)
{
    bytes_add_str(out, STR(" # {"));
    labels_fit_write(out, exemplar, labels);
    bytes_add_str(out, STR("} "));
    prometheus_number_write(out, exemplar->value);
    bytes_add_byte(out, ' ');
    prometheus_seconds_write(out, exemplar->time_ns);
}
