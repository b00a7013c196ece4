// SPDX-License-Identifier: Apache-2.0
// Tags are matched by decoding the spans: the index has none of them.

#include "agent/api/jaeger_tags.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "agent/api/answer.h"

struct jaeger_tags {
    json_t *wanted;
    bool wants_error;
};

int jaeger_tags_new(struct str text, struct jaeger_tags **out_tags)
{
    struct jaeger_tags *tags = calloc(1, sizeof *tags);
    const char *key;
    json_t *value;

    if (!tags)
        return -ENOMEM;
    tags->wanted = text.len ? json_loadb(text.at, text.len, 0, NULL) : json_object();
    if (!json_is_object(tags->wanted)) {
        jaeger_tags_free(tags);
        return -EINVAL;
    }
    json_object_foreach(tags->wanted, key, value)
    {
        if (!json_is_string(value)) {
            jaeger_tags_free(tags);
            return -EINVAL;
        }
    }
    value = json_object_get(tags->wanted, "error");
    tags->wants_error = value && strcmp(json_string_value(value), "true") == 0;
    if (tags->wants_error)
        json_object_del(tags->wanted, "error");
    *out_tags = tags;
    return 0;
}

void jaeger_tags_free(struct jaeger_tags *tags)
{
    if (!tags)
        return;
    json_decref(tags->wanted);
    free(tags);
}

bool jaeger_tags_want_error(const struct jaeger_tags *tags)
{
    return tags->wants_error;
}

bool jaeger_tags_are_plain(const struct jaeger_tags *tags)
{
    return json_object_size(tags->wanted) == 0;
}

struct matching {
    const struct jaeger_tags *tags;
    struct bytes text;
    bool is_found;
};

static bool value_is(struct matching *matching, const struct value *value, struct str wanted)
{
    if (!value)
        return false;
    if (value->type == VALUE_STRING)
        return str_equal(value->string, wanted);
    matching->text.len = 0;
    value_json(&matching->text, value);
    return str_equal(bytes_str(&matching->text), wanted);
}

static bool look(void *self, const struct stored_span *stored)
{
    struct matching *matching = self;
    const char *key;
    json_t *value;
    bool is_match = true;

    json_object_foreach(matching->tags->wanted, key, value)
    {
        const struct str name = str_of(key);
        const struct str wanted = {json_string_value(value), json_string_length(value)};

        if (str_equal(name, STR("span.kind")))
            is_match &= str_equal(str_of(span_kind_text(stored->span.kind)), wanted);
        else if (str_equal(name, STR("error")))
            is_match &=
                (stored->span.status == SPAN_STATUS_ERROR) == str_equal(wanted, STR("true"));
        else
            is_match &=
                value_is(matching, attribute_find(stored->span.attributes, name), wanted) ||
                value_is(matching, attribute_find(stored->resource.attributes, name), wanted);
    }
    matching->is_found = is_match;
    return !is_match;
}

bool jaeger_tags_match(const struct jaeger_tags *tags, struct store *store,
                       const uint8_t trace_id[static 16])
{
    struct matching matching = {.tags = tags, .text = {.limit = 1 << 20}};

    store_trace(store, trace_id, look, &matching, NULL);
    bytes_done(&matching.text);
    return matching.is_found;
}
